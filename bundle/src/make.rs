//! Making a bundle of a stream.

use std::io::{BufRead, Write};

use anyhow::{Context, Result};
use contract::bundle::left_out;
use contract::plan::{self, LoadedPlan};
use contract::talk::counted;
use contract::{Edited, Exit, Failure, Line, RecordReader, Seal, Talk};

use crate::args::Make;
use crate::write::BundleWriter;

pub(crate) fn make(
    args: &Make,
    input: impl BufRead,
    stdout: &mut impl Write,
    talk: &Talk,
) -> Result<()> {
    let plan = LoadedPlan::read(&plan::find(args.plan.as_deref()))?;
    let target = args
        .output
        .as_deref()
        .filter(|target| target.file_name().is_some())
        .ok_or_else(|| Failure::new(Exit::Usage, "--output names no folder of its own"))?;
    let mut bundle = BundleWriter::create(target, &plan)?;
    let mut reader = RecordReader::new(input);
    let mut progress = talk.progress(None);
    while let Some(line) = reader.next_line()? {
        match line {
            Line::Record(record, raw) => bundle.record(&record, &raw)?,
            Line::Reject(reject) => bundle.reject(&reject)?,
        }
        progress.at("EXECUTING", reader.line(), "lines", &[]);
    }
    drop(progress);
    let seal = reader.seal_for("bundle", &plan, args.unsealed)?;
    look_at(&seal, bundle.rejected(), args, talk)?;
    if !args.no_sources {
        let root = args.root.as_deref().unwrap_or(plan.folder());
        let left_out = left_out(&plan.plan, &seal.accounts);
        for source in &left_out {
            talk.say(format!(
                "{source} is not carried: the plan drops columns of it"
            ));
        }
        for source in &seal.sources {
            if left_out.contains(&source.file) {
                continue;
            }
            talk.detail(format!("copying {}", source.file));
            bundle.source(source, root)?;
        }
    }
    let placed = bundle.finish(&seal, args.force)?;
    let place = target.display();
    if placed.was_there {
        talk.say(format!(
            "{place} is this bundle already: nothing was written"
        ));
    } else {
        let (records, rejects) = (seal.records, total(&seal));
        let sources = if args.no_sources {
            0
        } else {
            seal.sources.len() - left_out(&plan.plan, &seal.accounts).len()
        };
        talk.say(format!(
            "{place}: {}, {}, {}",
            counted(records, "record"),
            counted(rejects, "reject"),
            counted(sources as u64, "source")
        ));
    }
    writeln!(stdout, "{}", placed.id)
        .and_then(|()| stdout.flush())
        .context("writing the bundle ID")
}

/// Refuses an empty stream, and warns of what the seal says but nobody may have noticed.
fn look_at(seal: &Seal, rejects: u64, args: &Make, talk: &Talk) -> Result<(), Failure> {
    if seal.records == 0 && !args.allow_empty {
        return Err(Failure::new(Exit::Refused, "the stream holds no records")
            .hint("--allow-empty makes an empty bundle"));
    }
    if seal.unsealed {
        talk.warn("no seal ended the stream: nothing vouches that it is whole, no source is kept");
    }
    if seal.edited == Edited::Yes {
        talk.warn("record lines were changed between the stages: the manifest says so");
    }
    let filtered: u64 = seal.accounts.iter().map(|account| account.filtered).sum();
    if filtered > 0 {
        talk.warn(format!(
            "{} taken out of the stream between the stages",
            counted(filtered, "record")
        ));
    }
    let said = total(seal);
    if rejects != said {
        talk.warn(format!(
            "the stages rejected {said}, the stream holds {rejects} rejects"
        ));
    }
    Ok(())
}

/// Returns what all stages rejected.
fn total(seal: &Seal) -> u64 {
    seal.accounts
        .iter()
        .map(|account| account.rejected + account.refused)
        .sum()
}
