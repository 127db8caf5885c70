//! `validate`: record lines; the good ones go on, the bad ones become rejects.

use std::io::{self, BufWriter, IsTerminal, Write as _};
use std::process::ExitCode;

use clap::Parser;
use contract::exit::told;
use contract::{Exit, code_of};
use validate::Args;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // What is repeated may be a password, or control the terminal.
            let shown = Args::try_parse_from(contract::shown_args());
            let help = shown.err().unwrap_or(error);
            let printed = help.print().and_then(|()| io::stdout().flush());
            return told("validate", help.exit_code(), printed);
        }
    };
    let talk = args.talk();
    let stdin = io::stdin();
    let input = if stdin.is_terminal() {
        None
    } else {
        Some(stdin.lock())
    };
    let stdout = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    match validate::run(&args, input, stdout, &talk) {
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
