//! Settling by hand a run that failed: once its records came in by another run, or for a reason.

use contract::bundle::Bundle;
use contract::talk::counted;
use contract::{Exit, Failure, Talk};
use store::ledger::{self, Holder, RunStatus};
use store::settle::settle;

use crate::Args;
use crate::args::Resume;
use crate::cut;
use crate::guard;
use crate::which::refused;

/// How many of the records that are left are named.
const NAMED: usize = 10;

/// Says in the ledger that a failed run is completed.
///
/// # Errors
///
/// The run did not fail, or another program holds the lock: nothing was written.
pub(crate) fn resolve(
    args: &Args,
    bundle: &Bundle,
    note: &str,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    if note.trim().is_empty() {
        return Err(
            Failure::new(Exit::Usage, "--resolve needs a note: what was done, or why").into(),
        );
    }
    guard::environment(args, bundle)?;
    let mut target = args.to.open_to_undo().map_err(refused)?;
    let id = bundle.id().to_string();
    let sql = target.sql();
    let mut runs = match ledger::version(sql).map_err(refused)? {
        Some(_) => ledger::list_runs(sql).map_err(refused)?,
        None => vec![],
    };
    runs.retain(|run| run.bundle == id);
    let run = match args.resume {
        Some(Some(Resume::Run(named))) => {
            let named = named.hyphenated().to_string();
            runs.into_iter().find(|run| run.id == named)
        }
        _ => runs.into_iter().find(|run| run.status == RunStatus::Failed),
    };
    let run = run.ok_or_else(|| {
        Failure::new(
            Exit::Refused,
            "no run of this bundle failed: there is nothing to settle",
        )
        .hint("verify runs")
    })?;
    ledger::confirm(sql, &run).map_err(refused)?;
    let size = run.batches();
    let passes = cut::passes(bundle, size);
    let mut left = Vec::new();
    let mut count = 0;
    for pass in passes {
        let mut unapplied =
            store::settle::Unapplied::of(sql, &run, bundle.plan(), pass.phase, &pass.file.entity)
                .map_err(refused)?;
        cut::batches(bundle, pass, size, |no, records| {
            for record in unapplied.among(sql, no, records).map_err(refused)? {
                count += 1;
                if left.len() < NAMED {
                    left.push(format!("{}: {} {}", record.at, record.entity, record.key));
                }
            }
            Ok(true)
        })?;
    }
    let holder = Holder::here(&args.operator(), &run.id);
    let run = settle(target.as_mut(), &run.id, &holder, note, count).map_err(refused)?;
    if count > 0 {
        talk.warn(format!(
            "{} of run {} not applied, which the note is to explain:",
            counted(count, "record"),
            run.id
        ));
        for line in &left {
            talk.warn(line);
        }
    }
    talk.say(format!(
        "run {} is {}, settled by hand: {note}",
        run.id, run.status
    ));
    Ok(Exit::Done)
}
