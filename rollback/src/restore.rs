//! Level 2: going back to a snapshot.

use std::io::Write;
use std::path::Path;

use contract::talk::counted;
use contract::{Exit, Failure, Talk, Visible};
use serde_json::json;
use store::ledger::{self, Holder, Run};
use store::{Restore, Restored, Snapshot, StoreError, TargetUrl, digest_of};
use system::Signals;

use crate::Args;
use crate::guard;
use crate::hooks;
use crate::run::{after, locked, refused};

/// Puts the snapshot in the place of the target; with `--check` only says what that would do.
pub(crate) fn restore(
    args: &Args,
    url: &TargetUrl,
    file: &Path,
    signals: &Signals,
    out: &mut dyn Write,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let mut sql = url.read().map_err(refused)?;
    if ledger::version(sql.as_mut()).map_err(refused)?.is_none() {
        let message = format!("{url} has no runs: whose snapshot this is can't be told");
        return Err(Failure::new(Exit::Refused, message).into());
    }
    let runs = ledger::list_runs(sql.as_mut()).map_err(refused)?;
    ledger::confirm_all(sql.as_mut(), &runs).map_err(refused)?;
    let (run, snapshot) = whose(&runs, file, url)?;
    if let Some(named) = &args.run
        && *named != run.id
    {
        let message = format!(
            "{} was taken before run {}, not {named}",
            file.display(),
            run.id
        );
        return Err(Failure::new(Exit::Refused, message).into());
    }
    if let Some(held) = ledger::holder(sql.as_mut()).map_err(refused)?
        && !held.void
    {
        return Err(locked(sql.as_mut(), &held.holder.run, &held.holder.to_string()).into());
    }
    drop(sql);
    let taken = chrono::DateTime::from_timestamp_millis(snapshot.taken).unwrap_or_default();
    let taken = taken.format("%Y-%m-%dT%H:%M:%SZ");
    url.check_restore(file, run).map_err(refused)?;
    if args.check {
        let undone: Vec<&str> = runs
            .iter()
            .filter(|later| later.seq >= run.seq)
            .map(|run| run.id.as_str())
            .collect();
        talk.say(format!(
            "{} can be restored: it is {url} as of {taken}; runs {} would be rolled back by it; nothing was written",
            file.display(),
            undone.join(", ")
        ));
        line(
            args,
            out,
            &json!({"canRollback": true, "snapshot": file, "run": run.id, "runs": undone}),
        );
        return Ok(Exit::Done);
    }
    guard::check_all(args, url, runs.iter().filter(|later| later.seq >= run.seq))?;
    let undone = runs.iter().filter(|later| later.seq >= run.seq);
    let ids = undone.clone().map(|run| &run.id);
    let permission = hooks::permission(args, url, url.read().map_err(refused)?.as_mut(), ids)?;
    for later in undone {
        hooks::demand(args, url, later, &permission, talk)?;
    }
    let operator = args.operator();
    let host = Holder::here(&operator, &run.id).host;
    let wish = Restore {
        file,
        snapshot: &snapshot,
        run,
        by: (&operator, &host),
        reason: args.reason.as_deref(),
        now: args.now().timestamp_millis(),
        signals,
    };
    let done = url.restore(&wish).map_err(|error| match signals.stop() {
        Some(signal) if !matches!(error, StoreError::Unknown { .. }) => Failure::new(
            signal.into(),
            format!("stopped, and nothing was changed: {error}"),
        ),
        _ => refused(error),
    })?;
    // Read through the front door: this is what everybody sees now.
    let mut sql = url.read().map_err(after)?;
    let now = ledger::find_run(sql.as_mut(), &run.id).map_err(after)?;
    if !now.is_some_and(|run| store::undo::Scene::is_done(&run)) {
        let message = format!("{url} was restored, but its ledger does not say so");
        return Err(Failure::new(Exit::Partial, message).into());
    }
    drop(sql);
    tell(args, url, &taken.to_string(), &run.id, &done, out, talk);
    let mut exit = Exit::Done;
    if !args.no_hooks {
        let mut target = url.open_to_undo().map_err(after)?;
        for run in &done.undone {
            exit = hooks::run(args, target.sql(), run, &permission, talk).exit(exit);
        }
    }
    Ok(exit)
}

