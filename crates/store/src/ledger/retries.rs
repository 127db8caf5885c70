//! Batches whose records at fault are tried again.

use std::collections::BTreeSet;

use contract::Reject;

use super::batches::{BatchRow, from_row};
use crate::{Row, Sql, StoreError};

/// Returns a batch of a run, if it was tried.
///
/// # Errors
///
/// What the target said.
pub fn batch(sql: &mut dyn Sql, run: i64, no: i64) -> Result<Option<BatchRow>, StoreError> {
    let statement = "SELECT no, phase, entity, records, status, counts, first_seq, last_seq, error, at, files \
                     FROM ledger.batches WHERE run = ?1 AND no = ?2";
    let rows = sql.query(statement, &[run.into(), no.into()])?;
    rows.first().map(from_row).transpose()
}

/// Returns the numbers of the batches that have records at fault.
///
/// # Errors
///
/// What the target said.
pub fn with_failures(sql: &mut dyn Sql, run: i64) -> Result<BTreeSet<i64>, StoreError> {
    let statement = "SELECT DISTINCT batch FROM ledger.failures WHERE run = ?1";
    let number = |row: Row| {
        let number = row[0].int();
        number.ok_or_else(|| StoreError::damaged("a failure does not read"))
    };
    let rows = sql.query(statement, &[run.into()])?;
    rows.into_iter().map(number).collect()
}

/// Returns the records that failed in a batch, in order.
///
/// # Errors
///
/// What the target said.
pub fn of_batch(sql: &mut dyn Sql, run: i64, no: i64) -> Result<Vec<Reject>, StoreError> {
    let statement = "SELECT line FROM ledger.failures WHERE run = ?1 AND batch = ?2 ORDER BY no";
    let read = |row: Row| {
        let line = row[0].text();
        let reject = line.and_then(|line| serde_json::from_str(line).ok());
        reject.ok_or_else(|| StoreError::damaged("a failure does not read"))
    };
    let rows = sql.query(statement, &[run.into(), no.into()])?;
    rows.into_iter().map(read).collect()
}

/// Notes that a batch is to be tried again: what it did stands.
///
/// # Errors
///
/// What the target said.
pub fn reopen(sql: &mut dyn Sql, run: i64, no: i64) -> Result<(), StoreError> {
    let statement = "UPDATE ledger.batches SET status = 'failed' WHERE run = ?1 AND no = ?2";
    sql.execute(statement, &[run.into(), no.into()]).map(|_| ())
}
