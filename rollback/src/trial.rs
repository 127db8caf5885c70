//! The trial of a whole rollback where nothing of it lasts, before its first write: a trigger that fires
//! on some later row never stops it half-way.

use std::time::{Duration, Instant};

use contract::talk::ProgressMode;
use contract::{Exit, Failure, Talk};
use store::ledger::{Run, RunStatus};
use store::undo::{Choice, Finding, Scene, check};
use store::{Apart, Sql, StoreError, TargetUrl};
use system::Signals;

use crate::Args;
use crate::evidence::Evidence;
use crate::proof::{Proof, prove};
use crate::report::Report;
use crate::run::{known, refused};
use crate::undo::{Ended, undo};

/// Tries the whole before the first write, where only trying shows whether rows come back.
pub(crate) fn trial(
    args: &Args,
    url: &TargetUrl,
    scene: &Scene,
    sql: &mut dyn Sql,
    signals: &Signals,
    evidence: &mut Evidence,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    if scene.traps(sql).map_err(refused)?.is_empty() {
        return Ok(());
    }
    let run = &scene.run;
    match try_whole(args, url, run, signals)? {
        Tried::Yes => Ok(()),
        Tried::No(findings, count) => {
            let choice = args.choice();
            if choice.skip || choice.force {
                return Ok(());
            }
            report.would_stay(findings, count, evidence)?;
            report
                .in_the_way(run)
                .map_or(Ok(()), |failure| Err(failure.into()))
        }
        Tried::Unproved(tables, rows) => {
            let found = format!(
                "tried apart from the target, the rollback of run {} would leave rows that are not what they were",
                run.id
            );
            let accepted = scene.accepted_no_undo();
            if !tables.is_empty() && tables.iter().all(|table| accepted.contains(table)) {
                let accepts = "as the run's plan accepts (accept_no_undo)";
                report
                    .talk
                    .warn(format!("{found}, {accepts}: {}", tables.join(", ")));
                return Ok(());
            }
            let message = format!("{found}; nothing was written:");
            Err(Failure::new(Exit::No, message).rows(rows).into())
        }
        Tried::Unknown(why) => {
            report.talk.warn(format!(
                "whether triggers let all of run {} come back was not tried: {why}",
                run.id
            ));
            Ok(())
        }
    }
}

/// What was found.
enum Tried {
    /// All that is not in the way already comes back.
    Yes,
    /// The first rows that would not, and how many there are.
    No(Vec<Finding>, u64),
    /// It would end, and rows of these tables would not be what they were: the first of them.
    Unproved(Vec<String>, Vec<String>),
    /// It is not known, as others hold what it needs, or there is no room; in words.
    Unknown(String),
}

/// Takes a run back apart from the target, leaving in place what does not come back.
///
/// # Errors
///
/// A signal came, or the trial met what the rollback would meet; nothing was written.
fn try_whole(args: &Args, url: &TargetUrl, run: &Run, signals: &Signals) -> anyhow::Result<Tried> {
    match attempt(args, url, run, signals) {
        Err(error) if is_unknown(url, &error) => Ok(Tried::Unknown(format!("{error:#}"))),
        other => other,
    }
}

/// Others hold what the trial needs, or there is no room for a copy. A connection that was lost is
/// neither: the rollback would not get further than its trial.
fn is_unknown(url: &TargetUrl, error: &anyhow::Error) -> bool {
    match url {
        TargetUrl::Sqlite(_) => contract::code_of(error) == Exit::Unreachable,
        TargetUrl::Postgres(_) => error
            .downcast_ref::<Failure>()
            .is_some_and(|failure| failure.busy),
    }
}

fn attempt(args: &Args, url: &TargetUrl, run: &Run, signals: &Signals) -> anyhow::Result<Tried> {
    let apart = Apart::of(url, signals).map_err(refused)?;
    let mut target = apart.open().map_err(refused)?;
    let run = known(target.sql(), &run.id)?;
    let again = run.status == RunStatus::RolledBack;
    let choice = Choice {
        skip: true,
        ..args.choice()
    };
    let mut scene = Scene::read(target.sql(), run, choice, again).map_err(refused)?;
    let looked = check(target.sql(), &mut scene, &mut |_, _| {
        Ok::<(), StoreError>(())
    });
    looked.map_err(refused)?;
    let quiet = Talk::new("rollback", true, false, ProgressMode::Off);
    let mut nowhere = std::io::sink();
    let mut report = Report::unheard(args, &mut nowhere, &quiet);
    let until = Instant::now() + Duration::from_secs(args.max_seconds);
    let until = (!apart.is_copy()).then_some(until);
    let ended = undo(
        args,
        apart.url(),
        &mut target,
        scene,
        (signals, until),
        &mut report,
    );
    let (run, scene) = match ended.map_err(|error| nothing_written(&error))? {
        Ended::RolledBack(run, scene) => (run, scene),
        Ended::Already(_) => return Ok(Tried::Yes),
        Ended::Stopped(exit) => {
            let message = "stopped before its first write";
            return Err(Failure::new(exit, message).into());
        }
        Ended::Slow => {
            let message = format!(
                "it takes longer than {} s (--max-seconds)",
                args.max_seconds
            );
            return Ok(Tried::Unknown(message));
        }
    };
    let (left, count) = scene.left_in_place();
    if count > 0 {
        return Ok(Tried::No(left.to_vec(), count));
    }
    let proof = prove(target.sql(), &run, false, &mut |_| ()).map_err(refused)?;
    if proof.holds() {
        return Ok(Tried::Yes);
    }
    let tables = proof.tables.iter().filter(|table| table.wrong.count > 0);
    let tables = tables.map(|table| table.table.clone()).collect();
    Ok(Tried::Unproved(tables, wrong(&proof)))
}

fn wrong(proof: &Proof) -> Vec<String> {
    let rows = proof.tables.iter().flat_map(|table| {
        let row = move |row: &String| format!("{}: {row}", table.table);
        table.wrong.told.iter().map(row)
    });
    let entries = proof.wrong_entries.told.iter();
    rows.chain(entries.map(|wrong| format!("id map: {wrong}")))
        .take(10)
        .collect()
}

/// What the trial met before its end happened apart from the target.
fn nothing_written(error: &anyhow::Error) -> anyhow::Error {
    let exit = match contract::code_of(error) {
        Exit::Partial => Exit::No,
        other => other,
    };
    let message =
        format!("tried apart from the target, the rollback stops: {error:#}; nothing was written");
    let mut failure = Failure::new(exit, message);
    failure.busy = error
        .downcast_ref::<Failure>()
        .is_some_and(|failure| failure.busy);
    failure.into()
}
