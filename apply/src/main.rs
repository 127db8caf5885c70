//! `apply`: a bundle into a target.

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use contract::code_of;

/// Rows are many small texts: a third of the time was the system's allocator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = apply::Args::parse();
    let talk = args.talk();
    match apply::run(&args, &mut io::stdout(), &talk) {
        Ok(exit) => exit.into(),
        Err(error) => {
            talk.fail(&error);
            code_of(&error).into()
        }
    }
}
