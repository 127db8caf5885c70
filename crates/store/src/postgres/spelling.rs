//! Tables and cells as statements spell them, and rows as they come back.

use postgres::types::{ToSql, Type};

use super::connect::{Postgres, quoted};
use super::folds::Folds;
use super::sql::Param;
use super::stage::Columns;
use super::values;
use crate::catalogue::{Column, Table};
use crate::{Cell, Row, Sql, StoreError};

impl Postgres {
    /// The columns of whole rows to be read, of the table that a statement calls `t`.
    pub(super) fn reads(&self, table: &Table) -> String {
        let read = |(place, column): (usize, &Column)| {
            let kind = self.type_of(column).kind;
            let read = kind.read(&format!("t.{}", quoted(&column.name)));
            match self.folds(table, place) {
                Some(folds) => folds.read(&read),
                None => read,
            }
        };
        let columns = table.columns.iter().enumerate();
        columns.map(read).collect::<Vec<_>>().join(", ")
    }

    /// How the server folds a column of whole rows, if it does.
    fn folds(&self, table: &Table, place: usize) -> Option<Folds> {
        let is_utf8 = self.has_all_characters();
        let kind = self.type_of(&table.columns[place]).kind;
        Folds::of(kind).filter(|_| is_utf8 && table.folded.contains(&place))
    }

    /// `k.c0::int8, k.c1::text` of some columns, the first being `first`.
    pub(super) fn typed_columns(
        &self,
        table: &Table,
        columns: &[usize],
        first: usize,
    ) -> Vec<String> {
        let typed = |(at, place): (usize, &usize)| {
            format!(
                "k.c{}::{}",
                first + at,
                self.type_of(&table.columns[*place]).cast
            )
        };
        columns.iter().enumerate().map(typed).collect()
    }

    /// `t.a = k.c0::int8 AND …` of some columns, the first being `first`.
    pub(super) fn matches(&self, table: &Table, columns: &[usize], first: usize) -> String {
        let typed = self.typed_columns(table, columns, first);
        let equal = |(place, typed): (&usize, String)| {
            let column = &table.columns[*place];
            format!(
                "t.{} {} {typed}",
                quoted(&column.name),
                self.equal(column, column)
            )
        };
        columns
            .iter()
            .zip(typed)
            .map(equal)
            .collect::<Vec<_>>()
            .join(" AND ")
    }

    /// Turns rows of cells into columns of the texts that the server reads.
    pub(super) fn sent<'a, R: IntoIterator<Item = &'a Cell>>(
        &self,
        table: &Table,
        columns: &[usize],
        rows: impl Iterator<Item = R>,
    ) -> Columns {
        let kinds: Vec<values::Kind> = columns
            .iter()
            .map(|place| self.type_of(&table.columns[*place]).kind)
            .collect();
        let mut sent: Columns = columns.iter().map(|_| (Type::TEXT, Vec::new())).collect();
        for row in rows {
            for (((_, texts), kind), cell) in sent.iter_mut().zip(&kinds).zip(row) {
                texts.push(kind.sent(cell));
            }
        }
        sent
    }

    /// Gives the cells of whole rows that were read the form in which they are kept.
    pub(super) fn whole(&self, table: &Table, mut rows: Vec<Row>) -> Vec<Row> {
        for (place, column) in table.columns.iter().enumerate() {
            if let Some(folds) = self.folds(table, place) {
                for row in &mut rows {
                    folds.received(&mut row[place]);
                }
            }
            let kind = self.type_of(column).kind;
            for row in rows.iter_mut().filter(|_| kind == values::Kind::Array) {
                let cell = std::mem::replace(&mut row[place], Cell::Null);
                row[place] = kind.received(cell);
            }
        }
        rows
    }

    /// `$3::text::int8, …`: the cells of a key as parameters, and their texts.
    pub(super) fn places(
        &self,
        table: &Table,
        columns: &[usize],
        cells: &[Cell],
        first: usize,
    ) -> (Vec<String>, Vec<Cell>) {
        let place = |(at, (place, cell)): (usize, (&usize, &Cell))| {
            let found = self.type_of(&table.columns[*place]);
            (
                format!("${}::pg_catalog.text::{}", first + at, found.cast),
                found.kind.sent(cell),
            )
        };
        columns.iter().zip(cells).enumerate().map(place).unzip()
    }

    pub(super) fn ask_texts(&self, sql: &str, texts: &[Cell]) -> Result<Vec<Row>, StoreError> {
        self.ask(sql, &text_params(texts))
    }

    pub(super) fn look_texts(&self, sql: &str, texts: &[Cell]) -> Result<Vec<Row>, StoreError> {
        self.look(sql, &text_params(texts))
    }

    /// The operator by which two columns are compared, with its schema: that of their type's own operator
    /// class. Columns of different types are compared as the server converts them.
    pub(super) fn equal(&self, one: &Column, other: &Column) -> String {
        let (one, other) = (self.type_of(one), self.type_of(other));
        let own = if one.cast == other.cast {
            &one.equal
        } else {
            OWN
        };
        format!("OPERATOR({own})")
    }

    /// `(t.a, t.b) > ($1, $2)`: what comes after a place in the order of some columns.
    pub(super) fn behind(&self, table: &Table, key: &[usize], places: &[String]) -> String {
        let types: Vec<_> = key
            .iter()
            .map(|place| self.type_of(&table.columns[*place]))
            .collect();
        let same = types
            .first()
            .filter(|first| types.iter().all(|other| other.greater == first.greater));
        if let Some(first) = same {
            return format!(
                "({}) OPERATOR({}) ({})",
                listed(table, key),
                first.greater,
                places.join(", ")
            );
        }
        // Operators of several schemas can't compare rows: column by column, the last one first.
        let mut after = String::from("FALSE");
        for ((column, of), place) in key.iter().zip(&types).zip(places).rev() {
            let name = listed(table, &[*column]);
            after = format!(
                "({name} OPERATOR({}) {place} OR ({name} OPERATOR({}) {place} AND {after}))",
                of.greater, of.equal
            );
        }
        after
    }
}

fn text_params(texts: &[Cell]) -> Vec<Param<'_>> {
    texts
        .iter()
        .map(|text| (text as &(dyn ToSql + Sync), Type::TEXT))
        .collect()
}

/// The server's own operator of equality.
const OWN: &str = "pg_catalog.=";

/// `t.a, t.b` of some columns.
pub(super) fn listed(table: &Table, columns: &[usize]) -> String {
    let name = |place: &usize| format!("t.{}", quoted(&table.columns[*place].name));
    columns.iter().map(name).collect::<Vec<_>>().join(", ")
}
