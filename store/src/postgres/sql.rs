//! Statements and reads on PostgreSQL: one statement over arrays, however many keys are asked for.

use std::borrow::Cow;

use contract::plan::{Add, Field};
use postgres::types::{ToSql, Type};
use serde_json::Value;

use super::cells::type_of;
use super::connect::{Postgres, quoted};
use super::spelling::listed;
use super::{catalogue, values};
use crate::additions::{Addition, Planned};
use crate::catalogue::{Column, ForeignKey, Table};
use crate::ledger::Entry;
use crate::{Cell, Key, Row, Sql, StoreError};

/// The server's clock, in milliseconds since 1970.
const NOW: &str = "floor(extract(epoch FROM clock_timestamp()) * 1000)::int8";

/// A parameter with its type.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// The ledger's tables are in a schema of their own, and parameters are `$1`, `$2`, ….
pub(super) fn spelled(sql: &str) -> String {
    sql.replace("ledger.", "switchback.").replace('?', "$")
}

/// The parameters of a statement on the ledger.
fn typed(params: &[Cell]) -> Vec<Param<'_>> {
    params
        .iter()
        .map(|cell| (cell as &(dyn ToSql + Sync), type_of(cell)))
        .collect()
}

/// The bytes under which the ledger keeps a row's key.
pub(super) fn target_bytes(key: &Key) -> Cell {
    match key.to_cell() {
        Cell::Blob(bytes) => Cell::Blob(bytes),
        other => Cell::Blob(crate::cell::encode_all(&[other])),
    }
}

impl Sql for Postgres {
    fn query(&mut self, sql: &str, params: &[Cell]) -> Result<Vec<Row>, StoreError> {
        self.ask(&spelled(sql), &typed(params))
    }

    fn execute(&mut self, sql: &str, params: &[Cell]) -> Result<u64, StoreError> {
        self.run(&spelled(sql), &typed(params))
    }

    fn now(&mut self) -> Result<i64, StoreError> {
        let rows = self.ask(&format!("SELECT {NOW}"), &[])?;
        let now = rows.first().and_then(|row| row[0].int());
        now.ok_or_else(|| StoreError::damaged("the server has no clock"))
    }

    fn prolong(&mut self, token: i64, lasts: i64) -> Result<Option<i64>, StoreError> {
        let sql = format!(
            "UPDATE switchback.lock SET expires = n.now + {lasts} FROM (SELECT {NOW} AS now) AS n \
             WHERE id = 1 AND token = {token} RETURNING n.now"
        );
        Ok(self.ask(&sql, &[])?.first().and_then(|row| row[0].int()))
    }

    fn is_true(&mut self, question: &str) -> Result<bool, StoreError> {
        self.answer(question)
    }

    fn has_ledger(&mut self) -> Result<bool, StoreError> {
        if !self.ledger.get() {
            let sql = "SELECT 1 WHERE to_regclass('switchback.meta') IS NOT NULL";
            self.ledger.set(!self.ask(sql, &[])?.is_empty());
        }
        Ok(self.ledger.get())
    }

    fn table(&mut self, name: &str) -> Result<Option<Table>, StoreError> {
        if let Some(known) = self.tables.get(name) {
            return Ok(known.clone());
        }
        let table = catalogue::table(self, name)?;
        self.tables.insert(name.to_owned(), table.clone());
        Ok(table)
    }

    fn tables(&mut self) -> Result<Vec<String>, StoreError> {
        catalogue::tables(self)
    }

