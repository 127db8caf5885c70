//! Every value of every record of the bundle against the row that is read back.

use std::collections::{HashMap, HashSet};

use contract::plan::OnGone;
use contract::{Op, Record, reject};
use serde_json::Value;
use store::ledger::{Entry, Phase};
use store::{Binding, Bound, Cell, From, Key, Row};

use super::differ::{self, Cause};
use crate::compare::holds;
use crate::finding::{Check, Fault, Level};
use crate::lineage::{last_change, later_run, run_id};
use crate::sample::Sample;
use crate::scene::{Pass, Scene, target_error};

/// Figures of the check.
#[derive(Default)]
struct Seen {
    records: u64,
    values: u64,
    references: u64,
    skipped: u64,
    not_applied: u64,
    /// Rows that others edited and the run left alone.
    drifted: u64,
    /// What differs in them; the run's own figure decides what that means.
    drift: Vec<Fault>,
}

/// The three checks that look at records.
struct Checks<'a> {
    records: Check,
    mappings: &'a mut Check,
    references: &'a mut Check,
}

/// A record of the pass in hand.
struct Item<'a> {
    record: &'a Record,
    /// Whether its late references stand.
    late: bool,
    entry: Option<Entry>,
}

pub(super) fn check(
    scene: &mut Scene<'_>,
    sample: Option<Sample>,
    mappings: &mut Check,
    references: &mut Check,
) -> anyhow::Result<Check> {
    let what = sample.map_or_else(
        || "every value of every applied record in its row".into(),
        |sample| sample.words(),
    );
    let mut checks = Checks {
        records: Check::new("records", what),
        mappings,
        references,
    };
    let mut seen = Seen::default();
    let passes = scene.passes();
    for pass in passes.iter().filter(|pass| pass.phase != Phase::Late) {
        let late = passes
            .iter()
            .find(|late| late.phase == Phase::Late && late.file.file == pass.file.file);
        file(scene, pass, late, sample, &mut checks, &mut seen)?;
    }
    let Checks { mut records, .. } = checks;
    let known = scene.run.counts.drifted;
    for mut fault in seen.drift {
        if seen.drifted <= known {
            fault.severity = Level::Warning;
            fault.message = "edited before the run, which left it so".into();
        }
        records.add(fault);
    }
    let mut found = format!("{} values of {} records", seen.values, seen.records);
    for (count, what) in [
        (seen.skipped, "left alone as the plan says"),
        (seen.not_applied, "not applied"),
        (seen.drifted, "with edits that the run left"),
    ] {
        if count > 0 {
            found += &format!(", {count} {what}");
        }
    }
    references.found = format!("{} references of records", seen.references);
    Ok(records.found(found))
}

/// Checks the records of a file, piece by piece.
fn file(
    scene: &mut Scene<'_>,
    pass: &Pass,
    late: Option<&Pass>,
    sample: Option<Sample>,
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let name = pass.file.entity.as_str();
    let room = scene
        .room(name)
        .map(|room| (room.binding.clone(), room.entity));
    let (binding, entity) = match room {
        Some((Ok(binding), entity)) => (binding, entity),
        Some((Err(problems), _)) => {
            let message = format!(
                "{} records of {name} can't be checked: {}",
                pass.file.records,
                problems.join("; ")
            );
            checks.records.add(Fault::error(message));
            return Ok(());
        }
        None => return Ok(()),
    };
    let mut progress = scene.talk.progress(Some(pass.file.records));
    let mut place = 0;
    let Some(bundle) = &scene.bundle else {
        return Ok(());
    };
    let segments = bundle.segments(&pass.file)?;
    for segment in segments {
        let records = segment?;
        let mut items = Vec::with_capacity(records.len());
        for record in &records {
            let (stands, late) = (
                scene.stands(pass, place),
                late.is_some_and(|late| scene.stands(late, place)),
            );
            place += 1;
            if sample.is_some_and(|sample| !sample.holds(record)) {
                continue;
            }
            if stands {
                items.push(Item {
                    record,
                    late,
                    entry: None,
                });
            } else {
                seen.not_applied += 1;
            }
        }
        if let Some(entity) = entity {
            let keys: Vec<&str> = items.iter().map(|item| item.record.key.as_str()).collect();
            let entries = scene.sql.entries(entity, &keys).map_err(target_error)?;
            for (item, entry) in items.iter_mut().zip(entries) {
                item.entry = entry;
            }
        }
        seen.records += items.len() as u64;
        if pass.phase == Phase::Delete {
            deletes(scene, &binding, &items, checks, seen)?;
        } else {
            puts(scene, &binding, &items, checks, seen)?;
        }
        progress.at("VERIFYING", place, name, &[]);
    }
    Ok(())
}

