//! What a run adds to the target before its first row: columns and tables.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// Columns and tables that the run adds in its own transaction, and rollback takes away again. What
/// is there already in the same shape is left alone.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Add {
    /// Tables, in this order: one that refers to another comes after it.
    pub table: Vec<NewTable>,
    /// Columns of tables that are there already; after the tables.
    pub column: Vec<NewColumn>,
}

impl Add {
    /// Tells whether nothing is to be added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty() && self.column.is_empty()
    }
}

/// A column to be added to a table that is there.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewColumn {
    /// The table.
    pub table: String,
    /// The column's name.
    pub column: String,
    /// Its type, as the target's SQL spells it: `TEXT`, `numeric(10, 2)`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether NULL is refused; it then needs a `default`.
    #[serde(default)]
    pub not_null: bool,
    /// What a row gets that leaves the column out: text, number, boolean (without it NULL).
    #[schemars(with = "Option<serde_json::Value>")]
    pub default: Option<toml::Value>,
    /// What the rows get that are there already (without it the default).
    #[schemars(with = "Option<serde_json::Value>")]
    pub initial: Option<toml::Value>,
}

/// A table to be created.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTable {
    /// The table's name.
    pub table: String,
    /// Its columns, in this order.
    pub columns: IndexMap<String, ColumnSpec>,
    /// The columns of its primary key.
    pub primary_key: Vec<String>,
    /// Further keys that are unique, each a list of columns.
    #[serde(default)]
    pub unique: Vec<Vec<String>>,
    /// What its rows refer to.
    #[serde(default)]
    pub foreign_keys: Vec<NewForeignKey>,
}

/// A column of a table to be created.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Its type, as the target's SQL spells it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether NULL is refused.
    #[serde(default)]
    pub not_null: bool,
    /// What a row gets that leaves the column out: text, number, boolean (without it NULL).
    #[schemars(with = "Option<serde_json::Value>")]
    pub default: Option<toml::Value>,
}

/// A foreign key of a table to be created.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewForeignKey {
    /// Columns of this table.
    pub columns: Vec<String>,
    /// The table that they refer to.
    pub table: String,
    /// Its columns, as many.
    pub to: Vec<String>,
    /// What becomes of a row whose parent is deleted (default: that is refused).
    #[serde(default)]
    pub on_delete: OnDelete,
}

/// What becomes of a row whose parent is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// The parent stays.
    #[default]
    NoAction,
    /// It goes too.
    Cascade,
    /// Its columns become NULL.
    SetNull,
}
