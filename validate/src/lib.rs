//! Checks record lines: the good ones go on byte for byte, the bad ones become rejects.
//!
//! A record can be judged only when every record that it may refer to was seen, and a rejected one
//! takes those that refer to it along. So where a plan has references the lines wait in an
//! unnamed temporary file until the input ends; in memory stay some tens of bytes a record (see
//! `identity` and `claims`). A plan without references is checked as it streams.

mod args;
mod check;
mod claims;
mod field;
mod identity;
mod input;
mod limit;
mod number;
mod place;
mod rules;
mod secrets;
mod spool;
mod stage;
mod summary;
mod value;

use std::io::{BufRead, Write};

use anyhow::Result;
use contract::plan::{self, LoadedPlan};
use contract::{Exit, Failure, Talk};

pub use args::Args;

/// Does what the arguments say. `input` is the stream of records, or nothing where standard input
/// is a terminal.
///
/// # Errors
///
/// Each knows its exit code; no seal was written then.
pub fn run(
    args: &Args,
    input: Option<impl BufRead>,
    stdout: impl Write,
    talk: &Talk,
) -> Result<Exit> {
    let plan = LoadedPlan::read(&plan::find(args.plan.as_deref()))?;
    let rejects = args.rejects.as_deref();
    match (&args.from_rejects, input) {
        (Some(path), _) => {
            stage::Stage::new(&plan, stdout, rejects, talk)?.run(input::Mended::open(path)?)
        }
        (None, Some(input)) => {
            let input = input::Stream::new(input, args.unsealed);
            stage::Stage::new(&plan, stdout, rejects, talk)?.run(input)
        }
        (None, None) => {
            let message = "standard input is a terminal, not a stream of records";
            Err(Failure::new(Exit::Usage, message)
                .hint("pipe into it: parse | validate | bundle -o DIR")
                .into())
        }
    }
}
