//! The whole way: which run, is anything in the way, undo it, prove it.

use std::io::Write;
use std::time::{Duration, Instant};

use ::hooks::{Permission, Told};
use contract::{Answer, Exit, Failure, Talk};
use serde_json::json;
use store::ledger::{self, Held, Run, RunStatus};
use store::undo::{Scene, Undo, check};
use store::{Apart, Sql, StoreError, TargetUrl, sign_with};
use system::Signals;

use crate::Args;
use crate::eligible::{Eligibility, is_begun, pruned};
use crate::evidence::Evidence;
use crate::export::export;
use crate::guard;
use crate::handback::hand_back;
use crate::hooks;
use crate::place::Place;
use crate::proof::{Proof, prove};
use crate::prune::prune;
use crate::report::Report;
use crate::restore::restore;
use crate::settle::resolve;
use crate::trial::trial;
use crate::undo::{Ended, undo};

/// So often a run is looked at anew that others change meanwhile.
const TRIES: u32 = 10;

/// Takes a run back, or says why not.
///
/// # Errors
///
/// With the exit code of the table; after a write the ledger says what stands.
pub fn run(args: &Args, out: &mut dyn Write, talk: &Talk) -> anyhow::Result<Exit> {
    // A stream of lines ends where its reader leaves.
    if args.export {
        return Ok(go(args, out, talk)?.0);
    }
    let mut answer = Answer::new(out);
    let (exit, changed) = go(args, &mut answer, talk)?;
    Ok(answer.end(exit, changed.as_deref(), talk)?)
}

/// Returns how the program ends, and what the target is now, in words, if it was changed.
fn go(args: &Args, out: &mut dyn Write, talk: &Talk) -> anyhow::Result<(Exit, Option<String>)> {
    let unchanged = |exit: Exit| (exit, None);
    let signals = Signals::listen()?;
    let url = args.target()?;
    if let Some(key) = &args.audit_key {
        sign_with(key).map_err(|why| Failure::new(Exit::Usage, format!("--audit-key: {why}")))?;
    }
    if let Some(file) = &args.snapshot {
        let exit = restore(args, &url, file, &signals, out, talk)?;
        return Ok((
            exit,
            (!args.check).then(|| "the target was restored".into()),
        ));
    }
    let id = match args.run.as_deref() {
        None => return list(&url, talk).map(unchanged),
        Some("prune") => {
            let exit = prune(args, &url, out, talk)?;
            let pruned = (!args.dry_run).then(|| "what was to be pruned is pruned".into());
            return Ok((exit, pruned));
        }
        Some(id) => id,
    };
    if let Some(note) = &args.resolve {
        return resolve(args, &url, (id, note), &signals, talk).map(unchanged);
    }
    if args.export || args.hand_back.is_some() {
        return give(args, &url, id, out, talk).map(unchanged);
    }
    let mut report = Report::new(args, out, talk);
    if args.check {
        let mut sql = url.read().map_err(refused)?;
        let run = known(sql.as_mut(), id)?;
        return checked(args, &url, (sql.as_mut(), &run), &signals, &mut report).map(unchanged);
    }
    let ended = if args.dry_run {
        apart(args, &url, id, &signals, &mut report)
    } else {
        take_back(args, &Place::Target(&url), id, &signals, &mut report)
    };
    report.end(id, &ended);
    let changed = report.changed.take().filter(|_| !args.dry_run);
    Ok((ended?, changed))
}

/// Takes the run back where nothing of it lasts, and says what a rollback would say.
fn apart(
    args: &Args,
    url: &TargetUrl,
    id: &str,
    signals: &Signals,
    report: &mut Report<'_>,
) -> anyhow::Result<Exit> {
    let apart = Apart::of(url, signals).map_err(refused)?;
    if apart.is_copy() {
        report
            .talk
            .say(format!("dry run on a private copy of {url}"));
    } else {
        report.talk.say(format!(
            "dry run: {url} {} until it ends, {} s at most",
            url.kept_from_others(),
            args.max_seconds
        ));
    }
    take_back(args, &Place::Apart(&apart), id, signals, report).map_err(|error| {
        let exit = match store::code_of(&error) {
            Exit::Partial => Exit::No,
            _ => return error,
        };
        Failure::new(exit, format!("dry run, nothing written: {error:#}")).into()
    })
}

