//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use clap::{Parser, Subcommand};
use contract::talk::ProgressMode;
use contract::{Digest, Exit, Failure, Talk};
use store::TargetUrl;

/// Check a run in its target, list runs, reprint reports, check the audit trail
///
/// Reads the target in one snapshot and never writes. The report goes to standard output.
#[derive(Debug, Parser)]
#[command(version, subcommand_negates_reqs = true, after_help = AFTER)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) what: Option<What>,
    /// The run to check: what it created, updated and deleted, every value of every record
    #[arg(required = true, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// The run's bundle [default: where it was when it was applied]
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// Compare the values of N records, drawn by --seed, instead of all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sample: Option<u64>,
    /// Draw another sample: the same number draws the same records
    #[arg(long, value_name = "S", default_value_t = 0, requires = "sample")]
    pub(crate) seed: u64,
    /// The target: sqlite:PATH or postgres://USER@HOST:PORT/DATABASE
    #[arg(
        long,
        value_name = "URL",
        env = "DATABASE_URL",
        hide_env_values = true,
        global = true
    )]
    // Text here: clap would repeat a URL that is wrong, with its password.
    pub(crate) to: Option<String>,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but warnings and errors on standard error
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// List more of the rows at fault
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// What to do instead of checking a run.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// List all runs, newest first, and who holds the lock
    Runs,
    /// Print the summary of a run again, from the ledger alone
    Report {
        /// The run
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// Check the chain of the audit trail and list its entries
    Audit {
        /// List the entries of this run alone; the chain is checked as a whole
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// List runs that were taken back alone
        #[arg(long)]
        rollbacks: bool,
        /// With --rollbacks: of the last N days
        #[arg(long, value_name = "N", default_value_t = 30, requires = "rollbacks")]
        days: u32,
        /// Sum up runs and seconds by operator
        #[arg(long, conflicts_with_all = ["run", "rollbacks"])]
        by_operator: bool,
        /// Check that a hash which `verify audit` printed earlier, and which was kept elsewhere, is still in the
        /// chain, and list the entries after it. With --by-operator: count from this day on (YYYY-MM-DD), UTC
        #[arg(long, value_name = "HASH")]
        since: Option<Since>,
        /// Check that every entry which is looked at was signed with this key (Ed25519, PEM; the public half is
        /// enough)
        #[arg(long, value_name = "FILE")]
        audit_key: Option<PathBuf>,
    },
}

/// From where on the trail is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// The entry of this hash.
    Hash(Digest),
    /// A day, UTC.
    Day(NaiveDate),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(hash) = Digest::parse(&text.to_ascii_lowercase()) {
            return Ok(Self::Hash(hash));
        }
        text.parse()
            .map(Self::Day)
            .map_err(|_| "neither a hash of 64 hex digits nor a day YYYY-MM-DD".into())
    }
}

impl Args {
    /// Returns the voice on standard error that was asked for.
    #[must_use]
    pub fn talk(&self) -> Talk {
        Talk::new("verify", self.quiet, self.verbose, ProgressMode::Auto)
    }

    /// Returns the target.
    pub(crate) fn target(&self) -> Result<TargetUrl, Failure> {
        let wrong = |message: String| Failure::new(Exit::Usage, format!("--to: {message}"));
        match self.to.as_deref() {
            Some(url) => url.parse().map_err(wrong),
            None => Err(wrong(
                "no target is named; give --to sqlite:PATH, or set DATABASE_URL".into(),
            )),
        }
    }
}

const AFTER: &str = "\
Examples:
  verify 0192f0c1-… --to sqlite:club.db
  verify 0192f0c1-… --to sqlite:club.db --sample 1000
  verify runs --to sqlite:club.db
  verify report 0192f0c1-… --to sqlite:club.db --json

Exit codes:
  0  every check passed (warnings do not fail)
  1  a check failed
  2  wrong usage
  4  the run is unknown, or its bundle does not add up
  5  the target or the bundle could not be read";
