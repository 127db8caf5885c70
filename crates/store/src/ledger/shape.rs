//! Shapes: which table positions in an image are of, and what its columns were.

use std::collections::BTreeMap;
use std::fmt;

use contract::plan::Entity;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Run;
use super::Statement;
use super::additions::added_columns;
use super::names::{ClaimName, claim_id, name_of, names_of};
use crate::{Key, Sql, StoreError, Table, TableName};

/// How many rows of the id map tell which of two tables is meant.
const SAMPLE: usize = 50;

/// The columns of a table as they were when a change was written: what the positions in an image
/// mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The table's full name; none in a ledger of version 1, which kept names as the login saw them.
    pub at: Option<TableName>,
    /// What the table is called for people: as [`Table::name`] where it is there.
    pub table: String,
    /// The target's own number of the table when it was written, where it has one.
    pub oid: Option<i64>,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Their types as declared; empty where a ledger of version 1 kept none.
    pub types: Vec<String>,
    /// The columns that make the key of a row.
    pub key: Vec<String>,
}

/// What the ledger keeps of a shape.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    table: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oid: Option<i64>,
    columns: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    types: Vec<String>,
    key: Vec<String>,
}

/// A table that its owner renamed, or moved to another schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// What it was called when the run wrote to it.
    pub from: TableName,
    /// What it is called now.
    pub to: TableName,
}

impl fmt::Display for Renamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(
            f,
            "table {from} is called {to} now: its owner renamed it, and what runs wrote to it is found there"
        )
    }
}

impl Shape {
    /// Makes the shape of a table as it is now. `key`: positions.
    #[must_use]
    pub fn of(table: &Table, key: &[usize]) -> Self {
        let name = |place: &usize| table.columns[*place].name.clone();
        let columns = table.columns.iter();
        Self {
            at: Some(table.id.clone()),
            table: table.name.clone(),
            oid: table.oid,
            types: columns
                .clone()
                .map(|column| column.declared.clone())
                .collect(),
            columns: columns.map(|column| column.name.clone()).collect(),
            key: key.iter().map(name).collect(),
        }
    }

    /// Tells whether it is of a table.
    #[must_use]
    pub fn is_of(&self, table: &Table) -> bool {
        match &self.at {
            Some(at) => *at == table.id,
            None => self.table == table.name,
        }
    }

    /// Returns the table that it is of, as it is now: the one of its name, or, where there is none, the
    /// one that its owner renamed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] where another table has its name since, or it is one that can't be written;
    /// what the target said.
    pub fn live(&self, sql: &mut dyn Sql) -> Result<Option<Table>, StoreError> {
        Ok(self.find(sql)?.map(|(table, _)| table))
    }

