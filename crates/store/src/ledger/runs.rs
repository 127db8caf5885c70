//! Runs: one row each, kept for ever.

use std::fmt;

use contract::bundle::BatchSize;
use serde::{Deserialize, Serialize};

use super::Statement;
use super::ascii;
use super::batches::Counts;
use super::schema::Format;
use crate::{Cell, Row, Sql, StoreError};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// It is being applied, or was interrupted.
    InProgress,
    /// All records were applied.
    Completed,
    /// It ended with records that were not applied.
    Failed,
    /// It is being rolled back, or that was interrupted.
    RollingBack,
    /// It was rolled back; the number of rows kept says how far.
    RolledBack,
    /// Rolling back stopped for good.
    RollbackFailed,
}

impl RunStatus {
    /// Returns the word that the ledger keeps.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::RollingBack => "rolling-back",
            Self::RolledBack => "rolled-back",
            Self::RollbackFailed => "rollback-failed",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [
            Self::InProgress,
            Self::Completed,
            Self::Failed,
            Self::RollingBack,
            Self::RolledBack,
            Self::RollbackFailed,
        ]
        .into_iter()
        .find(|status| status.word() == word)
    }

    /// Tells whether a run may go from this status to another one.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use RunStatus::{Completed, Failed, InProgress, RollbackFailed, RolledBack, RollingBack};
        match next {
            InProgress => matches!(self, Failed | InProgress),
            // A failed run is completed by a note.
            Completed => matches!(self, InProgress | Failed),
            Failed => self == InProgress,
            RollingBack => matches!(
                self,
                InProgress | Completed | Failed | RollingBack | RolledBack | RollbackFailed
            ),
            RolledBack => matches!(self, RollingBack | RollbackFailed),
            RollbackFailed => self == RollingBack,
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its number in this target: later runs have higher ones.
    pub seq: i64,
    /// The run ID, a UUID version 7.
    pub id: String,
    /// The bundle ID.
    pub bundle: String,
    /// Where the bundle was, for `rollback` and `verify` to look.
    pub bundle_path: Option<String>,
    /// The plan's name.
    pub name: String,
    /// The plan's source system.
    pub system: String,
    /// The plan's bytes.
    pub plan: String,
    /// JSON of the codes that were looked up before the first write, with their answers.
    pub lookups: String,
    /// JSON of the counters of tables that count ids: table -> value before and after.
    pub counters: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Who ran it.
    pub operator: String,
    /// The environment that the plan recognised.
    pub environment: Option<String>,
    /// The host it ran on.
    pub host: String,
    /// The target, as people call it.
    pub target: String,
    /// Name and version of the tool.
    pub tool: String,
    /// Records in a batch.
    pub batch_size: i64,
    /// When it first started, in milliseconds since 1970 (UTC).
    pub started: i64,
    /// When it ended last.
    pub ended: Option<i64>,
    /// What became of its records.
    pub counts: Counts,
    /// The sequence of its last change.
    pub last_seq: i64,
    /// While rolling back: changes from this sequence on are undone or kept.
    pub undo_seq: Option<i64>,
    /// Changes that rollback left in place.
    pub kept: i64,
    /// The snapshot taken before it.
    pub snapshot: Option<String>,
    /// Why it failed or was rolled back.
    pub reason: Option<String>,
    /// By which rules its row hashes are judged.
    pub format: Format,
    /// JSON: entity of the plan -> the number of the shape of the table that it went to; none in a ledger
    /// of version 1.
    pub tables: Option<String>,
}

impl Run {
    /// Returns how its bundle is cut into batches.
    #[must_use]
    pub fn batches(&self) -> BatchSize {
        match self.format {
            Format::One => BatchSize::by_records(self.batch_size),
            Format::Two => BatchSize::new(self.batch_size),
        }
    }
}

const COLUMNS: &str = "seq, id, bundle, bundle_path, name, system, plan, lookups, counters, status, operator, \
     environment, host, target, tool, batch_size, started, ended, counts, last_seq, undo_seq, kept, snapshot, reason, \
     format, tables";

/// The columns of a ledger of version 1, with what they would be in one of version 2.
const COLUMNS_1: &str = "seq, id, bundle, bundle_path, name, system, plan, lookups, counters, status, operator, \
     environment, host, target, tool, batch_size, started, ended, counts, last_seq, undo_seq, kept, snapshot, reason, \
     1, NULL";

fn columns(sql: &mut dyn Sql) -> Result<&'static str, StoreError> {
    let old = super::version(sql)? == Some(1);
    Ok(if old { COLUMNS_1 } else { COLUMNS })
}

