//! A run's tag in a list column: undo takes out that element and no other.

use contract::plan::{Field, ListOut};
use serde_json::Value;

use crate::Cell;

/// The tag that a run left in a list column.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    /// The column, by position in the live table.
    pub place: usize,
    pub text: String,
    separator: Option<String>,
}

impl Tag {
    pub fn new(place: usize, text: String, field: Option<&Field>) -> Self {
        let separator = match field.and_then(|field| field.store.as_ref()) {
            Some(ListOut::Separated(separator)) => Some(separator.clone()),
            _ => None,
        };
        Self {
            place,
            text,
            separator,
        }
    }

    /// The elements of a list apart from the tag; none of NULL; `None` of what is no list.
    pub fn others(&self, cell: &Cell) -> Option<Vec<Value>> {
        let text = match cell {
            Cell::Null => return Some(vec![]),
            Cell::Text(text) => text,
            _ => return None,
        };
        let mut items: Vec<Value> = match &self.separator {
            Some(_) if text.is_empty() => vec![],
            Some(separator) => text.split(separator.as_str()).map(Value::from).collect(),
            None => serde_json::from_str(text).ok()?,
        };
        items.retain(|item| item.as_str() != Some(&self.text));
        Some(items)
    }

    /// A list of these elements.
    pub fn list(&self, items: &[Value]) -> Cell {
        match &self.separator {
            Some(separator) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                Cell::Text(texts.join(separator))
            }
            None => Cell::Text(Value::Array(items.to_vec()).to_string()),
        }
    }

    /// The list with the tag at its end, as the run leaves it.
    pub fn tagged(&self, cell: &Cell) -> Option<Cell> {
        let mut items = self.others(cell)?;
        items.push(Value::from(self.text.as_str()));
        Some(self.list(&items))
    }

    /// Tells whether two lists hold the same but for the tag.
    pub fn same(&self, a: &Cell, b: &Cell) -> bool {
        matches!((self.others(a), self.others(b)), (Some(a), Some(b)) if a == b)
    }

    /// What the list becomes when the tag goes: exactly what it was, where nobody else changed it.
    pub fn undone(&self, before: &Cell, now: &Cell) -> Cell {
        match self.others(now) {
            Some(items) if !self.same(before, now) => self.list(&items),
            _ => before.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_goes_and_what_others_added_stays() {
        let tag = Tag::new(0, "run:1".into(), None);
        let now = Cell::from("[\"a\", \"run:1\", \"b\"]");
        assert_eq!(
            tag.undone(&"[ \"a\" ]".into(), &now),
            "[\"a\",\"b\"]".into()
        );
    }

    #[test]
    fn null_and_an_empty_list_come_back_as_they_were() {
        let tag = Tag::new(0, "run:1".into(), None);
        let now = Cell::from("[\"run:1\"]");
        assert_eq!(tag.undone(&Cell::Null, &now), Cell::Null);
        assert_eq!(tag.undone(&"[ ]".into(), &now), "[ ]".into());
    }
}
