//! What only a run knows: columns that it fills, and the tag that it leaves in a list.

use contract::FieldError;
use contract::plan::ListOut;
use serde_json::Value;

use super::resolve::{run_value, wrong};
use super::{Bound, Writer};
use crate::binding::From;
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
        let mut items = elements(bound, present.unwrap_or(&Cell::Null)).ok_or_else(|| {
            let name = bound.binding.table.columns[place].name.as_str();
            let message = "it holds no list that a tag can be added to";
            wrong(Some(name), "tag", message)
        })?;
        if items.iter().any(|item| item.as_str() == Some(&tag)) {
            return Ok(false);
        }
        items.push(Value::String(tag));
        let cell = list_cell(bound, &items);
        match written {
            Some(at) => cells[at].1 = cell,
            None => cells.push((place, cell)),
        }
        Ok(true)
    }
}

/// Returns the elements of a list cell; none of a NULL; `None` of what is no list.
fn elements(bound: &Bound, cell: &Cell) -> Option<Vec<Value>> {
    let text = match cell {
        Cell::Null => return Some(vec![]),
        Cell::Text(text) => text,
        _ => return None,
    };
    match separator(bound) {
        Some(separator) if text.is_empty() && !separator.is_empty() => Some(vec![]),
        Some(separator) => Some(text.split(separator).map(Value::from).collect()),
        None => serde_json::from_str(text).ok(),
    }
}

fn list_cell(bound: &Bound, items: &[Value]) -> Cell {
    match separator(bound) {
        Some(separator) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            Cell::Text(texts.join(separator))
        }
        None => Cell::Text(Value::Array(items.to_vec()).to_string()),
    }
}

fn separator(bound: &Bound) -> Option<&str> {
    match bound.binding.field(bound.binding.tag?)?.store.as_ref()? {
        ListOut::Separated(separator) => Some(separator),
        _ => None,
    }
}

/// A list without the tags of runs. An empty one counts as NULL, which a tag would have made it.
pub(super) fn without_tags(bound: &Bound, cell: &Cell) -> Cell {
    let Some(mut items) = elements(bound, cell) else {
        return cell.clone();
    };
    items.retain(|item| item.as_str().is_none_or(|text| !bound.binding.is_tag(text)));
    if items.is_empty() {
        Cell::Null
    } else {
        list_cell(bound, &items)
    }
}
