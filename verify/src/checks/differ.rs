//! Of a value that is not as the record says: whose doing is it?

use store::ledger::{Action, Entry};
use store::{Binding, Cell, Row, StoreError, row_hash};

use crate::compare::without_tags;
use crate::lineage::{last_change, run_id};
use crate::scene::Scene;

/// Whose doing a difference is.
pub(super) enum Cause {
    /// The run wrote it so.
    Run,
    /// A later run wrote it.
    Later(String),
    /// Somebody edited the row after the run wrote it.
    Edited,
    /// It was edited before the run, which left it so.
    Left,
    /// It was edited; the run did not write this row.
    Drift,
}

/// Returns the checksum of a cell in the form in which the id map keeps it.
pub(super) fn sum(scene: &Scene<'_>, binding: &Binding, place: usize, cell: &Cell) -> u64 {
    let field = binding.field(place);
    if binding.tag == Some(place) {
        let cell = without_tags(field, cell, &|item| binding.is_tag(item));
        return scene.sql.canonical(field, &cell).sum();
    }
    scene.sql.canonical(field, cell).sum()
}

/// Finds whose doing a difference is: the id map keeps the checksum of what each column last got.
pub(super) fn cause(
    scene: &mut Scene<'_>,
    binding: &Binding,
    entry: &Entry,
    place: usize,
    row: &Row,
) -> Result<Cause, StoreError> {
    if entry.sum(place) == Some(sum(scene, binding, place, &row[place])) {
        return Ok(if entry.run > scene.run.seq {
            Cause::Later(run_id(scene.sql.as_mut(), entry.run)?)
        } else {
            Cause::Run
        });
    }
    let column = binding.table.columns[place].name.as_str();
    if scene.left(&binding.entity.name, &entry.source, Some(column))? {
        return Ok(Cause::Left);
    }
    let change = last_change(scene.sql.as_mut(), scene.run.seq, entry)?;
    if let Some(change) = &change
        && entry.run > scene.run.seq
        && change.target != entry.target
    {
        // A later run has pointed the record to another row.
        return Ok(Cause::Later(run_id(scene.sql.as_mut(), entry.run)?));
    }
    let Some(change) = change.filter(|change| change.action != Action::Map) else {
        return Ok(Cause::Drift);
    };
    if change.action == Action::Update && change.after.get(place).is_none() {
        // Was it so already when the run wrote the row's other columns?
        let mut before = row.clone();
        for (column, cell) in &change.before.0 {
            if let Some(place) = before.get_mut(*column) {
                *place = cell.clone();
            }
        }
        if row_hash(scene.run.format, &before) == change.hash {
            return Ok(Cause::Left);
        }
    }
    Ok(Cause::Edited)
}
