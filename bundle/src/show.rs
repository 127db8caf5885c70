//! Looking at a bundle that is there.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use contract::bundle::Bundle;
use contract::{Edited, Op, Talk, Visible};

/// So many sources are named, the rest counted.
const SOURCES_SHOWN: usize = 10;

/// Hashes every file, reads every record, and prints the ID.
pub(crate) fn check(folder: &Path, stdout: &mut impl Write, talk: &Talk) -> Result<()> {
    let bundle = Bundle::open(folder)?;
    bundle.check()?;
    let manifest = bundle.manifest();
    let mut records = 0;
    for file in &manifest.records {
        for part in bundle.segments(file)? {
            records += part?.len() as u64;
        }
    }
    let files = manifest.files(bundle.id()).len() + 1;
    talk.say(format!(
        "{}: {files} files and {records} records add up",
        folder.display()
    ));
    writeln!(stdout, "{}", bundle.id())
        .and_then(|()| stdout.flush())
        .context("writing the bundle ID")
}

/// Says what is in the bundle.
pub(crate) fn show(folder: &Path, stdout: &mut impl Write) -> Result<()> {
    let bundle = Bundle::open(folder)?;
    let mut out = Visible::lines(stdout);
    describe(&bundle)
        .iter()
        .try_for_each(|(head, text)| writeln!(out, "{head:<8} {text}"))
        .and_then(|()| out.flush())
        .context("writing what is in the bundle")
}

fn describe(bundle: &Bundle) -> Vec<(&'static str, String)> {
    let manifest = bundle.manifest();
    let mut lines = vec![
        ("bundle", bundle.id().to_string()),
        (
            "plan",
            format!(
                "{}, from system {} (format {}, rules {})",
                manifest.name, manifest.system, manifest.format, manifest.rules
            ),
        ),
    ];
    lines.extend(manifest.records.iter().map(|file| {
        let what = if file.op == Op::Delete {
            "to delete"
        } else {
            "to put"
        };
        (
            "records",
            format!("{} {} {what}", file.records, file.entity),
        )
    }));
    let edited = match manifest.edited {
        Edited::No => "no",
        Edited::Yes => "yes: record lines were changed between the stages",
        Edited::Unknown => {
            "unknown: record lines were taken out between the stages, or had no seal"
        }
    };
    lines.push(("edited", edited.to_owned()));
    lines.push(("rejects", manifest.rejects.lines.to_string()));
    let bytes: u64 = manifest.sources.iter().map(|source| source.bytes).sum();
    let kept = if manifest.sources_kept {
        "kept"
    } else {
        "not kept"
    };
    lines.push((
        "sources",
        format!("{} files, {bytes} bytes, {kept}", manifest.sources.len()),
    ));
    for source in manifest.sources.iter().take(SOURCES_SHOWN) {
        let left_out = if manifest.sources_left_out.contains(&source.file) {
            ", not carried: the plan drops columns of it"
        } else {
            ""
        };
        lines.push((
            "",
            format!(
                "{}: {} items, {} bytes{left_out}",
                source.file, source.items, source.bytes
            ),
        ));
    }
    if let Some(more) = manifest
        .sources
        .len()
        .checked_sub(SOURCES_SHOWN)
        .filter(|more| *more > 0)
    {
        lines.push(("", format!("and {more} more")));
    }
    let hooks = (1..).zip(&bundle.plan().plan.hook);
    lines.extend(hooks.map(|(number, hook)| ("hook", hook.describe(number))));
    lines.extend(manifest.stages.iter().map(|stage| {
        let text = format!(
            "{}: {} records, {} rejected, {} ignored, {} filtered",
            stage.stage, stage.records, stage.rejected, stage.ignored, stage.filtered
        );
        ("stage", text)
    }));
    for (set, note) in [
        (
            !manifest.is_validated(),
            "never went through validate: apply refuses it without --unvalidated",
        ),
        (
            manifest.follow_up,
            "corrected rejects: references may lead to records of earlier runs",
        ),
        (
            manifest.unsealed,
            "made of a stream without a seal: nothing vouches that it is whole",
        ),
    ] {
        if set {
            lines.push(("note", note.into()));
        }
    }
    lines
}
