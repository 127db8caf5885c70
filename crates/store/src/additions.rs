//! Columns and tables that a run adds: how they are called, and the statements that make them and
//! take them away.

use std::collections::BTreeMap;

use contract::plan::{Add, ColumnSpec, NewColumn, NewForeignKey, NewTable, OnDelete};

use serde::Serialize;
use serde_json::Value;

use crate::{Cell, Sql, Table};

/// A column or a table that the plan adds.
#[derive(Debug, Clone, PartialEq)]
pub enum Addition {
    /// A table.
    Table(NewTable),
    /// A column of a table that is there.
    Column(NewColumn),
}

/// The catalogue as it will be once what the plan adds is there.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The tables that were asked for, by the name that they were asked by.
    pub tables: BTreeMap<String, Table>,
    /// What is not there yet, in the order in which it is to be added.
    pub missing: Vec<Addition>,
    /// What can't be added, or could not be taken away again: list in the plan, 0-based place in it,
    /// and why.
    pub problems: Vec<(&'static str, usize, String)>,
}

impl Addition {
    /// Returns all that a plan adds, in order, each with its list in the plan and its 0-based place.
    pub(crate) fn all(add: &Add) -> Vec<(&'static str, usize, Self)> {
        let tables = add.table.iter().cloned().map(Self::Table).enumerate();
        let columns = add.column.iter().cloned().map(Self::Column).enumerate();
        let of = |list| move |(place, addition)| (list, place, addition);
        tables
            .map(of("table"))
            .chain(columns.map(of("column")))
            .collect()
    }

    /// Returns the table that it is, or is a column of.
    #[must_use]
    pub fn table(&self) -> &str {
        match self {
            Self::Table(new) => &new.table,
            Self::Column(new) => &new.table,
        }
    }

    /// Returns the column that it is, if it is one.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Table(_) => None,
            Self::Column(new) => Some(&new.column),
        }
    }

    /// Returns the statement that adds it; rows that are there get the default.
    pub(crate) fn statement(&self, sql: &dyn Sql) -> String {
        match self {
            Self::Table(new) => create_table(sql, new),
            Self::Column(new) => {
                let definition = definition(&new.kind, new.not_null, new.default.as_ref());
                let (table, column) = (sql.quoted(&new.table), quoted(&new.column));
                format!("ALTER TABLE {table} ADD COLUMN {column} {definition}")
            }
        }
    }

    /// Returns the statement that gives the rows that are there their value, where that is not the
    /// default.
    pub(crate) fn initial(&self, sql: &dyn Sql) -> Option<String> {
        let Self::Column(new) = self else { return None };
        let value = literal(new.initial.as_ref()?);
        let (table, column) = (sql.quoted(&new.table), quoted(&new.column));
        Some(format!("UPDATE {table} SET {column} = {value}"))
    }
}

/// Returns how a table or a column of it is called in messages.
#[must_use]
pub fn called(table: &str, column: Option<&str>) -> String {
    column.map_or_else(
        || format!("table {table}"),
        |column| format!("column {table}.{column}"),
    )
}

/// Returns the statement that takes a table or a column away.
#[must_use]
pub fn drop_statement(sql: &dyn Sql, table: &str, column: Option<&str>) -> String {
    let table = sql.quoted(table);
    column.map_or_else(
        || format!("DROP TABLE {table}"),
        |column| format!("ALTER TABLE {table} DROP COLUMN {}", quoted(column)),
    )
}

/// Returns the values that rows have in a new column where nobody gave them another.
pub(crate) fn resting(new: &NewColumn) -> Vec<Cell> {
    let default = new.default.as_ref().map_or(Cell::Null, cell);
    let initial = new.initial.as_ref().map(cell);
    std::iter::once(default).chain(initial).collect()
}

fn create_table(sql: &dyn Sql, new: &NewTable) -> String {
    let column = |(name, spec): (&String, &ColumnSpec)| {
        let definition = definition(&spec.kind, spec.not_null, spec.default.as_ref());
        format!("{} {definition}", quoted(name))
    };
    let mut parts: Vec<String> = new.columns.iter().map(column).collect();
    parts.push(format!("PRIMARY KEY ({})", listed(&new.primary_key)));
    let unique = |columns: &Vec<String>| format!("UNIQUE ({})", listed(columns));
    parts.extend(new.unique.iter().map(unique));
    let refers = |key: &NewForeignKey| {
        let (columns, parent, to) = (
            listed(&key.columns),
            sql.quoted(&key.table),
            listed(&key.to),
        );
        let on_delete = on_delete(key.on_delete);
        format!("FOREIGN KEY ({columns}) REFERENCES {parent} ({to}) ON DELETE {on_delete}")
    };
    parts.extend(new.foreign_keys.iter().map(refers));
    format!(
        "CREATE TABLE {} ({})",
        sql.quoted(&new.table),
        parts.join(", ")
    )
}

/// As SQL spells it.
pub(crate) fn on_delete(action: OnDelete) -> &'static str {
    match action {
        OnDelete::NoAction => "NO ACTION",
        OnDelete::Cascade => "CASCADE",
        OnDelete::SetNull => "SET NULL",
    }
}

fn definition(kind: &str, not_null: bool, default: Option<&impl Serialize>) -> String {
    let not_null = if not_null { " NOT NULL" } else { "" };
    let default = default.map_or_else(String::new, |value| format!(" DEFAULT {}", literal(value)));
    format!("{}{not_null}{default}", kind.trim())
}

/// The plan has checked that it is a text, a number or a boolean.
pub(crate) fn literal(value: &impl Serialize) -> String {
    match serde_json::to_value(value).unwrap_or_default() {
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Bool(true) => "TRUE".into(),
        Value::Bool(false) => "FALSE".into(),
        other => other.to_string(),
    }
}

fn cell(value: &impl Serialize) -> Cell {
    match serde_json::to_value(value).unwrap_or_default() {
        Value::String(text) => Cell::Text(text),
        Value::Bool(yes) => Cell::Int(i64::from(yes)),
        Value::Number(number) => number
            .as_i64()
            .map(Cell::Int)
            .or(number.as_f64().map(Cell::Real))
            .unwrap_or(Cell::Null),
        _ => Cell::Null,
    }
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn listed(columns: &[String]) -> String {
    let quoted: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    quoted.join(", ")
}
