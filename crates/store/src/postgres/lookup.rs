//! Rows by the values of some of their columns.

use super::connect::{Postgres, quoted};
use super::spelling::listed;
use crate::catalogue::Table;
use crate::{Cell, Key, Row, StoreError};

/// Columns of a table: the other side's where a foreign key is followed, as values of a parent are not always
/// values of its child's type, and the other way round.
type Columns<'a> = (&'a Table, &'a [usize]);

impl Postgres {
    /// Returns, for each key, the rows whose columns have its values, which are sent as those of the columns
    /// `like`. `alone`: of this table, and of none that inherits from it.
    pub(super) fn fetch_like(
        &mut self,
        (table, by): Columns<'_>,
        like: Columns<'_>,
        keys: &[Vec<Cell>],
        alone: bool,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        if keys.is_empty() {
            return Ok(vec![]);
        }
        self.pin_for(table)?;
        // A writer keeps others from changing what it decides on.
        let lock = if self.writes && self.open.get() {
            "FOR UPDATE"
        } else {
            ""
        };
        let source = self.source(self.sent(like.0, like.1, keys.iter().map(Vec::as_slice)))?;
        let (reads, name) = (self.reads(table), self.named(table, alone));
        let (from, same) = (&source.from, self.same((table, by), like));
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
        let rows = if served {
            self.ask(&sql, &source.params())?
        } else {
            self.ask_widely(&sql, &source.params())?
        };
        Ok(self.by_place(table, rows, keys.len()))
    }

    /// Rows by the place of their key, from 1, which stands before each.
    fn by_place(&self, table: &Table, mut rows: Vec<Row>, count: usize) -> Vec<Vec<Row>> {
        let places: Vec<Cell> = rows.iter_mut().map(|row| row.remove(0)).collect();
        let mut found: Vec<Vec<Row>> = vec![Vec::new(); count];
        for (place, row) in places.iter().zip(self.whole(table, rows)) {
            let at = place.int().and_then(|n| usize::try_from(n - 1).ok());
            if let Some(rows) = at.and_then(|at| found.get_mut(at)) {
                rows.push(row);
            }
        }
        found
    }

    /// `t.a = k.c0::int8 AND …`: the columns of a table, and the values as those of the columns `like`.
    fn same(&self, (table, by): Columns<'_>, like: Columns<'_>) -> String {
        let typed = self.typed_columns(like.0, like.1, 0);
        let equal = |((place, of), typed): ((&usize, &usize), String)| {
            let column = &table.columns[*place];
            let equal = self.equal(column, &like.0.columns[*of]);
            format!("t.{} {equal} {typed}", quoted(&column.name))
        };
        let same: Vec<String> = by.iter().zip(like.1).zip(typed).map(equal).collect();
        same.join(" AND ")
    }

    /// The first page of each key, in one statement.
    fn first_pages(
        &self,
        (table, by): Columns<'_>,
        like: Columns<'_>,
        order: &[usize],
        keys: &[(Vec<Cell>, Option<Key>)],
        (limit, alone): (usize, bool),
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let values = keys.iter().map(|(values, _)| values.as_slice());
        let source = self.source(self.sent(like.0, like.1, values))?;
        let (reads, name) = (self.reads(table), self.named(table, alone));
        let (from, same) = (&source.from, self.same((table, by), like));
        let ordered = listed(table, order);
        let rows = if table.serves(by) {
            let sql = format!(
                "SELECT k.n, r.* FROM {from} CROSS JOIN LATERAL \
                 (SELECT {reads} FROM {name} AS t WHERE {same} ORDER BY {ordered} LIMIT {limit}) AS r ORDER BY k.n"
            );
            self.ask(&sql, &source.params())?
        } else {
            // The whole table is read once, not once for each key.
            let places: Vec<String> = (0..table.columns.len())
                .map(|at| format!("r.v{at}"))
                .collect();
            let names: Vec<String> = (0..table.columns.len())
                .map(|at| format!("v{at}"))
                .collect();
            let sql = format!(
                "SELECT r.n, {} FROM (SELECT k.n, pg_catalog.row_number() OVER (PARTITION BY k.n ORDER BY {ordered}), {reads} \
                 FROM {from} JOIN {name} AS t ON {same}) AS r (n, place, {}) WHERE r.place OPERATOR(pg_catalog.<=) {limit} ORDER BY r.n, r.place",
                places.join(", "),
                names.join(", ")
            );
            self.ask_widely(&sql, &source.params())?
        };
        Ok(self.by_place(table, rows, keys.len()))
    }

    /// Returns a page of them for each key, in the order of `order` and after the place given with it.
    pub(super) fn page_like(
        &mut self,
        (table, by): Columns<'_>,
        like: Columns<'_>,
        order: &[usize],
        keys: &[(Vec<Cell>, Option<Key>)],
        (limit, alone): (usize, bool),
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        if keys.is_empty() {
            return Ok(vec![]);
        }
        self.pin_for(table)?;
        if keys.iter().all(|(_, after)| after.is_none()) {
            return self.first_pages((table, by), like, order, keys, (limit, alone));
        }
        let (reads, name) = (self.reads(table), self.named(table, alone));
        let ordered = listed(table, order);
        let find = |(key, after): &(Vec<Cell>, Option<Key>)| {
            let (places, mut texts) = self.places(like.0, like.1, key, 1);
            let equal = |((column, of), place): ((&usize, &usize), String)| {
                let equal = self.equal(&table.columns[*column], &like.0.columns[*of]);
                format!("{} {equal} {place}", listed(table, &[*column]))
            };
            let same: Vec<String> = by.iter().zip(like.1).zip(places).map(equal).collect();
            let mut start = String::new();
            if let Some(after) = after {
                let (places, more) = self.places(table, order, &after.0, texts.len() + 1);
                start = format!("AND {}", self.behind(table, order, &places));
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

    /// A table as a statement reads it.
    pub(super) fn named(&self, table: &Table, alone: bool) -> String {
        let only = if alone { "ONLY " } else { "" };
        format!("{only}{}", crate::Sql::quoted(self, &table.name))
    }
}
