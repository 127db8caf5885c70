//! Statements and reads on SQLite.

use std::borrow::Cow;

use contract::plan::{Add, Field};
use rusqlite::{CachedStatement, params_from_iter};
use serde_json::Value;
use system::crash_point;

use super::connect::{LedgerVersion, Sqlite, cell, quoted};
use super::programs::Event;
use super::{additions, catalogue, keys, references, values};
use crate::additions::{Addition, Planned};
use crate::catalogue::{Children, Column, ForeignKey, Table, TableName, counted, counting};
use crate::engine::PAGE_BYTES;
use crate::ledger::{self, Action, Dialect, Entry, Statement, stored_source};
use crate::{Cell, Key, Row, Sql, StoreError};

impl Sqlite {
    pub(super) fn rows(&self, sql: &str, params: &[Cell]) -> Result<Vec<Row>, StoreError> {
        crash_point!("sqlite.rows", |error| self.error(&injected(error)));
        self.rows_as(sql, params, Ok)
    }

    /// Reads rows one by one, and keeps what `each` makes of them.
    pub(super) fn rows_as(
        &self,
        sql: &str,
        params: &[Cell],
        each: impl FnMut(Row) -> Result<Row, StoreError>,
    ) -> Result<Vec<Row>, StoreError> {
        self.rows_until(usize::MAX, sql, params, each)
    }

    /// Does so until the rows that it has read hold `most` bytes.
    fn rows_until(
        &self,
        most: usize,
        sql: &str,
        params: &[Cell],
        mut each: impl FnMut(Row) -> Result<Row, StoreError>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.prepared(sql)?;
        let wrong = |error| self.error_in(&error, sql, false);
        let width = statement.column_count();
        let mut found = statement.query(params_from_iter(params)).map_err(wrong)?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while bytes < most
            && let Some(row) = found.next().map_err(wrong)?
        {
            let cells = (0..width).map(|place| row.get_ref(place).map(cell));
            let cells: Row = cells.collect::<Result<_, _>>().map_err(wrong)?;
            bytes += cells.iter().map(Cell::len).sum::<usize>();
            rows.push(each(cells)?);
        }
        Ok(rows)
    }

    pub(super) fn run(&self, sql: &str, params: &[Cell]) -> Result<u64, StoreError> {
        crash_point!("sqlite.run", |error| self.error(&injected(error)));
        let mut statement = self.prepared(sql)?;
        let count = statement.execute(params_from_iter(params));
        count
            .map(|count| count as u64)
            .map_err(|error| self.error_in(&error, sql, false))
    }

    fn prepared(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        let statement = self.conn.prepare_cached(sql);
        statement.map_err(|error| self.error_in(&error, sql, true))
    }

    pub(super) fn try_batch(&self, sql: &str) -> rusqlite::Result<()> {
        crash_point!(
            format!("sqlite.{}", sql.split(' ').next().unwrap_or(sql)).as_str(),
            injected
        );
        self.conn.execute_batch(sql)?;
        // The answer may be lost after the deed.
        crash_point!("sqlite.answer", injected);
        Ok(())
    }
}

/// What a crash point that fails says.
#[cfg(feature = "crash")]
fn injected(error: std::io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

/// The ledger's tables are `switchback_…` in the same file.
pub(super) fn spelled(sql: &Statement) -> String {
    sql.spelled("switchback_", "?")
}

/// `a, b, c` of a table's columns.
pub(super) fn names<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns
        .map(|column| quoted(&column.name))
        .collect::<Vec<_>>()
        .join(", ")
}

impl Sqlite {
    /// `a = ?1 AND b = ?2` of some columns, the first place being `first`.
    pub(super) fn equals(
        &self,
        table: &Table,
        columns: &[usize],
        first: usize,
        cells: &[Cell],
    ) -> String {
        let term = |(column, slot): (&usize, String)| {
            format!("{} = {slot}", quoted(&table.columns[*column].name))
        };
        columns
            .iter()
            .zip(self.slots(first, cells))
            .map(term)
            .collect::<Vec<_>>()
            .join(" AND ")
    }