fn puts(
    scene: &mut Scene<'_>,
    binding: &Binding,
    items: &[Item<'_>],
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let parents = parents(scene, items, checks, seen)?;
    let mut known: Vec<(&Item<'_>, &Entry)> = Vec::with_capacity(items.len());
    for item in items {
        let named = |fault: Fault| {
            fault.record(&item.record.entity, &item.record.key, Some(&item.record.at))
        };
        match &item.entry {
            Some(entry) if entry.gone && entry.run > scene.run.seq => {
                let later = run_id(scene.sql.as_mut(), entry.run).map_err(target_error)?;
                let message = format!("run {later} has deleted its row since");
                checks.records.add(named(
                    Fault::warning(message).row(&binding.table.name, &entry.target),
                ));
            }
            Some(entry) if entry.gone => {
                let message = "the id map says that its row was deleted";
                checks.mappings.add(named(
                    Fault::error(message).row(&binding.table.name, &entry.target),
                ));
            }
            Some(entry) => known.push((item, entry)),
            None => checks.mappings.add(named(Fault::error(
                "it was applied, and the id map has no entry for it",
            ))),
        }
    }
    let keys: Vec<Key> = known
        .iter()
        .map(|(_, entry)| entry.target.clone())
        .collect();
    let rows = scene
        .rows(&binding.table, &binding.key, &keys)
        .map_err(target_error)?;
    for ((item, entry), row) in known.into_iter().zip(rows) {
        if item.record.op == Op::Remap {
            remapped(scene, binding, item, entry, checks)?;
        } else if entry.skipped() {
            seen.skipped += 1;
        } else if let Some(row) = row {
            values(scene, binding, item, entry, &row, &parents, checks, seen)?;
        } else {
            gone(scene, binding, item, entry, checks, seen)?;
        }
    }
    Ok(())
}

/// A correction of the id map must stand.
fn remapped(
    scene: &mut Scene<'_>,
    binding: &Binding,
    item: &Item<'_>,
    entry: &Entry,
    checks: &mut Checks<'_>,
) -> anyhow::Result<()> {
    let to = item.record.to.clone().unwrap_or_default();
    let same = parts(&to)
        .iter()
        .map(text_of)
        .eq(entry.target.0.iter().map(text_of_cell));
    if same {
        return Ok(());
    }
    let table = &binding.table.name;
    let message = "the id map does not point to the row that the record names";
    let fault = if entry.run > scene.run.seq {
        let later = run_id(scene.sql.as_mut(), entry.run).map_err(target_error)?;
        Fault::warning(format!("{message}: run {later} changed it since"))
    } else {
        Fault::error(message)
    };
    let fault = Fault {
        expected: Some(to.to_string()),
        found: Some(entry.target.to_string()),
        ..fault.row(table, &entry.target)
    };
    checks
        .mappings
        .add(fault.record(&item.record.entity, &item.record.key, Some(&item.record.at)));
    Ok(())
}

/// A row that is not there: the plan may say that it is left alone.
fn gone(
    scene: &mut Scene<'_>,
    binding: &Binding,
    item: &Item<'_>,
    entry: &Entry,
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let wrote = last_change(scene.sql.as_mut(), scene.run.seq, entry).map_err(target_error)?;
    if binding.entity.on_gone == OnGone::Skip && wrote.is_none() {
        seen.skipped += 1;
        return Ok(());
    }
    let table = &binding.table.name;
    let later =
        later_run(scene.sql.as_mut(), scene.run.seq, table, &entry.target).map_err(target_error)?;
    let fault = match later {
        Some(later) => Fault::warning(format!("its row is gone: run {later} has touched it since")),
        None => Fault::error("its row is gone"),
    };
    let fault = fault.row(table, &entry.target);
    checks
        .records
        .add(fault.record(&item.record.entity, &item.record.key, Some(&item.record.at)));
    Ok(())
}

/// Compares every column that the record sets.
#[expect(
    clippy::too_many_arguments,
    reason = "a record, its row, and where findings go"
)]
fn values(
    scene: &mut Scene<'_>,
    binding: &Binding,
    item: &Item<'_>,
    entry: &Entry,
    row: &Row,
    parents: &Parents,
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let record = item.record;
    let mut drifts = false;
    for bound in &binding.columns {
        let place = bound.place;
        if (bound.field.late && !item.late) || binding.is_loose(place) {
            continue;
        }
        let column = binding.table.columns[place].name.as_str();
        let cell = &row[place];
        let expected = match expectation(scene, binding, bound, record, column, parents) {
            Expected::Nothing => continue,
            Expected::Value(value) => {
                let is_tag = |item: &str| binding.is_tag(item);
                let tagged: Option<&dyn Fn(&str) -> bool> = if binding.tag == Some(place) {
                    Some(&is_tag)
                } else {
                    None
                };
                seen.values += 1;
                if holds(&bound.field, value, cell, tagged) {
                    continue;
                }
                value.to_string()
            }
            Expected::Cell(wanted) => {
                seen.values += 1;
                if wanted.as_ref().is_some_and(|wanted| same(wanted, cell)) {
                    continue;
                }
                wanted.map_or_else(
                    || "a code that the run looked up".into(),
                    |wanted| wanted.to_string(),
                )
            }
        };
        let cause = differ::cause(scene, binding, entry, place, row).map_err(target_error)?;
        let secret = bound.field.secret;
        let shown = |text: String| {
            if secret {
                reject::MASK.to_owned()
            } else {
                short(&text)
            }
        };
        let fault = match &cause {
            Cause::Run => Fault::error("the run left it so, the record says otherwise"),
            Cause::Later(run) => Fault::warning(format!("run {run} has written it since")),
            Cause::Edited => Fault::error("edited after the run"),
            Cause::Drift => Fault::error("edited by others; the run did not write this row"),
            Cause::Kept => Fault::warning("edited before the run, which kept it as the plan says"),
        };
        let fault = fault
            .row(&binding.table.name, &entry.target)
            .values(column, shown(expected), shown(cell.to_string()))
            .record(&record.entity, &record.key, Some(&record.at));
        match cause {
            Cause::Drift => {
                drifts = true;
                if seen.drift.len() < super::PAGE {
                    seen.drift.push(fault);
                }
            }
            _ if bound.from == From::Ref => checks.references.add(fault),
            _ => checks.records.add(fault),
        }
    }
    seen.drifted += u64::from(drifts);
    Ok(())
}

