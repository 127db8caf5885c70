//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use contract::Talk;
use contract::talk::ProgressMode;

const AFTER: &str = "\
Examples:
  parse > records.ndjson                        all sources of ./migration.toml
  parse | validate | bundle -o members.bundle   the pipeline
  parse --explain >/dev/null                    what is skipped or ignored, and why
  parse --rejects bad.ndjson members/new.csv    one source; rejected items are copied to a file

Stdout: one record a line, rejected items as {\"reject\":…} where they occur, and the seal as the
last line. A stream without a seal is not complete, and the next stage refuses it.

Exit codes:
    0  done; rejected items are in the stream and counted
    2  wrong usage: arguments or plan
    4  a source is damaged, cut short, empty, outside the root, or lacks a column
    5  a source is missing or can't be read, or the output can't be written
  141  the reader of stdout left";

/// Reads the sources of a plan and writes their records as lines
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER)]
pub struct Args {
    /// The plan
    #[arg(
        long,
        env = "MIGRATION_PLAN",
        default_value = "migration.toml",
        value_name = "FILE"
    )]
    pub plan: PathBuf,

    /// The folder that the plan's sources are relative to [default: the plan's own]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Copy rejected items to FILE, which only its owner can read, ended by the seal
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Say for each source what was skipped, ignored or not read, how often, and why
    #[arg(long)]
    pub explain: bool,

    /// Say only warnings and errors
    #[arg(short, long, conflicts_with_all = ["explain", "verbose"])]
    pub quiet: bool,

    /// Say more
    #[arg(short, long)]
    pub verbose: bool,

    /// How to show progress
    #[arg(long, value_enum, default_value = "auto", value_name = "HOW")]
    pub progress: Progress,

    /// Read only these of the plan's sources
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A line on a terminal
    Auto,
    /// One JSON object a second
    Json,
    /// Not at all
    Off,
}

impl Args {
    /// Returns the voice that the arguments ask for.
    #[must_use]
    pub fn talk(&self) -> Talk {
        let progress = match self.progress {
            Progress::Auto => ProgressMode::Auto,
            Progress::Json => ProgressMode::Json,
            Progress::Off => ProgressMode::Off,
        };
        Talk::new("parse", self.quiet, self.verbose, progress)
    }
}
