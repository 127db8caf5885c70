//! `parse`: sources to record lines.

use std::io::{self, BufWriter};
use std::process::ExitCode;

use clap::Parser as _;
use contract::{Exit, code_of};

fn main() -> ExitCode {
    let args = parse::Args::parse();
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
