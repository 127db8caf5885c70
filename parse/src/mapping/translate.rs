//! Value maps: total, or a value is ignored with a reason.

use std::collections::HashMap;

use contract::plan::ValueMap;
use serde_json::Value;

use super::value::of_plan;

/// A value map, ready to look up.
#[derive(Debug)]
pub(super) struct Translation {
    name: String,
    entries: HashMap<String, Entry>,
    fold: bool,
}

/// What a source value becomes.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// This value.
    Value(Value),
    /// Nothing: it is left out for this reason.
    Ignore(String),
}

impl Translation {
    /// Prepares a map.
    ///
    /// # Errors
    ///
    /// A value that a record can't hold, or two that are one without regard to case.
    pub(super) fn new(name: &str, map: &ValueMap) -> Result<Self, String> {
        let folded = |text: &str| {
            if map.fold {
                text.to_lowercase()
            } else {
                text.to_owned()
            }
        };
        let mut entries = HashMap::new();
        let values = map
            .values
            .iter()
            .map(|(from, to)| Ok((from, Entry::Value(of_plan(to)?))));
        let ignored = map
            .ignore
            .iter()
            .map(|(from, why)| Ok((from, Entry::Ignore(why.clone()))));
        for entry in values.chain(ignored) {
            let (from, entry) = entry.map_err(|error: String| format!("[map.{name}]: {error}"))?;
            if entries.insert(folded(from), entry).is_some() {
                return Err(format!(
                    "[map.{name}] has `{from}` twice, without regard to case"
                ));
            }
        }
        Ok(Self {
            name: name.to_owned(),
            entries,
            fold: map.fold,
        })
    }

    /// Looks a value up.
    ///
    /// # Errors
    ///
    /// It is not there; what to do, to stand after the value.
    pub(super) fn of(&self, text: &str) -> Result<&Entry, String> {
        let found = if self.fold {
            self.entries.get(&text.to_lowercase())
        } else {
            self.entries.get(text)
        };
        found.ok_or_else(|| {
            let name = &self.name;
            format!("is not in [map.{name}]: add it to `values`, or to `ignore` with a reason")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(plan: &str) -> Result<Translation, String> {
        Translation::new("m", &toml::from_str(plan).unwrap())
    }

    #[test]
    fn a_map_is_total_or_ignores_with_a_reason() {
        let map = map("values = { a = 1 }\nignore = { b = \"why\" }").unwrap();
        assert!(matches!(map.of("a"), Ok(Entry::Value(value)) if *value == 1));
        assert!(matches!(map.of("b"), Ok(Entry::Ignore(why)) if why == "why"));
        assert!(map.of("A").unwrap_err().contains("[map.m]"));
    }

    #[test]
    fn folding_is_asked_for_and_must_leave_one_meaning() {
        assert!(
            map("values = { Social = 1 }\nfold = true")
                .unwrap()
                .of("SOCIAL")
                .is_ok()
        );
        assert!(
            map("values = { a = 1, A = 2 }\nfold = true")
                .unwrap_err()
                .contains("twice")
        );
        assert!(map("values = { a = 1.5 }").unwrap_err().contains("digits"));
    }
}
