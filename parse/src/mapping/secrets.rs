//! Keeps secret values out of rejects.

use std::collections::HashSet;

use contract::plan::{Entity, Field, Plan};
use contract::reject::MASK;
use serde_json::Value;

use super::column::{Column, View};
use super::text::Template;
use crate::item::{Body, Found};

/// The columns of a source that any secret field of the plan reads.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    names: HashSet<String>,
    columns: Vec<Column>,
    /// A secret field is computed: which columns it reads can't be told.
    opaque: bool,
}

impl Secrets {
    /// Collects them, for the source of one entity.
    pub(super) fn new(plan: &Plan, entity: &Entity) -> Self {
        let mut secrets = Self::default();
        let fields = plan.entity.iter().flat_map(|entity| entity.fields.values());
        for field in fields.filter(|field| field.secret) {
            secrets.opaque |= field.expr.is_some();
            secrets.names.extend(names_of(field));
        }
        let each = entity.source.each.is_some();
        for name in &secrets.names {
            if let Ok(column) = Column::new(std::slice::from_ref(name), entity.source.format, each)
            {
                secrets.opaque |= column.is_element();
                secrets.columns.push(column);
            }
        }
        secrets
    }

    /// Tells whether a field shows what must not be shown.
    pub(super) fn cover(&self, field: &Field) -> bool {
        field.secret || names_of(field).iter().any(|name| self.names.contains(name))
    }

    /// Masks the values in an item's text. Where one can't be found as it is, or where nothing is
    /// known of the item, all of the text is masked.
    pub(super) fn mask(&self, raw: &str, body: Option<&Body>) -> String {
        let (false, Some(body)) = (self.opaque, body) else {
            let open = self.columns.is_empty() && !self.opaque;
            return if open { raw } else { MASK }.to_owned();
        };
        let mut masked = raw.to_owned();
        for column in &self.columns {
            let text = match column.find(View { body, each: None }) {
                Ok(Found::Absent) => continue,
                Ok(Found::Text(text)) => text.to_owned(),
                Ok(Found::Value(value)) => match value.as_ref() {
                    Value::Null => continue,
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => return MASK.to_owned(),
                },
                Err(_) => return MASK.to_owned(),
            };
            if text.is_empty() {
                continue;
            }
            if !masked.contains(&text) {
                return MASK.to_owned();
            }
            masked = masked.replace(&text, MASK);
        }
        masked
    }
}

fn names_of(field: &Field) -> Vec<String> {
    match (&field.from, &field.value) {
        (Some(from), _) => from.as_slice().to_vec(),
        (None, Some(toml::Value::String(text))) => Template::names(text),
        _ => Vec::new(),
    }
}
