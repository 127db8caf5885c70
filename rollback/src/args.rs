//! The command line.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Parser;
use contract::talk::ProgressMode;
use contract::{Exit, Failure, Talk};
use store::TargetUrl;
use store::undo::Choice;

/// Take a run back by its ID, and prove it
///
/// Checks every row that the run touched before the first write. Whatever is in the way (a row that
/// was changed since, one that others depend on, a place that is taken) stops it there, listed. Then
/// the changes are undone newest first, in batches, each together with the ledger's record of it. At
/// the end every row is compared with what it was before the run.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags of a command line are bools"
)]
pub struct Args {
    /// The run; without it the runs are listed, and nothing is done. `prune` gives up what the plans'
    /// retention does not keep any more
    pub run: Option<String>,
    /// The target: sqlite:PATH or postgres://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    to: String,
    /// Check alone: 0 where nothing is in the way, 1 where something is
    #[arg(long, conflicts_with_all = ["resume", "take_over"])]
    pub check: bool,
    /// Go on with a rollback that was interrupted or failed
    #[arg(long)]
    pub resume: bool,
    /// Leave in place what can't simply be reversed, and reverse the rest: 0 if anything was reversed
    #[arg(long)]
    pub skip_conflicts: bool,
    /// Reverse also rows that were changed since in a column that the run wrote. What stays all the same
    /// makes it 1, unless --skip-conflicts asks to leave it
    #[arg(long)]
    pub force: bool,
    /// Set references of others to rows that go NULL, where their foreign key says ON DELETE SET NULL: each is
    /// listed, and noted in the ledger with what it was
    #[arg(long)]
    pub detach: bool,
    /// Take the whole target back to a snapshot, which loses what anybody wrote since; the history stays
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "skip_conflicts", "force", "detach"])]
    pub snapshot: Option<PathBuf>,
    /// Take back a run that ended longer ago than its window
    #[arg(long)]
    pub outside_window: bool,
    /// Settle by hand a rollback that failed for good: say what was done instead
    #[arg(long, value_name = "NOTE", requires = "run", conflicts_with_all = ["check", "resume", "snapshot"])]
    pub resolve: Option<String>,
    /// Write the inverse of the run as record lines on standard output, and change nothing; of a run that is
    /// rolled back: what takes back what was left of it, and the references that were set NULL
    #[arg(long, requires = "run", conflicts_with_all = ["check", "resume", "snapshot", "resolve", "json"])]
    pub export: bool,
    /// With --export: also write the plan under which validate, bundle and apply take the lines
    #[arg(long, value_name = "FILE", requires = "export")]
    pub save_plan: Option<PathBuf>,
    /// With --export: the values of secret columns too, which are else left out and named
    #[arg(long, requires = "export")]
    pub with_secrets: bool,
    /// Write the sources that the run's bundle holds into a folder, and change nothing else
    #[arg(long, value_name = "DIR", requires = "run", conflicts_with_all = ["check", "resume", "snapshot", "resolve", "export"])]
    pub hand_back: Option<PathBuf>,
    /// With --hand-back: replace files that differ
    #[arg(long, requires = "hand_back")]
    pub overwrite: bool,
    /// Do all of it where nothing lasts, and say what the rollback would: on a private copy of a SQLite
    /// file, in one transaction of a PostgreSQL database that is not committed. With prune: say what would
    /// be given up
    #[arg(long, conflicts_with_all = ["check", "snapshot", "resolve", "export", "hand_back"])]
    pub dry_run: bool,
    /// Give up a dry run, or the trial before a rollback, after N seconds on PostgreSQL: it holds locks
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub max_seconds: u64,
    /// The time it is, RFC 3339, for tests
    #[arg(long, value_name = "TIME", hide = true)]
    now: Option<DateTime<Utc>>,
    /// The run's bundle, to show what the run wrote [default: where it was applied from]
    #[arg(long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Compare also every touched table as a whole with what apply noted of it before the run
    #[arg(long)]
    pub fingerprint: bool,
    /// Changes undone in one commit [default: as many as 200 ms allow]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch_size: Option<u32>,
    /// Take the lock of another run whose process is gone or whose lease ran out; that run is failed
    #[arg(long)]
    pub take_over: bool,
    /// Write to the production environment of this name, as the runs' plans recognise it; --snapshot, --resolve
    /// and prune ask too
    #[arg(long, value_name = "NAME")]
    pub allow_production: Option<String>,
    /// Run the hooks of the run's plan as the bundle that is named by --bundle holds it: they start programs
    /// here, as you
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
    /// Sign the entries of the audit trail with this private key (Ed25519, PEM). Hooks of a run that it signed
    /// run with --hooks alone
    #[arg(long, value_name = "FILE")]
    pub audit_key: Option<PathBuf>,
    /// Who runs it [default: the login name]
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Print a verdict a row and the outcome, as JSON lines on standard output
    #[arg(long)]
    pub json: bool,
    /// How progress is shown: auto (a line on a terminal), json (a line a second) or off
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = progress_mode)]
    progress: ProgressMode,
    /// Say nothing but warnings and errors
    #[arg(long)]
    quiet: bool,
    /// Say more
    #[arg(short, long)]
    verbose: bool,
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
    /// Returns the voice on standard error that was asked for.
    #[must_use]
    pub fn talk(&self) -> Talk {
        Talk::new("rollback", self.quiet, self.verbose, self.progress)
    }

    /// Returns where the target is. (Read here and not by clap, which would print a URL that it does
    /// not take, password and all.)
    pub(crate) fn target(&self) -> Result<TargetUrl, Failure> {
        self.to
            .parse()
            .map_err(|why: String| Failure::new(Exit::Usage, format!("--to: {why}")))
    }

    /// Returns who runs it.
    pub(crate) fn operator(&self) -> String {
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

    /// Returns the time it is.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now.unwrap_or_else(Utc::now)
    }

    pub(crate) fn choice(&self) -> Choice {
        Choice {
            skip: self.skip_conflicts,
            force: self.force,
            detach: self.detach,
        }
    }
}

const AFTER: &str = "\
Examples:
  rollback                   --to sqlite:club.db     which runs are there?
  rollback $run --check      --to sqlite:club.db
  rollback $run --dry-run    --to sqlite:club.db
  rollback $run              --to sqlite:club.db --reason 'wrong export'
  rollback $run --resume     --to sqlite:club.db
  rollback --snapshot .switchback/snapshots/club.db.$run.snapshot --to sqlite:club.db
  rollback $run --export     --to sqlite:club.db > inverse.ndjson
  rollback $run --hand-back recovered --to sqlite:club.db
  rollback prune --dry-run   --to sqlite:club.db

Exit codes:
  0    the run is rolled back, or was already; --check: nothing is in the way
  1    rows are in the way (nothing was written), something of the run was left that --skip-conflicts did
       not ask for, nothing could be reversed, or the proof found a row that is not as it was;
       --check: it can't be rolled back as a whole, for the reason given
  2    wrong usage
  3    stopped part-way: rollback --resume goes on
  4    refused before any write: no such run, a bundle or ledger that does not add up, the window is
       closed, a snapshot that the ledger does not know, another rollback that failed
  5    the target could not be reached, read or written, before any write
  11   another run holds the lock: who, where, since when
  130  stopped by SIGINT, 143 by SIGTERM: the batch in hand was finished; --resume goes on";
