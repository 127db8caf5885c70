//! Of a value that is not as the record says: whose doing is it?

use contract::plan::OnDrift;
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
    /// Somebody edited the row; the run left it as it was.
    Drift,
    /// It was edited before the run, which kept it as the plan says.
    Kept,
}

/// Returns the checksum of a cell in the form in which the id map keeps it.
pub(super) fn sum(scene: &Scene<'_>, binding: &Binding, place: usize, cell: &Cell) -> u64 {
    let field = binding.field(place);
    let cell = if binding.tag == Some(place) {
        without_tags(field, cell, &|item| binding.is_tag(item))
    } else {
        cell.clone()
    };
    scene.sql.canonical(field, &cell).sum()
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
    let change = last_change(scene.sql.as_mut(), scene.run.seq, entry)?;
    let Some(change) = change.filter(|change| change.action != Action::Map) else {
        return Ok(Cause::Drift);
    };
    let kept = binding.entity.on_drift == OnDrift::Keep
        && change.action == Action::Update
        && change.after.get(place).is_none();
    if kept {
        // Was it so already when the run wrote the row's other columns?
        let mut before = row.clone();
        for (column, cell) in &change.before.0 {
            if let Some(place) = before.get_mut(*column) {
                *place = cell.clone();
            }
        }
        if row_hash(&before) == change.hash {
            return Ok(Cause::Kept);
        }
    }
    Ok(Cause::Edited)
}
