//! What audit entries confirm of a run: its row, its batches, the records that failed, what was kept.

use contract::Digest;
use contract::digest::Hasher;
use serde_json::{Value, json};

use super::Run;
use crate::cell::encode_all;
use crate::{Cell, Sql, StoreError};

/// Rows that the ledger keeps of a run, and that one digest stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its batches.
    Batches,
    /// The records that failed in them.
    Failures,
    /// The changes that rollback left in place.
    Kept,
}

/// Returns the SHA-256 over the canonical bytes of a run's rows, in the order of their key.
///
/// # Errors
///
/// What the target said.
pub fn digest_of(sql: &mut dyn Sql, part: Part, run: i64) -> Result<Digest, StoreError> {
    let (statement, keys): (&'static str, usize) = match part {
        Part::Batches => (
            "SELECT no, phase, entity, records, status, counts, first_seq, last_seq, error, at, files, drift \
             FROM ledger.batches WHERE run = ?1 AND no > ?2 ORDER BY no LIMIT 500",
            1,
        ),
        Part::Failures => (
            "SELECT batch, no, line FROM ledger.failures WHERE run = ?1 AND (batch, no) > (?2, ?3) \
             ORDER BY batch, no LIMIT 500",
            2,
        ),
        Part::Kept => (
            "SELECT seq, reason, detail FROM ledger.kept WHERE run = ?1 AND seq > ?2 ORDER BY seq LIMIT 500",
            1,
        ),
    };
    let mut hasher = Hasher::default();
    let mut after: Vec<Cell> = vec![0.into(); keys];
    loop {
        let params: Vec<Cell> = std::iter::once(run.into()).chain(after).collect();
        let rows = sql.query(statement, &params)?;
        let Some(newest) = rows.last() else {
            return Ok(hasher.digest());
        };
        after = newest[..keys].to_vec();
        for row in &rows {
            hasher.update(&encode_all(row));
        }
    }
}

/// Returns what the entry confirms with which a run starts. `tables`: the shapes of those that it writes.
#[must_use]
pub fn opening(run: &Run, tables: &[Value]) -> Value {
    let snapshot = run.snapshot.as_deref();
    let snapshot: Value = snapshot
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    json!({
        "number": run.seq, "name": run.name, "system": run.system,
        "plan": Digest::of(run.plan.as_bytes()), "lookups": Digest::of(run.lookups.as_bytes()),
        "bundle": run.bundle, "bundle_path": run.bundle_path, "environment": run.environment,
        "target": run.target, "tool": run.tool, "batch_size": run.batch_size, "reason": run.reason,
        "snapshot": snapshot, "tables": tables, "format": run.format as i64,
        "shapes": run.tables.as_deref().map(|tables| Digest::of(tables.as_bytes())),
    })
}

/// Returns what each entry confirms with which something of a run ends. `run` is its row as it is written in
/// the same transaction.
///
/// # Errors
///
/// What the target said.
pub fn figures(sql: &mut dyn Sql, run: &Run) -> Result<Value, StoreError> {
    let entries = "SELECT COUNT(*) FROM ledger.audit WHERE run = ?1";
    let entries = sql.query(entries, &[run.id.as_str().into()])?;
    let entries = entries.first().and_then(|row| row[0].int());
    Ok(json!({
        "entries": entries,
        "plan": Digest::of(run.plan.as_bytes()), "counts": run.counts, "last_seq": run.last_seq,
        "counters": Digest::of(run.counters.as_bytes()),
        "batches": digest_of(sql, Part::Batches, run.seq)?,
        "failures": digest_of(sql, Part::Failures, run.seq)?,
    }))
}

/// Returns an object with the members of another added.
#[must_use]
pub fn with(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}