/// Takes the run back, and proves it.
fn take_back(
    args: &Args,
    place: &Place<'_>,
    id: &str,
    signals: &Signals,
    report: &mut Report<'_>,
) -> anyhow::Result<Exit> {
    let url = place.url();
    // Opened for writing, the file is mended first where a crash left it half written.
    let mut target = place.open().map_err(refused)?;
    row(target.sql(), id)?;
    let permission = hooks::permission(args, url, target.sql(), [id])?;
    let run = match undone(args, place, &mut target, id, (signals, &permission), report)? {
        Ok(run) => run,
        Err(exit) => return Ok(exit),
    };
    report.begin("VERIFYING", u64::try_from(run.last_seq).unwrap_or_default());
    let mut prove = |sql: &mut dyn Sql| {
        let proof = prove(sql, &run, args.fingerprint, &mut |count| {
            report.done(count);
        })?;
        report.detached(sql, &run)?;
        Ok(proof)
    };
    let proof = if place.is_held() {
        prove(target.sql())
    } else {
        drop(target);
        url.read().and_then(|mut sql| prove(sql.as_mut()))
    };
    let proof = proof.map_err(after)?;
    report.rolled_back(&run, &proof);
    let exit = answer(args, &run, &proof);
    if args.dry_run {
        return Ok(exit);
    }
    let mut target = url.open_to_undo().map_err(after)?;
    let told = hooks::run(args, target.sql(), &run.id, &permission, report.talk);
    Ok(told.exit(exit))
}

/// Takes the run back. Where there was nothing to do, or it was stopped, how the program ends.
fn undone(
    args: &Args,
    place: &Place<'_>,
    target: &mut Box<dyn Undo>,
    id: &str,
    (signals, permission): (&Signals, &Permission),
    report: &mut Report<'_>,
) -> anyhow::Result<Result<Box<Run>, Exit>> {
    let url = place.url();
    let mut tries = 0;
    loop {
        let run = find(target.sql(), id, (report.talk, signals))?;
        let told = if run.status == RunStatus::RolledBack {
            hooks::run(args, target.sql(), &run.id, permission, report.talk)
        } else {
            Told::default()
        };
        if Scene::is_done(&run) || (told.ran > 0 && args.resume) {
            report.already(&run);
            return Ok(Err(told.exit(Exit::Done)));
        }
        may_begin(args, &run)?;
        if !args.dry_run {
            guard::check(args, url, &run)?;
        }
        hooks::demand(args, url, &run, permission, report.talk)?;
        let eligible = Eligibility::of(args, target.sql(), &run).map_err(refused)?;
        eligible.demand(&run, report.talk)?;
        // Read in one snapshot, which also spares SQLite a look at its locks for every row.
        let mut reader = url.read().map_err(refused)?;
        let (scene, mut evidence) = look(args, reader.as_mut(), &run, report)?;
        drop(reader);
        // Where somebody else worked on the run meanwhile, what was found may not be so.
        nobody_else(target.sql(), id, (report.talk, signals))?;
        if row(target.sql(), &run.id)? != run {
            tries += 1;
            if tries == TRIES {
                let message = format!(
                    "somebody else works on run {} all the time: {TRIES} times it was another when it had been looked at",
                    run.id
                );
                return Err(Failure::new(Exit::Locked, message).into());
            }
            report.forget();
            continue;
        }
        report.conclude(&mut evidence)?;
        if let Some(failure) = report.in_the_way(&run) {
            return Err(failure.into());
        }
        trial(
            args,
            url,
            &scene,
            target.sql(),
            signals,
            &mut evidence,
            report,
        )?;
        let holding = ledger::holder(target.sql()).map_err(refused)?;
        let given_up = holding
            .filter(|_| args.take_over)
            .map(|held| held.holder.run);
        let until = Instant::now() + Duration::from_secs(args.max_seconds);
        let until = place.is_held().then_some(until);
        let ended = undo(args, url, target, scene, (signals, until), report);
        // A run whose lock was taken from it is failed, and so is a rollback that stopped for good.
        let failed = ended.is_err().then_some(run.id).into_iter();
        for id in failed.chain(given_up.filter(|old| old != id)) {
            if let Ok(mut target) = url.open_to_undo() {
                hooks::run(args, target.sql(), &id, permission, report.talk);
            }
        }
        match ended? {
            Ended::RolledBack(run, scene) => {
                report.refused(&scene, &mut evidence)?;
                return Ok(Ok(run));
            }
            Ended::Slow => {
                let message = format!(
                    "the dry run took longer than {} s; nothing was written",
                    args.max_seconds
                );
                return Err(Failure::new(Exit::No, message)
                    .hint("--max-seconds gives it more time")
                    .into());
            }
            Ended::Already(run) => {
                report.already(&run);
                return Ok(Err(Exit::Done));
            }
            Ended::Stopped(exit) => return Ok(Err(exit)),
        }
    }
}

