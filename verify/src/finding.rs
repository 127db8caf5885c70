//! What a check found.

use contract::At;
use serde::Serialize;
use store::Key;

/// How many rows at fault a check keeps; more are only counted, so that memory stays flat.
const KEPT: usize = 1000;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// It should be looked at; the check passes.
    Warning,
    /// The check fails.
    Error,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fault {
    pub severity: Level,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The row's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The record, as `entity key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Where the record stands in its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
}

impl Fault {
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Level::Error,
            message: message.into(),
            table: None,
            key: None,
            column: None,
            expected: None,
            found: None,
            record: None,
            at: None,
        }
    }

    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Level::Warning,
            ..Self::error(message)
        }
    }

    /// Names the row.
    pub(crate) fn row(mut self, table: &str, key: &Key) -> Self {
        self.table = Some(table.to_owned());
        self.key = Some(key.to_string());
        self
    }

    /// Names the column and both values.
    pub(crate) fn values(mut self, column: &str, expected: String, found: String) -> Self {
        self.column = Some(column.to_owned());
        self.expected = Some(expected);
        self.found = Some(found);
        self
    }

    /// Names the record.
    pub(crate) fn record(mut self, entity: &str, key: &str, at: Option<&At>) -> Self {
        self.record = Some(format!("{entity} {key}"));
        self.at = at.cloned();
        self
    }
}

/// A check.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    pub name: &'static str,
    pub passed: bool,
    /// The worst that was found.
    pub severity: Option<Level>,
    pub expected: String,
    pub found: String,
    pub errors: u64,
    pub warnings: u64,
    /// The first faults; `errors` and `warnings` count them all.
    pub rows: Vec<Fault>,
}

impl Check {
    pub(crate) fn new(name: &'static str, expected: impl Into<String>) -> Self {
        Self {
            name,
            passed: true,
            severity: None,
            expected: expected.into(),
            found: String::new(),
            errors: 0,
            warnings: 0,
            rows: Vec::new(),
        }
    }

    /// Adds a fault.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.count(fault.severity);
        if self.rows.len() < KEPT {
            self.rows.push(fault);
        } else if fault.severity == Level::Error
            && let Some(place) = self
                .rows
                .iter()
                .rposition(|row| row.severity == Level::Warning)
        {
            // An error is worth more than a warning.
            self.rows[place] = fault;
        }
    }

    fn count(&mut self, severity: Level) {
        self.severity = self.severity.max(Some(severity));
        match severity {
            Level::Error => {
                self.errors += 1;
                self.passed = false;
            }
            Level::Warning => self.warnings += 1,
        }
    }

    /// Says what was found, and ends the check.
    pub(crate) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = found.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_beyond_what_is_kept_are_counted_and_errors_push_warnings_out() {
        let mut check = Check::new("records", "");
        for _ in 0..KEPT + 5 {
            check.add(Fault::warning("w"));
        }
        assert!(check.passed);
        check.add(Fault::error("e"));
        assert_eq!(
            (check.errors, check.warnings, check.rows.len()),
            (1, KEPT as u64 + 5, KEPT)
        );
        assert!(!check.passed);
        assert_eq!(check.severity, Some(Level::Error));
        assert!(check.rows.iter().any(|row| row.message == "e"));
    }
}
