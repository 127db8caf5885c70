//! Giving up what was kept long enough. Runs stay for ever.

use serde_json::json;

use super::{Run, append_audit, update_run};
use crate::{Snapshot, Sql, StoreError};

const RUN: &str = "migration:pruned";

/// Removes what taking a run back needs, in the transaction at hand, and returns how many changes
/// that were. The run stays, and the audit trail says that it can't be rolled back any more.
///
/// # Errors
///
/// What the target said.
pub fn prune_run(
    sql: &mut dyn Sql,
    run: &mut Run,
    at: i64,
    by: (&str, &str),
) -> Result<u64, StoreError> {
    let seq = [run.seq.into()];
    let changes = sql.execute("DELETE FROM ledger.changes WHERE run = ?1", &seq)?;
    sql.execute("DELETE FROM ledger.kept WHERE run = ?1", &seq)?;
    run.kept = 0;
    update_run(sql, run)?;
    let detail = json!({"changes": changes});
    append_audit(sql, at, RUN, Some(&run.id), by, &detail)?;
    Ok(changes)
}

/// Notes, in the transaction at hand, that a snapshot is removed.
///
/// # Errors
///
/// What the target said.
pub fn prune_snapshot(
    sql: &mut dyn Sql,
    run: &mut Run,
    mut snapshot: Snapshot,
    at: i64,
    by: (&str, &str),
) -> Result<(), StoreError> {
    snapshot.pruned = Some(at);
    run.snapshot = Some(snapshot.to_json());
    update_run(sql, run)?;
    let detail = json!({"path": snapshot.path, "sha256": snapshot.sha256});
    let action = "migration:snapshot:pruned";
    append_audit(sql, at, action, Some(&run.id), by, &detail)
}

/// Returns when a run was pruned, in milliseconds since 1970 (UTC): it can't be rolled back since. Only the audit
/// trail says so: a run without changes that it says nothing of has lost them.
///
/// # Errors
///
/// What the target said.
pub fn pruned(sql: &mut dyn Sql, run: &str) -> Result<Option<i64>, StoreError> {
    let last = "SELECT MAX(at) FROM ledger.audit WHERE run = ?1 AND action = ?2";
    let rows = sql.query(last, &[run.into(), RUN.into()])?;
    if let Some(at) = rows.first().and_then(|row| row[0].int()) {
        return Ok(Some(at));
    }
    // That entry may be pruned itself, with those of the run's end before it: a run that wrote has changes,
    // or had.
    let Some(until) = super::audit::pruned_until(sql)? else {
        return Ok(None);
    };
    let bare = "SELECT COALESCE(r.ended, r.started) FROM ledger.runs r WHERE r.id = ?1 AND r.last_seq > 0 \
                AND NOT EXISTS (SELECT 1 FROM ledger.changes c WHERE c.run = r.seq)";
    let rows = sql.query(bare, &[run.into()])?;
    let ended = rows.first().and_then(|row| row[0].int());
    Ok(ended.filter(|ended| *ended <= until).map(|_| until))
}

/// Returns when a run ended, in milliseconds since 1970 (UTC), whatever became of it later; none
/// while it is in progress.
///
/// # Errors
///
/// What the target said.
pub fn completed(sql: &mut dyn Sql, run: &Run) -> Result<Option<i64>, StoreError> {
    let last = "SELECT MAX(at) FROM ledger.audit WHERE run = ?1 AND action IN \
                ('migration:completed', 'migration:failed', 'migration:interrupted')";
    let rows = sql.query(last, &[run.id.as_str().into()])?;
    Ok(rows.first().and_then(|row| row[0].int()).or(run.ended))
}
