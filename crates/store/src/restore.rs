//! What going back to a snapshot means to the ledger, on every database: the history stays, and says
//! what became of each run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::plan::{HookEvent, LoadedPlan, Retention};
use serde_json::json;
use system::Signals;

use crate::ledger::{self, Run, RunStatus};
use crate::{Snapshot, Sql, StoreError};

/// What is to be restored, and for whom.
#[derive(Debug)]
pub struct Restore<'a> {
    /// The file: it may have been moved since.
    pub file: &'a Path,
    /// What the ledger says of it.
    pub snapshot: &'a Snapshot,
    /// The run before which it was taken.
    pub run: &'a Run,
    /// Who asks, and on which host.
    pub by: (&'a str, &'a str),
    /// Why.
    pub reason: Option<&'a str>,
    /// When, in milliseconds since 1970 (UTC).
    pub now: i64,
    /// What ends the programs that do it, before anything was changed.
    pub signals: &'a Signals,
}

/// What became of a target.
#[derive(Debug)]
pub struct Restored {
    /// The copy of the target as it was until now: of a SQLite file history and all.
    pub safety: PathBuf,
    /// Runs that are rolled back by this, by ID.
    pub undone: Vec<String>,
    /// Earlier runs that had been rolled back since: their changes stand again, and are kept.
    pub again: Vec<String>,
    /// Tables that were made since and stay as they are.
    pub untouched: Vec<String>,
    /// How many rows of how many tables were read back and compared with the snapshot.
    pub rows: (u64, usize),
}

/// Returns the name of the copy that is made before a restore.
pub(crate) fn safety_name(database: &str, now: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(now).unwrap_or_default();
    let time = time.format("%Y%m%dT%H%M%S%3fZ");
    format!("{database}.before-restore-{time}.snapshot")
}

/// Tells for how many days a file of this name is kept, if work on the database left it behind.
pub(crate) fn kept_for(database: &str, name: &str, keep: Retention) -> Option<u32> {
    if name.starts_with(&format!(".{database}.")) && name.contains(".tmp") {
        return Some(keep.dry_run_days);
    }
    let safety = name.starts_with(&format!("{database}.before-restore-"));
    (safety && name.ends_with(".snapshot")).then_some(keep.snapshot_days)
}

/// Returns the run before which a snapshot of this name was taken.
pub(crate) fn run_of(database: &str, name: &str) -> Option<String> {
    let rest = name.strip_prefix(database)?.strip_prefix('.')?;
    let run = rest.strip_suffix(".snapshot")?;
    uuid::Uuid::try_parse(run).ok().map(|_| run.to_owned())
}

/// What the snapshot says of a run: status, last change.
pub(crate) type Then = BTreeMap<i64, (String, i64)>;

/// Says in the ledger what became of each run, and frees the lock. The transaction at hand has the
/// present ledger but the snapshot's id map, and, where there are runs in `then`, a temporary table
/// `then_kept` of what rollback had kept then.
pub(crate) fn present(
    sql: &mut dyn Sql,
    then: &Then,
    safety: &Path,
    wish: &Restore<'_>,
) -> Result<Restored, StoreError> {
    let first = wish.run.seq;
    sql.execute("DELETE FROM ledger.kept WHERE run >= ?1", &[first.into()])?;
    let mut restored = Restored {
        safety: safety.to_owned(),
        undone: Vec::new(),
        again: Vec::new(),
        untouched: Vec::new(),
        rows: (0, 0),
    };
    let mut runs = ledger::list_runs(sql)?;
    runs.reverse();
    for mut run in runs {
        if run.seq >= first {
            if run.status != RunStatus::RolledBack {
                tell(sql, &run)?;
            }
            run.reason = Some(undone_by(&run, wish));
            (run.status, run.kept, run.undo_seq) = (RunStatus::RolledBack, 0, Some(1));
            run.ended = Some(wish.now);
            restored.undone.push(run.id.clone());
        } else if !stands(sql, then, &mut run)? {
            continue;
        } else if run.kept > 0 {
            restored.again.push(run.id.clone());
        }
        ledger::update_run(sql, &run)?;
    }
    let time = chrono::DateTime::from_timestamp_millis(wish.now).unwrap_or_default();
    let detail = json!({
        "backup_file": wish.file, "restore_time": time.to_rfc3339(), "sha256": wish.snapshot.sha256,
        "safety_copy": safety, "runs": restored.undone, "again": restored.again, "reason": wish.reason,
    });
    let action = "migration:rollback:level2";
    ledger::append_audit(sql, wish.now, action, Some(&wish.run.id), wish.by, &detail)?;
    sql.execute(
        "UPDATE ledger.lock SET token = token + 1, run = NULL, holder = NULL, since = NULL, expires = NULL",
        &[],
    )?;
    Ok(restored)
}

/// Notes the hooks of a run that is rolled back by this. A plan that this build does not read has none.
fn tell(sql: &mut dyn Sql, run: &Run) -> Result<(), StoreError> {
    match LoadedPlan::parse("the ledger's plan".as_ref(), run.plan.clone()) {
        Ok(plan) => ledger::note_hooks(sql, &plan.plan.hook, run.seq, HookEvent::RolledBack),
        Err(_) => Ok(()),
    }
}

fn undone_by(run: &Run, wish: &Restore<'_>) -> String {
    let by = format!("the snapshot of before run {} was restored", wish.run.id);
    match wish.reason.or(run.reason.as_deref()) {
        Some(reason) => format!("{by}: {reason}"),
        None => by,
    }
}

/// Says of a run before the snapshot what is true of it again. Tells whether that is anything new.
fn stands(sql: &mut dyn Sql, then: &Then, run: &mut Run) -> Result<bool, StoreError> {
    let Some((status, last)) = then.get(&run.seq) else {
        return Err(StoreError::damaged(format!(
            "the snapshot does not know run {}, which began before it",
            run.id
        )));
    };
    if *last != run.last_seq {
        return Err(StoreError::refused(format!(
            "run {} wrote more since the snapshot: it must be rolled back first",
            run.id
        )));
    }
    if !matches!(
        run.status,
        RunStatus::RolledBack | RunStatus::RollingBack | RunStatus::RollbackFailed
    ) {
        return Ok(false);
    }
    let seq = [run.seq.into()];
    sql.execute("DELETE FROM ledger.kept WHERE run = ?1", &seq)?;
    let kept = if status == RunStatus::RolledBack.word() {
        "INSERT INTO ledger.kept SELECT * FROM then_kept WHERE run = ?1"
    } else {
        "INSERT INTO ledger.kept (run, seq, reason, detail) \
         SELECT run, seq, 'restored', '{}' FROM ledger.changes WHERE run = ?1"
    };
    if status != RunStatus::RolledBack.word() {
        // References that its rollback set NULL are there again.
        let detached = "DELETE FROM ledger.changes WHERE run = ?1 AND seq > ?2";
        sql.execute(detached, &[run.seq.into(), run.last_seq.into()])?;
    }
    sql.execute(kept, &seq)?;
    let count = "SELECT count(*) FROM ledger.kept WHERE run = ?1 AND reason <> 'gone'";
    let count = sql.query(count, &seq)?;
    run.kept = count.first().and_then(|row| row[0].int()).unwrap_or(0);
    (run.status, run.undo_seq) = (RunStatus::RolledBack, Some(1));
    Ok(true)
}
