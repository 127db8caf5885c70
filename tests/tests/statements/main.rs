//! None of our statements is unknown to a database: on every target and version the programs do all that they
//! can do, the database says which statements came, and every statement of the sources is among them, is one
//! that the database prepares as it is written, or has its reason below.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure here is a failed test"
)]

mod heard;
mod literals;
mod place;
mod scenarios;
mod strings;

use tests::postgres::Server;

use heard::Heard;
use literals::Dialect;
use place::Place;

/// Statements that no scenario brings about and no database prepares as they are written: a part of the text,
/// and why.
const EXCUSED: &[(&str, &str)] = &[
    ("INSERT INTO {name} DEFAULT VALUES", PREPARED),
    ("UPDATE {name} SET {} WHERE 0", PREPARED),
    ("DELETE FROM {name} WHERE 0", PREPARED),
    ("PRAGMA foreign_key_check({})", PREPARED),
];

/// Reached by the scenarios, which would not come to their end.
const PREPARED: &str =
    "SQLite prepares it and never runs it; what SQLite does not know ends the run";

#[test]
fn the_oldest_postgresql_knows_every_statement() {
    let server = Server::start(heard::TELL);
    let heard = Heard::of_server(&server, &scenarios::all(|| Place::on_server(&server)));
    check(Dialect::Postgres, &heard);
}

#[test]
fn the_newest_postgresql_knows_every_statement() {
    let server = Server::of_version_18(heard::TELL);
    let heard = Heard::of_server(&server, &scenarios::all(|| Place::on_server(&server)));
    check(Dialect::Postgres, &heard);
}

#[test]
fn sqlite_knows_every_statement() {
    let log = tempfile::tempdir().unwrap();
    let log = log.path().join("statements");
    let heard = Heard::of_file(&log, &scenarios::all(|| Place::in_file(&log)));
    check(Dialect::Sqlite, &heard);
}

#[track_caller]
fn check(dialect: Dialect, heard: &Heard) {
    assert!(heard.unknown.is_empty(), "{}", heard.unknown.join("\n"));
    let all = literals::of_sources(dialect);
    assert!(all.len() > 150, "only {} statements are found", all.len());
    let mut missing: Vec<String> = Vec::new();
    for literal in &all {
        let excuse = EXCUSED.iter().find(|(part, _)| literal.text.contains(part));
        if excuse.is_none() && !heard.knows(literal) {
            missing.push(format!("{}: {}", literal.place, literal.text));
        }
    }
    assert!(
        missing.is_empty(),
        "{} of {} statements were not sent: bring them about in scenarios/, or say in EXCUSED why that can't be\n{}",
        missing.len(),
        all.len(),
        missing.join("\n")
    );
}

#[test]
fn every_excuse_is_for_a_statement_that_is_there() {
    let both = [Dialect::Sqlite, Dialect::Postgres].map(literals::of_sources);
    let all: Vec<_> = both.into_iter().flatten().collect();
    for (part, why) in EXCUSED {
        let there = all.iter().any(|literal| literal.text.contains(part));
        assert!(there, "nothing is left to excuse: {part} ({why})");
    }
}

#[test]
fn a_statement_that_a_server_does_not_know_is_found() {
    let came = |statement: &str| [statement.to_owned()].into();
    // `some` is a keyword: every plan with `match` and without an index ended there.
    let source =
        r#"format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT {}) AS some", table, most)"#;
    let bad: Vec<_> = literals::of_file("crates/store/src/x.rs", source).collect();
    assert_eq!(bad.len(), 1);
    let right = "SELECT COUNT(*) FROM (SELECT 1 FROM \"member\" LIMIT 10001) AS t";
    let sql = bad[0].statements(("switchback.", "$")).remove(0);
    assert!(!literals::is_among(&sql, &came(right)));
    assert!(literals::is_among(&sql.replace("some", "t"), &came(right)));
}
