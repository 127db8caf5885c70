//! What a run added to the catalogue: one change each, before those of rows.

use std::collections::BTreeSet;

use contract::plan::Entity;

use super::names::name_of;
use super::{Action, Change, Shape, page_changes, shape_of};
use crate::{Cell, Image, Key, Row, Sql, StoreError, Table, TableName};

/// How many changes are read at a time.
const PAGE: usize = 1000;

/// A column or a table that a run added.
#[derive(Debug, Clone, PartialEq)]
pub struct Added {
    /// The change by which it did.
    pub seq: i64,
    /// The table, as it is called for people.
    pub table: String,
    /// Its full name; none in a ledger of version 1.
    pub at: Option<TableName>,
    /// The column; none where it is the table itself.
    pub column: Option<String>,
    /// Of a column: what the rows that were there got, as it reads back.
    pub initial: Cell,
    /// Of a column: the definition of its table before. Of a table: its own, as the run left it.
    pub definition: String,
    /// Of a column: its own definition, as the run left it; none in a ledger of before it was kept.
    pub own: Option<String>,
    /// Of a column: how many rows were there; none in a ledger of before it was kept.
    pub rows: Option<i64>,
}

impl Added {
    /// Reads a change; none where it is one of a row.
    ///
    /// # Errors
    ///
    /// A change that this build did not write.
    pub fn of(change: &Change, shape: &Shape) -> Result<Option<Self>, StoreError> {
        let text = |image: &Image| {
            image
                .0
                .first()
                .and_then(|(_, cell)| cell.text().map(str::to_owned))
        };
        let damaged = || StoreError::damaged(format!("change {} does not read", change.seq));
        let (column, initial, definition) = match change.action {
            Action::Column => {
                let column = change.target.0.last().and_then(Cell::text);
                let initial = change.after.0.first().map(|(_, cell)| cell.clone());
                (
                    Some(column.ok_or_else(damaged)?.to_owned()),
                    initial.ok_or_else(damaged)?,
                    text(&change.before),
                )
            }
            Action::Table => (None, Cell::Null, text(&change.after)),
            _ => return Ok(None),
        };
        Ok(Some(Self {
            seq: change.seq,
            table: shape.table.clone(),
            at: shape.at.clone(),
            column,
            initial,
            definition: definition.ok_or_else(damaged)?,
            own: change
                .before
                .get(1)
                .and_then(|cell| cell.text().map(str::to_owned)),
            rows: change.before.get(2).and_then(Cell::int),
        }))
    }

    /// Makes the change that the ledger keeps. No row has such a key: none has NULL in it.
    #[must_use]
    pub fn to_change(&self, shape: i64, place: usize) -> Change {
        let own = self.own.iter().map(|own| (1, Cell::Text(own.clone())));
        let definition = (0, Cell::Text(self.definition.clone()));
        let rows = self.rows.map(|rows| (2, Cell::Int(rows)));
        let definition = Image(std::iter::once(definition).chain(own).chain(rows).collect());
        let (action, target, before, after) = match &self.column {
            Some(column) => (
                Action::Column,
                vec![Cell::Null, column.as_str().into()],
                definition,
                Image(vec![(place, self.initial.clone())]),
            ),
            None => (
                Action::Table,
                vec![Cell::Null],
                Image::default(),
                definition,
            ),
        };
        Change {
            seq: self.seq,
            batch: 0,
            shape,
            action,
            target: Key(target),
            identity: None,
            before,
            rowid: None,
            after,
            sums: vec![],
            hash: contract::Digest::of(self.definition.as_bytes()).short(),
            earlier: None,
            later: None,
            entry: None,
        }
    }

    /// Returns the table that it is, or is a column of, as it is now.
    ///
    /// # Errors
    ///
    /// What the target said.
    pub fn live(&self, sql: &mut dyn Sql) -> Result<Option<Table>, StoreError> {
        match &self.at {
            Some(at) => sql.table_at(at),
            None => sql.table(&self.table),
        }
    }

