//! Statements and reads on SQLite.

use std::borrow::Cow;

use contract::crash_point;
use contract::plan::{Add, Field};
use rusqlite::params_from_iter;
use serde_json::Value;

use super::connect::{Sqlite, cell, quoted};
use super::{additions, catalogue, values};
use crate::additions::{Addition, Planned};
use crate::catalogue::{Column, ForeignKey, Table};
use crate::ledger::Entry;
use crate::{Cell, Key, Row, Sql, StoreError};

impl Sqlite {
    pub(super) fn rows(&self, sql: &str, params: &[Cell]) -> Result<Vec<Row>, StoreError> {
        self.try_rows(sql, params)
            .map_err(|error| self.error(&error))
    }

    fn try_rows(&self, sql: &str, params: &[Cell]) -> rusqlite::Result<Vec<Row>> {
        crash_point!("sqlite.rows", injected);
        let mut statement = self.conn.prepare_cached(sql)?;
        let width = statement.column_count();
        let mut found = statement.query(params_from_iter(params))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push(
                (0..width)
                    .map(|place| row.get_ref(place).map(cell))
                    .collect::<Result<_, _>>()?,
            );
        }
        Ok(rows)
    }

    pub(super) fn run(&self, sql: &str, params: &[Cell]) -> Result<u64, StoreError> {
        self.try_run(sql, params)
            .map_err(|error| self.error(&error))
    }

    fn try_run(&self, sql: &str, params: &[Cell]) -> rusqlite::Result<u64> {
        crash_point!("sqlite.run", injected);
        let mut statement = self.conn.prepare_cached(sql)?;
        Ok(statement.execute(params_from_iter(params))? as u64)
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
pub(super) fn spelled(sql: &str) -> String {
    sql.replace("ledger.", "switchback_")
}

/// `a, b, c` of a table's columns.
pub(super) fn names<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns
        .map(|column| quoted(&column.name))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `a = ?1 AND b = ?2` of some columns, the first place being `first`.
pub(super) fn equals(table: &Table, columns: &[usize], first: usize) -> String {
    let term = |(place, column): (usize, &usize)| {
        format!(
            "{} = ?{}",
            quoted(&table.columns[*column].name),
            first + place
        )
    };
    columns
        .iter()
        .enumerate()
        .map(term)
        .collect::<Vec<_>>()
        .join(" AND ")
}

impl Sql for Sqlite {
    fn query(&mut self, sql: &str, params: &[Cell]) -> Result<Vec<Row>, StoreError> {
        self.rows(&spelled(sql), params)
    }

    fn execute(&mut self, sql: &str, params: &[Cell]) -> Result<u64, StoreError> {
        self.run(&spelled(sql), params)
    }

    fn now(&mut self) -> Result<i64, StoreError> {
        // The file has no clock of its own: its host's is the target's clock.
        let moved: i64 = contract::crash_number!("SWITCHBACK_CLOCK", 0);
        Ok(chrono::Utc::now().timestamp_millis() + moved)
    }

    fn is_true(&mut self, question: &str) -> Result<bool, StoreError> {
        self.answer(question)
    }

    fn has_ledger(&mut self) -> Result<bool, StoreError> {
        Ok(!self
            .rows(
                "SELECT 1 FROM sqlite_master WHERE name = 'switchback_meta'",
                &[],
            )?
            .is_empty())
    }

    fn table(&mut self, name: &str) -> Result<Option<Table>, StoreError> {
        catalogue::table(self, name)
    }

    fn tables(&mut self) -> Result<Vec<String>, StoreError> {
        catalogue::tables(self)
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
        let columns = names(table.columns.iter());
        let sql = format!(
            "SELECT {columns} FROM {} WHERE {}",
            quoted(&table.name),
            equals(table, by, 1)
        );
        keys.iter().map(|key| self.rows(&sql, key)).collect()
    }

    fn fetch_page(
        &mut self,
        table: &Table,
        by: &[usize],
        order: &[usize],
        keys: &[(Vec<Cell>, Option<Key>)],
        limit: usize,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let columns = names(table.columns.iter());
        let ordered = names(order.iter().map(|column| &table.columns[*column]));
        let find = |(key, after): &(Vec<Cell>, Option<Key>)| {
            let mut params = key.clone();
            let mut start = String::new();
            if let Some(after) = after {
                let first = params.len() + 1;
                let places: Vec<String> = (first..first + order.len())
                    .map(|place| format!("?{place}"))
                    .collect();
                start = format!("AND ({ordered}) > ({})", places.join(", "));
                params.extend(after.0.iter().cloned());
            }
            let sql = format!(
                "SELECT {columns} FROM {} WHERE {} {start} ORDER BY {ordered} LIMIT {limit}",
                quoted(&table.name),
                equals(table, by, 1)
            );
            self.rows(&sql, &params)
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
        let columns = names(table.columns.iter());
        let order = names(key.iter().map(|column| &table.columns[*column]));
        let places: Vec<String> = (1..=key.len()).map(|place| format!("?{place}")).collect();
        let start = if after.is_some() {
            format!("WHERE ({order}) > ({})", places.join(", "))
        } else {
            String::new()
        };
        let sql = format!(
            "SELECT {columns} FROM {} {start} ORDER BY {order} LIMIT {limit}",
            quoted(&table.name)
        );
        self.rows(&sql, after.map_or(&[][..], |key| &key.0))
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
        let columns: Vec<String> = (0..child.columns.len()).map(|place| own(&place)).collect();
        let count = self.rows(&format!("SELECT COUNT(*) {from}"), &[])?;
        let count = count.first().and_then(|row| row[0].int()).unwrap_or(0);
        let rows = self.rows(
            &format!("SELECT {} {from} LIMIT {limit}", columns.join(", ")),
            &[],
        )?;
        Ok((count.unsigned_abs(), rows))
    }

    fn entries(&mut self, entity: i64, keys: &[&str]) -> Result<Vec<Option<Entry>>, StoreError> {
        const SQL: &str = "SELECT entity, source, claim, target, gone, digest, sums, run, seq FROM switchback_ids \
                           WHERE entity = ?1 AND source = ?2";
        let find = |key: &&str| {
            let row = self
                .rows(SQL, &[entity.into(), (*key).into()])?
                .into_iter()
                .next();
            row.map(Entry::from_row).transpose()
        };
        keys.iter().map(find).collect()
    }

    fn claims(&mut self, claim: i64, targets: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        const SQL: &str = "SELECT entity, source, claim, target, gone, digest, sums, run, seq FROM switchback_ids \
                           WHERE claim = ?1 AND target = ?2 ORDER BY gone LIMIT 1";
        let find = |target: &Key| {
            let row = self
                .rows(SQL, &[claim.into(), target.to_cell()])?
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

    fn loud(&mut self, _: &Table) -> Result<Option<String>, StoreError> {
        Ok(None)
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
