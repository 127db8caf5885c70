//! Reversing changes: all of one kind in one table at a time.

use super::judge::Judged;
use super::layout::{Former, Layout};
use super::tag::Untagged;
use super::verdict::Verdict;
use crate::ledger::{Action, Mapping};
use crate::{Cell, Engine, Key, Row, StoreError};

/// The cells to write so that a row gets back what it was; those that it has are left out.
pub(super) fn restored(
    layout: &Layout,
    formers: Vec<Former>,
    present: Option<&Row>,
) -> Vec<(usize, Cell)> {
    let mut cells = Vec::with_capacity(formers.len());
    for former in formers {
        let place = former.place;
        if layout.table.columns[place].generated {
            continue;
        }
        let Some(now) = present.map(|row| &row[place]) else {
            cells.push((place, former.before));
            continue;
        };
        let cell = match layout.untagged(&former, now) {
            Some(Untagged::Rest(rest)) => rest,
            // What others changed too is either to be forced, or may change at any time.
            Some(Untagged::Before | Untagged::Changed) | None => former.before,
        };
        if cell != *now {
            cells.push((place, cell));
        }
    }
    cells
}

/// Undoes the newest change of each row; all are of one layout and action. The id map follows.
pub(super) fn reverse<E: Engine>(engine: &mut E, rows: &[&Judged]) -> Result<(), StoreError> {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let layout = &first.layout;
    let there: Vec<&Judged> = rows
        .iter()
        .copied()
        .filter(|row| row.finding.verdict != Verdict::Gone)
        .collect();
    match first.chain.newest().action {
        Action::Insert => {
            let keys: Vec<Key> = there.iter().map(|row| row.finding.key.clone()).collect();
            engine.delete(&layout.table, &layout.key, &keys)?;
        }
        Action::Update => update(engine, layout, &there)?,
        Action::Delete => insert(engine, layout, &there)?,
        Action::Map | Action::Keep | Action::Column | Action::Table | Action::Detach => {}
    }
    let mut entries = Vec::new();
    for row in rows {
        let change = row.chain.newest();
        if let (Some((entity, source)), Some(entry)) = (&change.identity, &change.entry) {
            entries.push(Mapping {
                entity: *entity,
                source: source.clone(),
                new: false,
                entry: entry.as_deref().cloned(),
            });
        }
    }
    engine.put_entries(&entries)
}

fn update<E: Engine>(engine: &mut E, layout: &Layout, rows: &[&Judged]) -> Result<(), StoreError> {
    let (mut changes, mut expected) = (Vec::new(), Vec::new());
    for row in rows {
        let Some(present) = &row.present else {
            continue;
        };
        let newest = row.chain.newest();
        let formers = layout.formers(newest.images())?;
        let cells = restored(layout, formers, Some(present));
        if cells.is_empty() {
            continue;
        }
        if !layout.table.triggers.is_empty() {
            let mut whole = present.clone();
            for (place, cell) in &cells {
                whole[*place] = cell.clone();
            }
            expected.push(whole);
        }
        changes.push((row.finding.key.clone(), cells));
    }
    engine.update(&layout.table, &layout.key, &changes, false)?;
    settle(engine, layout, &expected)
}

fn insert<E: Engine>(engine: &mut E, layout: &Layout, rows: &[&Judged]) -> Result<(), StoreError> {
    let (mut columns, mut values, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    let missing = rows.iter().filter(|row| row.present.is_none());
    let missing: Vec<&&Judged> = missing.collect();
    for row in &missing {
        let newest = row.chain.newest();
        let cells = restored(layout, layout.formers(newest.images())?, None);
        columns = cells.iter().map(|(place, _)| *place).collect();
        let cells: Vec<Cell> = cells.into_iter().map(|(_, cell)| cell).collect();
        values.push((newest.rowid, cells));
        expected.push(layout.image(&newest.before)?);
    }
    let inserted = engine.insert_at(&layout.table, &columns, &values, &layout.key)?;
    if layout.table.triggers.is_empty() {
        return Ok(());
    }
    // Columns that were added since the run have their default.
    let found = engine.fetch(&layout.table, &layout.key, &cells_of(&inserted))?;
    let mut whole = Vec::new();
    for (row, before) in found
        .into_iter()
        .filter_map(|mut rows| rows.pop())
        .zip(expected)
    {
        let mut row = row;
        for (place, cell) in before {
            row[place] = cell;
        }
        whole.push(row);
    }
    settle(engine, layout, &whole)
}

fn cells_of(keys: &[Key]) -> Vec<Vec<Cell>> {
    keys.iter().map(|key| key.0.clone()).collect()
}

/// Where a trigger had another opinion, the value to be restored wins.
fn settle<E: Engine>(engine: &mut E, layout: &Layout, expected: &[Row]) -> Result<(), StoreError> {
    if layout.table.triggers.is_empty() {
        return Ok(());
    }
    let keys: Vec<Key> = expected.iter().map(|row| layout.key_of(row)).collect();
    let found = engine.fetch(&layout.table, &layout.key, &cells_of(&keys))?;
    let mut changes = Vec::new();
    for ((key, row), found) in keys.into_iter().zip(expected).zip(found) {
        let Some(found) = found.into_iter().next() else {
            let message = format!("a trigger of {} took row {key} away", layout.table.name);
            return Err(StoreError::constraint(message));
        };
        let wrong =
            |place: &usize| !layout.table.columns[*place].generated && row[*place] != found[*place];
        let cells: Vec<(usize, Cell)> = (0..row.len())
            .filter(wrong)
            .map(|place| (place, row[place].clone()))
            .collect();
        if !cells.is_empty() {
            changes.push((key, cells));
        }
    }
    engine.update(&layout.table, &layout.key, &changes, true)
}
