//! `rollback`: takes a run back.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use contract::Exit;
use contract::exit::told;
use store::code_of;

/// Rows are many small texts: a third of the time was the system's allocator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    store::hide_password("rollback");
    let args = match rollback::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // What is repeated may be a password, or control the terminal.
            let shown = rollback::Args::try_parse_from(contract::shown_args());
            let help = shown.err().unwrap_or(error);
            let printed = help.print().and_then(|()| io::stdout().flush());
            return told("rollback", help.exit_code(), printed);
        }
    };
    let talk = args.talk();
    match rollback::run(&args, &mut io::stdout(), &talk) {
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
