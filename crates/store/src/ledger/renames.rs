//! Tables that their owners renamed after a run: what an entry confirms of them has their former names.

use std::collections::BTreeMap;

use serde_json::Value;

/// A table that got another name, by an entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The number of the entry.
    pub entry: i64,
    /// `SCHEMA.TABLE` as it was.
    pub(super) from: String,
    /// `SCHEMA.TABLE` from then on.
    pub(super) to: String,
}

/// The action of an entry about one.
pub(super) const RENAMED: &str = "migration:table:renamed";

impl Rename {
    /// Reads what an entry says; none where it is about something else, or does not read.
    #[must_use]
    pub fn of(entry: &super::AuditEntry, detail: &Value) -> Option<Self> {
        let name = |key: &str| Some(detail[key].as_str()?.to_owned());
        (entry.action == RENAMED).then_some(())?;
        Some(Self {
            entry: entry.seq,
            from: name("from")?,
            to: name("to")?,
        })
    }
}

/// The name of a table without its schema.
fn bare(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, table)| table)
}

/// Returns the counters of a run (JSON, by table) with the names that the tables had at an entry.
#[must_use]
pub fn former_counters(counters: &str, renames: &[Rename], entry: i64) -> String {
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
        if let Some(values) = by_table.remove(bare(&rename.to)) {
            by_table.insert(bare(&rename.from).to_owned(), values);
        }
    }
    serde_json::to_string(&by_table).unwrap_or_else(|_| counters.to_owned())
}