    /// Tells whether it is there now.
    ///
    /// # Errors
    ///
    /// What the target said.
    pub fn is_there(&self, sql: &mut dyn Sql) -> Result<bool, StoreError> {
        let table = self.live(sql)?;
        Ok(table.is_some_and(|table| {
            let there = |column: &String| table.position(column).is_some();
            self.column.as_ref().is_none_or(there)
        }))
    }

    /// Tells whether others changed what the target says of it: all of a table, of a column its type and
    /// default.
    ///
    /// # Errors
    ///
    /// What the target said.
    pub fn is_changed(&self, sql: &mut dyn Sql) -> Result<bool, StoreError> {
        let same = match (&self.column, &self.own) {
            (None, _) => sql.is_defined(&self.table, &self.definition)?,
            (Some(column), Some(own)) => sql.is_column_defined(&self.table, column, own)?,
            (Some(_), None) => true,
        };
        Ok(!same)
    }

    /// Returns the value that a column had in all rows that were there, if this added it.
    #[must_use]
    pub fn initial_of(added: &[Self], table: &str, column: &str) -> Option<Cell> {
        let this = |one: &&Self| one.table == table && one.column.as_deref() == Some(column);
        added.iter().find(this).map(|one| one.initial.clone())
    }

    /// Tells whether a table is one that this added.
    #[must_use]
    pub fn made(added: &[Self], table: &str) -> bool {
        let this = |one: &Self| one.table == table && one.column.is_none();
        added.iter().any(this)
    }

    /// Returns an entity without the columns that were added and are gone from its table again.
    #[must_use]
    pub fn without(gone: &[Self], entity: &Entity, table: &Table) -> Entity {
        let mut entity = entity.clone();
        let stays = |column: &String| {
            table.position(column).is_some()
                || Self::initial_of(gone, &table.name, column).is_none()
        };
        entity.fields.retain(|column, _| stays(column));
        entity.volatile.retain(stays);
        entity.matching.retain(stays);
        entity.tag = entity.tag.filter(|tag| stays(&tag.column));
        entity
    }

    /// Returns the columns of a shape in a row of the table as it is now; a column that was added and
    /// is gone again has the value that it had in all rows. `places`: where each of the shape's columns
    /// is now.
    #[must_use]
    pub fn row_of_shape(added: &[Self], shape: &Shape, places: &[Option<usize>], row: &Row) -> Row {
        let cell = |(name, place): (&String, &Option<usize>)| match place {
            Some(place) => row[*place].clone(),
            None => Self::initial_of(added, &shape.table, name).unwrap_or(Cell::Null),
        };
        shape.columns.iter().zip(places).map(cell).collect()
    }
}

/// Returns what a run added, in order. `plan`: the run's plan, which says whether there is any.
///
/// # Errors
///
/// What the target said; a change that does not read.
pub fn added(sql: &mut dyn Sql, run: i64, plan: &contract::Plan) -> Result<Vec<Added>, StoreError> {
    let mut found = Vec::new();
    if plan.add.is_empty() {
        return Ok(found);
    }
    let mut before = i64::MAX;
    loop {
        let page = page_changes(sql, run, before, PAGE)?;
        let Some(last) = page.last() else { break };
        before = last.seq;
        let additions = page
            .iter()
            .filter(|change| matches!(change.action, Action::Column | Action::Table));
        for change in additions {
            let shape = shape_of(sql, change.shape)?;
            found.extend(Added::of(change, &shape)?);
        }
    }
    found.reverse();
    Ok(found)
}

/// Returns the columns that runs added to a table, those of runs that were taken back with them.
pub(super) fn added_columns(
    sql: &mut dyn Sql,
    table: &TableName,
) -> Result<BTreeSet<String>, StoreError> {
    // They are the first changes of a run.
    let statement = "SELECT shape, target FROM ledger.changes WHERE seq <= 10000 AND action = 6";
    let mut found = BTreeSet::new();
    for row in sql.query(statement, &[])? {
        let [shape, target] = &row[..] else { continue };
        let Some(id) = shape.int() else { continue };
        let shape = Shape::from_json(id, &name_of(sql, id)?)?;
        if shape.at.as_ref() == Some(table) {
            let key = Key::from_cell(target.clone())?;
            found.extend(key.0.last().and_then(Cell::text).map(str::to_owned));
        }
    }
    Ok(found)
}
