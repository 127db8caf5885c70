//! The live catalogue of a target: what its tables really look like.

use std::collections::BTreeSet;

use contract::{Digest, Plan};
use serde::Serialize;

use crate::{Sql, StoreError};

/// A table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Its name, as the target spells it.
    pub name: String,
    /// Its columns, in the target's order: the order of a [`crate::Row`].
    pub columns: Vec<Column>,
    /// The primary key's columns, by position; empty where there is none.
    pub primary_key: Vec<usize>,
    /// Unique keys (the primary key among them), each by position. Partial and expression indexes
    /// are left out.
    pub uniques: Vec<Vec<usize>>,
    /// Indexes that can serve an equality search, each by position of its columns.
    pub indexes: Vec<Vec<usize>>,
    /// Foreign keys from this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Triggers on this table.
    pub triggers: Vec<Trigger>,
    /// Whether the target counts up an id for it that it never gives twice (AUTOINCREMENT).
    pub counted: bool,
    /// Whether it has constraints that are checked at COMMIT only.
    pub deferred: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as declared; may be empty in SQLite.
    pub declared: String,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Whether the target fills it in where an insert leaves it out (a default, a counter).
    pub has_default: bool,
    /// Whether the target computes it: it can't be written.
    pub generated: bool,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForeignKey {
    /// Columns of the child, by position.
    pub columns: Vec<usize>,
    /// The parent table.
    pub parent: String,
    /// Columns of the parent, by name.
    pub parent_columns: Vec<String>,
    /// What happens to the child when the parent's row goes: `NO ACTION`, `RESTRICT`, `CASCADE`, …
    pub on_delete: String,
    /// What happens to the child when the parent's key changes.
    pub on_update: String,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Whether it may write rows other than the one that fired it.
    pub writes_elsewhere: bool,
}

impl Table {
    /// Returns the position of a column.
    #[must_use]
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|other| other.name == column)
    }

    /// Returns a unique key that no row leaves out, by which all rows can be read in order.
    #[must_use]
    pub fn whole_key(&self) -> Option<&Vec<usize>> {
        let whole = |key: &&Vec<usize>| {
            **key == self.primary_key || key.iter().all(|place| self.columns[*place].not_null)
        };
        self.uniques.iter().find(whole)
    }

    /// Tells whether the columns hold at least one unique key.
    #[must_use]
    pub fn is_unique(&self, columns: &[usize]) -> bool {
        self.uniques
            .iter()
            .any(|unique| unique.iter().all(|column| columns.contains(column)))
    }

    /// Tells whether an index begins with one of the columns.
    #[must_use]
    pub fn serves(&self, columns: &[usize]) -> bool {
        let begins =
            |index: &Vec<usize>| index.first().is_some_and(|first| columns.contains(first));
        self.indexes.iter().any(begins) || self.uniques.iter().any(begins)
    }
}

/// Returns one digest of all tables that the plan writes to or looks codes up in, as they look now.
///
/// # Errors
///
/// What the target said.
pub fn catalogue_digest(sql: &mut dyn Sql, plan: &Plan) -> Result<Digest, StoreError> {
    let mut names = BTreeSet::new();
    for entity in &plan.entity {
        names.insert(entity.table.as_str());
        names.extend(entity.via.iter().map(|via| via.table.as_str()));
        let lookups = entity
            .fields
            .values()
            .filter_map(|field| field.lookup.as_ref());
        names.extend(lookups.map(|lookup| lookup.table.as_str()));
    }
    names.extend(plan.metadata.iter().map(|metadata| metadata.table.as_str()));
    let mut tables = Vec::new();
    for name in names {
        tables.push(sql.table(name)?);
    }
    Ok(Digest::of(&serde_json::to_vec(&tables).unwrap_or_default()))
}
