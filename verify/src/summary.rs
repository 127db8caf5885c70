//! The summary of a run, from the ledger alone.

use std::io::Write;

use contract::talk::counted;
use contract::{Exit, Reject};
use indexmap::IndexMap;
use serde_json::{Value, json};
use store::Sql;
use store::ledger::{self, BatchRow, BatchStatus, Counts, Run};

use crate::args::Args;
use crate::figures::moment;
use crate::scene::{find_run, target_error};

/// Figures by entity, or by source.
type Groups<'a> = IndexMap<&'a str, Counts>;

/// Prints what the run did: per entity and source, overall, batch by batch, and the records that failed.
pub(crate) fn show(
    sql: &mut dyn Sql,
    id: &str,
    args: &Args,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let run = find_run(sql, id)?;
    let batches = ledger::list_batches(sql, run.seq).map_err(target_error)?;
    let failures = ledger::failures(sql, run.seq).map_err(target_error)?;
    let (mut entities, mut files) = (Groups::new(), Groups::new());
    for batch in &batches {
        for (file, counts) in &batch.files {
            files.entry(file).or_default().add(counts);
        }
        entities
            .entry(&batch.entity)
            .or_default()
            .add(&batch.counts);
    }
    let counts = ledger::counts_of(sql, &run).map_err(target_error)?;
    if args.json {
        let batches: Vec<Value> = batches.iter().map(to_json).collect();
        let mut report = crate::runs::to_json(&run, &counts);
        report["entities"] = json!(entities);
        report["files"] = json!(files);
        report["batches"] = json!(batches);
        report["failures"] = json!(failures);
        writeln!(out, "{report}")?;
    } else {
        human(
            &run,
            &counts,
            [&entities, &files],
            &batches,
            &failures,
            args.verbose,
            out,
        )?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn to_json(batch: &BatchRow) -> Value {
    json!({
        "batch": batch.no, "phase": batch.phase, "entity": batch.entity, "records": batch.records,
        "status": if batch.status == BatchStatus::Applied { "applied" } else { "failed" },
        "counts": batch.counts, "error": batch.error, "at": moment(batch.at),
    })
}

fn human(
    run: &Run,
    counts: &Counts,
    groups: [&Groups<'_>; 2],
    batches: &[BatchRow],
    failures: &[Reject],
    verbose: bool,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    writeln!(out, "run {} of {} into {}", run.id, run.name, run.target)?;
    writeln!(out, "bundle {}", run.bundle)?;
    let ended = run.ended.map_or_else(|| "not ended".into(), moment);
    writeln!(
        out,
        "{} to {ended}, by {} on {}",
        moment(run.started),
        run.operator,
        run.host
    )?;
    for group in groups.into_iter().filter(|group| group.len() > 1) {
        for (name, counts) in group {
            writeln!(out, "{name}: {}", counts.words())?;
        }
    }
    writeln!(
        out,
        "{}: {}",
        counted(counts.total(), "record"),
        counts.words()
    )?;
    let applied = batches
        .iter()
        .filter(|batch| batch.status == BatchStatus::Applied)
        .count();
    writeln!(
        out,
        "{}: {applied} applied, {} failed",
        counted(batches.len() as u64, "batch"),
        batches.len() - applied
    )?;
    for batch in batches
        .iter()
        .filter(|batch| verbose || batch.status == BatchStatus::Failed)
    {
        let state = match &batch.error {
            Some(error) => format!("undone: {error}"),
            None => batch.counts.words(),
        };
        writeln!(
            out,
            "  batch {} ({}, {}, {}): {state}",
            batch.no,
            batch.phase,
            batch.entity,
            counted(batch.records.unsigned_abs(), "record")
        )?;
    }
    for reject in failures {
        for error in &reject.errors {
            let field = error
                .field
                .as_ref()
                .map(|field| format!("{field}: "))
                .unwrap_or_default();
            let key = reject.key.as_deref().unwrap_or("(no key)");
            let line = format!(
                "  {}: {} {key}: {field}{}",
                reject.at, reject.entity, error.message
            );
            writeln!(out, "{line}")?;
        }
    }
    writeln!(out, "run {} is {}", run.id, run.status)?;
    if let Some(reason) = &run.reason {
        writeln!(out, "reason: {reason}")?;
    }
    if run.kept > 0 {
        writeln!(
            out,
            "rollback kept {}",
            counted(run.kept.unsigned_abs(), "change")
        )?;
    }
    Ok(())
}