/// What a record says of a column.
enum Expected<'a> {
    /// Nothing: the column is not touched.
    Nothing,
    /// A value.
    Value(&'a Value),
    /// What a reference or a code stands for; none where that is not known any more.
    Cell(Option<Cell>),
}

fn expectation<'a>(
    scene: &Scene<'_>,
    binding: &Binding,
    bound: &Bound,
    record: &'a Record,
    column: &str,
    parents: &Parents,
) -> Expected<'a> {
    if let Some(value) = record.fields.get(column) {
        return Expected::Value(value);
    }
    match bound.from {
        From::Ref => match record
            .refs
            .get(column)
            .map(|to| parents.get(&(to.entity.clone(), to.key.clone())))
        {
            Some(Some(Some(cell))) => Expected::Cell(Some(cell.clone())),
            // A reference to nothing is named once, by the check of references.
            _ => Expected::Nothing,
        },
        From::Lookup => record
            .lookups
            .get(column)
            .map_or(Expected::Nothing, |code| {
                Expected::Cell(scene.lookup(&binding.entity.name, column, code))
            }),
        From::Field | From::Run(_) => Expected::Nothing,
    }
}

/// The key that each record which others refer to has in the target; none of a row that is gone.
type Parents = HashMap<(String, String), Option<Cell>>;

