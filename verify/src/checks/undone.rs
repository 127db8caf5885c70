//! After a rollback: nothing of the run is left, but what rollback said that it kept.

use std::collections::HashMap;

use contract::talk::counted;
use store::ledger::{self, Action, Change, Entry, RunStatus};
use store::{Cell, Key, Row, Table};

use super::PAGE;
use super::walk::{self, Group};
use crate::finding::{Check, Fault};
use crate::lineage::{later_runs, restored, run_id};
use crate::scene::{Scene, target_error};

#[derive(Default)]
struct Seen {
    changes: u64,
    kept: u64,
}

pub(super) fn check(scene: &mut Scene<'_>) -> anyhow::Result<Check> {
    let mut check = Check::new(
        "rollback",
        "rows that the run created gone, what it changed and deleted back, its id-map entries gone",
    );
    let mut seen = Seen::default();
    let past = restored(scene.sql.as_mut(), &scene.run.id).map_err(target_error)?;
    let mut before = i64::MAX;
    loop {
        let kept =
            ledger::kept(scene.sql.as_mut(), scene.run.seq, before, PAGE).map_err(target_error)?;
        let kept: HashMap<i64, String> = kept
            .into_iter()
            .filter(|kept| kept.reason != "gone")
            .map(|kept| (kept.seq, kept.reason))
            .collect();
        let groups = walk::page(scene, &mut before, &mut check)?;
        if groups.is_empty() {
            break;
        }
        for group in groups {
            seen.changes += group.changes.len() as u64;
            entries(scene, &group.changes, &kept, &mut check)?;
            let Some(live) = &group.live else { continue };
            let table = &live.0;
            let rows = Group::rows(scene, live, &group.changes.iter().collect::<Vec<_>>())?;
            let mut amiss = Vec::new();
            for (change, row) in group.changes.iter().zip(rows) {
                let faults = if let Some(reason) = kept.get(&change.seq) {
                    seen.kept += 1;
                    vec![Fault::warning(format!("kept by rollback: {reason}"))]
                } else if past.is_none() {
                    reversed(scene, &group, table, change, row.as_ref())?
                } else {
                    vec![]
                };
                if !faults.is_empty() {
                    amiss.push((change, faults));
                }
            }
            let keys: Vec<&Key> = amiss.iter().map(|(change, _)| &change.target).collect();
            let later = later_runs(scene.sql.as_mut(), scene.run.seq, &table.name, &keys);
            for ((change, faults), later) in amiss.into_iter().zip(later.map_err(target_error)?) {
                let stays = change.action == Action::Keep || kept.contains_key(&change.seq);
                // A later run may have made, changed or deleted it for reasons of its own.
                if later.is_none() || stays {
                    let faults = faults.into_iter();
                    faults.for_each(|fault| check.add(fault.row(&table.name, &change.target)));
                }
            }
        }
    }
    let told = past.map_or_else(String::new, |first| {
        format!("; its rows are those of the snapshot of before run {first}, and not compared")
    });
    seen.changes += scene.added.len() as u64;
    seen.kept += added(scene, &mut check)?;
    Ok(check.found(format!(
        "{}, {} of them kept{told}",
        counted(seen.changes, "change"),
        seen.kept
    )))
}

/// What the run added to the catalogue must be gone. Returns how much of it was kept.
fn added(scene: &mut Scene<'_>, check: &mut Check) -> anyhow::Result<u64> {
    let mut count = 0;
    let all = scene.added.clone();
    for (place, one) in all.iter().enumerate() {
        let sql = scene.sql.as_mut();
        let kept = ledger::kept(sql, scene.run.seq, one.seq + 1, 1).map_err(target_error)?;
        let kept = kept
            .into_iter()
            .find(|kept| kept.seq == one.seq && kept.reason != "gone");
        let name = store::called(&one.table, one.column.as_deref());
        let fault = |fault: Fault| Fault {
            table: Some(one.table.clone()),
            ..fault
        };
        if let Some(kept) = kept {
            count += 1;
            let message = format!("{name} was kept by rollback: {}", kept.reason);
            check.add(fault(Fault::warning(message)));
        } else if one.is_there(sql).map_err(target_error)? {
            let message = format!("the run added {name}, and it is still there");
            check.add(fault(Fault::error(message)));
        } else if all[..place].iter().all(|other| other.table != one.table)
            && one.column.is_some()
            && sql.definition(&one.table).map_err(target_error)?.as_ref() != Some(&one.definition)
        {
            let message = format!("the definition of {} was changed by others", one.table);
            check.add(fault(Fault::warning(message)));
        }
    }
    Ok(count)
}

