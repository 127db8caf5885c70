//! Tables that their owners renamed after a run: what an entry confirms of them has their former names.

use std::collections::BTreeMap;

use serde_json::Value;

/// A table that got another name, by an entry of the audit trail.
pub(super) struct Rename {
    /// The number of the entry.
    pub entry: i64,
    from: String,
    to: String,
}

impl Rename {
    /// Reads what an entry says; none where it does not read.
    pub(super) fn of(entry: i64, detail: &Value) -> Option<Self> {
        let name = |key: &str| Some(detail[key].as_str()?.split_once('.')?.1.to_owned());
        Some(Self {
            entry,
            from: name("from")?,
            to: name("to")?,
        })
    }
}

/// Returns the counters of a run (JSON, by table) with the names that the tables had at an entry.
pub(super) fn former_counters(counters: &str, renames: &[Rename], entry: i64) -> String {
    let mut later = renames
        .iter()
        .filter(|rename| rename.entry > entry)
        .peekable();
    if later.peek().is_none() {
        return counters.to_owned();
    }
    let Ok(mut by_table) = serde_json::from_str::<BTreeMap<String, Value>>(counters) else {
        return counters.to_owned();
    };
    for rename in later.collect::<Vec<_>>().into_iter().rev() {
        if let Some(values) = by_table.remove(&rename.to) {
            by_table.insert(rename.from.clone(), values);
        }
    }
    serde_json::to_string(&by_table).unwrap_or_else(|_| counters.to_owned())
}
