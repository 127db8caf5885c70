//! The command line.

use std::path::PathBuf;

use clap::Parser;
use contract::Talk;
use contract::talk::ProgressMode;

/// Check record lines against the plan
///
/// Reads record lines from standard input. Records that keep every rule of the plan go to standard
/// output byte for byte; the others go there as reject lines, each with all that is wrong with it.
/// A record that refers to a rejected one is rejected too. The summary goes to standard error.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER)]
pub struct Args {
    /// The plan [default: migration.toml]
    #[arg(long, value_name = "FILE", env = "MIGRATION_PLAN")]
    pub plan: Option<PathBuf>,
    /// Keep a copy of what this run rejects, ended by its seal
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Read corrected rejects of validate or apply instead of standard input
    #[arg(long, value_name = "FILE", conflicts_with = "unsealed")]
    pub from_rejects: Option<PathBuf>,
    /// Take a stream that no seal ends; the seal written says so
    #[arg(long)]
    pub unsealed: bool,
    /// Say nothing but warnings and errors
    #[arg(long)]
    pub quiet: bool,
    /// Name every reject, not only the first ten
    #[arg(short, long)]
    pub verbose: bool,
}

impl Args {
    /// Returns the voice on standard error that was asked for.
    #[must_use]
    pub fn talk(&self) -> Talk {
        Talk::new("validate", self.quiet, self.verbose, ProgressMode::Auto)
    }
}

const AFTER: &str = "\
Examples:
  parse | validate --rejects rejects.ndjson | bundle -o members.bundle
  validate --from-rejects rejects.ndjson | bundle -o corrected.bundle

Rejects are counted as a share of all that was judged so far, by parse too: above the plan's
limits.reject_warn (5 %) validate warns, above limits.reject_fail (10 %) it fails and writes no seal,
so that no bundle can be made. To correct rejects, edit `record` in the lines of the rejects file, take
out what shall not come back, and leave its last line as it is.

Exit codes:
  0    done; rejects, if any, are within the limits
  1    too many rejects: no seal was written; the rejects file, if asked for, holds them
  2    wrong usage: arguments or plan
  4    refused: no seal, a seal of another plan, a line that is no record, a reject of parse
  5    the input could not be read, or the output, the rejects file or the temporary file written
  141  the reader of standard output left";
