//! The ledger's rows, written in sets.

use postgres::types::Type;

use super::connect::Postgres;
use super::sql::target_bytes;
use super::stage::Columns;
use crate::ledger::{Change, Entry};
use crate::{Row, StoreError};

const ENTRY: [Type; 9] = [
    Type::INT8,
    Type::TEXT,
    Type::INT8,
    Type::BYTEA,
    Type::INT8,
    Type::BYTEA,
    Type::BYTEA,
    Type::INT8,
    Type::INT8,
];

const CHANGE: [Type; 14] = [
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::BYTEA,
    Type::INT8,
    Type::TEXT,
    Type::BYTEA,
    Type::BYTEA,
    Type::BYTEA,
    Type::INT8,
    Type::INT8,
    Type::BYTEA,
    Type::INT8,
];

impl Postgres {
    pub(super) fn write_changes(&self, run: i64, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let row = |change: &Change| {
            let mut row = change.to_row();
            // Of Change::COLUMNS the fifth.
            row[4] = target_bytes(&change.target);
            row
        };
        let source = self.source(turned(&CHANGE, changes.iter().map(row)))?;
        let sql = format!(
            "INSERT INTO switchback.changes (run, {}) SELECT {run}, {} FROM {}",
            Change::COLUMNS,
            listed(CHANGE.len()),
            source.from
        );
        self.run(&sql, &source.params()).map(|_| ())
    }

    pub(super) fn write_entries(
        &self,
        entries: &[(i64, String, Option<Entry>)],
    ) -> Result<(), StoreError> {
        let row = |entry: &Entry| {
            let mut row = entry.to_row();
            // Of Entry::COLUMNS the fourth.
            row[3] = target_bytes(&entry.target);
            row
        };
        let there: Vec<Row> = entries
            .iter()
            .filter_map(|(.., entry)| entry.as_ref().map(row))
            .collect();
        if !there.is_empty() {
            let source = self.source(turned(&ENTRY, there.into_iter()))?;
            let sql = format!(
                "INSERT INTO switchback.ids (entity, source, claim, target, gone, digest, sums, run, seq) \
                 SELECT {} FROM {} ON CONFLICT (entity, source) DO UPDATE SET \
                 claim = excluded.claim, target = excluded.target, gone = excluded.gone, digest = excluded.digest, \
                 sums = excluded.sums, run = excluded.run, seq = excluded.seq",
                listed(ENTRY.len()),
                source.from
            );
            self.run(&sql, &source.params())?;
        }
        let gone: Vec<Row> = entries
            .iter()
            .filter(|(.., entry)| entry.is_none())
            .map(|(entity, key, _)| vec![(*entity).into(), key.as_str().into()])
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let source = self.source(turned(&ENTRY[..2], gone.into_iter()))?;
        let sql = format!(
            "DELETE FROM switchback.ids AS i USING {} WHERE i.entity = k.c0 AND i.source = k.c1",
            source.from
        );
        self.run(&sql, &source.params()).map(|_| ())
    }

    pub(super) fn write_later(&self, run: i64, pairs: &[(i64, i64)]) -> Result<(), StoreError> {
        if pairs.is_empty() {
            return Ok(());
        }
        // The run in a column: as a constant it would have all changes of the run read.
        let rows = pairs
            .iter()
            .map(|(seq, later)| vec![run.into(), (*seq).into(), (*later).into()]);
        let source = self.source(turned(&[Type::INT8, Type::INT8, Type::INT8], rows))?;
        let sql = format!(
            "UPDATE switchback.changes AS c SET later = k.c2 FROM {} WHERE c.run = k.c0 AND c.seq = k.c1",
            source.from
        );
        self.run(&sql, &source.params()).map(|_| ())
    }
}

/// `k.c0, k.c1` of so many columns.
fn listed(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|place| format!("k.c{place}")).collect();
    names.join(", ")
}

/// Turns rows into columns.
fn turned(types: &[Type], rows: impl Iterator<Item = Row>) -> Columns {
    let mut columns: Columns = types
        .iter()
        .map(|kind| (kind.clone(), Vec::new()))
        .collect();
    for row in rows {
        for ((_, cells), cell) in columns.iter_mut().zip(row) {
            cells.push(cell);
        }
    }
    columns
}
