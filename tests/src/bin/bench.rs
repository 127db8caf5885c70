//! What each stage takes: `bench [ROWS…]`, 100,000 and 1,000,000 rows if none are named.
//!
//! Makes a CSV of members, runs the programs on it one after the other, each from a file to a file,
//! and prints a table. Peak memory is the kernel's own mark (`VmHWM`), read every 2 ms until the
//! process ends. Then every phone number changes: a run of updates, applied and taken back before the
//! run of inserts is. Fails if a rollback takes longer than the apply of its run, or if parse, bundle or
//! a rollback takes over 1.5 times the memory for the most rows that it takes for the fewest.
#![allow(
    clippy::unwrap_used,
    reason = "a tool for measuring: it may end with a panic"
)]

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use tests::measure::{PLAN, Took, members, stage};
use tests::{Room, Target, db};

const SCHEMA: &str = "CREATE TABLE member (id INTEGER PRIMARY KEY, first_name TEXT NOT NULL,
  last_name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, phone TEXT, status TEXT NOT NULL,
  level TEXT NOT NULL, joined TEXT NOT NULL, renewal TEXT NOT NULL, balance TEXT NOT NULL, notes TEXT)";

fn measure(rows: u64) -> Vec<Took> {
    let room = Room::with(Target::Sqlite, PLAN, &[], SCHEMA);
    let size = |name: &str| fs::metadata(room.path(name)).unwrap().len();
    let to = room.url();
    let mut took = Vec::new();
    let mut runs = Vec::new();
    for (phone, bundle, applies) in [
        ("+1", "inserts", "apply, inserts"),
        ("+44", "updates", "apply, updates"),
    ] {
        members(&room, rows, phone).unwrap();
        let csv = size("members.csv");
        let parse = stage(&room, "parse", &["--quiet"], ["", "records"], rows, csv);
        let records = size("records");
        let measured =
            |name, args: &[&str], files, bytes| stage(&room, name, args, files, rows, bytes);
        let validate = measured("validate", &["--quiet"], ["records", "good"], records);
        let args = ["--quiet", "-o", bundle];
        let bundled = measured("bundle", &args, ["good", "id"], records + csv);
        if runs.is_empty() {
            took.extend([parse, validate, bundled]);
        }
        let args = ["--quiet", bundle, "--to", &to];
        took.push(measured(applies, &args, ["", "run"], records));
        runs.push((room.read("run").trim().to_owned(), records));
        if runs.len() == 1 {
            let args = ["--quiet", &runs[0].0, "--to", &to];
            took.push(measured("verify", &args, ["", "out"], records));
        }
    }
    let changed = "SELECT count(*) FROM member WHERE phone LIKE '+44%'";
    assert_eq!(db::ask(&room.path("t.db"), changed), rows.to_string());
    for (name, left) in [("rollback, updates", rows), ("rollback, inserts", 0)] {
        let (run, records) = runs.pop().unwrap();
        let args = ["--quiet", &run, "--to", &to];
        took.push(stage(&room, name, &args, ["", "out"], rows, records));
        let count = "SELECT count(*), count(*) FILTER (WHERE phone LIKE '+44%') FROM member";
        assert_eq!(db::ask(&room.path("t.db"), count), format!("{left}|0"));
    }
    took
}

/// What was promised and is not so, in words.
fn broken(all: &[Took]) -> Vec<String> {
    let of = |stage: &'static str| all.iter().filter(move |took| took.stage == stage);
    let mut broken = Vec::new();
    for stage in ["parse", "bundle", "rollback, inserts", "rollback, updates"] {
        let (Some(first), Some(last)) = (of(stage).next(), of(stage).next_back()) else {
            continue;
        };
        if last.peak * 2 > first.peak * 3 {
            broken.push(format!(
                "{stage}: {} KiB for the most rows is over 1.5 times {} KiB for the fewest",
                last.peak, first.peak
            ));
        }
    }
    for (back, forth) in [
        ("rollback, inserts", "apply, inserts"),
        ("rollback, updates", "apply, updates"),
    ] {
        for (back, forth) in of(back).zip(of(forth)) {
            if back.time > forth.time {
                broken.push(format!(
                    "{} of {} rows took {:.2?}, longer than the apply of that run, {:.2?}",
                    back.stage, back.rows, back.time, forth.time
                ));
            }
        }
    }
    broken
}

fn main() -> ExitCode {
    let given: Vec<u64> = std::env::args()
        .skip(1)
        .map(|arg| arg.parse().unwrap())
        .collect();
    let sizes = if given.is_empty() {
        vec![100_000, 1_000_000]
    } else {
        given
    };
    let mut out = io::stdout();
    writeln!(out, "| stage | rows | seconds | rows/s | MB/s | peak MiB |").unwrap();
    writeln!(out, "|---|---:|---:|---:|---:|---:|").unwrap();
    let mut all = Vec::new();
    for rows in sizes {
        for took in measure(rows) {
            writeln!(out, "{}", took.line()).unwrap();
            all.push(took);
        }
    }
    let broken = broken(&all);
    for what in &broken {
        eprintln!("bench: {what}");
    }
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