    /// The same, with how it was renamed.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn find(&self, sql: &mut dyn Sql) -> Result<Option<(Table, Option<Renamed>)>, StoreError> {
        let Some(at) = &self.at else {
            return Ok(sql.table(&self.table)?.map(|table| (table, None)));
        };
        let there = sql.table_at(at)?;
        let is_other =
            |table: &Table| table.oid != self.oid && table.oid.is_some() && self.oid.is_some();
        let Some(table) = there else {
            return self.elsewhere(sql, at);
        };
        if is_other(&table) {
            // Its owner may have renamed it, and made another of its name.
            if let Some((moved, renamed)) = self.elsewhere(sql, at)? {
                let (here, there) = (self.known_rows(sql, &table)?, self.known_rows(sql, &moved)?);
                if there > here {
                    return Ok(Some((moved, renamed)));
                }
                if there == here && here > 0 {
                    return Err(StoreError::refused(format!(
                        "the table that runs wrote to is called {} now, and {} is another one that holds the same rows: \
                         which of them is meant can't be told",
                        moved.name, table.name
                    )));
                }
            }
            if let Some(differs) = self.differs(sql, &table)? {
                return Err(StoreError::refused(format!(
                    "{} is another table than the one that runs wrote to: {differs}",
                    table.name
                )));
            }
        }
        Ok(Some((table, None)))
    }

    /// Returns the table that has its number under another name, if it can be the same.
    fn elsewhere(
        &self,
        sql: &mut dyn Sql,
        at: &TableName,
    ) -> Result<Option<(Table, Option<Renamed>)>, StoreError> {
        // The number alone says little: after a restore any table may have it.
        let moved = match self.oid {
            Some(oid) => sql.table_name(oid)?,
            None => None,
        };
        let Some(to) = moved.filter(|to| to != at) else {
            return Ok(None);
        };
        let known = |(_, shape): &(i64, Self)| shape.at.as_ref() == Some(&to);
        if kept_shapes(sql)?.iter().any(known) {
            return Ok(None);
        }
        let table = sql.table_at(&to)?;
        let renamed = Renamed {
            from: at.clone(),
            to,
        };
        match table {
            Some(table) if self.differs(sql, &table)?.is_none() => Ok(Some((table, Some(renamed)))),
            _ => Ok(None),
        }
    }

    /// Counts the rows of a table that the id map knows under the name that is kept: of a sample.
    fn known_rows(&self, sql: &mut dyn Sql, table: &Table) -> Result<usize, StoreError> {
        let key = self.key.iter().map(|column| table.position(column));
        let Some(key) = key.collect::<Option<Vec<usize>>>() else {
            return Ok(0);
        };
        let statement =
            Statement::from("SELECT target FROM ledger.ids WHERE claim = ?1 AND gone = 0 LIMIT ")
                + SAMPLE;
        let mut keys = Vec::new();
        for (id, kind, name) in names_of(sql)? {
            let claim = serde_json::from_str::<ClaimName>(&name);
            if kind == "claim"
                && claim.is_ok_and(|claim| Some(&claim.table_name()) == self.at.as_ref())
            {
                for mut row in sql.query_made(&statement, &[id.into()])? {
                    keys.push(Key::from_cell(row.remove(0))?.0);
                }
            }
        }
        keys.retain(|row| row.len() == key.len());
        let found = sql.fetch(table, &key, &keys)?;
        Ok(found.iter().filter(|rows| !rows.is_empty()).count())
    }

    /// Says how a table differs from the one that was written to, if it can't be the same: its columns, their
    /// types, its key. A column that a run added may be gone: with a rollback, or under an earlier dump.
    fn differs(&self, sql: &mut dyn Sql, table: &Table) -> Result<Option<String>, StoreError> {
        let mut missing = Vec::new();
        for (at, name) in self.columns.iter().enumerate() {
            let Some(place) = table.position(name) else {
                missing.push(name);
                continue;
            };
            let now = &table.columns[place].declared;
            if let Some(then) = self.types.get(at).filter(|then| !same_type(then, now)) {
                return Ok(Some(format!(
                    "its column `{name}` is {now}, and was {then}"
                )));
            }
        }
        if let (Some(at), false) = (&self.at, missing.is_empty()) {
            let added = added_columns(sql, at)?;
            missing.retain(|name| !added.contains(*name));
        }
        if let Some(name) = missing.first() {
            return Ok(Some(format!("it has no column `{name}`")));
        }
        let key = self.key.iter().map(|name| table.position(name));
        let key: Option<Vec<usize>> = key.collect();
        let whole = key.is_some_and(|key| key.is_empty() || table.is_unique(&key));
        Ok((!whole).then(|| format!("no unique key of it covers ({})", self.key.join(", "))))
    }

    /// Finds the schema that a ledger of version 1 did not keep, and the name of a table that its owner
    /// renamed.
    fn settle(&mut self, sql: &mut dyn Sql) -> Result<(), StoreError> {
        if self.at.is_none() && super::version(sql)? == Some(1) {
            self.at = super::upgrade::home(sql, self, None)?;
        }
        match self.find(sql) {
            Ok(Some((_, Some(renamed)))) => self.at = Some(renamed.to),
            Ok(_) | Err(StoreError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn to_json(&self) -> String {
        let kept = Kept {
            schema: self.at.as_ref().map(|at| at.schema.clone()),
            table: self
                .at
                .as_ref()
                .map_or_else(|| self.table.clone(), |at| at.table.clone()),
            oid: self.oid,
            columns: self.columns.clone(),
            types: self.types.clone(),
            key: self.key.clone(),
        };
        serde_json::to_string(&kept).unwrap_or_default()
    }

    /// Reads what the ledger keeps; the table is called by its full name.
    pub(super) fn from_json(id: i64, json: &str) -> Result<Self, StoreError> {
        let kept: Kept = serde_json::from_str(json)
            .map_err(|error| StoreError::damaged(format!("shape {id}: {error}")))?;
        let at = kept.schema.map(|schema| TableName {
            schema,
            table: kept.table.clone(),
        });
        Ok(Self {
            table: at.as_ref().map_or(kept.table, TableName::to_string),
            at,
            oid: kept.oid,
            columns: kept.columns,
            types: kept.types,
            key: kept.key,
        })
    }
}

/// Tells whether two names may be those of one type: a login writes the schema of a user's type where its
/// search path does not lead there, and another leaves it out.
fn same_type(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.rsplit_once('.').map_or(name, |(_, bare)| bare) == name;
    let ends = |long: &str, short: &str| {
        bare(short)
            && long
                .strip_suffix(short)
                .is_some_and(|schema| schema.ends_with('.'))
    };
    one == other || ends(one, other) || ends(other, one)
}

/// Returns shapes, each once, as an audit entry confirms them.
///
/// # Errors
///
/// One that does not read; what the target said.
pub fn noted(sql: &mut dyn Sql, mut ids: Vec<i64>) -> Result<Vec<Value>, StoreError> {
    ids.sort_unstable();
    ids.dedup();
    let noted = |id: i64| {
        serde_json::from_str(&name_of(sql, id)?)
            .map_err(|error| StoreError::damaged(format!("shape {id}: {error}")))
    };
    ids.into_iter().map(noted).collect()
}

/// Returns all shapes as they are kept, by number.
pub(super) fn kept_shapes(sql: &mut dyn Sql) -> Result<Vec<(i64, Shape)>, StoreError> {
    let mut shapes = Vec::new();
    for (id, kind, json) in names_of(sql)? {
        if kind == "shape" {
            shapes.push((id, Shape::from_json(id, &json)?));
        }
    }
    Ok(shapes)
}

/// Returns all shapes, by number, each with the table that it is of now.
///
/// # Errors
///
/// One that does not read; what the target said.
pub fn shapes(sql: &mut dyn Sql) -> Result<Vec<(i64, Shape)>, StoreError> {
    let mut shapes = kept_shapes(sql)?;
    for (_, shape) in &mut shapes {
        shape.settle(sql)?;
    }
    Ok(shapes)
}

/// Returns the numbers of the shapes that a table has had.
pub(super) fn shapes_of(sql: &mut dyn Sql, table: &Table) -> Result<Vec<i64>, StoreError> {
    let mut found = Vec::new();
    for (id, mut shape) in kept_shapes(sql)? {
        // The others can't be of this one: nothing is asked about them.
        if shape.at.is_none() || (shape.oid.is_some() && shape.oid == table.oid) {
            shape.settle(sql)?;
        }
        found.extend(shape.is_of(table).then_some(id));
    }
    Ok(found)
}

/// Returns the shape of a number. Its table is called as it is called now.
///
/// # Errors
///
/// A number that the ledger does not know; what the target said.
pub fn shape_of(sql: &mut dyn Sql, id: i64) -> Result<Shape, StoreError> {
    let mut shape = Shape::from_json(id, &name_of(sql, id)?)?;
    shape.settle(sql)?;
    if let Some(at) = shape.at.clone() {
        shape.table = match sql.table_at(&at) {
            Ok(Some(table)) => table.name,
            Ok(None) | Err(StoreError::Refused { .. }) => sql.called(&at)?,
            Err(error) => return Err(error),
        };
    }
    Ok(shape)
}

/// Makes sure that a table is the one that earlier runs wrote to under its name, where the id map knows rows
/// of it.
///
/// # Errors
///
/// [`StoreError::Refused`] where it is another one; what the target said.
pub fn check_table(sql: &mut dyn Sql, system: &str, table: &Table) -> Result<(), StoreError> {
    let Some(claim) = claim_id(sql, system, table)? else {
        return Ok(());
    };
    let known = "SELECT 1 FROM ledger.ids WHERE claim = ?1 AND gone = 0 LIMIT 1";
    if sql.query(known, &[claim.into()])?.is_empty() {
        return Ok(());
    }
    let of_rows = |shape: &Shape| shape.at.as_ref() == Some(&table.id) && !shape.key.is_empty();
    let shapes = kept_shapes(sql)?;
    match shapes.iter().rev().find(|(_, shape)| of_rows(shape)) {
        Some((_, shape)) => match shape.find(sql)? {
            Some((_, Some(renamed))) => Err(StoreError::refused(format!(
                "{} is another table than the one that runs wrote to, which is called {} now",
                table.name, renamed.to
            ))),
            _ => Ok(()),
        },
        None => Ok(()),
    }
}

/// Reads which shape the table of each entity of a run had when it started.
pub(super) fn read_tables(run: &Run) -> Result<BTreeMap<String, i64>, StoreError> {
    let Some(json) = &run.tables else {
        return Ok(BTreeMap::new());
    };
    serde_json::from_str(json)
        .map_err(|error| StoreError::damaged(format!("the run's tables: {error}")))
}

/// Returns the table that a run gave an entity of its plan, as it is now. `entity`: as the plan has it.
///
/// # Errors
///
/// As [`Shape::live`].
pub fn table_of(
    sql: &mut dyn Sql,
    run: &Run,
    entity: &Entity,
) -> Result<Option<Table>, StoreError> {
    if run.tables.is_some() {
        if let Some(id) = read_tables(run)?.get(&entity.name) {
            return shape_of(sql, *id)?.live(sql);
        }
    } else {
        for (_, shape) in shapes(sql)?.iter().rev() {
            let name = shape.at.as_ref().map(|at| at.table.as_str());
            if name.is_some_and(|name| name.eq_ignore_ascii_case(&entity.table)) {
                return shape.live(sql);
            }
        }
    }
    sql.table(&entity.table)
}
