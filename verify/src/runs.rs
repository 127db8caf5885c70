//! The list of runs.

use std::io::Write;

use contract::Exit;
use contract::talk::counted;
use serde_json::{Value, json};
use store::Sql;
use store::ledger::{self, Counts, Held, Run};

use crate::args::Args;
use crate::figures::{moment, span};
use crate::scene::target_error;

/// Lists all runs, newest first, and who holds the lock.
pub(crate) fn show(sql: &mut dyn Sql, args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let (runs, held) = if ledger::version(sql).map_err(target_error)?.is_some() {
        let runs = ledger::list_runs(sql).map_err(target_error)?;
        (runs, ledger::holder(sql).map_err(target_error)?)
    } else {
        (vec![], None)
    };
    let now = sql.now().map_err(target_error)?;
    let mut all = Vec::with_capacity(runs.len());
    for run in &runs {
        all.push((run, ledger::counts_of(sql, run).map_err(target_error)?));
    }
    if args.json {
        let runs: Vec<Value> = all
            .iter()
            .map(|(run, counts)| to_json(run, counts))
            .collect();
        let lock = held.as_ref().map(|held| lock(held, now));
        writeln!(out, "{}", json!({"runs": runs, "lock": lock}))?;
    } else {
        for (run, counts) in &all {
            human(run, counts, out)?;
        }
        if runs.is_empty() {
            writeln!(out, "no runs")?;
        }
        if let Some(held) = &held {
            let state = match (held.void, held.expires - now) {
                (true, 1..) => "void: its process is gone".to_owned(),
                (_, left @ 1..) => format!("its lease lasts {} more", span(left)),
                (_, over) => format!("its lease ran out {} ago", span(-over)),
            };
            let age = span(now - held.since);
            writeln!(
                out,
                "lock: {}, since {} ({age}); {state}",
                held.holder,
                moment(held.since)
            )?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn human(run: &Run, counts: &Counts, out: &mut dyn Write) -> std::io::Result<()> {
    let ended = run.ended.map_or_else(|| "not ended".into(), moment);
    let kept = if run.kept > 0 {
        format!(" ({} kept)", counted(run.kept.unsigned_abs(), "change"))
    } else {
        String::new()
    };
    writeln!(out, "{}  {}{kept}  {}", run.id, run.status, run.name)?;
    writeln!(
        out,
        "    {} to {ended}, by {} on {}, into {}",
        moment(run.started),
        run.operator,
        run.host,
        run.target
    )?;
    writeln!(
        out,
        "    {}: {}",
        counted(counts.total(), "record"),
        counts.words()
    )
}

/// A run for programs.
pub(crate) fn to_json(run: &Run, counts: &Counts) -> Value {
    json!({
        "run": run.id, "name": run.name, "system": run.system, "status": run.status,
        "started": moment(run.started), "ended": run.ended.map(moment), "counts": counts,
        "kept": run.kept, "operator": run.operator, "host": run.host, "target": run.target,
        "environment": run.environment, "tool": run.tool, "bundle": run.bundle,
        "bundle_path": run.bundle_path, "batch_size": run.batch_size, "reason": run.reason,
    })
}

fn lock(held: &Held, now: i64) -> Value {
    json!({
        "holder": held.holder, "since": moment(held.since), "age_seconds": (now - held.since) / 1000,
        "expires": moment(held.expires), "expires_in_seconds": (held.expires - now) / 1000, "void": held.void,
    })
}
