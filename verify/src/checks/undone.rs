//! After a rollback: nothing of the run is left, but what rollback said that it kept.

use std::collections::HashMap;

use contract::plan::TagForm;
use contract::talk::counted;
use store::ledger::{self, Action, Added, Change, Entry, Phase, RunStatus, Shape};
use store::{Cell, Key, Row, Table, row_hash};

use super::walk::{self, Gaps, Group};
use super::{PAGE, identities};
use crate::compare::has_item;
use crate::finding::{Check, Fault};
use crate::lineage::{later_runs, restored, run_id};
use crate::scene::{Room, Scene, target_error};

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
    let deletes = scene.batches.iter();
    let deletes = deletes.filter(|batch| batch.phase == Phase::Delete.word());
    let deletes = deletes.map(|batch| batch.no).collect();
    identities::chains(scene, &mut check)?;
    let past = restored(scene.sql.as_mut(), &scene.run.id).map_err(target_error)?;
    let pruned = ledger::pruned(scene.sql.as_mut(), &scene.run.id).map_err(target_error)?;
    let (mut before, mut gaps) = (i64::MAX, Gaps::new(scene));
    loop {
        let kept =
            ledger::kept(scene.sql.as_mut(), scene.run.seq, before, PAGE).map_err(target_error)?;
        let kept: HashMap<i64, String> = kept
            .into_iter()
            .filter(|kept| kept.reason != "gone")
            .map(|kept| (kept.seq, kept.reason))
            .collect();
        let groups = walk::page(scene, &mut before, Some(&mut gaps), &mut check)?;
        if groups.is_empty() {
            if pruned.is_none() {
                gaps.end(&mut check);
            }
            break;
        }
        for group in groups {
            seen.changes += group.changes.len() as u64;
            entries(scene, &group.changes, &kept, &mut check)?;
            let stays = |change: &Change| kept.contains_key(&change.seq);
            if past.is_none() {
                identities::check(scene, &group, &deletes, &stays, &mut check)?;
            }
            let Some(live) = &group.live else { continue };
            let table = &live.0;
            let rows = Group::rows(scene, live, &group.changes.iter().collect::<Vec<_>>())?;
            let mut amiss = Vec::new();
            for (change, row) in group.changes.iter().zip(rows) {
                let mut faults = if past.is_none() {
                    reversed(scene, &group, table, change, row.as_ref())?
                } else {
                    vec![]
                };
                if let Some(reason) = kept.get(&change.seq) {
                    seen.kept += 1;
                    // One that is by now what it was before is as if it had been taken back.
                    if past.is_some() || !faults.is_empty() {
                        faults = vec![Fault::warning(format!("kept by rollback: {reason}"))];
                    }
                }
                if !faults.is_empty() {
                    amiss.push((change, faults));
                }
            }
            let keys: Vec<&Key> = amiss.iter().map(|(change, _)| &change.target).collect();
            let later = later_runs(scene.sql.as_mut(), scene.run.seq, table, &keys);
            let further = ledger::taken_further(scene.sql.as_mut(), &scene.run, table, &keys);
            let other = later.map_err(target_error)?.into_iter();
            let other = other.zip(further.map_err(target_error)?);
            for ((change, faults), (later, further)) in amiss.into_iter().zip(other) {
                let stays = change.action == Action::Keep || kept.contains_key(&change.seq);
                // A later run may have made, changed or deleted it for reasons of its own, and an earlier one
                // that is taken back since put back what was before that.
                if (later.is_none() && further.is_none()) || stays {
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
            && !sql
                .is_defined(&one.table, &one.definition)
                .map_err(target_error)?
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
        let name = ledger::entity_of(scene.sql.as_mut(), *entity, &scene.plan.plan.system)
            .map_err(target_error)?;
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
        (Action::Keep, Some(row)) => match unmarked(scene, table, row) {
            None => Fault::warning("the row that describes the run stays, as the plan says"),
            Some(found) => {
                let fault = Fault::error(
                    "the row that describes the run stays, and is not marked rolled-back",
                );
                Fault {
                    found: Some(found),
                    ..fault
                }
            }
        },
        // Whatever the run did to it later: the row was not there before.
        (Action::Insert, Some(_))
            if change.earlier.is_none() && !was_there(scene, table, change)? =>
        {
            Fault::error("the run created it, and it is still there")
        }
        (Action::Detach, Some(_)) => {
            Fault::warning("its reference was set NULL by the rollback, as --detach asked")
        }
        (Action::Delete, None) => Fault::error("the run deleted it, and it is not back"),
        (Action::Update, None) if change.earlier.is_none() => {
            Fault::warning("the run updated it, and it is gone")
        }
        (Action::Update | Action::Delete, Some(row)) => {
            return values(scene, table, change, row, &group.shape);
        }
        _ => return Ok(vec![]),
    };
    Ok(vec![fault])
}

/// Says what a row that describes the run says in place of `rolled-back`, where the plan asks for that.
fn unmarked(scene: &Scene<'_>, table: &Table, row: &Row) -> Option<String> {
    let column = scene.plan.plan.metadata.as_ref()?.status.as_ref()?;
    let cell = table.position(column).map(|place| &row[place])?;
    let content: Option<serde_json::Value> =
        cell.text().and_then(|text| serde_json::from_str(text).ok());
    let marked = RunStatus::RolledBack.word();
    let is_marked = content.is_some_and(|content| content["status"] == marked);
    (!is_marked).then(|| cell.to_string())
}

/// Tells whether the run deleted a row of this key, for another record, before it created this one.
fn was_there(scene: &mut Scene<'_>, table: &Table, change: &Change) -> anyhow::Result<bool> {
    let deleted = "SELECT DISTINCT shape FROM ledger.changes WHERE run = ?1 AND seq < ?2 AND target = ?3 AND action = ?4";
    let sql = scene.sql.as_mut();
    let params = [
        scene.run.seq.into(),
        change.seq.into(),
        sql.target_cell(&change.target),
        (Action::Delete as i64).into(),
    ];
    for row in sql.query(deleted, &params).map_err(target_error)? {
        let shape = row[0].int().unwrap_or(change.shape);
        if ledger::shape_of(sql, shape)
            .map_err(target_error)?
            .is_of(table)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The columns that the run wrote must have their former values.
fn values(
    scene: &mut Scene<'_>,
    table: &Table,
    change: &Change,
    row: &Row,
    shape: &Shape,
) -> anyhow::Result<Vec<Fault>> {
    let columns = &shape.columns;
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
        let (Some(place), true) = (place, first) else {
            continue;
        };
        let volatile = |room: &&Room| room.table == table.name && room.is_volatile(place);
        let wrote = after.is_some() || change.action == Action::Delete;
        if change.action != Action::Delete && scene.rooms.iter().any(|room| volatile(&room)) {
            continue;
        }
        let found = &row[place];
        // What the run left as it was, others may have changed.
        if found == before || after == Some(before) {
            continue;
        }
        let column = &table.columns[place].name;
        let tagged =
            is_tagged(scene, table, column, found) && !is_tagged(scene, table, column, before);
        let secret = scene.secret(&table.name, &table.columns[place].name);
        let shown = |cell: &Cell| {
            if secret {
                contract::reject::MASK.to_owned()
            } else {
                cell.to_string()
            }
        };
        let fault = if wrote && after == Some(found) {
            Fault::error("it still has the value that the run wrote")
        } else if tagged {
            Fault::error("it still has the run's tag")
        } else if change.action == Action::Delete {
            Fault::error("the run deleted it, and it is back with another value")
        } else {
            Fault::warning("it is not as before the run: edited since the rollback")
        };
        faults.push(fault.values(&table.columns[place].name, shown(before), shown(found)));
    }
    let places: Vec<Option<usize>> = columns.iter().map(|name| table.position(name)).collect();
    let now = Added::row_of_shape(&scene.added, shape, &places, row);
    if faults.is_empty() && earlier.is_empty() && row_hash(scene.run.format, &now) != change.hash {
        let message = "a column that the run did not write is not as before it: edited since";
        faults.push(Fault::warning(message));
    }
    Ok(faults)
}

/// Tells whether a list cell holds the tag that the run gives rows of a table.
fn is_tagged(scene: &Scene<'_>, table: &Table, column: &str, cell: &Cell) -> bool {
    let rooms = scene.rooms.iter().filter(|room| room.table == table.name);
    let entities = rooms.filter_map(|room| scene.plan.plan.entity(&room.name));
    let mut tags = entities.filter_map(|entity| Some((entity, entity.tag.as_ref()?)));
    tags.any(|(entity, tag)| {
        let run = match tag.form {
            TagForm::Simple => scene.run.id.replace('-', ""),
            TagForm::Hyphenated => scene.run.id.clone(),
        };
        let text = tag.text.replace("{run}", &run);
        tag.column == column && has_item(entity.fields.get(column), cell, &text)
    })
}
