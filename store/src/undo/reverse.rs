//! Reversing changes: all of one kind in one table at a time.

use super::judge::Judged;
use super::layout::Layout;
use super::verdict::Verdict;
use crate::ledger::{Action, Mapping};
use crate::{Cell, Engine, Key, Row, StoreError};

/// The cells to write so that a row gets these values back; those that it has are left out.
pub(super) fn restored(
    layout: &Layout,
    before: Vec<(usize, Cell)>,
    present: Option<&Row>,
) -> Vec<(usize, Cell)> {
    let mut cells = before;
    cells.retain(|(place, _)| !layout.table.columns[*place].generated);
    if let Some(present) = present {
        for (place, cell) in &mut cells {
            if let Some(tag) = layout.tag.as_ref().filter(|tag| tag.place == *place) {
                *cell = tag.undone(cell, &present[*place]);
            }
        }
        cells.retain(|(place, cell)| present[*place] != *cell);
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
        Action::Map | Action::Keep | Action::Column | Action::Table => {}
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
        let before = layout.image(&row.chain.newest().before)?;
        let cells = restored(layout, before, Some(present));
        if cells.is_empty() {
            continue;
        }
        let mut whole = present.clone();
        for (place, cell) in &cells {
            whole[*place] = cell.clone();
        }
        changes.push((row.finding.key.clone(), cells));
        expected.push(whole);
    }
    engine.update(&layout.table, &layout.key, &changes, false)?;
    settle(engine, layout, &expected)
}

fn insert<E: Engine>(engine: &mut E, layout: &Layout, rows: &[&Judged]) -> Result<(), StoreError> {
    let (mut columns, mut values, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows.iter().filter(|row| row.present.is_none()) {
        let before = layout.image(&row.chain.newest().before)?;
        let cells = restored(layout, before.clone(), None);
        columns = cells.iter().map(|(place, _)| *place).collect();
        values.push(cells.into_iter().map(|(_, cell)| cell).collect());
        expected.push(before);
    }
    let inserted = engine.insert(&layout.table, &columns, &values, &layout.key)?;
    if layout.table.triggers.is_empty() {
        return Ok(());
    }
    let keys: Vec<Key> = inserted.into_iter().map(|(key, _)| key).collect();
    // Columns that were added since the run have their default.
    let found = engine.fetch(&layout.table, &layout.key, &cells_of(&keys))?;
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
            return Err(StoreError::Constraint { message });
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
