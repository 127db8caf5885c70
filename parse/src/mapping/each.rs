//! One record per element of a list, and what expressions see of an item.

use contract::expr::Scope;
use serde_json::Value;

use super::column::{Column, View};
use super::text::split;
use crate::item::{Body, Found};

/// The list whose elements give records.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) from: Column,
    pub(super) separators: Vec<String>,
}

impl Each {
    /// Takes the list apart.
    ///
    /// # Errors
    ///
    /// Something else than a list.
    pub(super) fn elements(&self, view: View) -> Result<Vec<Value>, String> {
        let split = |text: &str| {
            if self.separators.is_empty() {
                return Err(format!(
                    "{} is a text: say how to split it, `each.split`",
                    self.from.shown()
                ));
            }
            Ok(split(text, &self.separators)
                .into_iter()
                .map(Value::String)
                .collect())
        };
        match self.from.find(view)? {
            Found::Absent => Ok(Vec::new()),
            Found::Text(text) => split(text),
            Found::Value(value) => match value.into_owned() {
                Value::Null => Ok(Vec::new()),
                Value::Array(items) => Ok(items),
                Value::String(text) => split(&text),
                other => Err(format!(
                    "{} is {} where a list is expected",
                    self.from.shown(),
                    crate::json::kind_of(&other)
                )),
            },
        }
    }
}

/// What expressions see of the item: `source`, a map of its columns.
pub(super) fn scope(view: View) -> Scope {
    let mut scope = Scope::default();
    let element = view.each.into_iter().flat_map(|element| {
        [
            ("each", element.value.clone()),
            ("each_index", Value::from(element.index)),
        ]
    });
    match view.body {
        Body::Row(header, cells) => {
            let cell = |name| {
                header
                    .position(name)
                    .map(|place| Value::from(cells[place].as_str()))
            };
            let columns = header
                .names()
                .filter_map(|name| cell(name).map(|value| (name, value)));
            scope.map("source", columns.chain(element));
        }
        Body::Tree(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone()));
            scope.map("source", members.chain(element));
        }
    }
    scope
}
