//! The records of a run that failed, batch by batch.

use contract::Reject;

use super::ascii;
use crate::{Row, Sql, StoreError};

/// Notes a record that failed in a batch; `no` is its 1-based place among the batch's failures.
///
/// # Errors
///
/// What the target said.
pub fn add_failure(
    sql: &mut dyn Sql,
    run: i64,
    batch: i64,
    no: i64,
    reject: &Reject,
) -> Result<(), StoreError> {
    let line = ascii::json(sql, serde_json::to_string(reject).unwrap_or_default());
    let statement = "INSERT INTO ledger.failures (run, batch, no, line) VALUES (?1, ?2, ?3, ?4)";
    sql.execute(
        statement,
        &[run.into(), batch.into(), no.into(), line.into()],
    )
    .map(|_| ())
}

/// Forgets the failures of a batch that is tried again.
///
/// # Errors
///
/// What the target said.
pub fn clear_failures(sql: &mut dyn Sql, run: i64, batch: i64) -> Result<(), StoreError> {
    let statement = "DELETE FROM ledger.failures WHERE run = ?1 AND batch = ?2";
    sql.execute(statement, &[run.into(), batch.into()])
        .map(|_| ())
}

/// Returns the records of a run that failed, in order.
///
/// # Errors
///
/// What the target said.
pub fn failures(sql: &mut dyn Sql, run: i64) -> Result<Vec<Reject>, StoreError> {
    let all = failures_by_batch(sql, run)?;
    Ok(all.into_iter().map(|(_, reject)| reject).collect())
}

/// Returns the records of a run that failed, in order, each with the number of its batch.
///
/// # Errors
///
/// What the target said.
pub fn failures_by_batch(sql: &mut dyn Sql, run: i64) -> Result<Vec<(i64, Reject)>, StoreError> {
    let statement = "SELECT batch, line FROM ledger.failures WHERE run = ?1 ORDER BY batch, no";
    let read = |row: Row| {
        let reject = row[1]
            .text()
            .and_then(|line| serde_json::from_str(line).ok());
        let found = row[0].int().zip(reject);
        found.ok_or_else(|| StoreError::damaged("a failure does not read"))
    };
    sql.query(statement, &[run.into()])?
        .into_iter()
        .map(read)
        .collect()
}
