//! What people read at the end.

use std::collections::BTreeMap;

use contract::plan::Plan;
use contract::{FieldError, Reject, Seal, Talk};
use indexmap::IndexMap;
use serde_json::Value;

/// So many rejects are named without `-v`.
const NAMED: u64 = 10;

/// Counts by entity and rule.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    rejected: u64,
    rules: IndexMap<String, BTreeMap<(String, String), u64>>,
    warnings: IndexMap<(String, String), (u64, String)>,
}

impl Summary {
    /// Makes an empty one that will list entities and columns in plan order.
    pub(crate) fn new(plan: &Plan) -> Self {
        let rules = plan
            .entity
            .iter()
            .map(|entity| (entity.name.clone(), BTreeMap::new()));
        Self {
            rules: rules.collect(),
            ..Self::default()
        }
    }

    /// Counts a reject, and names it.
    pub(crate) fn reject(&mut self, reject: &Reject, talk: &Talk) {
        self.rejected += 1;
        let rules = self.rules.entry(reject.entity.clone()).or_default();
        for error in &reject.errors {
            let field = error.field.clone().unwrap_or_default();
            *rules.entry((field, error.rule.clone())).or_default() += 1;
        }
        let errors: Vec<_> = reject.errors.iter().map(describe).collect();
        let key = reject.key.as_deref().unwrap_or("?");
        let line = format!(
            "{}: {} {key}: {}",
            reject.at,
            reject.entity,
            errors.join("; ")
        );
        if self.rejected <= NAMED {
            talk.say(line);
        } else {
            talk.detail(line);
        }
    }

    /// Counts a warning; the first of its kind is named.
    pub(crate) fn warn(&mut self, entity: &str, text: String, first: impl FnOnce() -> String) {
        let known = self.warnings.entry((entity.to_owned(), text));
        known.or_insert_with(|| (0, first())).0 += 1;
    }

    /// Says all of it.
    pub(crate) fn say(&self, seal: &Seal, rejects: Option<&std::path::Path>, talk: &Talk) {
        if self.rejected > NAMED {
            let all = match rejects {
                Some(path) => format!("all are in {}", path.display()),
                None => "-v names all".into(),
            };
            talk.say(format!(
                "… and {} more rejects; {all}",
                self.rejected - NAMED
            ));
        }
        for ((entity, text), (count, first)) in &self.warnings {
            talk.warn(format!("{entity}: {text}: {count}, the first at {first}"));
        }
        for (entity, rules) in &self.rules {
            let rules: Vec<_> = rules
                .iter()
                .map(|((field, rule), count)| match field.as_str() {
                    "" => format!("{rule} {count}"),
                    field => format!("{field} {rule} {count}"),
                })
                .collect();
            if !rules.is_empty() {
                talk.say(format!("{entity}: {}", rules.join(", ")));
            }
        }
        let (records, rejected) = (seal.records, self.rejected);
        talk.say(format!(
            "{} records came in, {records} passed, {rejected} rejected",
            records + rejected
        ));
    }
}

/// Says an error in half a line.
fn describe(error: &FieldError) -> String {
    let field = error
        .field
        .as_ref()
        .map_or(String::new(), |field| format!("{field}: "));
    match &error.value {
        Some(Value::Null) | None => format!("{field}{}", error.message),
        Some(value) => format!("{field}{} ({value})", error.message),
    }
}
