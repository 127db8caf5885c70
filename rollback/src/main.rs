//! `rollback`: takes a run back.

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use contract::code_of;

fn main() -> ExitCode {
    let args = rollback::Args::parse();
    let talk = args.talk();
    match rollback::run(&args, &mut io::stdout(), &talk) {
        Ok(exit) => exit.into(),
        Err(error) => {
            talk.fail(&error);
            code_of(&error).into()
        }
    }
}