    /// Finds whole rows by the values of some columns.
    fn finder<'a>(
        &'a self,
        table: &'a Table,
        by: &'a [usize],
    ) -> impl Fn(&Vec<Cell>) -> Result<Vec<Row>, StoreError> + 'a {
        let columns = self.whole(table);
        move |key| {
            let sql = format!(
                "SELECT {columns} FROM {} WHERE {}",
                quoted(&table.name),
                self.equals(table, by, 1, key)
            );
            self.read_whole(table, &sql, key)
        }
    }

    /// What a statement reads of whole rows.
    pub(super) fn whole(&self, table: &Table) -> String {
        self.reads(table.columns.iter().map(|column| quoted(&column.name)))
    }
}

impl Sql for Sqlite {
    fn query_made(&mut self, sql: &Statement, params: &[Cell]) -> Result<Vec<Row>, StoreError> {
        self.rows(&spelled(sql), params)
    }

    fn changes_before(
        &mut self,
        columns: &'static str,
        run: i64,
        before: i64,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        crash_point!("sqlite.rows", |error| self.error(&injected(error)));
        let statement = Statement::from("SELECT ")
            + columns
            + " FROM ledger.changes WHERE run = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT "
            + limit;
        let params = [run.into(), before.into()];
        self.rows_until(PAGE_BYTES, &spelled(&statement), &params, Ok)
    }

    fn execute_made(&mut self, sql: &Statement, params: &[Cell]) -> Result<u64, StoreError> {
        self.run(&spelled(sql), params)
    }

    fn now(&mut self) -> Result<i64, StoreError> {
        // The file has no clock of its own: its host's is the target's clock.
        let moved: i64 = system::crash_number!("SWITCHBACK_CLOCK", 0);
        Ok(chrono::Utc::now().timestamp_millis() + moved)
    }

    fn is_true(&mut self, question: &str) -> Result<bool, StoreError> {
        self.answer(question)
    }

    fn ledger_version(&mut self) -> Result<Option<i64>, StoreError> {
        if let LedgerVersion::Found(known) = self.ledger.get() {
            return Ok(known);
        }
        let meta = "SELECT 1 FROM sqlite_master WHERE name = 'switchback_meta'";
        let version = if self.rows(meta, &[])?.is_empty() {
            None
        } else {
            self.no_strangers()?;
            let rows = self.rows("SELECT version FROM switchback_meta LIMIT 2", &[])?;
            Some(ledger::version_of(&rows)?)
        };
        self.ledger.set(LedgerVersion::Found(version));
        Ok(version)
    }

