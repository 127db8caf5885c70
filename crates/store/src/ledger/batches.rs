//! Batches of a run: what became of their records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ascii;
use crate::{Cell, Row, Sql, StoreError};

/// What became of records. The figures are disjoint:
/// `records = created + updated + unchanged + skipped + deleted + failed + not_attempted`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// Rows inserted.
    pub created: u64,
    /// Rows updated.
    pub updated: u64,
    /// Records whose row already was as they say, or was edited by others and left so.
    pub unchanged: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Records left alone because the plan says so, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Records at fault.
    pub failed: u64,
    /// Records of undone batches that were not at fault, and of batches never started.
    pub not_attempted: u64,
    /// Of all these: records with edits of others that were left as they are. One whose late references were
    /// edited too counts once more.
    pub drifted: u64,
    /// References written in the second pass (their records are counted above).
    pub linked: u64,
    /// Rows that were moved with the row that they refer to, by a correction of the id map. They are no
    /// records.
    #[serde(skip_serializing_if = "is_zero")]
    pub moved: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// Adds other figures.
    pub fn add(&mut self, other: &Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.deleted += other.deleted;
        self.failed += other.failed;
        self.not_attempted += other.not_attempted;
        self.drifted += other.drifted;
        self.linked += other.linked;
        self.moved += other.moved;
        for (reason, count) in &other.skipped {
            *self.skipped.entry(reason.clone()).or_default() += count;
        }
    }

    /// Returns how many records were skipped, for whatever reason.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Returns how many records all figures speak of.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.created
            + self.updated
            + self.unchanged
            + self.deleted
            + self.skipped()
            + self.failed
            + self.not_attempted
    }

    /// Returns the figures in words, most zeros left out.
    #[must_use]
    pub fn words(&self) -> String {
        let mut parts = vec![
            format!("{} created", self.created),
            format!("{} updated", self.updated),
            format!("{} unchanged", self.unchanged),
        ];
        for (count, what) in [
            (self.deleted, "deleted"),
            (self.linked, "late references written"),
            (self.moved, "rows that refer to them moved"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        parts.extend(
            self.skipped
                .iter()
                .map(|(reason, count)| format!("{count} skipped ({reason})")),
        );
        for (count, what) in [
            (self.failed, "failed"),
            (self.not_attempted, "not attempted"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        if self.drifted > 0 {
            parts.push(format!("{} of them edited since", self.drifted));
        }
        parts.join(", ")
    }

    /// Returns the figures as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The three passes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Rows are inserted and updated.
    Put,
    /// Late references are written.
    Late,
    /// Rows are deleted.
    Delete,
}

impl Phase {
    /// Returns the word that the ledger keeps.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Late => "late",
            Self::Delete => "delete",
        }
    }
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchStatus {
    /// It stands.
    Applied,
    /// It was undone.
    Failed,
}

/// A batch of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchRow {
    /// 1-based number in the run.
    pub no: i64,
    /// The pass, in its word.
    pub phase: String,
    /// The entity.
    pub entity: String,
    /// Records in it.
    pub records: i64,
    /// Where it stands.
    pub status: BatchStatus,
    /// What became of its records.
    pub counts: Counts,
    /// The same by source.
    pub files: BTreeMap<String, Counts>,
    /// Its first and last change, if it made any.
    pub changes: Option<(i64, i64)>,
    /// Source key -> the columns that others changed, and that were left as they are. Written alone: who
    /// reads batches asks for it by [`each_drift`].
    pub drift: BTreeMap<String, Vec<String>>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was decided, in milliseconds since 1970 (UTC).
    pub at: i64,
}

/// Writes a batch, in place of what the ledger said of it before.
///
/// # Errors
///
/// What the target said.
pub fn put(sql: &mut dyn Sql, run: i64, batch: &BatchRow) -> Result<(), StoreError> {
    let status = if batch.status == BatchStatus::Applied {
        "applied"
    } else {
        "failed"
    };
    let statement = "INSERT INTO ledger.batches (run, no, phase, entity, records, status, counts, first_seq, \
                     last_seq, error, at, files, drift) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
                     ON CONFLICT (run, no) DO UPDATE SET status = excluded.status, counts = excluded.counts, \
                     first_seq = excluded.first_seq, last_seq = excluded.last_seq, error = excluded.error, \
                     at = excluded.at, files = excluded.files, drift = excluded.drift";
    let params = [
        run.into(),
        batch.no.into(),
        batch.phase.as_str().into(),
        batch.entity.as_str().into(),
        batch.records.into(),
        status.into(),
        batch.counts.to_json().into(),
        batch.changes.map(|(first, _)| first).into(),
        batch.changes.map(|(_, last)| last).into(),
        batch
            .error
            .as_deref()
            .map(|error| ascii::words(sql, error).into_owned())
            .into(),
        batch.at.into(),
        ascii::json(sql, serde_json::to_string(&batch.files).unwrap_or_default()).into(),
        (!batch.drift.is_empty())
            .then(|| ascii::json(sql, serde_json::to_string(&batch.drift).unwrap_or_default()))
            .into(),
    ];
    sql.execute(statement, &params).map(|_| ())
}

/// Returns a run's batches in order.
///
/// # Errors
///
/// What the target said.
pub fn list(sql: &mut dyn Sql, run: i64) -> Result<Vec<BatchRow>, StoreError> {
    let mut batches = Vec::new();
    each(sql, run, |batch| batches.push(batch))?;
    Ok(batches)
}

/// Calls a function with each of a run's batches, in order; memory does not grow with them.
///
/// # Errors
///
/// What the target said.
pub fn each(
    sql: &mut dyn Sql,
    run: i64,
    mut visit: impl FnMut(BatchRow),
) -> Result<(), StoreError> {
    let statement = "SELECT no, phase, entity, records, status, counts, first_seq, last_seq, error, at, files \
                     FROM ledger.batches WHERE run = ?1 AND no > ?2 ORDER BY no LIMIT 500";
    let mut last = 0;
    loop {
        let rows = sql.query(statement, &[run.into(), last.into()])?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            let batch = from_row(row)?;
            last = batch.no;
            visit(batch);
        }
    }
}

