//! The command line.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Parser, ValueEnum};
use contract::Talk;
use contract::talk::ProgressMode;
use store::TargetUrl;
use store::ledger::Policy;
use uuid::Uuid;

/// Apply a bundle to a target, batch by batch, under a run ID
///
/// Checks every file of the bundle and the target's live catalogue before the first write. Each
/// batch commits together with the ledger's record of it, or not at all. The run ID goes to standard
/// output; `rollback RUN` takes the run back, `verify RUN` checks it.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags of a command line are bools"
)]
pub struct Args {
    /// The bundle
    pub bundle: PathBuf,
    /// The target: sqlite:PATH or postgres://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true, value_parser = Quiet)]
    pub to: TargetUrl,
    /// Do all that a live run would do, in a transaction that is undone, and say it; sequences of
    /// PostgreSQL advance all the same
    #[arg(long)]
    pub dry_run: bool,
    /// Stop a dry run after N seconds: it holds locks on the target
    #[arg(long, value_name = "N", default_value_t = 300, requires = "dry_run")]
    pub max_seconds: u64,
    /// Apply, verify and roll back on a copy, and print a certificate; the target is only read. Of a
    /// PostgreSQL database the copy is a scratch database on the same server, by `pg_dump` and `pg_restore`,
    /// dropped in the end: needs CREATEDB and room for it; roles are the server's own
    #[arg(long, conflicts_with_all = ["dry_run", "resume", "only_batch", "expect", "take_over"])]
    pub rehearse: bool,
    /// Write the decisions of a dry run to a file, for --expect
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    pub save: Option<PathBuf>,
    /// Write only what a dry run has said: refused where anything would be decided otherwise now
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub expect: Option<PathBuf>,
    /// Copy the target before the run starts, for `rollback --snapshot`; PostgreSQL by `pg_dump`, found in
    /// `$PG_BIN` or on the path [default folder: .switchback/snapshots beside the file, or here]
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, conflicts_with = "dry_run")]
    pub snapshot: Option<Option<PathBuf>>,
    /// Note what every table that the plan names holds before the run, for `rollback --fingerprint`;
    /// without it that is noted of tables of up to 1,000 rows
    #[arg(long)]
    pub fingerprint: bool,
    /// Write to the production environment of this name, as the plan recognises it
    #[arg(long, value_name = "NAME")]
    pub allow_production: Option<String>,
    /// Records in a batch, the unit of failure
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch_size: u32,
    /// Gather batches for MS milliseconds before they are committed together; 0: each alone. What
    /// they wrote stays locked until then [default: 200; PostgreSQL: 0]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub commit_every: Option<u64>,
    /// Stop at the first batch that fails (the default; a resumed run keeps its own)
    #[arg(long, conflicts_with = "continue_on_error")]
    pub fail_fast: bool,
    /// Go on with the next batch when one fails
    #[arg(long)]
    pub continue_on_error: bool,
    /// What is undone when a record fails: its whole batch, or it alone: the others of its batch are
    /// applied, and it goes into the failures file [default: batch; a resumed run keeps its own]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub on_error: Option<OnError>,
    /// What to do when the run fails or is stopped by a limit or a signal: leave it to be resumed, or
    /// take it back
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        default_value = "stop",
        conflicts_with = "dry_run"
    )]
    pub on_failure: OnFailure,
    /// Stop when more than this share of the bundle's records failed [default: the plan's, else 10]
    #[arg(long, value_name = "PERCENT")]
    pub max_failed_percent: Option<f64>,
    /// Stop after N seconds [default: the plan's, else never]
    #[arg(long, value_name = "N")]
    pub time_limit: Option<u64>,
    /// Stop when the process uses more memory, in MiB [default: the plan's, else never]
    #[arg(long, value_name = "MIB")]
    pub memory_limit: Option<u64>,
    /// Stop when more of the system's memory is in use [default: the plan's, else never]
    #[arg(long, value_name = "PERCENT")]
    pub system_memory_limit: Option<f64>,
    /// Where the system's use of memory is read
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/proc/meminfo",
        hide = true
    )]
    pub meminfo: PathBuf,
    /// Write no more rows a second than this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_rows_per_second: Option<u32>,
    /// Wait before a batch while this SELECT is true on the target: it is busy. It may change nothing
    #[arg(long, value_name = "SQL")]
    pub throttle_query: Option<String>,
    /// Wait before a batch while this file is there
    #[arg(long, value_name = "FILE")]
    pub throttle_file: Option<PathBuf>,
    /// Where progress is noted for people; the ledger alone decides
    #[arg(
        long,
        value_name = "FILE",
        default_value = ".migration-checkpoint.json"
    )]
    pub checkpoint: PathBuf,
    /// Go on with a run that failed or was interrupted: the latest of this bundle, or the one named;
    /// `auto` starts one where there is none. Records at fault are tried again
    #[arg(long, value_name = "RUN|auto", num_args = 0..=1, require_equals = true)]
    pub resume: Option<Option<Resume>>,
    /// Try this batch alone again, of the run that is resumed
    #[arg(long, value_name = "N", conflicts_with_all = ["dry_run", "continue_on_error"])]
    pub only_batch: Option<i64>,
    /// Settle a run of this bundle that failed, the latest or that of --resume=RUN: it is completed, and
    /// the note says what became of the records that it did not apply
    #[arg(long, value_name = "NOTE", conflicts_with_all = ["dry_run", "rehearse", "only_batch", "expect", "take_over", "snapshot"])]
    pub resolve: Option<String>,
    /// Take the lock of another run whose process is gone or whose lease ran out; that run is failed
    #[arg(long)]
    pub take_over: bool,
    /// Start a run of a bundle that never went through validate: what its records break shows in the target
    #[arg(long)]
    pub unvalidated: bool,
    /// Run the hooks that come with the bundle: they start programs here, as you
    #[arg(long, conflicts_with = "no_hooks")]
    pub hooks: bool,
    /// Give this environment variable to the hooks that are run by --hooks; repeat it for each
    #[arg(long, value_name = "NAME")]
    pub hook_env: Vec<String>,
    /// Your own copy of the plan: where it is that of the run, its hooks run with the variables that it names
    #[arg(long, value_name = "FILE", env = "MIGRATION_PLAN")]
    pub plan: Option<PathBuf>,
    /// Run none of the plan's hooks; --resume without this runs them later
    #[arg(long)]
    pub no_hooks: bool,
    /// Sign the entries of the audit trail with this private key (Ed25519, PEM); `verify audit --audit-key`
    /// checks them
    #[arg(long, value_name = "FILE")]
    pub audit_key: Option<PathBuf>,
    /// Who runs it [default: the login name]
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// The run ID of a new run, a UUID version 7, for tests
    #[arg(long, value_name = "UUID", hide = true)]
    pub run_id: Option<Uuid>,
    /// The time that a new run starts, RFC 3339, for tests
    #[arg(long, value_name = "TIME", hide = true)]
    pub now: Option<DateTime<Utc>>,
    /// Where the records that failed are written, with the run ID
    #[arg(long, value_name = "FILE", default_value = ".migration-failures.json")]
    pub failures: PathBuf,
    /// Print the summary, with every decision of a dry run, as JSON lines on standard output
    #[arg(long)]
    pub json: bool,
    /// How progress is shown: auto (a line on a terminal), json (a line a second) or off
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = progress_mode)]
    pub progress: ProgressMode,
    /// Say nothing but warnings and errors
    #[arg(long)]
    pub quiet: bool,
    /// Say what was decided for each record that is not plainly created or unchanged
    #[arg(short, long)]
    pub verbose: bool,
}