/// Finds the rows that the records in hand refer to.
fn parents(
    scene: &mut Scene<'_>,
    items: &[Item<'_>],
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<Parents> {
    let mut wanted: HashMap<&str, HashSet<&str>> = HashMap::new();
    for to in items.iter().flat_map(|item| item.record.refs.values()) {
        wanted.entry(&to.entity).or_default().insert(&to.key);
    }
    let mut parents = Parents::new();
    for (entity, keys) in wanted {
        let room = scene.room(entity);
        let Some((Ok(binding), Some(number))) =
            room.map(|room| (room.binding.clone(), room.entity))
        else {
            continue;
        };
        let keys: Vec<&str> = keys.into_iter().collect();
        let entries = scene.sql.entries(number, &keys).map_err(target_error)?;
        let (mut names, mut targets) = (Vec::new(), Vec::new());
        for (key, entry) in keys.into_iter().zip(entries) {
            match entry.filter(|entry| !entry.gone) {
                Some(entry) => {
                    names.push(key);
                    targets.push(entry.target);
                }
                None => {
                    parents.insert((entity.to_owned(), key.to_owned()), None);
                }
            }
        }
        let rows = scene
            .rows(&binding.table, &binding.key, &targets)
            .map_err(target_error)?;
        for ((key, target), row) in names.into_iter().zip(targets).zip(rows) {
            let cell = row.and_then(|_| target.0.into_iter().next());
            parents.insert((entity.to_owned(), key.to_owned()), cell);
        }
    }
    for item in items {
        for (column, to) in &item.record.refs {
            let plan = scene.plan.plan.entity(&item.record.entity);
            let late = plan
                .and_then(|plan| plan.fields.get(column))
                .is_some_and(|field| field.late);
            if late && !item.late {
                continue;
            }
            seen.references += 1;
            if let Some(None) = parents.get(&(to.entity.clone(), to.key.clone())) {
                let message = format!(
                    "{column} refers to {} {}, which has no row",
                    to.entity, to.key
                );
                let fault = Fault {
                    column: Some(column.clone()),
                    ..Fault::error(message)
                };
                checks.references.add(fault.record(
                    &item.record.entity,
                    &item.record.key,
                    Some(&item.record.at),
                ));
            }
        }
    }
    Ok(parents)
}

/// The rows of deleted records must be gone.
fn deletes(
    scene: &mut Scene<'_>,
    binding: &Binding,
    items: &[Item<'_>],
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let table = &binding.table;
    for item in items {
        let record = item.record;
        let Some(entry) = &item.entry else {
            let fault = Fault::error("it was applied, and the id map does not remember it");
            checks
                .mappings
                .add(fault.record(&record.entity, &record.key, Some(&record.at)));
            continue;
        };
        let row = scene
            .rows(table, &binding.key, std::slice::from_ref(&entry.target))
            .map_err(target_error)?
            .remove(0);
        if row.is_none() {
            continue;
        }
        let fault = if !entry.gone && entry.run <= scene.run.seq {
            // Not deleted: by `on_drift = "keep"` a row that was edited stays.
            seen.drifted += 1;
            let fault = Fault::error("it was to be deleted, and is there")
                .row(&table.name, &entry.target)
                .record(&record.entity, &record.key, Some(&record.at));
            seen.drift.push(fault);
            continue;
        } else if entry.run > scene.run.seq {
            Fault::warning("it was deleted, and a later run has made it again")
        } else {
            Fault::error("it was deleted, and is there again")
        };
        let fault = fault.row(&table.name, &entry.target);
        checks
            .records
            .add(fault.record(&record.entity, &record.key, Some(&record.at)));
    }
    Ok(())
}

/// The parts of a target key in a record line: a value, or a list of them.
fn parts(value: &Value) -> &[Value] {
    match value {
        Value::Array(parts) => parts,
        one => std::slice::from_ref(one),
    }
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn text_of_cell(cell: &Cell) -> String {
    cell.text().map_or_else(|| cell.to_string(), str::to_owned)
}

/// A key as another column holds it: a number may stand there as text.
fn same(wanted: &Cell, found: &Cell) -> bool {
    wanted == found || (!found.is_null() && text_of_cell(wanted) == text_of_cell(found))
}

/// A value for people.
fn short(text: &str) -> String {
    if text.chars().count() <= 80 {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(77).collect::<String>())
}
