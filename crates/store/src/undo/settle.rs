//! When taking a run back fails for good: saying so, and settling it by hand.

use contract::plan::HookEvent;
use serde_json::json;

use super::work::Undo;
use crate::StoreError;
use crate::ledger::{self, Holder, Lease, Part, Run, RunStatus};

/// Says that the rollback of a run stopped for good: nothing is applied to the target, and nothing
/// else is rolled back, until that is settled.
///
/// # Errors
///
/// What the target said; the run is then still being rolled back.
pub fn give_up(
    target: &mut dyn Undo,
    id: &str,
    lease: Lease,
    holder: &Holder,
    why: &str,
) -> Result<(), StoreError> {
    target.note(&mut |sql| {
        ledger::renew(sql, lease)?;
        let now = sql.now()?;
        if let Some(mut run) = ledger::find_run(sql, id)?
            && run.status.may_become(RunStatus::RollbackFailed)
        {
            run.status = RunStatus::RollbackFailed;
            run.reason = Some(why.to_owned());
            ledger::update_run(sql, &run)?;
            ledger::note_hooks_of(sql, &run, HookEvent::Failed)?;
            let by = (holder.operator.as_str(), holder.host.as_str());
            let left = run.undo_seq.unwrap_or(1) - 1;
            let detail = ledger::with(
                ledger::figures(sql, &run)?,
                json!({"error": why, "left": left}),
            );
            ledger::append_audit(sql, now, "migration:rollback:failed", Some(id), by, &detail)?;
        }
        ledger::release(sql, lease)
    })
}

/// Settles by hand a rollback that failed: the run counts as rolled back, and what was not undone as
/// kept.
///
/// # Errors
///
/// Somebody has the lock; the run's rollback did not fail. Nothing was written.
pub fn resolve(
    target: &mut dyn Undo,
    id: &str,
    holder: &Holder,
    note: &str,
) -> Result<Run, StoreError> {
    let mut settled = None;
    target.note(&mut |sql| {
        ledger::upgrade(sql, (&holder.operator, &holder.host))?;
        let (lease, _) = ledger::take(sql, holder, false)?;
        let run = ledger::find_run(sql, id)?;
        let mut run =
            run.ok_or_else(|| StoreError::refused(format!("Migration run {id} not found")))?;
        if run.status != RunStatus::RollbackFailed {
            let message = format!(
                "run {id} is {}: only a rollback that failed is settled by a note",
                run.status
            );
            return Err(StoreError::refused(message));
        }
        let rest = "INSERT INTO ledger.kept (run, seq, reason, detail) \
                    SELECT c.run, c.seq, 'resolved', '{}' FROM ledger.changes c WHERE c.run = ?1 AND c.seq < ?2 \
                    AND NOT EXISTS (SELECT 1 FROM ledger.kept k WHERE k.run = c.run AND k.seq = c.seq)";
        let from = run.undo_seq.unwrap_or(run.last_seq + 1);
        sql.execute(rest, &[run.seq.into(), from.into()])?;
        let count = "SELECT count(*) FROM ledger.kept WHERE run = ?1 AND reason <> 'gone'";
        let count = sql.query(count, &[run.seq.into()])?;
        run.kept = count.first().and_then(|row| row[0].int()).unwrap_or(0);
        let now = sql.now()?;
        (run.status, run.undo_seq, run.ended) = (RunStatus::RolledBack, Some(1), Some(now));
        run.reason = Some(note.to_owned());
        ledger::update_run(sql, &run)?;
        let by = (holder.operator.as_str(), holder.host.as_str());
        let kept = ledger::digest_of(sql, Part::Kept, run.seq)?;
        let detail = ledger::with(
            ledger::figures(sql, &run)?,
            json!({"note": note, "kept": run.kept, "kept_rows": kept}),
        );
        ledger::append_audit(
            sql,
            now,
            "migration:rollback:resolved",
            Some(id),
            by,
            &detail,
        )?;
        ledger::release(sql, lease)?;
        settled = Some(run);
        Ok(())
    })?;
    settled.ok_or_else(|| StoreError::damaged("the run is missing"))
}
