//! Values of secret columns in what a target says: masked before anybody reads or keeps them.

use std::collections::BTreeSet;

use contract::Record;
use contract::plan::{Entity, Plan};
use contract::reject::MASK;
use serde_json::Value;

use crate::{Cell, StoreError};

/// A value of fewer characters is masked only where it is a word of its own: "1" stands in many numbers.
const SHORT: usize = 4;

/// What must not be shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets {
    /// The names of secret columns.
    columns: BTreeSet<String>,
    /// Values that were sent or read, the longest first.
    values: Vec<String>,
}

impl Secrets {
    /// The secret columns of a plan; no value is known yet.
    pub fn of(plan: &Plan) -> Self {
        Self::of_entities(&plan.entity)
    }

    /// The secret columns of entities; no value is known yet.
    pub fn of_entities(entities: &[Entity]) -> Self {
        let fields = entities.iter().flat_map(|entity| &entity.fields);
        let secret = fields.filter(|(_, field)| field.secret);
        Self {
            columns: secret.map(|(column, _)| column.clone()).collect(),
            values: Vec::new(),
        }
    }

    /// Tells whether any column is secret.
    pub fn is_any(&self) -> bool {
        !self.columns.is_empty()
    }

    /// Forgets the values.
    pub fn forget(&mut self) {
        self.values.clear();
    }

    /// Learns the values of a record. `secret` tells of a column.
    pub fn learn(&mut self, record: &Record, secret: impl Fn(&str) -> bool) {
        for (_, value) in record.fields.iter().filter(|(column, _)| secret(column)) {
            self.value(value);
        }
        for (_, code) in record.lookups.iter().filter(|(column, _)| secret(column)) {
            self.text(code);
        }
        self.sort();
    }

    /// Learns a value of a row.
    pub fn cell(&mut self, cell: &Cell) {
        match cell {
            Cell::Null => return,
            Cell::Text(text) => match serde_json::from_str(text) {
                Ok(value @ (Value::Array(_) | Value::Object(_))) => self.value(&value),
                _ => self.text(text),
            },
            Cell::Int(number) => self.text(&number.to_string()),
            Cell::Real(number) => self.text(&number.to_string()),
            Cell::Blob(_) | Cell::Raw(_) | Cell::Folded(_) => {}
        }
        self.text(&cell.to_string());
        self.sort();
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => self.text(&number.to_string()),
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().for_each(|item| self.value(item)),
            Value::Object(items) => items.values().for_each(|item| self.value(item)),
        }
    }

    /// A text, and the forms in which it stands in JSON and in SQL.
    fn text(&mut self, text: &str) {
        let json = Value::from(text).to_string();
        let forms = [text, &json[1..json.len() - 1], &text.replace('\'', "''")];
        for form in forms.into_iter().filter(|form| !form.is_empty()) {
            if !self.values.iter().any(|known| known == form) {
                self.values.push(form.to_owned());
            }
        }
    }

    fn sort(&mut self) {
        self.values
            .sort_by_key(|value| std::cmp::Reverse(value.len()));
    }

    /// Masks the values in a text.
    pub fn mask(&self, text: &str) -> String {
        let mut text = self.without_key(text);
        for value in &self.values {
            if value.chars().count() >= SHORT {
                text = text.replace(value.as_str(), MASK);
            } else {
                text = without_word(&text, value);
            }
        }
        text
    }

    /// Masks the values of a key that PostgreSQL tells: `Key (token)=(…) already exists`, and of a row that
    /// fits no partition.
    fn without_key(&self, text: &str) -> String {
        for mark in [")=(", ") = ("] {
            let Some(at) = text.find(mark) else { continue };
            let key = text[..at].rfind(" (").map_or("", |start| &text[start..at]);
            if self
                .columns
                .iter()
                .any(|column| key.contains(column.as_str()))
            {
                return format!("{}{MASK})", &text[..at + mark.len()]);
            }
        }
        text.to_owned()
    }

    /// Masks what an error says.
    pub fn masked(&self, mut error: StoreError) -> StoreError {
        if let Some(message) = error.message_mut() {
            *message = self.mask(message);
        }
        error
    }
}

/// Masks a word where no letter or digit stands beside it.
fn without_word(text: &str, word: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let last = before
            .chars()
            .next_back()
            .or_else(|| shown.chars().next_back());
        let alone = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        shown.push_str(before);
        shown.push_str(if alone(last) && alone(after.chars().next()) {
            MASK
        } else {
            word
        });
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_in_every_form_and_short_ones_as_words() {
        let mut secrets = Secrets {
            columns: ["token".to_owned()].into(),
            values: vec![],
        };
        for value in [
            serde_json::json!("o'ne \"two\""),
            serde_json::json!(["abcd"]),
            serde_json::json!(7),
        ] {
            secrets.value(&value);
        }
        secrets.sort();
        for (text, shown) in [
            ("says o'ne \"two\"!", "says ***!"),
            ("says 'o''ne \"two\"'", "says '***'"),
            (r#"says "o'ne \"two\"""#, r#"says "***""#),
            ("{abcd}", "{***}"),
            ("7 of 17, 7", "*** of 17, ***"),
            (
                "duplicate key (Key (lower(token), b)=(x, y) already exists)",
                "duplicate key (Key (lower(token), b)=(***)",
            ),
            ("Key (b)=(x) already exists", "Key (b)=(x) already exists"),
        ] {
            assert_eq!(secrets.mask(text), shown);
        }
        secrets.forget();
        assert_eq!(secrets.mask("abcd"), "abcd");
    }
}