/// Refuses to go on with what was not begun, and to begin again what failed for good.
fn may_begin(args: &Args, run: &Run) -> Result<(), Failure> {
    if args.resume && !is_begun(run) {
        let message = format!(
            "run {} is {}: no rollback of it was interrupted",
            run.id, run.status
        );
        return Err(
            Failure::new(Exit::Refused, message).hint(format!("start one: rollback {}", run.id))
        );
    }
    if run.status == RunStatus::RollbackFailed && !args.resume {
        let message = format!(
            "the rollback of run {0} failed for good: {1}",
            run.id,
            run.reason.as_deref().unwrap_or("no reason is kept")
        );
        return Err(Failure::new(Exit::Refused, message).hint(what_to_do(&run.id)));
    }
    Ok(())
}

/// What to do about a rollback that failed for good.
pub(crate) fn what_to_do(id: &str) -> String {
    format!(
        "remove what is in the way and go on with: rollback {id} --resume; or leave those rows: rollback {id} --resume \
         --skip-conflicts; or do the rest by hand (rollback {id} --export says what it is) and settle it: rollback {id} \
         --resolve \"what was done\""
    )
}

/// What of a run is for people: its inverse as lines, or its sources.
fn give(
    args: &Args,
    url: &TargetUrl,
    id: &str,
    out: &mut dyn Write,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let mut sql = url.read().map_err(refused)?;
    let run = known(sql.as_mut(), id)?;
    let Some(folder) = &args.hand_back else {
        if let Some(pruned) = pruned(sql.as_mut(), &run).map_err(refused)? {
            return Err(Failure::new(Exit::Refused, pruned).into());
        }
        let how = (args.save_plan.as_deref(), args.with_secrets);
        return export(sql.as_mut(), &run, how, out, talk);
    };
    let evidence = Evidence::open(args.bundle.as_deref(), &run)?;
    hand_back(&evidence, &run, folder, args.overwrite, talk)
}

/// Finds the run, and makes sure that the audit trail confirms what the ledger says of it.
pub(crate) fn known(sql: &mut dyn Sql, id: &str) -> anyhow::Result<Run> {
    let run = row(sql, id)?;
    ledger::confirm(sql, &run).map_err(refused)?;
    Ok(run)
}

/// Finds the row of the run.
fn row(sql: &mut dyn Sql, id: &str) -> anyhow::Result<Run> {
    let target = sql.describe();
    let unknown = || {
        let message = format!("Migration run {id} not found in {target}");
        Failure::new(Exit::Refused, message)
    };
    if ledger::version(sql).map_err(refused)?.is_none() {
        return Err(unknown().into());
    }
    let run = ledger::find_run(sql, id).map_err(refused)?;
    Ok(run.ok_or_else(unknown)?)
}

/// Finds the run and makes sure that nobody is at work.
pub(crate) fn find(sql: &mut dyn Sql, id: &str, with: (&Talk, &Signals)) -> anyhow::Result<Run> {
    known(sql, id)?;
    nobody_else(sql, id, with)?;
    // Whoever was waited for may have gone on with it until then.
    known(sql, id)
}

