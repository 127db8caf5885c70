//! `validate`: record lines; the good ones go on, the bad ones become rejects.

use std::io::{self, BufWriter, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use contract::{Exit, code_of};
use validate::Args;

fn main() -> ExitCode {
    let args = Args::parse();
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
