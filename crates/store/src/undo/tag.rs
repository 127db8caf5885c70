//! A run's tag in a list column: undo takes out that element and no other, unless the run wrote the
//! rest of the list too.

use contract::plan::Field;
use serde_json::Value;

use crate::Cell;
use crate::lists::ListForm;

/// The tag that a run left in a list column.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    /// The column, by position in the live table.
    pub place: usize,
    text: String,
    form: ListForm,
}

/// What undo makes of a list that the run's tag was added to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Untagged {
    /// It gets what was there before the run, byte for byte.
    Before,
    /// The tag alone was the run's, and others changed the list since: this is left of it.
    Rest(Cell),
    /// The run wrote other elements too, and others changed the list since.
    Changed,
}

impl Tag {
    pub fn new(place: usize, text: String, field: Option<&Field>) -> Self {
        let form = ListForm::of(field);
        Self { place, text, form }
    }

    fn is_it(&self, item: &Value) -> bool {
        item.as_str() == Some(&self.text)
    }

    fn is_in(&self, cell: &Cell) -> bool {
        let items = self.form.elements(cell).unwrap_or_default();
        items.iter().any(|item| self.is_it(item))
    }

    /// The elements of a list apart from the tag; none of NULL; `None` of what is no list.
    fn others(&self, cell: &Cell) -> Option<Vec<Value>> {
        let mut items = self.form.elements(cell)?;
        items.retain(|item| !self.is_it(item));
        Some(items)
    }

    /// Tells whether the run added it to a list, which was `before` and which it left as `left`.
    pub fn is_added(&self, before: &Cell, left: &Cell) -> bool {
        self.is_in(left) && !self.is_in(before)
    }

    /// Decides what a list becomes that the run added the tag to.
    pub fn undone(&self, before: &Cell, left: &Cell, now: &Cell) -> Untagged {
        let [was, ran, is] = [before, left, now].map(|cell| self.others(cell));
        // The list was emptied by others: that is no list less the tag.
        let emptied = now.is_null() && !left.is_null();
        match is {
            _ if now == before => Untagged::Before,
            Some(is) if !emptied && Some(&is) == ran.as_ref() => Untagged::Before,
            Some(is) if was == ran => Untagged::Rest(if self.is_in(now) {
                self.form.cell(&is)
            } else {
                now.clone()
            }),
            _ => Untagged::Changed,
        }
    }

    /// The list with the tag at its end, as a run leaves it in a new row: in each spelling of JSON that
    /// a target gives back.
    pub fn tagged(&self, cell: &Cell) -> Vec<Cell> {
        let Some(mut items) = self.others(cell) else {
            return vec![];
        };
        items.push(Value::from(self.text.as_str()));
        let spaced: Vec<String> = items.iter().map(Value::to_string).collect();
        let spaced = Cell::Text(format!("[{}]", spaced.join(", ")));
        vec![self.form.cell(&items), spaced]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> Tag {
        Tag::new(0, "run:1".into(), None)
    }

    fn undone(before: &str, left: &str, now: &str) -> Untagged {
        tag().undone(&before.into(), &left.into(), &now.into())
    }

    #[test]
    fn where_the_tag_alone_is_the_runs_it_goes_and_what_others_did_stays() {
        let left = "[\"a\",\"run:1\"]";
        assert_eq!(undone("[ \"a\" ]", left, left), Untagged::Before);
        let now = "[\"a\", \"run:1\", \"b\"]";
        let rest = Untagged::Rest("[\"a\",\"b\"]".into());
        assert_eq!(undone("[ \"a\" ]", left, now), rest);
        let emptied = tag().undone(&"[\"a\"]".into(), &left.into(), &Cell::Null);
        assert_eq!(emptied, Untagged::Rest(Cell::Null));
    }

    #[test]
    fn where_the_run_wrote_the_list_it_comes_back_byte_for_byte_or_is_a_conflict() {
        let left = "[\"new\",\"run:1\"]";
        assert_eq!(undone("[ \"old\" ]", left, left), Untagged::Before);
        assert_eq!(undone("[ \"old\" ]", left, "[\"new\"]"), Untagged::Before);
        let more = "[\"new\",\"run:1\",\"mine\"]";
        assert_eq!(undone("[ \"old\" ]", left, more), Untagged::Changed);
        assert_eq!(undone("[]", left, "no list"), Untagged::Changed);
        let null = tag().undone(&Cell::Null, &left.into(), &left.into());
        assert_eq!(null, Untagged::Before);
    }

    #[test]
    fn a_tag_that_was_there_before_is_not_the_runs() {
        assert!(!tag().is_added(&"[\"run:1\"]".into(), &"[\"x\",\"run:1\"]".into()));
        assert!(tag().is_added(&Cell::Null, &"[\"run:1\"]".into()));
    }
}
