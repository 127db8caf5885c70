//! Retention: giving up what was kept long enough.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use contract::plan::Retention;
use contract::talk::counted;
use contract::{Exit, Failure, Talk, Visible};
use serde_json::json;
use store::ledger::{self, Holder, Run, RunStatus};
use store::{Snapshot, Sql, TargetUrl};

use crate::Args;
use crate::eligible::retention;
use crate::guard;
use crate::run::{locked, refused};

const DAY: i64 = 86_400_000;

/// So many days audit entries stay: two years.
const AUDIT_DAYS: i64 = 731;

/// What is to be given up.
#[derive(Debug, Default)]
struct Pruning {
    runs: Vec<Run>,
    snapshots: Vec<(Run, Snapshot)>,
    files: Vec<PathBuf>,
    /// Files that are not the snapshot that the ledger calls them, and why: they stay.
    foreign: Vec<(String, String)>,
    /// How many audit entries, and the number of the last one.
    audit: Option<(i64, i64)>,
}

/// Gives up what was kept long enough; with `--dry-run` only says what that is.
pub(crate) fn prune(
    args: &Args,
    url: &TargetUrl,
    out: &mut dyn Write,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let now = args.now().timestamp_millis();
    let mut sql = url.read().map_err(refused)?;
    if ledger::version(sql.as_mut()).map_err(refused)?.is_none() {
        talk.say(format!("{url} has no runs: there is nothing to prune"));
        return Ok(Exit::Done);
    }
    let runs = ledger::list_runs(sql.as_mut()).map_err(refused)?;
    ledger::confirm_all(sql.as_mut(), &runs).map_err(refused)?;
    let pruning = look(sql.as_mut(), url, &runs, now)?;
    drop(sql);
    if !args.dry_run {
        guard::check_all(args, url, &runs)?;
    }
    let would = if args.dry_run { "would be " } else { "" };
    for run in &pruning.runs {
        talk.say(format!(
            "run {}: what its rows were before {would}pruned",
            run.id
        ));
    }
    for (run, snapshot) in &pruning.snapshots {
        talk.say(format!(
            "snapshot {} of run {} {would}removed",
            snapshot.path, run.id
        ));
    }
    for file in &pruning.files {
        talk.say(format!("{} {would}removed", file.display()));
    }
    for (path, why) in &pruning.foreign {
        talk.warn(format!(
            "{path} is not the snapshot that was taken, and stays: {why}"
        ));
    }
    if !args.dry_run {
        write(args, url, &pruning, now)?;
    }
    let audit = pruning.audit.map_or(0, |(count, _)| count);
    let done = format!(
        "{}, {}, {} and {} {would}pruned",
        counted(pruning.runs.len() as u64, "run"),
        counted(pruning.snapshots.len() as u64, "snapshot"),
        counted(pruning.files.len() as u64, "other file"),
        counted(audit.unsigned_abs(), "audit entry")
    );
    talk.say(done);
    if args.json {
        let ids: Vec<&str> = pruning.runs.iter().map(|run| run.id.as_str()).collect();
        let paths: Vec<&str> = pruning
            .snapshots
            .iter()
            .map(|(_, snapshot)| snapshot.path.as_str())
            .collect();
        let line = json!({"dryRun": args.dry_run, "runs": ids, "snapshots": paths, "files": pruning.files, "audit": audit});
        writeln!(Visible::json(&mut *out), "{line}").ok();
        out.flush().ok();
    }
    Ok(if pruning.foreign.is_empty() {
        Exit::Done
    } else {
        Exit::No
    })
}