    fn definition(&mut self, table: &str) -> Result<Option<String>, StoreError> {
        match self.table(table) {
            Ok(Some(table)) => self.define(&self.quoted(&table.name)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn column_definition(
        &mut self,
        table: &str,
        column: &str,
    ) -> Result<Option<String>, StoreError> {
        let words = self.column_words(&self.quoted(table), column)?;
        Ok(Some(words).filter(|words| !words.is_empty()))
    }

    fn planned(&mut self, add: &Add, names: &[&str]) -> Result<Planned, StoreError> {
        self.try_additions(add, names)
    }

    fn adding(&self, addition: &Addition) -> Vec<String> {
        self.adding_of(addition)
    }

    fn built_on(&mut self, table: &str, column: Option<&str>) -> Result<Vec<String>, StoreError> {
        self.built(&self.quoted(table), column)
    }

    fn unlike(
        &mut self,
        table: &Table,
        column: usize,
        values: &[Cell],
        key: &[usize],
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let Column { name, declared, .. } = &table.columns[column];
        let kind = self.type_of(&table.columns[column]).kind;
        let mut texts: Vec<Option<String>> = values.iter().map(|cell| kind.sent(cell)).collect();
        // As texts: not every type can be compared.
        let unlike = |place: usize| {
            let name = quoted(name);
            format!("t.{name}::text IS DISTINCT FROM ${place}::text::{declared}::text")
        };
        let mut terms: Vec<String> = (1..=values.len()).map(unlike).collect();
        // Where no key is whole, nothing is read in parts.
        let mut order = String::new();
        if table.whole_key().is_some() {
            let ordered = listed(table, key);
            order = format!("ORDER BY {ordered}");
            if let Some(after) = after {
                let (places, more) = self.places(table, key, &after.0, texts.len() + 1);
                terms.push(format!("({ordered}) > ({})", places.join(", ")));
                texts.extend(more);
            }
        }
        let sql = format!(
            "SELECT {} FROM {} AS t WHERE {} {order} LIMIT {limit}",
            self.reads(table, 0..table.columns.len()),
            self.quoted(&table.name),
            terms.join(" AND ")
        );
        Ok(self.whole(table, self.ask_texts(&sql, &texts)?))
    }

    fn fetch(
        &mut self,
        table: &Table,
        by: &[usize],
        keys: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        if keys.is_empty() {
            return Ok(vec![]);
        }
        // A writer keeps others from changing what it decides on.
        let lock = if self.writes && self.open.get() {
            "FOR UPDATE"
        } else {
            ""
        };
        let source = self.source(self.sent(table, by, keys.iter().map(Vec::as_slice)))?;
        let (reads, name) = (
            self.reads(table, 0..table.columns.len()),
            self.quoted(&table.name),
        );
        let (from, same) = (&source.from, self.matches(table, by, 0));
        // Key by key where an index serves, whatever the planner thinks of the table's size.
        let served = table.serves(by);
        let sql = if served {
            format!(
                "SELECT k.n, r.* FROM {from} CROSS JOIN LATERAL \
                 (SELECT {reads} FROM {name} AS t WHERE {same} OFFSET 0 {lock}) AS r ORDER BY k.n"
            )
        } else {
            let lock = if lock.is_empty() {
                ""
            } else {
                "FOR UPDATE OF t"
            };
            format!(
                "SELECT k.n, {reads} FROM {from} JOIN {name} AS t ON {same} ORDER BY k.n {lock}"
            )
        };
        let mut rows = if served {
            self.ask(&sql, &source.params())?
        } else {
            self.ask_widely(&sql, &source.params())?
        };
        let places: Vec<Cell> = rows.iter_mut().map(|row| row.remove(0)).collect();
        let mut found: Vec<Vec<Row>> = vec![Vec::new(); keys.len()];
        for (place, row) in places.iter().zip(self.whole(table, rows)) {
            let at = place.int().and_then(|n| usize::try_from(n - 1).ok());
            if let Some(rows) = at.and_then(|at| found.get_mut(at)) {
                rows.push(row);
            }
        }
        Ok(found)
    }

    fn fetch_page(
        &mut self,
        table: &Table,
        by: &[usize],
        order: &[usize],
        keys: &[(Vec<Cell>, Option<Key>)],
        limit: usize,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let (reads, name) = (
            self.reads(table, 0..table.columns.len()),
            self.quoted(&table.name),
        );
        let ordered = listed(table, order);
        let find = |(key, after): &(Vec<Cell>, Option<Key>)| {
            let (places, mut texts) = self.places(table, by, key, 1);
            let equal = |(column, place): (&usize, String)| {
                format!("{} = {place}", listed(table, &[*column]))
            };
            let same: Vec<String> = by.iter().zip(places).map(equal).collect();
            let mut start = String::new();
            if let Some(after) = after {
                let (places, more) = self.places(table, order, &after.0, texts.len() + 1);
                start = format!("AND ({ordered}) > ({})", places.join(", "));
                texts.extend(more);
            }
            let sql = format!(
                "SELECT {reads} FROM {name} AS t WHERE {} {start} ORDER BY {ordered} LIMIT {limit}",
                same.join(" AND ")
            );
            Ok(self.whole(table, self.ask_texts(&sql, &texts)?))
        };
        keys.iter().map(find).collect()
    }

    fn page(
        &mut self,
        table: &Table,
        key: &[usize],
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let ordered = listed(table, key);
        let (mut start, mut texts) = (String::new(), Vec::new());
        if let Some(after) = after {
            let (places, cells) = self.places(table, key, &after.0, 1);
            start = format!("WHERE ({ordered}) > ({})", places.join(", "));
            texts = cells;
        }
        let sql = format!(
            "SELECT {} FROM {} AS t {start} ORDER BY {ordered} LIMIT {limit}",
            self.reads(table, 0..table.columns.len()),
            self.quoted(&table.name)
        );
        Ok(self.whole(table, self.ask_texts(&sql, &texts)?))
    }

    fn orphans(
        &mut self,
        child: &Table,
        key: &ForeignKey,
        limit: usize,
    ) -> Result<(u64, Vec<Row>), StoreError> {
        let parent = self.table(&key.parent)?;
        let parent = parent
            .ok_or_else(|| StoreError::refused(format!("there is no table `{}`", key.parent)))?;
        let own = |place: &usize| format!("t.{}", quoted(&child.columns[*place].name));
        let set: Vec<String> = key
            .columns
            .iter()
            .map(|place| format!("{} IS NOT NULL", own(place)))
            .collect();
        let same: Vec<String> = key
            .parent_columns
            .iter()
            .zip(&key.columns)
            .map(|(parent, place)| format!("p.{} = {}", quoted(parent), own(place)))
            .collect();
        let from = format!(
            "FROM {} AS t WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {})",
            self.quoted(&child.name),
            set.join(" AND "),
            self.quoted(&parent.name),
            same.join(" AND ")
        );
        let count = self.ask_widely(&format!("SELECT COUNT(*) {from}"), &[])?;
        let count = count.first().and_then(|row| row[0].int()).unwrap_or(0);
        let reads = self.reads(child, 0..child.columns.len());
        let rows = self.ask_widely(&format!("SELECT {reads} {from} LIMIT {limit}"), &[])?;
        Ok((count.unsigned_abs(), self.whole(child, rows)))
    }

    fn entries(&mut self, entity: i64, keys: &[&str]) -> Result<Vec<Option<Entry>>, StoreError> {
        let cells = keys.iter().map(|key| Cell::from(*key)).collect();
        let same = format!("i.entity = {entity} AND i.source = k.c0");
        self.entries_by((Type::TEXT, cells), &same)
    }

    fn claims(&mut self, claim: i64, targets: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        let cells = targets.iter().map(target_bytes).collect();
        let same = format!("i.claim = {claim} AND i.target = k.c0");
        self.entries_by((Type::BYTEA, cells), &same)
    }

    fn quoted(&self, table: &str) -> String {
        self.names
            .get(table)
            .cloned()
            .unwrap_or_else(|| quoted(table))
    }

    fn target_cell(&self, key: &Key) -> Cell {
        target_bytes(key)
    }

    fn encode(
        &self,
        field: &Field,
        column: &Column,
        values: &[&Value],
    ) -> Result<Vec<Result<Cell, String>>, StoreError> {
        self.cells_of(field, column, values)
    }

    fn misfit(&self, field: &Field, column: &Column) -> Option<String> {
        self.unfit(field, column)
    }

    fn lacks(&mut self, table: Option<(&Table, &[usize])>) -> Result<Vec<String>, StoreError> {
        match table {
            Some((table, written)) => self.lacks_on(table, written),
            None => self.lacks_for_ledger(),
        }
    }

    fn loud(&mut self, table: &Table) -> Result<Option<String>, StoreError> {
        Postgres::loud(self, table)
    }

    fn key_cell(&self, column: &Column, text: &str) -> Cell {
        values::key_cell(self.type_of(column).kind, text)
    }

    fn canonical<'a>(&self, field: Option<&Field>, cell: &'a Cell) -> Cow<'a, Cell> {
        values::canonical(field, cell)
    }

    fn portable(&self, column: &Column, cell: Cell) -> Cell {
        super::portable::portable(self.type_of(column).kind, cell)
    }

    fn describe(&self) -> String {
        Postgres::describe(self)
    }

    fn is_described(&self, description: &str) -> bool {
        let database = |url: &str| url.rsplit_once('/').map(|(_, name)| name.to_owned());
        description.starts_with("postgres:") && database(&self.describe()) == database(description)
    }
}

impl Postgres {
    /// Entries by the place of what they are asked by; the last of a place wins, which is not of a
    /// deleted row where there are several.
    fn entries_by(
        &self,
        asked: (Type, Vec<Cell>),
        same: &str,
    ) -> Result<Vec<Option<Entry>>, StoreError> {
        let mut found = vec![None; asked.1.len()];
        if found.is_empty() {
            return Ok(found);
        }
        let source = self.source(vec![asked])?;
        let sql = format!(
            "SELECT k.n, r.* FROM {} CROSS JOIN LATERAL (SELECT i.entity, i.source, i.claim, i.target, i.gone, \
             i.digest, i.sums, i.run, i.seq FROM switchback.ids AS i WHERE {same} OFFSET 0) AS r ORDER BY r.gone DESC",
            source.from
        );
        for mut row in self.ask(&sql, &source.params())? {
            let at = row
                .remove(0)
                .int()
                .and_then(|n| usize::try_from(n - 1).ok());
            if let Some(place) = at.and_then(|at| found.get_mut(at)) {
                *place = Some(Entry::from_row(row)?);
            }
        }
        Ok(found)
    }
}
