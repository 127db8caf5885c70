//! What the demo and the README need of SQLite, for machines without its shell.
//!
//! ```text
//! dbtool load DB FILE.sql…    run the statements of the files
//! dbtool hash DB              SHA-256 of all that DB holds but the ledger
//! dbtool query DB SQL         rows, values parted by |
//! ```
#![allow(
    clippy::unwrap_used,
    reason = "a tool for tests: it may end with a panic"
)]

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use tests::db;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut out = io::stdout().lock();
    match args.as_slice() {
        ["load", file, scripts @ ..] if !scripts.is_empty() => {
            for script in scripts {
                db::run(Path::new(file), &std::fs::read_to_string(script).unwrap());
            }
        }
        ["hash", file] => writeln!(out, "{}", db::content_hash(Path::new(file))).unwrap(),
        ["query", file, sql] => {
            for row in db::rows(Path::new(file), sql) {
                writeln!(out, "{}", row.join("|")).unwrap();
            }
        }
        _ => {
            eprintln!("usage: dbtool load DB FILE… | hash DB | query DB SQL");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
