//! `parse`: sources to record lines.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use contract::exit::told;
use contract::{Exit, code_of};

fn main() -> ExitCode {
    let args = match parse::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // What is repeated may be a password, or control the terminal.
            let shown = parse::Args::try_parse_from(contract::shown_args());
            let help = shown.err().unwrap_or(error);
            let printed = help.print().and_then(|()| io::stdout().flush());
            return told("parse", help.exit_code(), printed);
        }
    };
    let out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
    match parse::run(&args, out) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = code_of(&error);
            if exit != Exit::ReaderLeft {
                args.talk().fail(&error);
            }
            exit.into()
        }
    }
}
