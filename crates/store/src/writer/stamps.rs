//! What only a run knows: columns that it fills, and the tag that it leaves in a list.

use contract::FieldError;
use serde_json::Value;

use super::resolve::{run_value, wrong};
use super::{Bound, Writer};
use crate::binding::From;
use crate::lists::ListForm;
use crate::{Cell, Engine, Row, StoreError};

/// What the run fills, or why it can't.
pub(super) type Stamps = Result<Vec<(usize, Cell)>, Vec<FieldError>>;

impl<E: Engine> Writer<E> {
    /// Makes the cells of the columns that the run fills.
    pub(super) fn run_cells(&mut self, bound: &Bound) -> Result<Stamps, StoreError> {
        let binding = &bound.binding;
        let mut cells = Vec::new();
        for column in &binding.columns {
            let From::Run(value) = column.from else {
                continue;
            };
            let value = run_value(self.the_run()?, value, column.field.kind);
            let target = &binding.table.columns[column.place];
            match self.engine.encode_one(&column.field, target, &value)? {
                Ok(cell) => cells.push((column.place, cell)),
                Err(message) => return Ok(Err(wrong(Some(&target.name), "type", message))),
            }
        }
        Ok(Ok(cells))
    }

    /// Adds the run's tag to a row that is written. Returns whether it was not there yet.
    pub(super) fn add_tag(
        &mut self,
        bound: &Bound,
        before: Option<&Row>,
        cells: &mut Vec<(usize, Cell)>,
    ) -> Result<bool, Vec<FieldError>> {
        let run = self
            .run
            .as_ref()
            .map(|run| run.id.as_str())
            .unwrap_or_default();
        let (Some(place), Some(tag)) = (bound.binding.tag, bound.binding.tag_text(run)) else {
            return Ok(false);
        };
        let written = cells.iter().position(|(other, _)| *other == place);
        let present = written
            .map(|at| &cells[at].1)
            .or_else(|| before.map(|row| &row[place]));
        let form = form(bound);
        let mut items = form
            .elements(present.unwrap_or(&Cell::Null))
            .ok_or_else(|| {
                let name = bound.binding.table.columns[place].name.as_str();
                let message = "it holds no list that a tag can be added to";
                wrong(Some(name), "tag", message)
            })?;
        if items.iter().any(|item| item.as_str() == Some(&tag)) {
            return Ok(false);
        }
        items.push(Value::String(tag));
        let cell = form.cell(&items);
        match written {
            Some(at) => cells[at].1 = cell,
            None => cells.push((place, cell)),
        }
        Ok(true)
    }
}

/// How the tag's column holds its list.
fn form(bound: &Bound) -> ListForm {
    let tag = bound.binding.tag;
    ListForm::of(tag.and_then(|place| bound.binding.field(place)))
}

/// Tells whether two cells of the tag's column hold the same list, however the target spells it: of a
/// column that the plan leaves alone it says no type.
pub(super) fn same_list(bound: &Bound, place: usize, a: &Cell, b: &Cell) -> bool {
    let form = form(bound);
    let elements = |cell| {
        form.elements(cell)
            .filter(|_| bound.binding.tag == Some(place))
    };
    elements(a).is_some_and(|items| Some(items) == elements(b))
}

/// A list without the tags of runs. An empty one counts as NULL, which a tag would have made it.
pub(super) fn without_tags(bound: &Bound, cell: &Cell) -> Cell {
    let form = form(bound);
    let Some(mut items) = form.elements(cell) else {
        return cell.clone();
    };
    items.retain(|item| item.as_str().is_none_or(|text| !bound.binding.is_tag(text)));
    if items.is_empty() {
        Cell::Null
    } else {
        form.cell(&items)
    }
}
