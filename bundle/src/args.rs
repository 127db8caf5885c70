//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use contract::Talk;
use contract::talk::ProgressMode;

/// Seal record lines into a bundle
///
/// Reads record lines from standard input and writes a folder that holds them in the order in which
/// they are applied, with the rejects, the plan, the sources byte for byte, manifest.json and
/// SHA256SUMS (for `sha256sum -c`). The folder appears whole or not at all. The bundle ID, the
/// SHA-256 of manifest.json, goes to standard output.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = AFTER,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Args {
    /// What to do; without a command: make a bundle
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to make a bundle
    #[command(flatten)]
    pub make: Make,
}

/// What else the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Hash every file of a bundle, read every record, and print its ID
    Check {
        /// The bundle
        folder: PathBuf,
    },
    /// Say in a few lines what is in a bundle
    Show {
        /// The bundle
        folder: PathBuf,
    },
}

/// How to make a bundle.
#[derive(Debug, ClapArgs)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags of a command line are bools"
)]
pub struct Make {
    /// The plan [default: migration.toml]
    #[arg(long, value_name = "FILE", env = "MIGRATION_PLAN")]
    pub plan: Option<PathBuf>,
    /// The folder that the sources are relative to [default: the plan's]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The folder to write; the folder above it must exist
    #[arg(short, long, value_name = "DIR", required = true)]
    pub output: Option<PathBuf>,
    /// Leave the sources out of the bundle; their digests stay in it
    #[arg(long)]
    pub no_sources: bool,
    /// Replace another bundle that is there
    #[arg(long)]
    pub force: bool,
    /// Make a bundle even of no records at all
    #[arg(long)]
    pub allow_empty: bool,
    /// Take a stream that no seal ends; the bundle says so, and names no sources
    #[arg(long)]
    pub unsealed: bool,
    /// Say nothing but warnings and errors
    #[arg(long)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long)]
    pub verbose: bool,
}

impl Args {
    /// Returns the voice on standard error that was asked for.
    #[must_use]
    pub fn talk(&self) -> Talk {
        Talk::new(
            "bundle",
            self.make.quiet,
            self.make.verbose,
            ProgressMode::Auto,
        )
    }
}

const AFTER: &str = "\
Examples:
  parse | validate | bundle -o members.bundle
  bundle check members.bundle
  bundle show members.bundle

Exit codes:
  0    the bundle was made, or was there already
  2    wrong usage: arguments or plan
  4    refused: no seal, a seal of another plan, a source that changed since parse, another bundle
       in the place, no records; check and show: the bundle does not add up
  5    a source, the input or the place of the bundle could not be read or written
  141  the reader of standard output left
After 2, 4 and 5 the place is as it was before (unless only the ID could not be printed).";
