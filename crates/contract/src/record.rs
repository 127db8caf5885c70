//! The record line: what a stage says about one record.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::columns::{once, twice};

/// Where a record starts in its source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// The source, relative to the plan's folder or `--root`, with `/` between names.
    pub file: String,
    /// 1-based physical line.
    pub line: u64,
    /// 1-based number of the item in its source, where an item before it starts on the same line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u64>,
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        self.item.map_or(Ok(()), |item| write!(f, " (item {item})"))
    }
}

/// What is to be done with a record.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Insert the row, or update the one that is there.
    #[default]
    Put,
    /// Delete the row.
    Delete,
    /// Point the id-map entry at the target key in `to`.
    Remap,
}

impl Op {
    /// Tells whether this is the operation that a line leaves out.
    #[must_use]
    pub fn is_put(&self) -> bool {
        *self == Self::Put
    }
}

/// A record named by its source identity (within the plan's system).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ref {
    /// The entity, as the plan names it.
    pub entity: String,
    /// The record's key in the source.
    pub key: String,
}

/// One record, mapped: keys of the line in the order of these fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// A name from the plan.
    pub entity: String,
    /// The record's identity in the source; parts of a composite are joined by [`crate::key::join`].
    pub key: String,
    /// What is to be done; left out means put.
    #[serde(default, skip_serializing_if = "Op::is_put")]
    pub op: Op,
    /// Of a delete: the target key of a row that has no identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Value>,
    /// Of a remap: the target key that the id-map entry shall have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// Where it starts in its source.
    pub at: At,
    /// Target column -> value, in plan order. Numbers keep their digits. A column left out is not
    /// touched; `null` sets NULL.
    #[serde(
        default,
        deserialize_with = "once",
        skip_serializing_if = "Map::is_empty"
    )]
    pub fields: Map<String, Value>,
    /// Target column -> the record it points to.
    #[serde(
        default,
        deserialize_with = "once",
        skip_serializing_if = "IndexMap::is_empty"
    )]
    pub refs: IndexMap<String, Ref>,
    /// Target column -> a code that apply looks up in the target.
    #[serde(
        default,
        deserialize_with = "once",
        skip_serializing_if = "IndexMap::is_empty"
    )]
    pub lookups: IndexMap<String, String>,
}

impl Record {
    /// Returns the digest of what the record says (operation, fields, references, lookups), apart
    /// from where it stood. Equal digests mean that nothing is to be written. The order of columns
    /// does not matter.
    ///
    /// Of the SHA-256 the ledger keeps the first 16 bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        let mut columns: Vec<(&str, Content<'_>)> = self.columns().collect();
        columns.sort_unstable_by_key(|(column, _)| *column);
        let mut hasher = crate::digest::Hasher::default();
        hasher.update(&[self.op as u8]);
        let mut sized = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for (column, content) in columns {
            sized(column.as_bytes());
            match content {
                // As JSON, which tells a text from a number.
                Content::Field(value) => sized(format!("v{value}").as_bytes()),
                Content::Ref(to) => [b"r", to.entity.as_bytes(), to.key.as_bytes()]
                    .into_iter()
                    .for_each(&mut sized),
                Content::Lookup(code) => [b"l", code.as_bytes()].into_iter().for_each(&mut sized),
            }
        }
        hasher.digest().short()
    }

    /// Tells whether the record says nothing of any column.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.fields.is_empty() && self.refs.is_empty() && self.lookups.is_empty()
    }

    /// Returns a column that it names in two places, of which only one could be written.
    #[must_use]
    pub fn twice(&self) -> Option<&str> {
        twice(self.columns().map(|(column, _)| column))
    }

    fn columns(&self) -> impl Iterator<Item = (&str, Content<'_>)> {
        let fields = self
            .fields
            .iter()
            .map(|(column, value)| (column.as_str(), Content::Field(value)));
        let refs = self
            .refs
            .iter()
            .map(|(column, to)| (column.as_str(), Content::Ref(to)));
        let lookups = self
            .lookups
            .iter()
            .map(|(column, code)| (column.as_str(), Content::Lookup(code)));
        fields.chain(refs).chain(lookups)
    }
}

/// What a record says of a column.
enum Content<'a> {
    Field(&'a Value),
    Ref(&'a Ref),
    Lookup(&'a str),
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"entity":"member","key":"WA001","at":{"file":"members.csv","line":2},"fields":{"balance":12345678901234567890.10,"note":null},"refs":{"sponsorId":{"entity":"member","key":"WA007"}},"lookups":{"statusId":"NEWCOMER"}}"#;

    #[test]
    fn a_line_reads_and_writes_back_to_the_same_bytes() {
        let record: Record = serde_json::from_str(LINE).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), LINE);
    }

    #[test]
    fn the_digest_covers_content_and_neither_place_nor_order() {
        let record: Record = serde_json::from_str(LINE).unwrap();
        let mut moved = record.clone();
        moved.at.line = 99;
        moved.fields.shift_insert(0, "note".into(), Value::Null);
        assert_eq!(record.digest(), moved.digest());
        moved
            .fields
            .insert("note".into(), Value::String(String::new()));
        assert_ne!(record.digest(), moved.digest());
    }
}
