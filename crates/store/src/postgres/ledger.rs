//! The ledger's rows, written in sets.

use postgres::types::Type;

use super::connect::Postgres;
use super::sql::target_bytes;
use super::stage::Columns;
use crate::ledger::{Change, Entry, Mapping, stored_source};
use crate::{Row, StoreError};

const ENTRY: [Type; 10] = [
    Type::INT8,
    Type::TEXT,
    Type::INT8,
    Type::BYTEA,
    Type::INT8,
    Type::BYTEA,
    Type::BYTEA,
    Type::INT8,
    Type::INT8,
    Type::TEXT,
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
        let count = changes.len();
        let row = |change: &Change| {
            let mut row = change.to_row();
            // Of Change::COLUMNS the fifth.
            row[4] = target_bytes(&change.target);
            row
        };
        let image = |change: &Change| change.before.encoded_len() + change.after.encoded_len();
        if self.copies(changes.len(), changes.iter().map(image).sum()) {
            let sql = format!(
                "COPY switchback.changes (run, {}) FROM STDIN",
                Change::COLUMNS
            );
            let rows = changes.iter().map(|change| {
                let mut row = row(change);
                row.insert(0, run.into());
                row
            });
            return wrote(self.copy_rows(&sql, rows)?, count);
        }
        let source = self.source(turned(&CHANGE, changes.iter().map(row)))?;
        let sql = format!(
            "INSERT INTO switchback.changes (run, {}) SELECT {run}, {} FROM {}",
            Change::COLUMNS,
            listed(CHANGE.len()),
            source.from
        );
        wrote(self.note(&sql, &source.params())?, count)
    }

    pub(super) fn write_entries(&self, entries: &[Mapping]) -> Result<(), StoreError> {
        let row = |entry: &Entry| {
            let mut row = entry.to_ledger();
            // Of Entry::COLUMNS the fourth.
            row[3] = target_bytes(&entry.target);
            row
        };
        let rows = |new: bool| -> Vec<Row> {
            let those = entries.iter().filter(|mapping| mapping.new == new);
            those
                .filter_map(|mapping| mapping.entry.as_ref().map(row))
                .collect()
        };
        self.insert_entries(rows(true), "")?;
        self.insert_entries(
            rows(false),
            "ON CONFLICT (entity, source) DO UPDATE SET \
             claim = excluded.claim, target = excluded.target, gone = excluded.gone, digest = excluded.digest, \
             sums = excluded.sums, run = excluded.run, seq = excluded.seq, long = excluded.long",
        )?;
        let gone: Vec<Row> = entries
            .iter()
            .filter(|mapping| mapping.entry.is_none())
            .map(|mapping| {
                let source = stored_source(&mapping.source).into_owned();
                vec![mapping.entity.into(), source.into()]
            })
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let count = gone.len();
        let source = self.source(turned(&ENTRY[..2], gone.into_iter()))?;
        let sql = format!(
            "DELETE FROM switchback.ids AS i USING {} WHERE i.entity = k.c0 AND i.source = k.c1",
            source.from
        );
        wrote(self.note(&sql, &source.params())?, count)
    }

    fn insert_entries(&self, rows: Vec<Row>, otherwise: &str) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let count = rows.len();
        if otherwise.is_empty() && self.copies(count, 0) {
            let sql = format!("COPY switchback.ids ({}) FROM STDIN", Entry::COLUMNS);
            return wrote(self.copy_rows(&sql, rows.into_iter())?, count);
        }
        let source = self.source(turned(&ENTRY, rows.into_iter()))?;
        let sql = format!(
            "INSERT INTO switchback.ids ({}) SELECT {} FROM {} {otherwise}",
            Entry::COLUMNS,
            listed(ENTRY.len()),
            source.from
        );
        wrote(self.note(&sql, &source.params())?, count)
    }

    pub(super) fn write_later(&self, run: i64, pairs: &[(i64, i64)]) -> Result<(), StoreError> {
        if pairs.is_empty() {
            return Ok(());
        }
        let count = pairs.len();
        // The run in a column: as a constant it would have all changes of the run read.
        let rows = pairs
            .iter()
            .map(|(seq, later)| vec![run.into(), (*seq).into(), (*later).into()]);
        let source = self.source(turned(&[Type::INT8, Type::INT8, Type::INT8], rows))?;
        let sql = format!(
            "UPDATE switchback.changes AS c SET later = k.c2 FROM {} WHERE c.run = k.c0 AND c.seq = k.c1",
            source.from
        );
        wrote(self.note(&sql, &source.params())?, count)
    }
}

/// Makes sure that the server wrote as many rows of the ledger as it was sent.
fn wrote(found: u64, sent: usize) -> Result<(), StoreError> {
    if found == sent as u64 {
        return Ok(());
    }
    Err(StoreError::damaged(format!(
        "{found} of {sent} rows of it were written: something keeps the others back"
    )))
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