    fn forget_ledger(&mut self) {
        self.ledger.set(LedgerVersion::NotAsked);
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            blob: "BLOB",
            key: "",
            text: "TEXT",
            clustered: " WITHOUT ROWID",
            index: "ledger.",
            indexed: "target",
        }
    }

    fn table(&mut self, name: &str) -> Result<Option<Table>, StoreError> {
        catalogue::table(self, name)
    }

    fn table_at(&mut self, name: &TableName) -> Result<Option<Table>, StoreError> {
        if name.schema == catalogue::SCHEMA {
            catalogue::table(self, &name.table)
        } else {
            Ok(None)
        }
    }

    fn homes(&mut self, name: &str) -> Result<Vec<TableName>, StoreError> {
        let table = catalogue::table(self, name)?;
        Ok(table.into_iter().map(|table| table.id).collect())
    }

    fn tables(&mut self) -> Result<Vec<String>, StoreError> {
        catalogue::tables(self)
    }

    fn children(&mut self, parent: &Table) -> Result<Children, StoreError> {
        references::children(self, parent)
    }

    fn definition(&mut self, table: &str) -> Result<Option<String>, StoreError> {
        additions::definition(self, table)
    }

    fn column_definition(
        &mut self,
        table: &str,
        column: &str,
    ) -> Result<Option<String>, StoreError> {
        additions::column_definition(self, table, column)
    }

    fn planned(&mut self, add: &Add, names: &[&str]) -> Result<Planned, StoreError> {
        additions::planned(self, add, names)
    }

    fn adding(&self, addition: &Addition) -> Vec<String> {
        let add = addition.statement(self);
        std::iter::once(add).chain(addition.initial(self)).collect()
    }

    fn built_on(&mut self, table: &str, column: Option<&str>) -> Result<Vec<String>, StoreError> {
        additions::built_on(self, table, column)
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
        additions::unlike(self, (table, column), values, key, after, limit)
    }

    fn fetch(
        &mut self,
        table: &Table,
        by: &[usize],
        keys: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        keys.iter().map(self.finder(table, by)).collect()
    }

    fn fetch_some(
        &mut self,
        table: &Table,
        by: &[usize],
        keys: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let (mut found, mut bytes) = (Vec::with_capacity(keys.len()), 0);
        for rows in keys.iter().map(self.finder(table, by)) {
            let rows = rows?;
            bytes += rows.iter().flatten().map(Cell::len).sum::<usize>();
            found.push(rows);
            if bytes >= PAGE_BYTES {
                break;
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
        let columns = self.whole(table);
        let ordered = names(order.iter().map(|column| &table.columns[*column]));
        let find = |(key, after): &(Vec<Cell>, Option<Key>)| {
            let mut params = key.clone();
            let mut start = String::new();
            if let Some(after) = after {
                let places = self.slots(params.len() + 1, &after.0);
                start = format!("AND ({ordered}) > ({})", places.join(", "));
                params.extend(after.0.iter().cloned());
            }
            let sql = format!(
                "SELECT {columns} FROM {} WHERE {} {start} ORDER BY {ordered} LIMIT {limit}",
                quoted(&table.name),
                self.equals(table, by, 1, key)
            );
            self.read_whole(table, &sql, &params)
        };
        keys.iter().map(find).collect()
    }

    fn referring(
        &mut self,
        child: (&Table, &ForeignKey),
        parent: &Table,
        order: &[usize],
        values: &[(Vec<Cell>, Option<Key>)],
        limit: usize,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let find = |asked| references::referring(self, child, parent, order, asked, limit);
        values.iter().map(find).collect()
    }

    fn referred(
        &mut self,
        (_, key): (&Table, &ForeignKey),
        parent: &Table,
        values: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        // The parent's columns decide by which collation they are compared, as for the key itself.
        self.fetch(parent, &parent.positions(&key.parent_columns)?, values)
    }

    fn count(&mut self, table: &Table, most: Option<u64>) -> Result<u64, StoreError> {
        let rows = self.rows(&counting(&quoted(&table.name), most), &[])?;
        counted(&rows)
    }

    fn page(
        &mut self,
        table: &Table,
        key: &[usize],
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let columns = self.whole(table);
        let order = names(key.iter().map(|column| &table.columns[*column]));
        let after = after.map_or(&[][..], |key| &key.0);
        let start = if after.is_empty() {
            String::new()
        } else {
            format!("WHERE ({order}) > ({})", self.slots(1, after).join(", "))
        };
        let sql = format!(
            "SELECT {columns} FROM {} {start} ORDER BY {order} LIMIT {limit}",
            quoted(&table.name)
        );
        self.read_whole(table, &sql, after)
    }

    fn orphans(
        &mut self,
        child: &Table,
        key: &ForeignKey,
        limit: usize,
    ) -> Result<(u64, Vec<Row>), StoreError> {
        let own = |place: &usize| format!("child.{}", quoted(&child.columns[*place].name));
        let set: Vec<String> = key
            .columns
            .iter()
            .map(|place| format!("{} IS NOT NULL", own(place)))
            .collect();
        // The parent's column stands first: its collation decides, as for the key itself.
        let same: Vec<String> = key
            .parent_columns
            .iter()
            .zip(&key.columns)
            .map(|(parent, place)| format!("parent.{} = {}", quoted(parent), own(place)))
            .collect();
        let from = format!(
            "FROM {} AS child WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS parent WHERE {})",
            quoted(&child.name),
            set.join(" AND "),
            quoted(&key.parent),
            same.join(" AND ")
        );
        let columns = self.reads((0..child.columns.len()).map(|place| own(&place)));
        let count = self.rows(&format!("SELECT COUNT(*) {from}"), &[])?;
        let count = count.first().and_then(|row| row[0].int()).unwrap_or(0);
        let rows = self.read_whole(
            child,
            &format!("SELECT {columns} {from} LIMIT {limit}"),
            &[],
        )?;
        Ok((count.unsigned_abs(), rows))
    }

    fn entries(&mut self, entity: i64, keys: &[&str]) -> Result<Vec<Option<Entry>>, StoreError> {
        let version = self.ledger_version()?.unwrap_or_default();
        let sql = format!(
            "SELECT {} FROM switchback_ids WHERE entity = ?1 AND source = ?2",
            Entry::read(version)
        );
        let find = |key: &&str| {
            let row = self
                .rows(&sql, &[entity.into(), stored_source(key).as_ref().into()])?
                .into_iter()
                .next();
            row.map(Entry::from_row).transpose()
        };
        keys.iter().map(find).collect()
    }

    fn claims(&mut self, claim: i64, targets: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        let version = self.ledger_version()?.unwrap_or_default();
        let sql = format!(
            "SELECT {} FROM switchback_ids WHERE claim = ?1 AND target = ?2 ORDER BY gone LIMIT 1",
            Entry::read(version)
        );
        let find = |target: &Key| {
            let row = self
                .rows(&sql, &[claim.into(), target.to_cell()])?
                .into_iter()
                .next();
            row.map(Entry::from_row).transpose()
        };
        targets.iter().map(find).collect()
    }

    fn encode(
        &self,
        field: &Field,
        column: &Column,
        values: &[&Value],
    ) -> Result<Vec<Result<Cell, String>>, StoreError> {
        let encode = |value: &&Value| values::encode(field, column, value);
        Ok(values.iter().map(encode).collect())
    }

    fn misfit(&self, field: &Field, column: &Column) -> Option<String> {
        values::misfit(field, column)
    }

    fn lacks(&mut self, _: Option<(&Table, &[usize])>) -> Result<Vec<String>, StoreError> {
        // A file that can be written can be written in all its tables.
        Ok(vec![])
    }

    fn rowids(
        &mut self,
        table: &Table,
        key: &[usize],
        keys: &[Key],
    ) -> Result<Vec<Option<i64>>, StoreError> {
        let Some(rowid) = table.rowid else {
            return Ok(vec![None; keys.len()]);
        };
        let one = |row: &Key| {
            let sql = format!(
                "SELECT {rowid} FROM {} WHERE {}",
                quoted(&table.name),
                self.equals(table, key, 1, &row.0)
            );
            let found = self.rows(&sql, &row.0)?;
            Ok(found.first().and_then(|row| row[0].int()))
        };
        keys.iter().map(one).collect()
    }

    fn trigger_faults(
        &mut self,
        table: &Table,
        accepted: &[String],
    ) -> Result<Vec<String>, StoreError> {
        self.trigger_faults_of(table, accepted)
    }

    fn fired(&mut self, table: &Table, undone: Action) -> Result<Vec<String>, StoreError> {
        let event = match undone {
            Action::Insert => Event::Delete,
            Action::Delete => Event::Insert,
            _ => Event::Update,
        };
        self.fired_by(table, event)
    }

    fn loud(&mut self, _: &Table) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    fn may_end_transactions(&mut self) -> Result<bool, StoreError> {
        // The word is needed to say so, in a table's or a trigger's own text.
        let sql = "SELECT 1 FROM sqlite_master WHERE sql LIKE '%rollback%' \
                   AND tbl_name NOT LIKE 'switchback\\_%' ESCAPE '\\' LIMIT 1";
        Ok(!self.rows(sql, &[])?.is_empty())
    }

    fn overwrite_deleted(&mut self) -> Result<(), StoreError> {
        // SQLite: pragma.html#pragma_secure_delete; it lasts as long as the connection.
        let set = self
            .conn
            .pragma_update_and_check(None, "secure_delete", true, |_| Ok(()));
        set.map_err(|error| self.error(&error))
    }

    fn odd_text(&mut self, table: &Table) -> Result<Vec<String>, StoreError> {
        Self::odd_text(self, table)
    }

    fn is_json(&self, column: &Column) -> bool {
        values::is_json(column)
    }

    fn spelled_key(&self, column: &Column, text: &str) -> Result<Result<Cell, String>, StoreError> {
        Ok(keys::spelled(column, text))
    }

    fn key_cell(&self, column: &Column, text: &str) -> Cell {
        values::key_cell(column, text)
    }

    fn canonical<'a>(&self, field: Option<&Field>, cell: &'a Cell) -> Cow<'a, Cell> {
        values::canonical(field, cell)
    }

    fn portable(&self, column: &Column, cell: Cell) -> Cell {
        values::portable(&column.declared, cell)
    }

    fn describe(&self) -> String {
        // The same however it was written.
        let path = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        format!("sqlite:{}", path.display())
    }
}
