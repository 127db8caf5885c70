//! Adding columns and tables to a SQLite file: tried first in a copy of its schema in memory, where
//! SQLite itself says what can be added, and what can be taken away again.

use contract::plan::Add;
use rusqlite::ErrorCode;

use super::connect::{Sqlite, quoted};
use super::references;
use super::sql::names;
use super::words::mentions;
use crate::additions::{Addition, Planned, drop_statement};
use crate::catalogue::Table;
use crate::trial::{Found, Trial, try_out};
use crate::{Cell, Key, Row, Sql, StoreError};

/// An error of a statement on the catalogue: SQLite has no code of its own for what it refuses there.
pub(super) fn refused(target: &Sqlite, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::Unknown) => StoreError::constraint(said(error)),
        _ => target.error(error),
    }
}

/// What SQLite said, without the statement.
pub(super) fn said(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// The text of a table, its indexes and its triggers, as `sqlite_master` keeps it.
pub(super) fn definition(target: &Sqlite, table: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT sql FROM sqlite_master WHERE tbl_name = ?1 COLLATE NOCASE AND sql IS NOT NULL \
               ORDER BY type <> 'table', type, name";
    let rows = target.rows(sql, &[table.into()])?;
    let texts: Vec<&str> = rows.iter().filter_map(|row| row[0].text()).collect();
    Ok((!texts.is_empty()).then(|| texts.join(";\n")))
}

/// Copies the schema, without rows. What this build can't make (a module that it lacks) is left out.
pub(super) fn copy(target: &Sqlite) -> Result<Sqlite, StoreError> {
    let scratch = target.scratch()?;
    let sql = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               ORDER BY type <> 'table', rowid";
    for row in target.rows(sql, &[])? {
        if let Some(text) = row[0].text() {
            scratch.conn.execute_batch(text).ok();
        }
    }
    Ok(scratch)
}

pub(super) fn planned(target: &Sqlite, add: &Add, names: &[&str]) -> Result<Planned, StoreError> {
    let mut trial = InCopy {
        future: copy(target)?,
        target,
    };
    try_out(&mut trial, add, names)
}

/// A copy of the schema, and the file that it is of.
struct InCopy<'a> {
    future: Sqlite,
    target: &'a Sqlite,
}

impl InCopy<'_> {
    fn execute(&self, statement: &str) -> Result<(), String> {
        let done = self.future.conn.execute_batch(statement);
        done.map_err(|error| said(&error))
    }
}

impl Trial for InCopy<'_> {
    fn sql(&mut self) -> &mut dyn Sql {
        &mut self.future
    }

    fn find(&mut self, addition: &mut Addition) -> Result<Found, StoreError> {
        find(self.target, addition)
    }

    fn wanted(&mut self, addition: &Addition) -> Result<String, StoreError> {
        wanted(self.target, addition)
    }

    fn make(&mut self, addition: &Addition) -> Result<Result<(), String>, StoreError> {
        Ok(self.execute(&addition.statement(&self.future)))
    }

    fn take_away(&mut self, addition: &Addition) -> Result<Result<(), String>, StoreError> {
        let drop = drop_statement(&self.future, addition.table(), addition.column());
        Ok(self.execute(&drop))
    }
}

/// Looks for it in the file; the table is then called as the file calls it.
fn find(target: &Sqlite, addition: &mut Addition) -> Result<Found, StoreError> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    let rows = target.rows(sql, &[addition.table().into()])?;
    let name = rows.first().and_then(|row| row[0].text());
    Ok(match (addition, name) {
        (Addition::Table(_), None) => Found::Nothing,
        (Addition::Table(_), Some(name)) => Found::There(table_words(target, name)?),
        (Addition::Column(_), None) => Found::NoTable,
        (Addition::Column(new), Some(name)) => {
            name.clone_into(&mut new.table);
            let found = columns(target, name)?
                .into_iter()
                .find(|(column, _)| column.eq_ignore_ascii_case(&new.column));
            found.map_or(Found::Nothing, |(_, words)| Found::There(words))
        }
    })
}

/// What it looks like where the plan alone made it.
fn wanted(target: &Sqlite, addition: &Addition) -> Result<String, StoreError> {
    let scratch = target.scratch()?;
    let name = addition.table();
    let make = match addition {
        Addition::Table(_) => addition.statement(&scratch),
        Addition::Column(_) => format!(
            "CREATE TABLE {} (\"rowid of it\"); {}",
            quoted(name),
            addition.statement(&scratch)
        ),
    };
    if let Err(error) = scratch.conn.execute_batch(&make) {
        return Ok(format!("nothing that SQLite makes ({})", said(&error)));
    }
    match addition.column() {
        None => table_words(&scratch, name),
        Some(column) => Ok(column_definition(&scratch, name, column)?.unwrap_or_default()),
    }
}

/// A column in words.
pub(super) fn column_definition(
    target: &Sqlite,
    table: &str,
    column: &str,
) -> Result<Option<String>, StoreError> {
    let mut columns = columns(target, table)?.into_iter();
    let found = columns.find(|(name, _)| name == column);
    Ok(found.map(|(_, words)| words))
}

