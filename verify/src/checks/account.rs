//! The run itself: where it stands, and whether its figures add up.

use contract::Reject;
use contract::talk::counted;
use store::Row;
use store::ledger::{self, BatchStatus, Counts, RunStatus};

use crate::finding::{Check, Fault};
use crate::scene::{Scene, target_error};

pub(super) fn check(scene: &mut Scene<'_>) -> anyhow::Result<Check> {
    let failures = ledger::failures(scene.sql.as_mut(), scene.run.seq).map_err(target_error)?;
    let hooks = hooks(scene)?;
    let run = &scene.run;
    let mut check = Check::new(
        "run",
        "every batch applied, and every record accounted for once",
    );
    match run.status {
        RunStatus::RolledBack if run.kept > 0 => check.add(Fault::warning(format!(
            "rollback left {} in place",
            counted(run.kept.unsigned_abs(), "change")
        ))),
        RunStatus::Completed | RunStatus::RolledBack => {}
        RunStatus::InProgress => check.add(Fault::error(format!(
            "the run is in progress or was interrupted: `apply --resume={}` goes on with it",
            run.id
        ))),
        RunStatus::Failed => {
            let reason = run
                .reason
                .as_deref()
                .unwrap_or("some records were not applied");
            check.add(Fault::error(format!("the run failed: {reason}")));
        }
        RunStatus::RollingBack | RunStatus::RollbackFailed => check.add(Fault::error(format!(
            "the run is {}: what should be there can't be said before `rollback {}` has ended",
            run.status, run.id
        ))),
    }
    // Of a run that was taken back nothing stands that could be incomplete.
    if run.status != RunStatus::RolledBack {
        unapplied(scene, &failures, &mut check);
    }
    for fault in hooks {
        check.add(fault);
    }
    let mut sum = Counts::default();
    for batch in &scene.batches {
        sum.add(&batch.counts);
    }
    let applied = scene.batches.len();
    let records = figures(scene, &sum, &mut check);
    Ok(check.found(format!(
        "the run is {}, {}, {}",
        run.status,
        counted(applied as u64, "batch"),
        counted(records, "record")
    )))
}

/// Names the batches that were undone and the records at fault.
fn unapplied(scene: &Scene<'_>, failures: &[Reject], check: &mut Check) {
    for batch in scene
        .batches
        .iter()
        .filter(|batch| batch.status == BatchStatus::Failed)
    {
        let reason = batch.error.as_deref().unwrap_or("no reason was kept");
        let message = format!(
            "batch {} ({}, {}, {}) was undone: {reason}",
            batch.no,
            batch.phase,
            batch.entity,
            counted(batch.records.unsigned_abs(), "record")
        );
        check.add(Fault::error(message));
    }
    for reject in failures {
        for error in &reject.errors {
            let fault = Fault {
                column: error.field.clone(),
                ..Fault::error(format!("it was not applied: {}", error.message))
            };
            let key = reject.key.as_deref().unwrap_or_default();
            check.add(fault.record(&reject.entity, key, Some(&reject.at)));
        }
    }
}

/// Names the hooks that were not run to their end: a cache may be stale.
fn hooks(scene: &mut Scene<'_>) -> anyhow::Result<Vec<Fault>> {
    let left = "SELECT hook, event, status, detail FROM ledger.hooks WHERE run = ?1 AND status <> 'done' ORDER BY no";
    let rows = scene.sql.query(left, &[scene.run.seq.into()]);
    let named = |row: &Row| {
        let word = |place: usize| row[place].text().unwrap_or_default();
        let why = match word(3) {
            "" => String::new(),
            why => format!(": {why}"),
        };
        Fault::warning(format!(
            "hook {} on {} is {}{why}",
            row[0],
            word(1),
            word(2)
        ))
    };
    Ok(rows.map_err(target_error)?.iter().map(named).collect())
}

/// Compares the figures of the run, of its batches and of its bundle; returns how many records
/// they speak of.
fn figures(scene: &Scene<'_>, sum: &Counts, check: &mut Check) -> u64 {
    let run = &scene.run;
    let records = run.counts.total();
    let mut whole = sum.clone();
    whole.not_attempted += records.saturating_sub(sum.total());
    // The figures of a run are written when it ends: one that was interrupted and then taken back has none.
    let written = run.status != RunStatus::RolledBack || run.counts.not_attempted != records;
    if run.ended.is_some() && run.status != RunStatus::InProgress && written && whole != run.counts
    {
        let fault = Fault::error("the figures of the run are not the sum of those of its batches");
        check.add(fault.values("counts", whole.to_json(), run.counts.to_json()));
    }
    if run.counts.failed + run.counts.not_attempted > 0 && run.status == RunStatus::Completed {
        check.add(Fault::error(format!(
            "the run is completed, with {} failed and {} not attempted",
            counted(run.counts.failed, "record"),
            run.counts.not_attempted
        )));
    }
    let Some(bundle) = &scene.bundle else {
        return records;
    };
    let held: u64 = bundle
        .manifest()
        .records
        .iter()
        .map(|file| file.records)
        .sum();
    if held != records {
        let fault = Fault::error("the run does not account for every record of the bundle");
        check.add(fault.values("records", held.to_string(), records.to_string()));
    }
    let batches: u64 = scene.passes().iter().map(crate::scene::Pass::batches).sum();
    let missing = batches.saturating_sub(scene.batches.len() as u64);
    if missing > 0 && run.status != RunStatus::RolledBack {
        let message = format!("{missing} of {} never started", counted(batches, "batch"));
        check.add(Fault::error(message));
    }
    records
}
