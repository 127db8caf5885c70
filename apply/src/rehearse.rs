//! The rehearsal: apply, verify and roll back on a copy, by the programs that do it, and compare what
//! every table holds before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use contract::bundle::Bundle;
use contract::{Exit, Failure, Talk, Visible};
use serde::Serialize;
use store::{Fingerprint, PrivateFolder, StoreError, TargetUrl};
use system::Signals;

use crate::Args;
use crate::args::OnError;
use crate::which::refused;

/// What a rehearsal found.
#[derive(Debug, Serialize)]
struct Certificate {
    bundle: String,
    target: String,
    /// Whether every step ended with 0 and every table is as it was.
    holds: bool,
    started: String,
    ended: String,
    steps: Vec<Step>,
    tables: Vec<Content>,
}

/// A program that was run on the copy.
#[derive(Debug, Serialize)]
struct Step {
    program: &'static str,
    exit: Option<i32>,
    seconds: f64,
}

/// What a table of the copy held.
#[derive(Debug, Serialize)]
struct Content {
    table: String,
    before: String,
    after: String,
}

/// Rehearses a bundle on a copy of the target. The target itself is only read.
///
/// # Errors
///
/// The copy can't be made, or a program can't be run, or a signal came; the target is as it was.
pub(crate) fn rehearse(
    args: &Args,
    bundle: &Bundle,
    signals: &Signals,
    out: &mut dyn Write,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let folder = PrivateFolder::for_rehearsal()?;
    let started = now();
    let stopped = |error: StoreError| match signals.stop() {
        Some(signal) => Failure::new(signal.into(), format!("the rehearsal was stopped: {error}")),
        None => refused(error),
    };
    let mark = format!("{}_{}", &bundle.id().to_string()[..8], std::process::id());
    let copy = args
        .to
        .copy(folder.path(), &mark, signals)
        .map_err(stopped)?;
    talk.say(format!(
        "rehearsing on {}, a copy of {}, which is only read",
        copy.url(),
        args.to
    ));
    for note in copy.notes() {
        talk.warn(note);
    }
    let certificate = on_copy(args, bundle, copy.url(), signals, folder.path());
    if let Err(error) = copy.remove() {
        talk.warn(error.to_string());
    }
    let certificate = Certificate {
        started,
        ..certificate?
    };
    certificate.print(args.json, out)?;
    if certificate.holds {
        return Ok(Exit::Done);
    }
    let message = "the rehearsal failed on the copy; the target is as it was";
    Err(Failure::new(Exit::No, message)
        .hint("the steps above say where; -v shows all that they said")
        .into())
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Runs the programs on the copy and compares what its tables hold.
fn on_copy(
    args: &Args,
    bundle: &Bundle,
    copy: &TargetUrl,
    signals: &Signals,
    folder: &Path,
) -> anyhow::Result<Certificate> {
    let before = copy.contents().map_err(refused)?;
    // A copy is never production, even where its path looks like it.
    let environment = bundle.plan().plan.environment(&copy.descriptions());
    let production = environment.filter(|environment| environment.production);
    let mut stage = Stage {
        copy,
        signals,
        production: production.map(|environment| environment.name.as_str()),
        verbose: args.verbose,
        steps: Vec::new(),
    };
    let run = stage.run("apply", &apply_args(args, folder))?;
    let path = args.bundle.to_string_lossy().into_owned();
    if !run.is_empty() {
        let of_run = [run.clone(), "--bundle".into(), path];
        if stage.passed() {
            stage.run("verify", &of_run)?;
        }
        let quietly = [&of_run[..], &["--no-hooks".into()]].concat();
        stage.run("rollback", &quietly)?;
    }
    let after = copy.contents().map_err(refused)?;
    Ok(Certificate {
        bundle: bundle.id().to_string(),
        target: args.to.to_string(),
        holds: stage.passed() && before == after,
        started: String::new(),
        ended: now(),
        steps: stage.steps,
        tables: tables(&before, &after),
    })
}

/// The live run's arguments, for the copy.
fn apply_args(args: &Args, folder: &Path) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut list = vec![
        text(&args.bundle),
        // Nothing is told of a copy.
        "--no-hooks".into(),
        "--batch-size".into(),
        args.batch_size.to_string(),
        "--failures".into(),
        text(&folder.join("failures")),
        "--checkpoint".into(),
        text(&folder.join("checkpoint")),
    ];
    if let Some(milliseconds) = args.commit_every {
        list.extend(["--commit-every".into(), milliseconds.to_string()]);
    }
    if args.unvalidated {
        list.push("--unvalidated".into());
    }
    if args.continue_on_error {
        list.push("--continue-on-error".into());
    }
    if args.on_error == Some(OnError::Record) {
        list.push("--on-error=record".into());
    }
    list
}

struct Stage<'a> {
    copy: &'a TargetUrl,
    signals: &'a Signals,
    production: Option<&'a str>,
    verbose: bool,
    steps: Vec<Step>,
}

impl Stage<'_> {
    /// Runs a program that lies beside this one on the copy, and returns what it said on stdout.
    fn run(&mut self, program: &'static str, args: &[String]) -> anyhow::Result<String> {
        let path = std::env::current_exe()?.with_file_name(program);
        let began = Instant::now();
        let mut command = Command::new(&path);
        // Not among its arguments: they can be seen by others.
        command.args(args).env("DATABASE_URL", self.copy.whole());
        if !self.verbose {
            command.arg("--quiet");
        }
        if let Some(name) = self.production.filter(|_| program != "verify") {
            command.args(["--allow-production", name]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let output = self.signals.output(&mut command);
        if let Some(signal) = self.signals.stop() {
            return Err(Failure::new(
                signal.into(),
                "the rehearsal was stopped; the target is as it was",
            )
            .into());
        }
        let output = output.map_err(|error| {
            Failure::new(Exit::Unreachable, format!("{}: {error}", path.display()))
        })?;
        self.steps.push(Step {
            program,
            exit: output.status.code(),
            seconds: (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        });
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.exit == Some(0))
    }
}

fn tables(
    before: &BTreeMap<String, Fingerprint>,
    after: &BTreeMap<String, Fingerprint>,
) -> Vec<Content> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let said = |content: Option<&Fingerprint>| content.map_or("none".into(), ToString::to_string);
    let content = |name: &String| Content {
        table: name.clone(),
        before: said(before.get(name)),
        after: said(after.get(name)),
    };
    names.into_iter().map(content).collect()
}

impl Certificate {
    fn print(&self, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
        if json {
            writeln!(Visible::json(&mut *out), "{}", serde_json::to_string(self)?)?;
            return Ok(out.flush()?);
        }
        let mut out = Visible::lines(out);
        let answer = if self.holds {
            "every table is as it was"
        } else {
            "FAILED"
        };
        writeln!(out, "Rehearsal: {answer}")?;
        writeln!(out, "bundle   {}", self.bundle)?;
        writeln!(out, "target   {}", self.target)?;
        writeln!(out, "started  {}", self.started)?;
        writeln!(out, "ended    {}", self.ended)?;
        for step in &self.steps {
            let exit = step
                .exit
                .map_or("by a signal".into(), |exit| exit.to_string());
            writeln!(
                out,
                "{:<8} exit {exit}, {:.3} s",
                step.program, step.seconds
            )?;
        }
        for table in &self.tables {
            let verdict = if table.before == table.after {
                "same"
            } else {
                "DIFFERS"
            };
            writeln!(out, "{} {verdict}", table.table)?;
            writeln!(out, "  before {}", table.before)?;
            writeln!(out, "  after  {}", table.after)?;
        }
        Ok(out.flush()?)
    }
}