/// The columns of a table, each with its type and what is said of it.
fn columns(target: &Sqlite, table: &str) -> Result<Vec<(String, String)>, StoreError> {
    // xinfo: cid, name, type, notnull, dflt_value, pk, hidden.
    let info = target.rows(&format!("PRAGMA table_xinfo({})", quoted(table)), &[])?;
    let column = |row: &Row| {
        let mut words = row[2].text().unwrap_or_default().to_ascii_uppercase();
        if row[3].int() == Some(1) {
            words.push_str(" NOT NULL");
        }
        if let Some(default) = row[4].text() {
            words.push_str(" DEFAULT ");
            words.push_str(default);
        }
        if row[6].int() != Some(0) {
            words.push_str(" generated");
        }
        (row[1].text().unwrap_or_default().to_owned(), words)
    };
    Ok(info.iter().map(column).collect())
}

/// A table in words: columns, keys and what it refers to.
fn table_words(target: &Sqlite, name: &str) -> Result<String, StoreError> {
    let Some(table) = super::catalogue::table(target, name)? else {
        return Ok("nothing".into());
    };
    let named = |places: &[usize]| names(places.iter().map(|place| &table.columns[*place]));
    let mut parts: Vec<String> = columns(target, name)?
        .into_iter()
        .map(|(column, words)| format!("{} {words}", quoted(&column)))
        .collect();
    parts.push(format!("PRIMARY KEY ({})", named(&table.primary_key)));
    let others = table
        .uniques
        .iter()
        .filter(|unique| **unique != table.primary_key);
    let mut also: Vec<String> = others
        .map(|unique| format!("UNIQUE ({})", named(unique)))
        .collect();
    also.extend(references::words(target, name)?);
    also.sort();
    parts.extend(also);
    Ok(format!("({})", parts.join(", ")))
}

pub(super) fn built_on(
    target: &Sqlite,
    table: &str,
    column: Option<&str>,
) -> Result<Vec<String>, StoreError> {
    match column {
        Some(column) => on_column(target, table, column),
        None => on_table(target, table),
    }
}

/// What keeps the column from being dropped: SQLite names one at a time.
fn on_column(target: &Sqlite, table: &str, column: &str) -> Result<Vec<String>, StoreError> {
    let scratch = copy(target)?;
    let drop = drop_statement(&scratch, table, Some(column));
    let mut found = Vec::new();
    loop {
        let Err(error) = scratch.conn.execute_batch(&drop) else {
            return Ok(found);
        };
        let message = said(&error);
        let sql = "SELECT type, name FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL";
        let objects = scratch.rows(sql, &[])?;
        let named = objects.iter().find_map(|row| {
            let (kind, name) = (row[0].text()?, row[1].text()?);
            let rest = message.strip_prefix(&format!("error in {kind} {name}"))?;
            (rest.starts_with(':') || rest.starts_with(" after ")).then_some((kind, name))
        });
        let Some((kind, name)) = named else {
            found.push(message);
            return Ok(found);
        };
        found.push(format!("{kind} {name}"));
        let away = format!("DROP {kind} {}", quoted(name));
        if scratch.conn.execute_batch(&away).is_err() {
            return Ok(found);
        }
    }
}

/// Its indexes and triggers, the views and triggers that name it, the tables that refer to it.
fn on_table(target: &Sqlite, table: &str) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let sql = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL \
               AND name <> ?1 COLLATE NOCASE ORDER BY type, name";
    let own = table.to_ascii_uppercase();
    for row in target.rows(sql, &[table.into()])? {
        let text = |place: usize| row[place].text().unwrap_or_default();
        let (kind, name) = (text(0), text(1));
        let built = if kind == "table" {
            let keys = target.rows(&format!("PRAGMA foreign_key_list({})", quoted(name)), &[])?;
            keys.iter().any(|key| {
                key[2]
                    .text()
                    .is_some_and(|to| to.eq_ignore_ascii_case(table))
            })
        } else {
            text(2).eq_ignore_ascii_case(table) || (kind != "index" && mentions(text(3), &own))
        };
        if built {
            found.push(format!("{kind} {name}"));
        }
    }
    Ok(found)
}

pub(super) fn unlike(
    target: &Sqlite,
    (table, column): (&Table, usize),
    values: &[Cell],
    key: &[usize],
    after: Option<&Key>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let name = quoted(&table.columns[column].name);
    let mut terms: Vec<String> = target
        .slots(1, values)
        .into_iter()
        .map(|slot| format!("{name} IS NOT {slot}"))
        .collect();
    let mut params = values.to_vec();
    let order = names(key.iter().map(|place| &table.columns[*place]));
    if let Some(after) = after {
        let places = target.slots(params.len() + 1, &after.0);
        terms.push(format!("({order}) > ({})", places.join(", ")));
        params.extend(after.0.iter().cloned());
    }
    let sql = format!(
        "SELECT {} FROM {} WHERE {} ORDER BY {order} LIMIT {limit}",
        target.whole(table),
        quoted(&table.name),
        terms.join(" AND ")
    );
    target.read_whole(table, &sql, &params)
}
