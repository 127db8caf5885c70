//! Prints how many tests each target has: `cargo test --test '*' -- --list 2>&1 | targets`. Ends with 1
//! where a test is on one target for no known reason.
#![allow(
    clippy::unwrap_used,
    reason = "a tool for tests: it may end with a panic"
)]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use tests::suite::{Suite, listed};

/// The programs whose tests touch a target.
const PROGRAMS: [&str; 5] = ["pipeline", "faults", "servers", "postgres", "properties"];

fn main() -> ExitCode {
    let mut said = String::new();
    io::stdin().read_to_string(&mut said).unwrap();
    // `Running tests/main.rs (target/debug/deps/pipeline-0123456789abcdef)`, and its tests.
    let mut programs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for part in said.split(" Running ").skip(1) {
        let (head, tests) = part.split_once('\n').unwrap_or((part, ""));
        let file = head.rsplit('/').next().unwrap_or_default();
        let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
        programs.insert(name, listed(tests));
    }
    let mut out = io::stdout().lock();
    let (mut sqlite, mut postgres, mut faults) = (0, 0, Vec::new());
    for program in PROGRAMS {
        let tests = programs.get(program).map_or(&[][..], Vec::as_slice);
        if tests.is_empty() {
            faults.push(format!("{program}: not listed"));
            continue;
        }
        let suite = Suite::of(program, tests);
        writeln!(out, "{program}: {suite}").unwrap();
        sqlite += suite.sqlite;
        postgres += suite.postgres;
        faults.extend(suite.faults);
    }
    writeln!(out, "tests by target: sqlite {sqlite}, postgres {postgres}").unwrap();
    for fault in &faults {
        writeln!(out, "{fault}").unwrap();
    }
    ExitCode::from(u8::from(!faults.is_empty()))
}
