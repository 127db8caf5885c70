//! A look into a SQLite database that shares no code with the programs.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use sha2::{Digest, Sha256};

/// Opens a database, made if missing.
fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection
}

/// Runs statements, foreign keys enforced.
#[track_caller]
pub fn run(path: &Path, sql: &str) {
    try_run(path, sql).unwrap();
}

/// Runs statements that may be refused, foreign keys enforced.
///
/// # Errors
///
/// SQLite's.
pub fn try_run(path: &Path, sql: &str) -> rusqlite::Result<()> {
    let connection = open(path);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.execute_batch(sql)
}

/// Returns the rows of a query, each value as SQLite would quote it.
#[must_use]
#[track_caller]
pub fn rows(path: &Path, sql: &str) -> Vec<Vec<String>> {
    let connection = open(path);
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|at| text(row, at)).collect());
    rows.unwrap().map(Result::unwrap).collect()
}

fn text(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<String> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(at)? {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(bytes) => format!("x'{}'", hex(bytes)),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Returns the one value of a query, as text.
#[must_use]
#[track_caller]
pub fn ask(path: &Path, sql: &str) -> String {
    let rows = rows(path, sql);
    assert_eq!(rows.len(), 1, "{sql}: {} rows", rows.len());
    rows[0].join("|")
}

/// Returns all that a database holds but the ledger: the schema and every row, value by value, with
/// its type, and SQLite's own counters. Equal dumps are equal databases to anybody who asks in SQL.
#[must_use]
pub fn dump(path: &Path) -> String {
    let mine = "name NOT LIKE 'switchback\\_%' ESCAPE '\\' AND tbl_name NOT LIKE 'switchback\\_%' ESCAPE '\\'";
    let mut dump = String::new();
    let schema =
        format!("SELECT type, name, sql FROM sqlite_master WHERE {mine} ORDER BY type, name");
    for row in rows(path, &schema) {
        writeln!(dump, "{}", row.join(" ")).unwrap();
    }
    let tables =
        format!("SELECT name FROM sqlite_master WHERE {mine} AND type = 'table' ORDER BY name");
    for table in rows(path, &tables) {
        let quoted = table[0].replace('"', "\"\"");
        let columns = rows(
            path,
            &format!(
                "SELECT name FROM pragma_table_info('{}')",
                table[0].replace('\'', "''")
            ),
        );
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!("quote(\"{}\")", column[0].replace('"', "\"\"")))
            .collect();
        let mut lines: Vec<String> = rows(
            path,
            &format!("SELECT {} FROM \"{quoted}\"", columns.join(", ")),
        )
        .iter()
        .map(|row| format!("{}: {}\n", table[0], row.join(", ")))
        .collect();
        lines.sort();
        dump.extend(lines);
    }
    dump
}

/// Returns the SHA-256 of the dump, in hex.
#[must_use]
pub fn content_hash(path: &Path) -> String {
    hex(&Sha256::digest(dump(path)))
}

/// Asserts that two dumps are equal, showing the lines that differ.
#[track_caller]
pub fn same(now: &str, before: &str, why: &str) {
    let only = |mark: &str, these: &str, those: &str| {
        let there: std::collections::HashSet<&str> = those.lines().collect();
        let lines = these.lines().filter(|line| !there.contains(line)).take(8);
        lines.fold(String::new(), |text, line| format!("{text}{mark} {line}\n"))
    };
    assert!(
        now == before,
        "{why}\n{}{}",
        only("-", before, now),
        only("+", now, before)
    );
}