/// Makes sure that nobody is at work. One who works on this run and may be gone is waited for.
fn nobody_else(
    sql: &mut dyn Sql,
    id: &str,
    (talk, signals): (&Talk, &Signals),
) -> anyhow::Result<()> {
    let id = row(sql, id)?.id;
    let mut say = |held: &Held, seconds: i64| talk.say(held.waited_for(seconds));
    let stop = || signals.stop().is_some();
    if let Some(held) = ledger::wait_out(sql, &id, &mut say, &stop).map_err(refused)? {
        return Err(locked(sql, &held.holder.run, &held.holder.to_string()).into());
    }
    Ok(())
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

/// What is left of the run must have been asked for, and something must have been done.
fn answer(args: &Args, run: &Run, proof: &Proof) -> Exit {
    let asked = args.skip_conflicts && proof.did_something();
    if proof.holds() && (run.kept == 0 || asked) {
        Exit::Done
    } else {
        Exit::No
    }
}

/// Judges every row, and keeps what is in the way for the report, which concludes with the evidence.
fn look(
    args: &Args,
    sql: &mut dyn Sql,
    run: &Run,
    report: &mut Report<'_>,
) -> anyhow::Result<(Scene, Evidence)> {
    let again = run.status == RunStatus::RolledBack;
    let evidence = Evidence::open(args.bundle.as_deref(), run)?;
    for renamed in ledger::renamed_of(sql, run).map_err(refused)? {
        report.talk.say(renamed.to_string());
    }
    let mut scene = Scene::read(sql, run.clone(), args.choice(), again).map_err(refused)?;
    report.begin("PREPARING", scene.left());
    let looked = check(sql, &mut scene, &mut |finding, new| {
        report.finding(finding, new)
    });
    looked.map_err(refused)?;
    Ok((scene, evidence))
}

/// The answer of `--check`.
fn checked(
    args: &Args,
    url: &TargetUrl,
    (sql, run): (&mut dyn Sql, &Run),
    signals: &Signals,
    report: &mut Report<'_>,
) -> anyhow::Result<Exit> {
    let mut eligible = Eligibility::of(args, sql, run).map_err(refused)?;
    if let Some(held) = ledger::holder(sql).map_err(refused)?
        && !held.void
    {
        let failure = locked(sql, &held.holder.run, &held.holder.to_string());
        eligible.reason = Some(failure.message);
    }
    if let Some(reason) = &eligible.reason {
        report.line(&eligible.to_json(run, None));
        return Err(Failure::new(Exit::No, format!("{reason}; nothing was written")).into());
    }
    let (scene, mut evidence) = look(args, sql, run, report)?;
    report.conclude(&mut evidence)?;
    if report.in_the_way(run).is_none() && matches!(url, TargetUrl::Sqlite(_)) {
        // A private copy is made by reading alone.
        trial(args, url, &scene, sql, signals, &mut evidence, report)?;
    }
    let untried = match url {
        TargetUrl::Sqlite(_) => vec![],
        TargetUrl::Postgres(_) => scene.traps(sql).map_err(refused)?,
    };
    match report.checked(run, &eligible, &untried, &scene.accepted_no_undo()) {
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
        let mut kept = if run.kept > 0 {
            format!(", {} kept", run.kept)
        } else {
            String::new()
        };
        if ledger::pruned(sql.as_mut(), &run.id)
            .map_err(refused)?
            .is_some()
        {
            kept += ", pruned";
        }
        let counts = ledger::counts_of(sql.as_mut(), run).map_err(refused)?;
        talk.say(format!(
            "{}  {}  {}{kept}  {}  by {}: {} created, {} updated, {} deleted",
            run.id,
            started.format("%Y-%m-%dT%H:%M:%SZ"),
            run.status,
            run.name,
            run.operator,
            counts.created,
            counts.updated,
            counts.deleted
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
    let mut failure = Failure::new(error.exit(), error.to_string());
    failure.busy = matches!(error, StoreError::Busy { .. } | StoreError::Again { .. });
    if matches!(error, StoreError::Damaged { .. }) {
        return failure.hint("what can still be reversed: rollback RUN --export; or go back to a snapshot: rollback --snapshot FILE");
    }
    failure
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