/// What the id map said before the run, it must say again.
fn entries(
    scene: &mut Scene<'_>,
    page: &[Change],
    kept: &HashMap<i64, String>,
    check: &mut Check,
) -> anyhow::Result<()> {
    let mine = |change: &&Change| {
        change.earlier.is_none() && change.entry.is_some() && !kept.contains_key(&change.seq)
    };
    for change in page.iter().filter(mine) {
        let (Some((entity, source)), Some(before)) = (&change.identity, &change.entry) else {
            continue;
        };
        let now = scene
            .sql
            .entries(*entity, &[source])
            .map_err(target_error)?
            .pop()
            .flatten();
        let later = now.as_ref().is_some_and(|entry| entry.run > scene.run.seq);
        if later || now.as_ref() == before.as_deref() {
            continue;
        }
        // What stood before may have been taken back since, too.
        if let Some(before) = before.as_deref()
            && now.as_ref().is_none_or(|now| now.run < before.run)
            && is_undone(scene, before.run)?
        {
            continue;
        }
        let name = ledger::name_of(scene.sql.as_mut(), *entity).map_err(target_error)?;
        let fault = match (&now, before) {
            (Some(entry), _) if entry.run == scene.run.seq => {
                Fault::error("the id map still has the entry of the run")
            }
            _ => Fault::error("the id map does not say what it said before the run"),
        };
        let word = |entry: Option<&Entry>| {
            entry.map_or("no entry".to_owned(), |entry| entry.target.to_string())
        };
        let fault = Fault {
            expected: Some(word(before.as_deref())),
            found: Some(word(now.as_ref())),
            ..fault
        };
        check.add(fault.record(&name, source, None));
    }
    Ok(())
}

fn is_undone(scene: &mut Scene<'_>, run: i64) -> anyhow::Result<bool> {
    let id = run_id(scene.sql.as_mut(), run).map_err(target_error)?;
    let run = ledger::find_run(scene.sql.as_mut(), &id).map_err(target_error)?;
    Ok(run.is_some_and(|run| run.status == RunStatus::RolledBack))
}

/// Says what of a change is not reversed.
fn reversed(
    scene: &mut Scene<'_>,
    group: &Group,
    table: &Table,
    change: &Change,
    row: Option<&Row>,
) -> anyhow::Result<Vec<Fault>> {
    let fault = match (change.action, row) {
        (Action::Keep, Some(_)) => {
            Fault::warning("the row that describes the run stays, as the plan says")
        }
        (Action::Insert, Some(_)) if change.later.is_none() => {
            Fault::error("the run created it, and it is still there")
        }
        (Action::Delete, None) => Fault::error("the run deleted it, and it is not back"),
        (Action::Update, None) if change.earlier.is_none() => {
            Fault::warning("the run updated it, and it is gone")
        }
        (Action::Update | Action::Delete, Some(row)) => {
            return values(scene, table, change, row, &group.shape.columns);
        }
        _ => return Ok(vec![]),
    };
    Ok(vec![fault])
}

/// The columns that the run wrote must have their former values.
fn values(
    scene: &mut Scene<'_>,
    table: &Table,
    change: &Change,
    row: &Row,
    columns: &[String],
) -> anyhow::Result<Vec<Fault>> {
    let mut earlier = Vec::new();
    let mut at = change.earlier;
    while let Some(seq) = at {
        let before =
            ledger::change(scene.sql.as_mut(), scene.run.seq, seq).map_err(target_error)?;
        at = before.as_ref().and_then(|change| change.earlier);
        earlier.extend(before);
    }
    let mut faults = Vec::new();
    if earlier.iter().any(|change| change.action == Action::Insert) {
        return Ok(faults);
    }
    for (was, before) in &change.before.0 {
        let after = change.after.get(*was);
        let first = earlier
            .iter()
            .all(|change| change.before.get(*was).is_none());
        let place = columns.get(*was).and_then(|column| table.position(column));
        let (Some(place), true) = (
            place,
            first && (after.is_some() || change.action == Action::Delete),
        ) else {
            continue;
        };
        let found = &row[place];
        if found == before {
            continue;
        }
        let secret = secret(scene, &table.name, &table.columns[place].name);
        let shown = |cell: &Cell| {
            if secret {
                contract::reject::MASK.to_owned()
            } else {
                cell.to_string()
            }
        };
        let fault = if after == Some(found) {
            Fault::error("it still has the value that the run wrote")
        } else if change.action == Action::Delete {
            Fault::error("the run deleted it, and it is back with another value")
        } else {
            Fault::warning("it is not as before the run: edited since the rollback")
        };
        faults.push(fault.values(&table.columns[place].name, shown(before), shown(found)));
    }
    Ok(faults)
}

fn secret(scene: &Scene<'_>, table: &str, column: &str) -> bool {
    scene
        .rooms
        .iter()
        .filter(|room| room.table == table)
        .filter_map(|room| scene.plan.plan.entity(&room.name)?.fields.get(column))
        .any(|field| field.secret)
}
