//! The whole way: which run, is anything in the way, undo it, prove it.

use std::io::Write;

use contract::signals::Signals;
use contract::{Exit, Failure, Talk};
use serde_json::json;
use store::ledger::{self, Run, RunStatus};
use store::undo::{Scene, check};
use store::{Sql, StoreError, TargetUrl};

use crate::Args;
use crate::evidence::Evidence;
use crate::guard;
use crate::proof::prove;
use crate::report::Report;
use crate::undo::{Ended, undo};

/// Takes a run back, or says why not.
///
/// # Errors
///
/// With the exit code of the table; after a write the ledger says what stands.
pub fn run(args: &Args, out: &mut dyn Write, talk: &Talk) -> anyhow::Result<Exit> {
    let signals = Signals::listen()?;
    let url = args.target()?;
    let Some(id) = &args.run else {
        return list(&url, talk);
    };
    let mut report = Report::new(args, out, talk);
    let run = if args.check {
        let mut sql = url.read().map_err(refused)?;
        let run = find(sql.as_mut(), id)?;
        return checked(args, sql.as_mut(), &run, &mut report);
    } else {
        // Opened for writing, the file is mended first where a crash left it half written.
        let mut target = url.open_to_undo().map_err(refused)?;
        let run = find(target.sql(), id)?;
        if Scene::is_done(&run) {
            report.already(&run);
            return Ok(Exit::Done);
        }
        let begun = matches!(
            run.status,
            RunStatus::RollingBack | RunStatus::RollbackFailed
        );
        if args.resume && !begun {
            let message = format!(
                "run {} is {}: no rollback of it was interrupted",
                run.id, run.status
            );
            return Err(Failure::new(Exit::Refused, message)
                .hint(format!("start one: rollback {}", run.id))
                .into());
        }
        guard::check(args, &url, &run)?;
        let scene = look(args, target.sql(), &run, &mut report)?;
        if let Some(failure) = report.in_the_way(&run) {
            return Err(failure.into());
        }
        match undo(args, &url, target, scene, &signals, &mut report)? {
            Ended::RolledBack(run) => run,
            Ended::Already(run) => {
                report.already(&run);
                return Ok(Exit::Done);
            }
            Ended::Stopped(exit) => return Ok(exit),
        }
    };
    let mut sql = url.read().map_err(after)?;
    let proof = prove(sql.as_mut(), &run, args.fingerprint).map_err(after)?;
    report.rolled_back(&run, &proof);
    Ok(if proof.holds() { Exit::Done } else { Exit::No })
}

/// Finds the run and makes sure that nobody is at work.
fn find(sql: &mut dyn Sql, id: &str) -> anyhow::Result<Run> {
    let unknown = || Failure::new(Exit::Refused, format!("Migration run {id} not found"));
    if ledger::version(sql).map_err(refused)?.is_none() {
        return Err(unknown().into());
    }
    let run = ledger::find_run(sql, id).map_err(refused)?;
    let run = run.ok_or_else(unknown)?;
    if let Some(held) = ledger::holder(sql).map_err(refused)?
        && !held.void
    {
        return Err(locked(sql, &held.holder.run, &held.holder.to_string()).into());
    }
    Ok(run)
}

/// Says who is at work, and at what.
pub(crate) fn locked(sql: &mut dyn Sql, run: &str, holder: &str) -> Failure {
    let rolling_back = matches!(
        ledger::find_run(sql, run),
        Ok(Some(run)) if run.status == RunStatus::RollingBack
    );
    let what = if rolling_back {
        "Rollback"
    } else {
        "Migration"
    };
    Failure::new(
        Exit::Locked,
        format!("{what} already in progress: {holder}"),
    )
}

/// Judges every row, and keeps what is in the way for the report.
fn look(
    args: &Args,
    sql: &mut dyn Sql,
    run: &Run,
    report: &mut Report<'_>,
) -> anyhow::Result<Scene> {
    let again = run.status == RunStatus::RolledBack;
    let mut evidence = Evidence::open(args.bundle.as_deref(), run)?;
    let mut scene = Scene::read(sql, run.clone(), args.choice(), again).map_err(refused)?;
    report.begin("PREPARING", scene.left());
    let looked = check(sql, &mut scene, &mut |finding, new| {
        report.finding(finding, new)
    });
    looked.map_err(refused)?;
    report.conclude(&mut evidence)?;
    Ok(scene)
}

/// The answer of `--check`.
fn checked(
    args: &Args,
    sql: &mut dyn Sql,
    run: &Run,
    report: &mut Report<'_>,
) -> anyhow::Result<Exit> {
    if Scene::is_done(run) {
        report.already(run);
        return Ok(Exit::Done);
    }
    if !run.status.may_become(RunStatus::RollingBack) {
        let message = format!("run {} is {}: it can't be rolled back", run.id, run.status);
        return Err(Failure::new(Exit::Refused, message).into());
    }
    look(args, sql, run, report)?;
    report.checked(run);
    match report.in_the_way(run) {
        Some(failure) => Err(failure.into()),
        None => Ok(Exit::Done),
    }
}

/// Without a run ID nothing is done: the runs are listed.
fn list(url: &TargetUrl, talk: &Talk) -> anyhow::Result<Exit> {
    let mut sql = url.read().map_err(refused)?;
    let runs = match ledger::version(sql.as_mut()).map_err(refused)? {
        Some(_) => ledger::list_runs(sql.as_mut()).map_err(refused)?,
        None => vec![],
    };
    for run in &runs {
        let started = chrono::DateTime::from_timestamp_millis(run.started).unwrap_or_default();
        let kept = if run.kept > 0 {
            format!(", {} kept", run.kept)
        } else {
            String::new()
        };
        talk.say(format!(
            "{}  {}  {}{kept}  {}  by {}: {} created, {} updated, {} deleted",
            run.id,
            started.format("%Y-%m-%dT%H:%M:%SZ"),
            run.status,
            run.name,
            run.operator,
            run.counts.created,
            run.counts.updated,
            run.counts.deleted
        ));
    }
    let message = if runs.is_empty() {
        format!("{url} has no runs")
    } else {
        "which run? there is no default".to_owned()
    };
    Err(Failure::new(Exit::Usage, message)
        .hint("rollback RUN --to URL")
        .into())
}

/// An error of the target before any write.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn refused(error: StoreError) -> Failure {
    Failure::new(error.exit(), error.to_string())
}

/// An error of the target after a write.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn after(error: StoreError) -> Failure {
    let exit = match error.exit() {
        Exit::Locked => Exit::Locked,
        _ => Exit::Partial,
    };
    Failure::new(exit, error.to_string())
}

impl Report<'_> {
    /// Says that there is nothing to do any more.
    fn already(&mut self, run: &Run) {
        self.talk.say(format!(
            "run {} is already rolled back: nothing was changed",
            run.id
        ));
        self.line(&json!({"run": run.id, "status": run.status.word(), "already": true}));
    }
}