/// Returns what a batch found edited by others and left: source key -> columns.
///
/// # Errors
///
/// What the target said.
pub fn drift_of(
    sql: &mut dyn Sql,
    run: i64,
    no: i64,
) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    let statement =
        "SELECT drift FROM ledger.batches WHERE run = ?1 AND no = ?2 AND drift IS NOT NULL";
    let rows = sql.query(statement, &[run.into(), no.into()])?;
    let Some(row) = rows.first() else {
        return Ok(BTreeMap::new());
    };
    let drift = row[0]
        .text()
        .and_then(|json| serde_json::from_str(json).ok());
    drift.ok_or_else(|| StoreError::damaged("a batch does not read"))
}

/// Calls a function with each value that a run found edited by others and left as it is: entity, source key and
/// column.
///
/// # Errors
///
/// What the target said.
pub fn each_drift(
    sql: &mut dyn Sql,
    run: i64,
    mut visit: impl FnMut(&str, &str, &str),
) -> Result<(), StoreError> {
    let statement = "SELECT no, entity, drift FROM ledger.batches \
                     WHERE run = ?1 AND no > ?2 AND drift IS NOT NULL ORDER BY no LIMIT 100";
    let mut last = 0;
    loop {
        let rows = sql.query(statement, &[run.into(), last.into()])?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            let damaged = || StoreError::damaged("a batch does not read");
            last = row[0].int().ok_or_else(damaged)?;
            let entity = row[1].text().ok_or_else(damaged)?;
            let drift = row[2]
                .text()
                .and_then(|json| serde_json::from_str(json).ok());
            let drift: BTreeMap<String, Vec<String>> = drift.ok_or_else(damaged)?;
            for (key, columns) in &drift {
                for column in columns {
                    visit(entity, key, column);
                }
            }
        }
    }
}

/// Returns what became of a run's records, by what is kept with each batch: the run's own row has the figures
/// only once it ended. Records of no batch are not attempted.
///
/// # Errors
///
/// What the target said.
pub fn counts_of(sql: &mut dyn Sql, run: &super::Run) -> Result<Counts, StoreError> {
    if run.status == super::RunStatus::Completed {
        return Ok(run.counts.clone());
    }
    let statement =
        "SELECT no, counts FROM ledger.batches WHERE run = ?1 AND no > ?2 ORDER BY no LIMIT 1000";
    let (mut counts, mut last) = (Counts::default(), 0);
    loop {
        let rows = sql.query(statement, &[run.seq.into(), last.into()])?;
        if rows.is_empty() {
            counts.not_attempted += run.counts.total().saturating_sub(counts.total());
            return Ok(counts);
        }
        for row in &rows {
            let damaged = || StoreError::damaged("a batch does not read");
            last = row[0].int().ok_or_else(damaged)?;
            let batch = row[1]
                .text()
                .and_then(|json| serde_json::from_str(json).ok());
            counts.add(&batch.ok_or_else(damaged)?);
        }
    }
}

pub(super) fn from_row(row: &Row) -> Result<BatchRow, StoreError> {
    let damaged = || StoreError::damaged("a batch does not read");
    let text = |cell: &Cell| cell.text().map(str::to_owned);
    Ok(BatchRow {
        no: row[0].int().ok_or_else(damaged)?,
        phase: text(&row[1]).ok_or_else(damaged)?,
        entity: text(&row[2]).ok_or_else(damaged)?,
        records: row[3].int().ok_or_else(damaged)?,
        status: match row[4].text() {
            Some("applied") => BatchStatus::Applied,
            Some("failed") => BatchStatus::Failed,
            _ => return Err(damaged()),
        },
        counts: row[5]
            .text()
            .and_then(|json| serde_json::from_str(json).ok())
            .ok_or_else(damaged)?,
        changes: row[6].int().zip(row[7].int()),
        drift: BTreeMap::new(),
        error: text(&row[8]),
        at: row[9].int().ok_or_else(damaged)?,
        files: row[10]
            .text()
            .and_then(|json| serde_json::from_str(json).ok())
            .ok_or_else(damaged)?,
    })
}