fn from_row(row: Row) -> Result<Run, StoreError> {
    let mut cells = row.into_iter();
    let mut next = || cells.next().unwrap_or(Cell::Null);
    let damaged = || StoreError::damaged("a run does not read");
    let text = |cell: Cell| match cell {
        Cell::Text(text) => Some(text),
        _ => None,
    };
    Ok(Run {
        seq: next().int().ok_or_else(damaged)?,
        id: text(next()).ok_or_else(damaged)?,
        bundle: text(next()).ok_or_else(damaged)?,
        bundle_path: text(next()),
        name: text(next()).ok_or_else(damaged)?,
        system: text(next()).ok_or_else(damaged)?,
        plan: text(next()).ok_or_else(damaged)?,
        lookups: text(next()).ok_or_else(damaged)?,
        counters: text(next()).ok_or_else(damaged)?,
        status: text(next())
            .and_then(|word| RunStatus::from_word(&word))
            .ok_or_else(damaged)?,
        operator: text(next()).ok_or_else(damaged)?,
        environment: text(next()),
        host: text(next()).ok_or_else(damaged)?,
        target: text(next()).ok_or_else(damaged)?,
        tool: text(next()).ok_or_else(damaged)?,
        batch_size: next().int().ok_or_else(damaged)?,
        started: next().int().ok_or_else(damaged)?,
        ended: next().int(),
        counts: text(next())
            .and_then(|json| serde_json::from_str(&json).ok())
            .ok_or_else(damaged)?,
        last_seq: next().int().ok_or_else(damaged)?,
        undo_seq: next().int(),
        kept: next().int().ok_or_else(damaged)?,
        snapshot: text(next()),
        reason: text(next()),
        format: next()
            .int()
            .and_then(Format::from_int)
            .ok_or_else(damaged)?,
        tables: text(next()),
    })
}

fn to_row(run: &Run) -> Row {
    let text = |text: &Option<String>| Cell::from(text.as_deref());
    vec![
        run.seq.into(),
        run.id.as_str().into(),
        run.bundle.as_str().into(),
        text(&run.bundle_path),
        run.name.as_str().into(),
        run.system.as_str().into(),
        run.plan.as_str().into(),
        run.lookups.as_str().into(),
        run.counters.as_str().into(),
        run.status.word().into(),
        run.operator.as_str().into(),
        text(&run.environment),
        run.host.as_str().into(),
        run.target.as_str().into(),
        run.tool.as_str().into(),
        run.batch_size.into(),
        run.started.into(),
        run.ended.into(),
        run.counts.to_json().into(),
        run.last_seq.into(),
        run.undo_seq.into(),
        run.kept.into(),
        text(&run.snapshot),
        text(&run.reason),
        (run.format as i64).into(),
        text(&run.tables),
    ]
}

/// Returns the counters of the tables that a run wrote to, before and after it.
///
/// # Errors
///
/// [`StoreError::Damaged`] where the ledger's text of them does not read.
pub fn counters(run: &Run) -> Result<serde_json::Map<String, serde_json::Value>, StoreError> {
    serde_json::from_str(&run.counters)
        .map_err(|error| StoreError::damaged(format!("the counters of run {}: {error}", run.id)))
}

/// Inserts a run; its `seq` is set to the next number.
///
/// # Errors
///
/// What the target said.
pub fn insert(sql: &mut dyn Sql, run: &mut Run) -> Result<(), StoreError> {
    let next = sql.query("SELECT COALESCE(MAX(seq), 0) + 1 FROM ledger.runs", &[])?;
    run.seq = next.first().and_then(|row| row[0].int()).unwrap_or(1);
    let row = to_row(run);
    let statement = Statement::from("INSERT INTO ledger.runs (") + COLUMNS + ") VALUES (";
    let statement = statement.places(1, row.len()) + ")";
    sql.execute_made(&statement, &row).map(|_| ())
}

/// Writes what changes in a run while it lives.
///
/// # Errors
///
/// What the target said.
pub fn update(sql: &mut dyn Sql, run: &Run) -> Result<(), StoreError> {
    let statement = "UPDATE ledger.runs SET status = ?2, ended = ?3, counts = ?4, last_seq = ?5, undo_seq = ?6, \
                     kept = ?7, snapshot = ?8, reason = ?9, counters = ?10, bundle_path = ?11, tables = ?12 \
                     WHERE seq = ?1";
    let params = [
        run.seq.into(),
        run.status.word().into(),
        run.ended.into(),
        run.counts.to_json().into(),
        run.last_seq.into(),
        run.undo_seq.into(),
        run.kept.into(),
        run.snapshot.as_deref().into(),
        run.reason
            .as_deref()
            .map(|reason| ascii::words(sql, reason).into_owned())
            .into(),
        run.counters.as_str().into(),
        run.bundle_path.as_deref().into(),
        run.tables.as_deref().into(),
    ];
    sql.execute(statement, &params).map(|_| ())
}

/// Returns a run by its ID, in any spelling of a UUID.
///
/// # Errors
///
/// What the target said.
pub fn find(sql: &mut dyn Sql, id: &str) -> Result<Option<Run>, StoreError> {
    let Ok(id) = uuid::Uuid::parse_str(id) else {
        return Ok(None);
    };
    let statement = Statement::from("SELECT ") + columns(sql)? + " FROM ledger.runs WHERE id = ?1";
    sql.query_made(&statement, &[id.hyphenated().to_string().into()])?
        .into_iter()
        .next()
        .map(from_row)
        .transpose()
}

/// Returns the latest run.
///
/// # Errors
///
/// What the target said.
pub fn latest(sql: &mut dyn Sql) -> Result<Option<Run>, StoreError> {
    let statement =
        Statement::from("SELECT ") + columns(sql)? + " FROM ledger.runs ORDER BY seq DESC LIMIT 1";
    sql.query_made(&statement, &[])?
        .into_iter()
        .next()
        .map(from_row)
        .transpose()
}

/// Returns all runs, newest first.
///
/// # Errors
///
/// What the target said.
pub fn list(sql: &mut dyn Sql) -> Result<Vec<Run>, StoreError> {
    let statement =
        Statement::from("SELECT ") + columns(sql)? + " FROM ledger.runs ORDER BY seq DESC";
    sql.query_made(&statement, &[])?
        .into_iter()
        .map(from_row)
        .collect()
}
