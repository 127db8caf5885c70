//! The reject line: a record that a stage did not let pass, with all that is wrong with it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::At;

/// What stands in place of the value of a `secret` field.
pub const MASK: &str = "***";

/// One thing that is wrong with a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldError {
    /// The target column, or none where the whole record is meant.
    pub field: Option<String>,
    /// A short fixed word, for programs: `required`, `type`, `map`, `unique`, …
    pub rule: String,
    /// For people: what was found, what was expected.
    pub message: String,
    /// The value that broke the rule; masked for a secret field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// For a reference to a rejected record: that record (`entity` and `key`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<crate::Ref>,
}

/// A record that was not let pass. On a pipe it stands in `{"reject":…}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// The entity, as the plan names it.
    pub entity: String,
    /// The record's key, where it is known.
    pub key: Option<String>,
    /// Where the record starts in its source.
    pub at: At,
    /// The stage that rejected it: `parse`, `validate` or `apply`.
    pub stage: String,
    /// All that is wrong, in plan order.
    pub errors: Vec<FieldError>,
    /// From parse: the raw text of the item. From later stages: the record line as an object, to
    /// be mended and read back by `validate --from-rejects`.
    pub record: Value,
}
