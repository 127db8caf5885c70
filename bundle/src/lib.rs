//! Record lines to a sealed bundle: one folder of records, plan and sources under one digest.

mod args;
mod folder;
mod make;
mod segments;
mod show;
mod write;

use std::io::{BufRead, Write};

use anyhow::Result;
use contract::{Exit, Failure, Talk};

pub use args::{Args, Command, Make};

/// Does what the arguments say. `input` is the stream of records, or nothing where standard input
/// is a terminal; `stdout` gets the bundle ID, or what `show` says.
///
/// # Errors
///
/// Each knows its exit code; the place of the bundle is then as it was before.
pub fn run(
    args: &Args,
    input: Option<impl BufRead>,
    stdout: &mut impl Write,
    talk: &Talk,
) -> Result<()> {
    match &args.command {
        Some(Command::Check { folder }) => show::check(folder, stdout, talk),
        Some(Command::Show { folder }) => show::show(folder, stdout),
        None => {
            let input = input.ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    "standard input is a terminal, not a stream of records",
                )
                .hint("pipe into it: parse | validate | bundle -o DIR")
            })?;
            make::make(&args.make, input, stdout, talk)
        }
    }
}
