//! Which other runs touched rows that a run wrote.

use super::runs::Run;
use super::shape::shapes_of;
use super::statement::Statement;
use crate::{Cell, Key, Sql, StoreError, Table};

/// How many rows are asked about at a time.
const CHUNK: usize = 500;

/// Returns, for each row of a table, the newest later run, by number, that touched it and whose change is not taken
/// back. What later runs wrote is read once for every 500 rows: no index of the ledger serves this.
///
/// # Errors
///
/// What the target said.
pub fn later_touches(
    sql: &mut dyn Sql,
    run: i64,
    table: &Table,
    rows: &[&Key],
) -> Result<Vec<Option<i64>>, StoreError> {
    let standing = "c.run > ?1 AND (r.status <> 'rolled-back' OR EXISTS (SELECT 1 FROM ledger.kept k \
                    WHERE k.run = c.run AND k.seq = c.seq AND k.reason NOT IN ('gone', 'resolved')))";
    touches(sql, standing, &[run.into()], table, rows)
}

/// Tells whether the rollback of a run left a change in place, and nobody has settled it by hand since.
///
/// # Errors
///
/// What the target said.
pub fn stays(sql: &mut dyn Sql, run: i64, seq: i64) -> Result<bool, StoreError> {
    let kept = "SELECT 1 FROM ledger.kept WHERE run = ?1 AND seq = ?2 AND reason NOT IN ('gone', 'resolved')";
    Ok(!sql.query(kept, &[run.into(), seq.into()])?.is_empty())
}

/// Returns, for each row of a table, the earlier run, by number, that touched it before this run and whose change was
/// taken back after this one: the row is then what it was before that run.
///
/// # Errors
///
/// What the target said.
pub fn taken_further(
    sql: &mut dyn Sql,
    run: &Run,
    table: &Table,
    rows: &[&Key],
) -> Result<Vec<Option<i64>>, StoreError> {
    let undone = "c.run < ?1 AND r.status = 'rolled-back' AND r.ended >= ?2 AND NOT EXISTS (SELECT 1 FROM \
                  ledger.kept k WHERE k.run = c.run AND k.seq = c.seq)";
    let params = [run.seq.into(), run.started.into()];
    touches(sql, undone, &params, table, rows)
}

/// Returns the newest run with a change of each row that `condition` holds for.
fn touches(
    sql: &mut dyn Sql,
    condition: &'static str,
    params: &[Cell],
    table: &Table,
    rows: &[&Key],
) -> Result<Vec<Option<i64>>, StoreError> {
    let shapes = shapes_of(sql, table)?;
    let mut found = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(CHUNK) {
        let targets: Vec<Cell> = chunk.iter().map(|key| sql.target_cell(key)).collect();
        let statement = Statement::from(
            "SELECT c.target, c.run, c.shape FROM ledger.changes c JOIN ledger.runs r ON r.seq = c.run WHERE ",
        );
        let statement = statement + condition + " AND c.target IN (";
        let statement = statement.places(params.len() + 1, targets.len()) + ") ORDER BY c.run DESC";
        let params: Vec<Cell> = params.iter().chain(&targets).cloned().collect();
        let mut touched = sql.query_made(&statement, &params)?;
        touched.retain(|row| row[2].int().is_some_and(|of| shapes.contains(&of)));
        for target in targets {
            let row = touched.iter().find(|row| row[0] == target);
            found.push(row.and_then(|row| row[1].int()));
        }
    }
    Ok(found)
}
