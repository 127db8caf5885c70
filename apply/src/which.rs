//! Which run to start: a new one, or one to go on with.

use std::time::Duration;

use contract::bundle::Bundle;
use contract::{Exit, Failure, Talk};
use store::ledger::{self, Held, Run, RunStatus};
use store::{NewRun, Sql, Start, StoreError, Which};
use system::Signals;
use uuid::Uuid;

use crate::Args;
use crate::args::Resume;

/// Decides by the ledger alone, reading.
pub(crate) fn which(
    args: &Args,
    bundle: &Bundle,
    environment: Option<String>,
    sql: &mut dyn Sql,
    (talk, signals): (&Talk, &Signals),
) -> anyhow::Result<Start> {
    let has_ledger = ledger::version(sql).map_err(refused)?.is_some();
    if has_ledger {
        // Asked before waiting for the target, which a writer may keep busy for as long as its run.
        if let Some(held) = keeper(args, sql, (talk, signals)).map_err(refused)? {
            return Err(refused(held.locked(args.take_over)).into());
        }
        refuse_unsafe(sql)?;
    }
    let resumed = match args.resume {
        None if args.only_batch.is_none() => None,
        Some(Some(Resume::Auto)) if has_ledger => unfinished(bundle, sql)?,
        Some(Some(Resume::Auto)) => None,
        Some(Some(Resume::Run(id))) => Some(resumable(Some(id), has_ledger, bundle, sql)?),
        None | Some(None) => Some(resumable(None, has_ledger, bundle, sql)?),
    };
    if let Some(run) = &resumed
        && i64::from(args.batch_size) != run.batch_size
        && args.batch_size != 50
    {
        let message = format!(
            "run {} has batches of {}: a resumed run keeps its batches",
            run.id, run.batch_size
        );
        return Err(Failure::new(Exit::Refused, message)
            .hint("leave --batch-size out")
            .into());
    }
    let before = match &resumed {
        Some(run) => {
            ledger::confirm(sql, run).map_err(refused)?;
            ledger::policy_of(sql, &run.id).map_err(refused)?
        }
        None => None,
    };
    let which = if let Some(run) = resumed {
        Which::Resume(Box::new(run))
    } else {
        current_rules(bundle)?;
        was_validated(args, bundle)?;
        Which::New(Box::new(new_run(args, bundle, environment)))
    };
    Ok(Start {
        run: which,
        operator: args.operator(),
        take_over: args.take_over,
        dry: args.dry_run,
        policy: args.policy(before.unwrap_or_default()),
        gather: args.commit_every.map(Duration::from_millis),
    })
}

/// Returns who keeps others from the target. Where the run is to be resumed that it works on, a process that may
/// be gone is waited for.
fn keeper(
    args: &Args,
    sql: &mut dyn Sql,
    (talk, signals): (&Talk, &Signals),
) -> Result<Option<Held>, StoreError> {
    let Some(held) = ledger::holder(sql)?.filter(|held| !held.void) else {
        return Ok(None);
    };
    let same = match args.resume {
        Some(Some(Resume::Run(id))) => id.hyphenated().to_string() == held.holder.run,
        Some(_) => true,
        None => args.only_batch.is_some(),
    };
    if !same {
        return Ok(Some(held));
    }
    let mut say = |held: &Held, seconds: i64| talk.say(held.waited_for(seconds));
    let stop = || signals.stop().is_some();
    ledger::wait_out(sql, &held.holder.run, &mut say, &stop)
}

/// A bundle of older rules starts no run: the same sources may give other records today. Its runs can still
/// be resumed, verified and rolled back.
fn current_rules(bundle: &Bundle) -> Result<(), Failure> {
    let rules = bundle.manifest().rules;
    if rules >= contract::RULES {
        return Ok(());
    }
    let message = format!(
        "{} was made by rules {rules}, this build makes {}: it starts no new run",
        bundle.folder().display(),
        contract::RULES
    );
    Err(Failure::new(Exit::Refused, message)
        .hint("bundle the sources again: parse | validate | bundle -o DIR"))
}

/// What `validate` has not seen may break any rule of the plan: it starts a run only where that is asked for.
fn was_validated(args: &Args, bundle: &Bundle) -> Result<(), Failure> {
    if bundle.manifest().is_validated() || args.unvalidated {
        return Ok(());
    }
    let message = format!(
        "{} never went through validate: its records were not checked against the plan",
        bundle.folder().display()
    );
    Err(Failure::new(Exit::Refused, message).hint(
        "bundle it again: parse | validate | bundle -o DIR; --unvalidated applies it as it is",
    ))
}

