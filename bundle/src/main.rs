//! `bundle`: record lines to a sealed bundle.

use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;

use bundle::Args;
use clap::Parser;
use contract::exit::told;
use contract::{Exit, code_of};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // What is repeated may be a password, or control the terminal.
            let shown = Args::try_parse_from(contract::shown_args());
            let help = shown.err().unwrap_or(error);
            let printed = help.print().and_then(|()| io::stdout().flush());
            return told("bundle", help.exit_code(), printed);
        }
    };
    let talk = args.talk();
    let stdin = io::stdin();
    let input = if stdin.is_terminal() {
        None
    } else {
        Some(stdin.lock())
    };
    match bundle::run(&args, input, &mut io::stdout().lock(), &talk) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            let exit = code_of(&error);
            if exit != Exit::ReaderLeft {
                talk.fail(&error);
            }
            exit.into()
        }
    }
}
