//! The live catalogue of a target: what its tables really look like.

use std::collections::BTreeSet;
use std::fmt;

use contract::{Digest, Plan};
use serde::Serialize;

use crate::{Cell, Row, Sql, StoreError};

/// A table's full name: what tells it from all others of its target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct TableName {
    /// Its schema; on SQLite always `main`.
    pub schema: String,
    /// Its name there, as the target spells it.
    pub table: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of the catalogue, each of its own"
)]
pub struct Table {
    /// Its full name.
    pub id: TableName,
    /// The target's own number of it, where it has one. A restored copy of the table has another.
    #[serde(skip)]
    pub oid: Option<i64>,
    /// What it is called for people: its name, with its schema where the login does not look there.
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
    /// Unique indexes that `uniques` leaves out, by name: partial ones, and those over expressions.
    pub hidden_uniques: Vec<String>,
    /// Foreign keys from this table that can't be resolved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<Unresolved>,
    /// Other tables whose rows its rows are too, or some of them: partitions, what it is a partition of, and
    /// the same by inheritance.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kin: Vec<String>,
    /// Whether a foreign key looks at the rows of this table alone, and not at those of tables that inherit
    /// from it.
    #[serde(skip)]
    pub alone: bool,
    /// Triggers on this table.
    pub triggers: Vec<Trigger>,
    /// Whether a constraint of its own says by `ON CONFLICT` to replace rows, or to leave them out
    /// (SQLite).
    pub conflict_clause: bool,
    /// Whether the target counts up an id for it that it never gives twice (AUTOINCREMENT).
    pub counted: bool,
    /// Whether it has constraints that are checked at COMMIT only.
    pub deferred: bool,
    /// SQLite: the name by which a statement reaches the number of a row that no column shows; none
    /// where there is no such number, or columns hide it.
    #[serde(skip)]
    pub rowid: Option<&'static str>,
    /// Columns, by position, of which a wide value is read as its digest alone.
    #[serde(skip)]
    pub folded: Vec<usize>,
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
    /// The columns that `SET NULL` or `SET DEFAULT` sets then: all, unless the key names some.
    #[serde(skip)]
    pub on_delete_sets: Vec<usize>,
    /// What happens to the child when the parent's key changes.
    pub on_update: String,
    /// Whether the table has it from what it is a partition of.
    #[serde(skip)]
    pub inherited: bool,
    /// The collation by which each column is compared; none where the target needs no telling.
    #[serde(skip)]
    pub collations: Vec<String>,
}

/// A foreign key of which it is not known to which rows it refers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unresolved {
    /// The table that it is on.
    pub table: String,
    /// The parent, as the key names it.
    pub parent: String,
    /// Why not.
    pub why: String,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, parent, why } = self;
        write!(
            f,
            "the foreign key from {table} to {parent} can't be resolved: {why}"
        )
    }
}

/// What refers to the rows of a table.
#[derive(Debug, Clone, Default)]
pub struct Children {
    /// Foreign keys, each with the table that it is on.
    pub keys: Vec<(Table, ForeignKey)>,
    /// Those that can't be resolved.
    pub unresolved: Vec<Unresolved>,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trigger {
    /// Its name.
    pub name: String,
}

impl Table {
    /// From now on wide values of columns other than these are read as their digests: they are compared and hashed,
    /// and never written. Keys, what is indexed, and what the target computes stay whole; so does all of a table
    /// whose triggers may change any column.
    pub fn fold_all_but(&mut self, needed: &[usize]) {
        if self.triggers.is_empty() && self.hidden_uniques.is_empty() {
            self.fold_for_reading(needed);
        }
    }

    /// The same of a table of which nothing is written.
    pub fn fold_for_reading(&mut self, needed: &[usize]) {
        let keys = self.uniques.iter().chain(&self.indexes);
        let foreign = self.foreign_keys.iter().map(|key| &key.columns);
        let kept: Vec<usize> = keys
            .chain(foreign)
            .chain([&self.primary_key])
            .flatten()
            .chain(needed)
            .copied()
            .collect();
        let folds = |place: &usize| !kept.contains(place) && !self.columns[*place].generated;
        self.folded = (0..self.columns.len()).filter(folds).collect();
    }

    /// The same table, whose rows are read as they are.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self {
            folded: vec![],
            ..self.clone()
        }
    }

    /// Folds the cells of a whole row that was read.
    pub(crate) fn fold(&self, row: &mut [Cell]) {
        for place in &self.folded {
            let cell = std::mem::replace(&mut row[*place], Cell::Null);
            row[*place] = cell.folded();
        }
    }

    /// Returns the position of a column.
    #[must_use]
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|other| other.name == column)
    }

    /// Returns the columns by which its rows are put in order: a unique key, or all.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        let all = || (0..self.columns.len()).collect();
        self.uniques.first().cloned().unwrap_or_else(all)
    }

    /// Returns the positions of columns.
    ///
    /// # Errors
    ///
    /// One is missing.
    pub fn positions(&self, columns: &[String]) -> Result<Vec<usize>, StoreError> {
        let place = |column: &String| {
            self.position(column).ok_or_else(|| {
                StoreError::refused(format!("table {} has no column `{column}`", self.name))
            })
        };
        columns.iter().map(place).collect()
    }

    /// Returns the row of another table of its kin as a row of this one; `None` where that table lacks a
    /// column.
    #[must_use]
    pub fn row_of(&self, other: &Self, row: &Row) -> Option<Row> {
        let cell = |column: &Column| row.get(other.position(&column.name)?).cloned();
        self.columns.iter().map(cell).collect()
    }

    /// Tells whether the rows of another table may be rows of this one too.
    #[must_use]
    pub fn is_kin(&self, other: &Self) -> bool {
        self.name == other.name || self.kin.contains(&other.name)
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

    /// Tells whether only trying shows that a row can be taken back: a trigger, or a unique index that
    /// is not among [`Table::uniques`], may keep it from that.
    #[must_use]
    pub fn needs_trial(&self) -> bool {
        !self.triggers.is_empty() || !self.hidden_uniques.is_empty()
    }

    /// Tells whether an index begins with one of the columns.
    #[must_use]
    pub fn serves(&self, columns: &[usize]) -> bool {
        let begins =
            |index: &Vec<usize>| index.first().is_some_and(|first| columns.contains(first));
        self.indexes.iter().any(begins) || self.uniques.iter().any(begins)
    }
}

/// The statement that counts the rows of a table, up to so many if that is said. `table`: as a statement
/// spells it.
pub(crate) fn counting(table: &str, most: Option<u64>) -> String {
    most.map_or_else(
        || format!("SELECT COUNT(*) FROM {table}"),
        |most| format!("SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT {most}) AS t"),
    )
}

/// Reads the answer to it.
pub(crate) fn counted(rows: &[crate::Row]) -> Result<u64, StoreError> {
    let count = rows.first().and_then(|row| row[0].int());
    let count = count.and_then(|count| u64::try_from(count).ok());
    count.ok_or_else(|| StoreError::damaged("the target counts nothing"))
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