fn look(sql: &mut dyn Sql, url: &TargetUrl, runs: &[Run], now: i64) -> anyhow::Result<Pruning> {
    let mut pruning = Pruning::default();
    let mut longest = Retention::default();
    for run in runs {
        let keep = retention(run).map_err(refused)?;
        longest.snapshot_days = longest.snapshot_days.max(keep.snapshot_days);
        longest.dry_run_days = longest.dry_run_days.max(keep.dry_run_days);
        let completed = ledger::completed(sql, run).map_err(refused)?;
        let settled = matches!(
            run.status,
            RunStatus::Completed | RunStatus::Failed | RunStatus::RolledBack
        );
        let older = |than: i64, days: u32| now - than > i64::from(days) * DAY;
        let outside =
            settled && completed.is_some_and(|completed| older(completed, keep.window_days));
        if !outside {
            continue;
        }
        if let Some(snapshot) = Snapshot::of(run).map_err(refused)? {
            if snapshot.pruned.is_some() {
                // A crash may have come between the note and the deed.
                let path = PathBuf::from(&snapshot.path);
                if path.exists() {
                    match snapshot.foreign(&run.id) {
                        None => pruning.files.push(path),
                        Some(why) => pruning.foreign.push((snapshot.path, why)),
                    }
                }
            } else if older(snapshot.taken, keep.snapshot_days) {
                match snapshot.foreign(&run.id) {
                    None => pruning.snapshots.push((run.clone(), snapshot)),
                    Some(why) => pruning.foreign.push((snapshot.path, why)),
                }
            }
        }
        if run.last_seq > 0 && ledger::pruned(sql, &run.id).map_err(refused)?.is_none() {
            pruning.runs.push(run.clone());
        }
    }
    pruning.audit = ledger::older_audit(sql, now - AUDIT_DAYS * DAY).map_err(refused)?;
    for folder in url.snapshot_folders() {
        leftovers(&folder, url, runs, longest, now, &mut pruning.files);
    }
    Ok(pruning)
}

/// Copies that a crash left half made; safety copies, and snapshots whose run never began, that were kept
/// as long as a snapshot is.
fn leftovers(
    folder: &Path,
    url: &TargetUrl,
    runs: &[Run],
    keep: Retention,
    now: i64,
    found: &mut Vec<PathBuf>,
) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let orphan = || {
            let run = url.run_of(&entry.path())?;
            let began = runs.iter().any(|known| known.id == run);
            (!began).then_some(keep.snapshot_days)
        };
        let Some(days) = url.leftover(&name, keep).or_else(orphan) else {
            continue;
        };
        let made = entry.metadata().and_then(|about| about.modified()).ok();
        let age = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let age = age.map_or(0, |made: Duration| {
            now - i64::try_from(made.as_millis()).unwrap_or(i64::MAX)
        });
        if age > i64::from(days) * DAY {
            found.push(entry.path());
        }
    }
}

fn write(args: &Args, url: &TargetUrl, pruning: &Pruning, now: i64) -> anyhow::Result<()> {
    let mut target = url.open_to_undo().map_err(refused)?;
    let operator = args.operator();
    let host = Holder::here(&operator, "").host;
    let by = (operator.as_str(), host.as_str());
    if let Some(held) = ledger::holder(target.sql()).map_err(refused)?
        && !held.void
    {
        return Err(locked(target.sql(), &held.holder.run, &held.holder.to_string()).into());
    }
    let work = target.note(&mut |sql| {
        // What rows were before may hold secrets.
        sql.overwrite_deleted()?;
        ledger::upgrade(sql, by)?;
        for run in &pruning.runs {
            // Read again: a rollback may have begun since.
            if let Some(mut now_run) = ledger::find_run(sql, &run.id)?
                && now_run.status == run.status
            {
                ledger::prune_run(sql, &mut now_run, now, by)?;
            }
        }
        for (run, snapshot) in &pruning.snapshots {
            if let Some(mut run) = ledger::find_run(sql, &run.id)? {
                ledger::prune_snapshot(sql, &mut run, snapshot.clone(), now, by)?;
            }
        }
        match pruning.audit {
            Some((_, last)) => ledger::prune_audit(sql, last, now, by),
            None => Ok(()),
        }
    });
    work.map_err(refused)?;
    let snapshots = pruning
        .snapshots
        .iter()
        .map(|(_, snapshot)| PathBuf::from(&snapshot.path));
    for file in snapshots.chain(pruning.files.iter().cloned()) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("{}: {error}", file.display());
                return Err(Failure::new(Exit::Partial, message)
                    .hint("the ledger says that it is pruned; rollback prune tries again")
                    .into());
            }
            _ => {}
        }
    }
    Ok(())
}