fn new_run(args: &Args, bundle: &Bundle, environment: Option<String>) -> NewRun {
    let path = std::fs::canonicalize(bundle.folder()).ok();
    NewRun {
        id: args
            .run_id
            .unwrap_or_else(Uuid::now_v7)
            .hyphenated()
            .to_string(),
        bundle: bundle.id(),
        bundle_path: path.map(|path| path.to_string_lossy().into_owned()),
        operator: args.operator(),
        tool: concat!("switchback apply ", env!("CARGO_PKG_VERSION")).into(),
        batch_size: i64::from(args.batch_size),
        started: args.now.unwrap_or_else(chrono::Utc::now).timestamp_millis(),
        reason: args.reason.clone(),
        records: bundle
            .manifest()
            .records
            .iter()
            .map(|file| file.records)
            .sum(),
        environment,
        snapshot: None,
        fingerprint: args.fingerprint,
    }
}

/// Returns the latest run of this bundle that can still be gone on with, if there is one.
fn unfinished(bundle: &Bundle, sql: &mut dyn Sql) -> anyhow::Result<Option<Run>> {
    let id = bundle.id().to_string();
    for run in ledger::list_runs(sql).map_err(refused)? {
        let mine = run.bundle == id;
        if mine && run.status.may_become(RunStatus::InProgress) {
            return Ok(Some(run));
        }
        if run.last_seq > 0 {
            break;
        }
    }
    Ok(None)
}

fn resumable(
    named: Option<Uuid>,
    has_ledger: bool,
    bundle: &Bundle,
    sql: &mut dyn Sql,
) -> anyhow::Result<Run> {
    const NOTHING: &str =
        "No checkpoint file found. Run migration without --resume to start fresh.";
    let nothing = || anyhow::Error::from(Failure::new(Exit::Refused, NOTHING));
    if !has_ledger {
        return Err(nothing());
    }
    let id = bundle.id().to_string();
    let run = if let Some(run) = named {
        let found = ledger::find_run(sql, &run.to_string()).map_err(refused)?;
        found.ok_or_else(|| {
            let message = format!("Migration run {run} not found in {}", sql.describe());
            Failure::new(Exit::Refused, message)
        })?
    } else {
        let open = |run: &Run| matches!(run.status, RunStatus::InProgress | RunStatus::Failed);
        let mut runs = ledger::list_runs(sql).map_err(refused)?;
        runs.retain(open);
        let mine = runs.iter().find(|run| run.bundle == id).or(runs.first());
        mine.cloned().ok_or_else(nothing)?
    };
    if run.bundle != id {
        let message = format!(
            "run {} is of another bundle ({}, this one is {id})",
            run.id, run.bundle
        );
        return Err(Failure::new(Exit::Refused, message).into());
    }
    if !run.status.may_become(RunStatus::InProgress) {
        let message = format!("run {} is {}: it can't be resumed", run.id, run.status);
        return Err(Failure::new(Exit::Refused, message).into());
    }
    Ok(run)
}

/// A target whose rollback stopped for good, or is under way, takes no run.
fn refuse_unsafe(sql: &mut dyn Sql) -> anyhow::Result<()> {
    for run in ledger::list_runs(sql).map_err(refused)? {
        if matches!(
            run.status,
            RunStatus::RollingBack | RunStatus::RollbackFailed
        ) {
            let message = format!(
                "run {} is {}: nothing is applied until that is settled",
                run.id, run.status
            );
            let hint = format!("rollback --resume {}", run.id);
            return Err(Failure::new(Exit::Refused, message).hint(hint).into());
        }
    }
    Ok(())
}

/// An error of the target before any write.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn refused(error: StoreError) -> Failure {
    Failure::new(error.exit(), error.to_string())
}

/// An error of the target when the run was to begin. Where its COMMIT gave no clear answer, the
/// ledger decides, read on a fresh connection.
pub(crate) fn not_started(args: &Args, run: &str, error: StoreError) -> Failure {
    let StoreError::Unknown { .. } = error else {
        return refused(error);
    };
    let found = args.to.read().and_then(|mut sql| {
        let sql = sql.as_mut();
        let ledger = ledger::version(sql)?;
        ledger.map_or(Ok(None), |_| ledger::find_run(sql, run))
    });
    let (exit, finding) = match found {
        Ok(None) => (Exit::Unreachable, "the run has not begun".to_owned()),
        Ok(Some(_)) => (Exit::Partial, "the run has begun".to_owned()),
        Err(second) => (Exit::Partial, format!("it can't be read ({second})")),
    };
    let failure = Failure::new(exit, format!("{error}; the ledger, read again: {finding}"));
    if exit == Exit::Partial {
        failure.hint(format!("apply --resume={run} goes on"))
    } else {
        failure
    }
}
