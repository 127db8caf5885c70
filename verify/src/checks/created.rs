//! Rows that the run created, in the columns that no record speaks of: their defaults, and what triggers made of
//! them.

use std::collections::HashSet;

use store::ledger::{self, Action, Change, Entry};
use store::{Cell, Key, Row, Sql, Table, row_hash};

use super::differ;
use crate::finding::{Check, Fault};
use crate::lineage::later_runs;
use crate::scene::{Scene, target_error};

/// Warns of columns that were edited since. A value that a record has is compared with the record.
pub(super) fn check(
    scene: &mut Scene<'_>,
    table: &Table,
    changes: &[&Change],
    rows: &[Option<Row>],
    check: &mut Check,
) -> anyhow::Result<()> {
    let mut edited: Vec<(&Change, Vec<usize>, bool)> = Vec::new();
    for (change, row) in changes.iter().zip(rows) {
        let Some(row) = row else { continue };
        let created = matches!(change.action, Action::Insert | Action::Keep);
        // Where the table has other columns by now, their places tell nothing.
        if !created
            || row.len() != change.sums.len()
            || row_hash(scene.run.format, row) == change.hash
        {
            continue;
        }
        let (places, followed) = columns(scene, change, row)?;
        if !places.is_empty() {
            edited.push((change, places, followed));
        }
    }
    // Another record may have been written to the row.
    let keys: Vec<&Key> = edited.iter().map(|(change, ..)| &change.target).collect();
    let later = later_runs(scene.sql.as_mut(), scene.run.seq, table, &keys);
    for ((change, places, followed), later) in edited.into_iter().zip(later.map_err(target_error)?)
    {
        if later.is_some() && !followed {
            continue;
        }
        for place in places {
            let message = "edited after the run created the row";
            let fault = Fault {
                column: Some(table.columns[place].name.clone()),
                ..Fault::warning(message)
            };
            check.add(fault.row(&table.name, &change.target));
        }
    }
    Ok(())
}

/// Returns the columns that are not as the run left them, but for those that the checks of the records name, and
/// whether what later runs made of the record was taken into account.
fn columns(
    scene: &mut Scene<'_>,
    change: &Change,
    row: &Row,
) -> anyhow::Result<(Vec<usize>, bool)> {
    let mut found = Vec::new();
    let entry = match &change.identity {
        Some((entity, source)) => scene
            .sql
            .entries(*entity, &[source])
            .map_err(target_error)?
            .pop()
            .flatten(),
        None => None,
    };
    let entity = change.identity.as_ref().map(|(entity, _)| *entity);
    let Some(since) = written_since(scene.sql.as_mut(), scene.run.seq, entry.as_ref())? else {
        return Ok((found, true));
    };
    let followed = entry
        .as_ref()
        .is_some_and(|entry| entry.run > scene.run.seq);
    let room = scene
        .rooms
        .iter()
        .find(|room| room.entity.is_some() && room.entity == entity);
    let binding = room.and_then(|room| room.binding.as_ref().ok());
    for (place, cell) in row.iter().enumerate() {
        let field = binding.and_then(|binding| binding.field(place));
        let sum = short(&scene.sql.canonical(field, cell));
        if sum == change.sums[place]
            || since.contains(&place)
            || binding.is_some_and(|one| one.volatile.contains(&place))
        {
            continue;
        }
        let named = entry.as_ref().and_then(|entry| entry.sum(place));
        let compared = named
            .zip(binding)
            .is_some_and(|(sum, binding)| sum != differ::sum(scene, binding, place, cell));
        if !compared {
            found.push(place);
        }
    }
    Ok((found, followed))
}

/// Returns the columns that later runs changed in the row of a record, by position; none where they wrote all of
/// it.
fn written_since(
    sql: &mut dyn Sql,
    run: i64,
    entry: Option<&Entry>,
) -> anyhow::Result<Option<HashSet<usize>>> {
    let mut places = HashSet::new();
    let mut at = entry.map(|entry| (entry.run, entry.seq));
    while let Some((later, seq)) = at.filter(|(later, _)| *later > run) {
        let change = ledger::change(sql, later, seq).map_err(target_error)?;
        let Some(change) = change else {
            return Ok(None);
        };
        match change.action {
            Action::Map => {}
            Action::Update => places.extend(change.before.0.iter().map(|(place, _)| *place)),
            _ => return Ok(None),
        }
        at = change
            .entry
            .flatten()
            .map(|before| (before.run, before.seq));
    }
    Ok(Some(places))
}

/// The part of a checksum that the ledger keeps for each column of a row that was created.
fn short(cell: &Cell) -> u32 {
    u32::try_from(cell.sum() >> 32).unwrap_or_default()
}