/// Which run to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// The unfinished one of this bundle, or else a new one.
    Auto,
    /// This one.
    Run(Uuid),
}

impl FromStr for Resume {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            id => match Uuid::parse_str(id) {
                Ok(id) => Ok(Self::Run(id)),
                Err(_) => Err("it is a run ID or auto".into()),
            },
        }
    }
}

/// Reads a target's URL without ever repeating it: clap's own message would, password and all.
#[derive(Debug, Clone, Copy)]
struct Quiet;

impl TypedValueParser for Quiet {
    type Value = TargetUrl;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<TargetUrl, clap::Error> {
        let wrong = |why: String| {
            clap::Error::raw(ErrorKind::InvalidValue, format!("--to: {why}\n")).with_cmd(command)
        };
        let text = value
            .to_str()
            .ok_or_else(|| wrong("it is not UTF-8".into()))?;
        text.parse().map_err(wrong)
    }
}

/// What is undone when a record fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// Its whole batch
    Batch,
    /// It alone
    Record,
}

/// What to do when a run fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    /// Leave it to be resumed
    Stop,
    /// Take it back
    Rollback,
}

fn progress_mode(word: &str) -> Result<ProgressMode, String> {
    match word {
        "auto" => Ok(ProgressMode::Auto),
        "json" => Ok(ProgressMode::Json),
        "off" => Ok(ProgressMode::Off),
        _ => Err("it is auto, json or off".into()),
    }
}

impl Args {
    /// Returns how records that fail are dealt with: as is asked for, else as the run did before.
    #[must_use]
    pub fn policy(&self, before: Policy) -> Policy {
        Policy {
            by_record: self
                .on_error
                .map_or(before.by_record, |what| what == OnError::Record),
            continues: match (self.continue_on_error, self.fail_fast) {
                (true, _) => true,
                (_, true) => false,
                _ => before.continues,
            },
        }
    }

    /// Returns the voice on standard error that was asked for.
    #[must_use]
    pub fn talk(&self) -> Talk {
        Talk::new("apply", self.quiet, self.verbose, self.progress)
    }

    /// Returns who runs it.
    #[must_use]
    pub fn operator(&self) -> String {
        let login = || {
            ["USER", "LOGNAME", "USERNAME"]
                .iter()
                .find_map(|name| std::env::var(name).ok())
        };
        self.operator
            .clone()
            .or_else(login)
            .unwrap_or_else(|| "unknown".into())
    }
}

const AFTER: &str = "\
Examples:
  apply members.bundle --to sqlite:club.db --dry-run
  run=$(apply members.bundle --to sqlite:club.db)
  apply members.bundle --to sqlite:club.db --resume
  apply members.bundle --to sqlite:club.db --rehearse
  apply members.bundle --to sqlite:club.db --dry-run --save decisions.ndjson
  apply members.bundle --to sqlite:club.db --expect decisions.ndjson

Exit codes:
  0    every record is applied, or was already
  1    dry run: the live run would fail, for what is listed; a rehearsal failed; nothing was written
  2    wrong usage: arguments or plan
  3    done in part: batches failed or the target was lost; the ledger says what was committed:
       apply --resume goes on, rollback takes back
  4    refused before any write: the bundle or the catalogue does not add up, or the run's status,
       production without its name, more rows than the limits allow, not what --expect expects
  5    the bundle or the target could not be reached, read or written, before any write
  11   another run holds the lock: who, where, since when
  130  stopped by SIGINT, 143 by SIGTERM: the batch in hand was finished; apply --resume goes on";