/// Says what became of the target.
fn tell(
    args: &Args,
    url: &TargetUrl,
    taken: &str,
    run: &str,
    done: &Restored,
    out: &mut dyn Write,
    talk: &Talk,
) {
    let (rows, tables) = done.rows;
    talk.say(format!(
        "restored {url} as of {taken}: {} of {} are those of the snapshot",
        counted(rows, "row"),
        counted(tables as u64, "table")
    ));
    talk.say(format!("rolled back by it: {}", done.undone.join(", ")));
    for run in &done.again {
        talk.warn(format!(
            "run {run} was rolled back since the snapshot: its changes are there again; rollback {run} takes them back"
        ));
    }
    if !done.untouched.is_empty() {
        let tables = done.untouched.join(", ");
        talk.warn(format!(
            "made since the snapshot, and left as they are: {tables}"
        ));
    }
    talk.warn(format!(
        "what anybody wrote since {taken} is only in {}, the whole target as it was until now",
        done.safety.display()
    ));
    let safety = done.safety.display().to_string();
    line(
        args,
        out,
        &json!({"run": run, "level": 2, "status": "SUCCESS", "safetyCopy": safety, "runs": done.undone, "again": done.again, "rows": rows, "tables": tables}),
    );
}

fn line(args: &Args, out: &mut dyn Write, value: &serde_json::Value) {
    if args.json {
        writeln!(Visible::json(&mut *out), "{value}").ok();
        out.flush().ok();
    }
}

/// Finds the run before which a file was taken, by its hash, or offers other snapshots.
fn whose<'a>(runs: &'a [Run], file: &Path, url: &TargetUrl) -> anyhow::Result<(&'a Run, Snapshot)> {
    let found = digest_of(file);
    for run in runs {
        if let (Ok((sha256, _)), Some(snapshot)) = (&found, Snapshot::of(run).map_err(refused)?)
            && *sha256 == snapshot.sha256
        {
            return Ok((run, snapshot));
        }
    }
    let why = match found {
        Err(error) => format!("{}: {error}", file.display()),
        Ok((sha256, bytes)) => {
            let mut known = None;
            for run in runs {
                let snapshot = Snapshot::of(run).map_err(refused)?;
                let same = |snapshot: &Snapshot| {
                    file.canonicalize().ok().as_deref() == Some(Path::new(&snapshot.path))
                };
                known = known.or(snapshot.filter(same));
            }
            match known {
                Some(snapshot) => format!(
                    "{} is corrupt: its {bytes} bytes have sha256 {sha256}, the ledger says {} bytes with {}",
                    file.display(),
                    snapshot.bytes,
                    snapshot.sha256
                ),
                None => format!(
                    "{}: no run of {url} has a snapshot with sha256 {sha256}",
                    file.display()
                ),
            }
        }
    };
    let mut rows = Vec::new();
    let usable = Snapshot::usable(runs).map_err(refused)?;
    let mut hint = "no other snapshot can be used; rollback RUN takes back one run".to_owned();
    for (place, (run, snapshot)) in usable.iter().enumerate() {
        let taken = chrono::DateTime::from_timestamp_millis(snapshot.taken).unwrap_or_default();
        rows.push(format!(
            "this one can be used: {} of {}, before run {run}",
            snapshot.path,
            taken.format("%Y-%m-%dT%H:%M:%SZ")
        ));
        if place == 0 {
            hint = format!("rollback --snapshot {} --to {url}", snapshot.path);
        }
    }
    Err(
        Failure::new(Exit::Refused, format!("{why}; nothing was written"))
            .rows(rows)
            .hint(hint)
            .into(),
    )
}
