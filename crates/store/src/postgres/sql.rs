//! Statements and reads on PostgreSQL: one statement over arrays, however many keys are asked for.

use std::borrow::Cow;

use contract::plan::{Add, Field};
use postgres::types::{ToSql, Type};
use serde_json::Value;

use super::catalogue::Asked;
use super::cells::type_of;
use super::connect::{Postgres, quoted};
use super::spelling::listed;
use super::values::ColumnType;
use super::watch::Event;
use super::{catalogue, references, values};
use crate::additions::{Addition, Planned};
use crate::catalogue::{Children, Column, ForeignKey, Table, TableName, counted, counting};
use crate::engine::PAGE_BYTES;
use crate::ledger::{self, Action, Dialect, Entry, Statement, stored_source};
use crate::{Cell, Key, Row, Sql, StoreError};

/// The server's clock, in milliseconds since 1970.
const NOW: &str = "floor(extract(epoch FROM clock_timestamp()) * 1000)::int8";

/// The part of a row's key that the index of the id map holds: an entry of an index has a limit.
const INDEXED: &str = "substr(target, 1, 1000)";

/// A parameter with its type.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// The ledger's tables are in a schema of their own, and parameters are `$1`, `$2`, ….
pub(super) fn spelled(sql: &Statement) -> String {
    sql.spelled("switchback.", "$")
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
    fn query_made(&mut self, sql: &Statement, params: &[Cell]) -> Result<Vec<Row>, StoreError> {
        self.look(&spelled(sql), &typed(params))
    }

    fn changes_before(
        &mut self,
        columns: &'static str,
        run: i64,
        before: i64,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        // All rows come at once: the server cuts them.
        let statement = Statement::from("SELECT ")
            + columns
            + " FROM ledger.changes WHERE run = ?1 AND seq < ?2 AND seq >= (SELECT MIN(seq) FROM \
               (SELECT seq, SUM(bytes) OVER (ORDER BY seq DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newer FROM \
               (SELECT seq, COALESCE(octet_length(before), 0) + COALESCE(octet_length(after), 0) AS bytes FROM ledger.changes \
               WHERE run = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT "
            + limit
            + ") AS sizes) AS sums WHERE newer IS NULL OR newer < "
            + PAGE_BYTES
            + ") ORDER BY seq DESC LIMIT "
            + limit;
        self.query_made(&statement, &[run.into(), before.into()])
    }

    fn execute_made(&mut self, sql: &Statement, params: &[Cell]) -> Result<u64, StoreError> {
        self.note(&spelled(sql), &typed(params))
    }

    fn now(&mut self) -> Result<i64, StoreError> {
        let rows = self.look(&format!("SELECT {NOW}"), &[])?;
        let now = rows.first().and_then(|row| row[0].int());
        now.ok_or_else(|| StoreError::damaged("the server has no clock"))
    }

    fn prolong(&mut self, token: i64, lasts: i64) -> Result<Option<i64>, StoreError> {
        let sql = format!(
            "UPDATE switchback.lock SET expires = n.now + {lasts} FROM (SELECT {NOW} AS now) AS n \
             WHERE id = 1 AND token = {token} RETURNING n.now"
        );
        Ok(self.look(&sql, &[])?.first().and_then(|row| row[0].int()))
    }

    fn no_upgrade(&mut self) -> Result<Option<String>, StoreError> {
        Self::no_upgrade(self)
    }

    fn is_true(&mut self, question: &str) -> Result<bool, StoreError> {
        self.answer(question)
    }

    fn ledger_version(&mut self) -> Result<Option<i64>, StoreError> {
        if self.ledger.get().is_none() {
            let meta = "SELECT 1 WHERE to_regclass('switchback.meta') IS NOT NULL";
            if self.look(meta, &[])?.is_empty() {
                return Ok(None);
            }
            self.no_strangers()?;
            let rows = self.look("SELECT version FROM switchback.meta LIMIT 2", &[])?;
            self.ledger.set(Some(ledger::version_of(&rows)?));
        }
        Ok(self.ledger.get())
    }

    fn forget_ledger(&mut self) {
        self.ledger.set(None);
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            blob: "BYTEA",
            key: "BYTEA",
            text: "TEXT COLLATE \"C\"",
            clustered: "",
            // An index lies in the schema of its table.
            index: "",
            indexed: INDEXED,
        }
    }

    fn table(&mut self, name: &str) -> Result<Option<Table>, StoreError> {
        if let Some(known) = self.tables.get(name) {
            return Ok(known.clone());
        }
        let table = catalogue::table(self, Asked::Written(name))?;
        self.tables.insert(name.to_owned(), table.clone());
        Ok(table)
    }

    fn readable(&mut self, name: &str) -> Result<Option<Table>, StoreError> {
        match self.tables.get(name) {
            Some(known) => Ok(known.clone()),
            None => catalogue::table(self, Asked::Read(name)),
        }
    }

    fn children(&mut self, parent: &Table) -> Result<Children, StoreError> {
        references::children(self, parent)
    }

    fn table_at(&mut self, name: &TableName) -> Result<Option<Table>, StoreError> {
        if let Some(known) = self.tables_at.get(name) {
            return Ok(known.clone());
        }
        let table = catalogue::table(self, Asked::At(name))?;
        self.tables_at.insert(name.clone(), table.clone());
        Ok(table)
    }

    fn table_name(&mut self, oid: i64) -> Result<Option<TableName>, StoreError> {
        catalogue::table_name(self, oid)
    }

    fn called(&mut self, name: &TableName) -> Result<String, StoreError> {
        let sql = "SELECT 1 WHERE $1 = ANY (current_setting('switchback.path')::text[])";
        let looked_at = !self.look(sql, &[(&name.schema, Type::TEXT)])?.is_empty();
        Ok(if looked_at {
            name.table.clone()
        } else {
            name.to_string()
        })
    }

    fn homes(&mut self, name: &str) -> Result<Vec<TableName>, StoreError> {
        catalogue::homes(self, name)
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
        self.define_column(&self.quoted(table), column)
    }

    fn is_defined(&mut self, table: &str, noted: &str) -> Result<bool, StoreError> {
        match self.table(table)? {
            Some(table) => self.is_defined_so(&self.quoted(&table.name), noted),
            None => Ok(false),
        }
    }

    fn is_column_defined(
        &mut self,
        table: &str,
        column: &str,
        noted: &str,
    ) -> Result<bool, StoreError> {
        self.is_column_so(&self.quoted(table), column, noted)
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
        self.pin_for(table)?;
        let Column { name, .. } = &table.columns[column];
        let ColumnType { kind, full, .. } = self.type_of(&table.columns[column]);
        let mut texts: Vec<Cell> = values.iter().map(|cell| kind.sent(cell)).collect();
        // As texts: not every type can be compared.
        let unlike = |place: usize| {
            let name = quoted(name);
            format!("t.{name}::text IS DISTINCT FROM ${place}::text::{full}::text")
        };
        let mut terms: Vec<String> = (1..=values.len()).map(unlike).collect();
        // Where no key is whole, nothing is read in parts.
        let mut order = String::new();
        if table.whole_key().is_some() {
            let ordered = listed(table, key);
            order = format!("ORDER BY {ordered}");
            if let Some(after) = after {
                let (places, more) = self.places(table, key, &after.0, texts.len() + 1);
                terms.push(self.behind(table, key, &places));
                texts.extend(more);
            }
        }
        let sql = format!(
            "SELECT {} FROM {} AS t WHERE {} {order} LIMIT {limit}",
            self.reads(table),
            self.quoted(&table.name),
            terms.join(" AND ")
        );
        Ok(self.whole(table, self.look_texts(&sql, &texts)?))
    }

    fn fetch(
        &mut self,
        table: &Table,
        by: &[usize],
        keys: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        self.fetch_like((table, by), (table, by), keys, false)
    }

    fn held_together(
        &mut self,
        table: &Table,
        by: &[usize],
        keys: &[Vec<Cell>],
    ) -> Result<usize, StoreError> {
        self.fit_together(table, by, keys)
    }

    fn fetch_some(
        &mut self,
        table: &Table,
        by: &[usize],
        keys: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let fit = self.fit_together(table, by, keys)?;
        self.fetch(table, by, &keys[..fit])
    }

    fn referring(
        &mut self,
        (child, key): (&Table, &ForeignKey),
        parent: &Table,
        order: &[usize],
        values: &[(Vec<Cell>, Option<Key>)],
        limit: usize,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let like = parent.positions(&key.parent_columns)?;
        let of = (child, &key.columns[..]);
        self.page_like(of, (parent, &like), order, values, (limit, child.alone))
    }

    fn referred(
        &mut self,
        (child, key): (&Table, &ForeignKey),
        parent: &Table,
        values: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let by = parent.positions(&key.parent_columns)?;
        self.fetch_like((parent, &by), (child, &key.columns), values, parent.alone)
    }

    fn fetch_page(
        &mut self,
        table: &Table,
        by: &[usize],
        order: &[usize],
        keys: &[(Vec<Cell>, Option<Key>)],
        limit: usize,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        self.page_like((table, by), (table, by), order, keys, (limit, false))
    }

    fn count(&mut self, table: &Table, most: Option<u64>) -> Result<u64, StoreError> {
        let rows = self.look_widely(&counting(&self.quoted(&table.name), most), &[])?;
        counted(&rows)
    }

    fn page(
        &mut self,
        table: &Table,
        key: &[usize],
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.pin_for(table)?;
        let ordered = listed(table, key);
        let (mut start, mut texts) = (String::new(), Vec::new());
        if let Some(after) = after {
            let (places, cells) = self.places(table, key, &after.0, 1);
            start = format!("WHERE {}", self.behind(table, key, &places));
            texts = cells;
        }
        let sql = format!(
            "SELECT {} FROM {} AS t {start} ORDER BY {ordered} LIMIT {limit}",
            self.reads(table),
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
        self.pin_for(child)?;
        let parent = self.readable(&key.parent)?;
        let parent = parent
            .ok_or_else(|| StoreError::refused(format!("there is no table `{}`", key.parent)))?;
        let own = |place: &usize| format!("t.{}", quoted(&child.columns[*place].name));
        let set: Vec<String> = key
            .columns
            .iter()
            .map(|place| format!("{} IS NOT NULL", own(place)))
            .collect();
        let mut same: Vec<String> = Vec::new();
        for (name, place) in key.parent_columns.iter().zip(&key.columns) {
            let of = parent
                .position(name)
                .ok_or_else(|| StoreError::refused(format!("{} lacks {name}", parent.name)))?;
            let equal = self.equal(&parent.columns[of], &child.columns[*place]);
            same.push(format!("p.{} {equal} {}", quoted(name), own(place)));
        }
        let from = format!(
            "FROM {} AS t WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {})",
            self.named(child, child.alone),
            set.join(" AND "),
            self.named(&parent, parent.alone),
            same.join(" AND ")
        );
        let count = self.ask_widely(&format!("SELECT pg_catalog.count(*) {from}"), &[])?;
        let count = count.first().and_then(|row| row[0].int()).unwrap_or(0);
        let reads = self.reads(child);
        let rows = self.ask_widely(&format!("SELECT {reads} {from} LIMIT {limit}"), &[])?;
        Ok((count.unsigned_abs(), self.whole(child, rows)))
    }

    fn entries(&mut self, entity: i64, keys: &[&str]) -> Result<Vec<Option<Entry>>, StoreError> {
        let cells = keys
            .iter()
            .map(|key| Cell::from(stored_source(key).as_ref()))
            .collect();
        let same = format!("i.entity = {entity} AND i.source = k.c0");
        self.entries_by((Type::TEXT, cells), &same)
    }

    fn claims(&mut self, claim: i64, targets: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        let cells = targets.iter().map(target_bytes).collect();
        // A ledger of version 1 has an index of the whole key.
        let part = match self.ledger_version()? {
            Some(1) => "",
            _ => " AND substr(i.target, 1, 1000) = substr(k.c0, 1, 1000)",
        };
        let same = format!("i.claim = {claim}{part} AND i.target = k.c0");
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

    fn trigger_faults(
        &mut self,
        table: &Table,
        accepted: &[String],
    ) -> Result<Vec<String>, StoreError> {
        self.uncounted(table, accepted)
    }

    fn fired(&mut self, table: &Table, undone: Action) -> Result<Vec<String>, StoreError> {
        let event = match undone {
            Action::Insert => Event::Delete,
            Action::Delete => Event::Insert,
            _ => Event::Update,
        };
        self.fired_by(table, event)
    }

    fn loud(&mut self, table: &Table) -> Result<Option<String>, StoreError> {
        Postgres::loud(self, table)
    }

    fn is_json(&self, column: &Column) -> bool {
        self.type_of(column).kind == values::Kind::Json
    }

    fn spelled_key(&self, column: &Column, text: &str) -> Result<Result<Cell, String>, StoreError> {
        self.spelled(column, text)
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

    fn has_all_characters(&self) -> bool {
        self.is_unicode()
    }

    fn barred(&self) -> Option<String> {
        self.fires_nothing()
    }

    fn describe(&self) -> String {
        Postgres::describe(self)
    }
}

impl Postgres {
    /// Entries by the place of what they are asked by; the last of a place wins, which is not of a
    /// deleted row where there are several.
    fn entries_by(
        &mut self,
        asked: (Type, Vec<Cell>),
        same: &str,
    ) -> Result<Vec<Option<Entry>>, StoreError> {
        let mut found = vec![None; asked.1.len()];
        if found.is_empty() {
            return Ok(found);
        }
        let columns = Entry::read(self.ledger_version()?.unwrap_or_default());
        let source = self.source(vec![asked])?;
        let sql = format!(
            "SELECT k.n, r.* FROM {} CROSS JOIN LATERAL (SELECT {columns} FROM switchback.ids AS i WHERE {same} OFFSET 0) \
             AS r ORDER BY r.gone DESC",
            source.from
        );
        for mut row in self.look(&sql, &source.params())? {
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
