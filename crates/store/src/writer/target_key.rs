//! Target keys that record lines name: `target` of a delete, `to` of a remap.

use serde_json::Value;

use super::{Bound, Writer};
use crate::{Cell, Engine, Key, Row, StoreError};

impl<E: Engine> Writer<E> {
    /// Reads a target key: a value, or a list of them for a composite. What the target would only
    /// take for a key (`007` for 7) is the record's fault, told in words.
    pub(super) fn target_key(
        &self,
        bound: &Bound,
        value: &Value,
    ) -> Result<Result<Key, String>, StoreError> {
        let parts: &[Value] = match value {
            Value::Array(parts) => parts,
            one => std::slice::from_ref(one),
        };
        let table = &bound.binding.table;
        if parts.len() != bound.binding.key.len() {
            return Ok(Err(format!(
                "the key of {} has {} columns, not {}",
                table.name,
                bound.binding.key.len(),
                parts.len()
            )));
        }
        let mut cells = Vec::with_capacity(parts.len());
        for (place, part) in bound.binding.key.iter().zip(parts) {
            let column = &table.columns[*place];
            let spelled = match part {
                Value::String(text) => self.engine.spelled_key(column, text)?,
                Value::Number(number) => self.engine.spelled_key(column, &number.to_string())?,
                Value::Bool(flag) => self.engine.spelled_key(column, &flag.to_string())?,
                other => match crate::plain::bytes(other) {
                    Some(bytes) => Ok(Cell::Blob(bytes)),
                    None => Err(format!("{other} is no key of {}", table.name)),
                },
            };
            match spelled {
                Ok(cell) => cells.push(cell),
                Err(message) => return Ok(Err(message)),
            }
        }
        Ok(Ok(Key(cells)))
    }
}

/// Says that the target found another row than the one that was named: its columns may take for equal
/// what is not (a collation without regard to case, blanks at the end).
pub(super) fn other_row(bound: &Bound, key: &Key, row: &Row) -> Option<String> {
    let found = bound.binding.key_of(row);
    (found != *key).then(|| {
        format!(
            "{} has no row {key}; what it takes for it is the row {found}",
            bound.binding.table.name
        )
    })
}
