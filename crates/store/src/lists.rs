//! Lists in a cell, as a plan stores them: a JSON list, or texts with a separator between them.

use contract::plan::{Field, ListOut};
use serde_json::Value;

use crate::Cell;

/// How a column holds a list. PostgreSQL's arrays are JSON lists in a cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ListForm {
    separator: Option<String>,
}

impl ListForm {
    /// Reads what the plan says of a column; a column that it leaves alone holds JSON.
    pub fn of(field: Option<&Field>) -> Self {
        let separator = match field.and_then(|field| field.store.as_ref()) {
            Some(ListOut::Separated(separator)) => Some(separator.clone()),
            _ => None,
        };
        Self { separator }
    }

    /// Returns the elements of a list; none of a NULL; `None` of what is no list.
    pub fn elements(&self, cell: &Cell) -> Option<Vec<Value>> {
        let text = match cell {
            Cell::Null => return Some(vec![]),
            Cell::Text(text) => text,
            _ => return None,
        };
        match &self.separator {
            Some(separator) if text.is_empty() && !separator.is_empty() => Some(vec![]),
            Some(separator) => Some(text.split(separator.as_str()).map(Value::from).collect()),
            None => serde_json::from_str(text).ok(),
        }
    }

    /// Makes a list of elements.
    pub fn cell(&self, items: &[Value]) -> Cell {
        match &self.separator {
            Some(separator) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                Cell::Text(texts.join(separator))
            }
            None => Cell::Text(Value::Array(items.to_vec()).to_string()),
        }
    }

    /// Tells whether a text can't be one element, as it holds the separator.
    pub fn splits(&self, text: &str) -> bool {
        let separator = self.separator.as_ref();
        separator.is_some_and(|separator| text.contains(separator.as_str()))
    }

    /// Tells whether there is a separator, all of whose characters are such.
    pub fn separator_is(&self, such: impl Fn(char) -> bool) -> bool {
        let separator = self.separator.as_ref();
        separator.is_some_and(|separator| separator.chars().all(such))
    }
}
