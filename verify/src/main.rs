//! `verify`: the only reader of a target.

use std::io::{self, BufWriter};
use std::process::ExitCode;

use clap::Parser as _;
use contract::{Exit, code_of};

/// Rows are many small texts: a third of the time was the system's allocator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = verify::Args::parse();
    let talk = args.talk();
    let mut stdout = BufWriter::new(io::stdout().lock());
    match verify::run(&args, &mut stdout, &talk) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = code_of(&error);
            if exit != Exit::ReaderLeft {
                talk.fail(&error);
            }
            exit.into()
        }
    }
}
