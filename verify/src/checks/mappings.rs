//! The id map: every entry points to a row, and no row has two.

use std::collections::HashSet;

use contract::talk::counted;
use store::ledger::{self, Statement};
use store::{Binding, Key};

use super::PAGE;
use crate::finding::{Check, Fault};
use crate::scene::{Scene, target_error};

/// Looks through the id map of the plan's entities. That every record has an entry is added by
/// the check of the records.
pub(super) fn check(scene: &mut Scene<'_>) -> anyhow::Result<Check> {
    let mut check = Check::new(
        "mappings",
        "an id-map entry for every record, a row for every entry, one entry a row",
    );
    let mut entries = 0;
    let runs = scene.sql.query("SELECT seq FROM ledger.runs", &[]);
    let runs = runs.map_err(target_error)?;
    let runs: HashSet<i64> = runs.iter().filter_map(|row| row[0].int()).collect();
    for place in 0..scene.rooms.len() {
        let room = &scene.rooms[place];
        if let (Some(entity), Ok(binding)) = (room.entity, &room.binding) {
            let (name, binding) = (room.name.clone(), binding.clone());
            entries += rows_of(scene, entity, (&name, &binding), &runs, &mut check)?;
        } else if let Err(problems) = &room.binding {
            check.add(Fault::error(format!(
                "the mappings of {} can't be checked: {}",
                room.name,
                problems.join("; ")
            )));
        }
    }
    let mut claims: Vec<(i64, String)> = scene
        .rooms
        .iter()
        .filter_map(|room| Some((room.claim?, room.table.clone())))
        .collect();
    claims.sort();
    claims.dedup();
    for (claim, table) in claims {
        twice(scene, claim, &table, &mut check)?;
    }
    Ok(check.found(format!(
        "{} of the plan's entities",
        counted(entries, "entry")
    )))
}

/// Looks for the row of every entry of an entity.
fn rows_of(
    scene: &mut Scene<'_>,
    entity: i64,
    (name, binding): (&str, &Binding),
    runs: &HashSet<i64>,
    check: &mut Check,
) -> anyhow::Result<u64> {
    let (mut count, mut after) = (0, String::new());
    loop {
        let page =
            ledger::page_entries(scene.sql.as_mut(), entity, &after, PAGE).map_err(target_error)?;
        let Some(last) = page.last() else {
            return Ok(count);
        };
        after.clone_from(&last.source);
        for entry in page.iter().filter(|entry| !runs.contains(&entry.run)) {
            let message = format!(
                "the id map names run number {}, which the ledger does not have",
                entry.run
            );
            let fault = Fault::error(message).row(&binding.table.name, &entry.target);
            check.add(fault.record(name, &entry.source, None));
        }
        for entry in page
            .iter()
            .filter(|entry| entry.gone && !entry.sums.is_empty())
        {
            let message = "the id map has checksums for a record whose row was deleted";
            let fault = Fault::error(message).row(&binding.table.name, &entry.target);
            check.add(fault.record(name, &entry.source, None));
        }
        let alive: Vec<_> = page.iter().filter(|entry| !entry.gone).collect();
        count += alive.len() as u64;
        let keys: Vec<Key> = alive.iter().map(|entry| entry.target.clone()).collect();
        let there = scene
            .exist(&binding.table, &binding.key, &keys)
            .map_err(target_error)?;
        for (entry, _) in alive.iter().zip(there).filter(|(_, there)| !there) {
            let message = "the id map points to a row that is not there";
            let fault = if entry.run == scene.run.seq {
                Fault::error(message)
            } else {
                Fault::warning(format!("{message} (an entry of another run)"))
            };
            check.add(fault.row(&binding.table.name, &entry.target).record(
                name,
                &entry.source,
                None,
            ));
        }
    }
}

/// Looks for rows that two records claim.
fn twice(scene: &mut Scene<'_>, claim: i64, table: &str, check: &mut Check) -> anyhow::Result<()> {
    let statement = Statement::from(
        "SELECT target FROM ledger.ids WHERE claim = ?1 AND gone = 0 GROUP BY target HAVING COUNT(*) > 1 LIMIT ",
    ) + PAGE;
    let found = scene
        .sql
        .query_made(&statement, &[claim.into()])
        .map_err(target_error)?;
    for mut row in found {
        let target = row.remove(0);
        let claimants = scene
            .sql
            .query(
                "SELECT entity, source FROM ledger.ids WHERE claim = ?1 AND target = ?2 AND gone = 0 \
                 ORDER BY entity, source",
                &[claim.into(), target.clone()],
            )
            .map_err(target_error)?;
        let mut names = Vec::new();
        for row in &claimants {
            if let (Some(entity), Some(source)) = (row[0].int(), row[1].text()) {
                let system = &scene.plan.plan.system;
                let entity =
                    ledger::entity_of(scene.sql.as_mut(), entity, system).map_err(target_error)?;
                names.push(format!("{entity} {source}"));
            }
        }
        let key = Key::from_cell(target).map_err(target_error)?;
        let message = format!("several records claim this row: {}", names.join(", "));
        check.add(Fault::error(message).row(table, &key));
    }
    Ok(())
}
