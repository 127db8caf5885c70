//! What undo finds of a row.

use serde_json::{Value, json};

use crate::ledger::Action;
use crate::{Cell, Key};

/// What can be done about a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It can be reversed.
    Reversible,
    /// It already is what it was before the run: only the id map is set back.
    AsBefore,
    /// The row is gone already: only the id map is set back.
    Gone,
    /// It stays, marked as rolled back, as the plan says.
    Marked,
    /// Columns that the run wrote were changed since.
    Changed(Vec<Differs>),
    /// A later run touched it, by its ID: that one must go first.
    LaterRun(String),
    /// Rows that this run does not undo depend on it.
    DependedOn(Vec<Dependents>),
    /// A column that the run added has values that it did not leave there.
    Values(Values),
    /// Others have built on a column or a table that the run added, or rows stay in it; in words.
    BuiltOn(Vec<String>),
    /// Where it was, something else is now, or what it belongs to is missing; in words.
    PlaceTaken(String),
    /// The target refuses to have it reversed; in its words.
    Failed(String),
}

/// A column that differs from what the run left.
#[derive(Debug, Clone, PartialEq)]
pub struct Differs {
    /// The column.
    pub column: String,
    /// What the run left.
    pub run: RunsValue,
    /// What is there now.
    pub now: Cell,
    /// Whether neither value may be shown.
    pub secret: bool,
}

/// Values that others gave a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// In how many rows.
    pub count: u64,
    /// Some of them: the row's key and the value.
    pub some: Vec<(Key, Cell)>,
    /// Whether the values may not be shown.
    pub secret: bool,
}

/// What the ledger knows of a value that the run left.
#[derive(Debug, Clone, PartialEq)]
pub enum RunsValue {
    /// The value.
    Is(Cell),
    /// The first 4 bytes of its checksum: the bundle may have the value.
    Sum(u32),
}

/// A row of others whose reference is set NULL, as the row goes that it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct Detached {
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: Key,
    /// The columns of the reference, each with what it holds.
    pub columns: Vec<(String, Cell)>,
}

/// Rows that depend on a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependents {
    /// Their table.
    pub table: String,
    /// The columns by which they do.
    pub columns: String,
    /// What would happen to them: `CASCADE`, `SET NULL`, `NO ACTION`, …
    pub on_delete: String,
    /// How many.
    pub count: u64,
}

impl Verdict {
    /// Returns the fixed word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Reversible => "reversible",
            Self::AsBefore => "as-before",
            Self::Gone => "gone",
            Self::Marked => "marked",
            Self::Changed(_) | Self::Values(_) => "changed",
            Self::LaterRun(_) => "later-run",
            Self::DependedOn(_) | Self::BuiltOn(_) => "depended-on",
            Self::PlaceTaken(_) => "place-taken",
            Self::Failed(_) => "failed",
        }
    }

    /// Tells whether nothing is in the way.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        matches!(
            self,
            Self::Reversible | Self::AsBefore | Self::Gone | Self::Marked
        )
    }
}

/// A verdict with the row it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The run's last change of the row.
    pub seq: i64,
    /// The table.
    pub table: String,
    /// The row's key; of a column that the run added its name, of a table nothing.
    pub key: Key,
    /// What the run did to it first.
    pub action: Action,
    /// The record: entity by name in the plan, and source key. None for a metadata row.
    pub record: Option<(String, String)>,
    /// What was found.
    pub verdict: Verdict,
    /// Columns that never conflict, which others changed since: their values go with the rollback.
    pub overwritten: Vec<Differs>,
    /// Rows of others whose reference goes with the row.
    pub detached: Vec<Detached>,
}

/// A value as JSON keeps it for people and programs: bytes are counted, not shown; of text that is not Unicode its bytes.
fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(number) => json!(number),
        Cell::Real(number) => json!(number),
        Cell::Text(text) => json!(text),
        Cell::Blob(bytes) => json!({"bytes": bytes.len()}),
        Cell::Folded(digest) => json!({"sha256": digest}),
        Cell::Raw(bytes) => {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"text_hex": hex.concat()})
        }
    }
}

impl Detached {
    /// Returns it as a JSON object: what `--json` prints.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let columns = self.columns.iter();
        let columns: serde_json::Map<String, Value> = columns
            .map(|(name, cell)| (name.clone(), value(cell)))
            .collect();
        json!({"table": self.table, "key": self.key.to_string(), "columns": columns})
    }
}

impl Differs {
    fn to_json(&self) -> Value {
        if self.secret {
            return json!({"column": self.column, "run": "***", "now": "***"});
        }
        let run = match &self.run {
            RunsValue::Is(cell) => value(cell),
            RunsValue::Sum(sum) => json!({"checksum": format!("{sum:08x}")}),
        };
        json!({"column": self.column, "run": run, "now": value(&self.now)})
    }
}

impl Finding {
    /// Returns the finding as a JSON object: what `--json` prints and the ledger keeps.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = json!({
            "table": self.table,
            "key": self.key.to_string(),
            "action": match self.action {
                Action::Insert => "insert",
                Action::Update => "update",
                Action::Delete => "delete",
                Action::Map => "map",
                Action::Keep => "keep",
                Action::Column => "add-column",
                Action::Table => "add-table",
                Action::Detach => "detach",
            },
            "verdict": self.verdict.word(),
        });
        if let Some((entity, key)) = &self.record {
            out["record"] = json!({"entity": entity, "key": key});
        }
        match &self.verdict {
            Verdict::Changed(columns) => {
                out["columns"] = columns.iter().map(Differs::to_json).collect();
            }
            Verdict::LaterRun(run) => out["run"] = json!(run),
            Verdict::DependedOn(dependents) => {
                let one = |one: &Dependents| json!({"table": one.table, "columns": one.columns, "on_delete": one.on_delete, "count": one.count});
                out["dependents"] = dependents.iter().map(one).collect();
            }
            Verdict::Values(values) => {
                let shown = |cell: &Cell| {
                    if values.secret {
                        json!("***")
                    } else {
                        value(cell)
                    }
                };
                let one =
                    |(key, cell): &(Key, Cell)| json!({"key": key.to_string(), "now": shown(cell)});
                out["count"] = json!(values.count);
                out["values"] = values.some.iter().map(one).collect();
            }
            Verdict::BuiltOn(what) => out["built_on"] = json!(what),
            Verdict::PlaceTaken(why) | Verdict::Failed(why) => out["why"] = json!(why),
            Verdict::Reversible | Verdict::AsBefore | Verdict::Gone | Verdict::Marked => {}
        }
        if !self.detached.is_empty() {
            out["detached"] = self.detached.iter().map(Detached::to_json).collect();
        }
        if !self.overwritten.is_empty() {
            out["overwritten"] = self.overwritten.iter().map(Differs::to_json).collect();
        }
        out
    }
}
