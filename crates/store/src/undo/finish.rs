//! The end of a rollback.

use contract::plan::HookEvent;
use serde_json::json;

use super::mark::mark;
use super::scene::Scene;
use super::verdict::{Finding, Verdict};
use super::work::{note, whole};
use crate::ledger::{self, Holder, Lease, Part, Run, RunStatus};
use crate::{Engine, StoreError};

/// Says that the run is rolled back, gives back the lock. A row that describes the run and can't be marked
/// stays as it is where rows may be left; else it is an error, and nothing is written.
pub(super) fn finish<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    lease: Lease,
    holder: &Holder,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let refused = scene.refused.len();
    let how = (lease, holder, reason);
    let done = match whole(engine, |engine| inside(engine, scene, how)) {
        // The mark ended the whole transaction: it is left alone the next time.
        Err(_) if scene.refused.len() > refused => {
            whole(engine, |engine| inside(engine, scene, how))
        }
        done => done,
    };
    let (run, left) = done?;
    scene.run = run;
    if let Some(finding) = left {
        scene.leave(&finding);
    }
    Ok(())
}

/// Returns the run as it is then, and the row that could not be marked.
fn inside<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    (lease, holder, reason): (Lease, &Holder, Option<&str>),
) -> Result<(Run, Option<Finding>), StoreError> {
    ledger::renew(engine, lease)?;
    let mut run = scene.run.clone();
    let left = mark(engine, scene)?;
    if let Some(finding) = &left {
        if !scene.choice.leaves(&finding.verdict) {
            let why = match &finding.verdict {
                Verdict::Failed(why) => why.as_str(),
                other => other.word(),
            };
            let message = format!(
                "{} {}, which describes the run, can't be marked rolled-back: {why}",
                finding.table, finding.key
            );
            return Err(StoreError::Irreversible { message });
        }
        note(engine, run.seq, finding.seq, finding)?;
    }
    let kept = "SELECT count(*) FROM ledger.kept WHERE run = ?1 AND reason <> 'gone'";
    let kept = engine.query(kept, &[run.seq.into()])?;
    run.kept = kept.first().and_then(|row| row[0].int()).unwrap_or(0);
    if run.kept == 0 {
        counters(engine, &run)?;
    }
    let now = engine.now()?;
    run.status = RunStatus::RolledBack;
    run.undo_seq = Some(1);
    run.ended = Some(now);
    run.reason = reason.map(str::to_owned).or(run.reason.take());
    ledger::update_run(engine, &run)?;
    ledger::note_hooks(engine, &scene.plan.hook, run.seq, HookEvent::RolledBack)?;
    let detached = "SELECT count(*) FROM ledger.changes WHERE run = ?1 AND seq > ?2";
    let detached = engine.query(detached, &[run.seq.into(), run.last_seq.into()])?;
    let detached = detached.first().and_then(|row| row[0].int());
    let level = i32::from(run.last_seq > 0);
    let figures = ledger::figures(engine, &run)?;
    let detail = json!({
        "records": run.last_seq - run.kept, "kept": run.kept, "detached": detached, "operator": holder.operator, "reason": reason,
        "kept_rows": ledger::digest_of(engine, Part::Kept, run.seq)?,
    });
    ledger::append_audit(
        engine,
        now,
        &format!("migration:rollback:level{level}"),
        Some(&run.id),
        (&holder.operator, &holder.host),
        &ledger::with(figures, detail),
    )?;
    ledger::release(engine, lease)?;
    Ok((run, left))
}

/// Sets the counters of tables back that nobody moved since the run.
fn counters<E: Engine>(engine: &mut E, run: &Run) -> Result<(), StoreError> {
    for (name, values) in &ledger::counters_of(run)? {
        let Some(table) = engine.table(name)?.filter(|table| table.counted) else {
            continue;
        };
        let (before, after) = (values[0].as_i64(), values[1].as_i64());
        if before != after && engine.counter(&table)? == after {
            engine.set_counter(&table, before)?;
        }
    }
    Ok(())
}
