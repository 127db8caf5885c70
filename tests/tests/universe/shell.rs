//! The databases' own shells, `sqlite3` and `psql`: what is loaded, edited and dumped goes through no code of ours.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tests::Db;

/// Writes a text as a literal of SQL.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Writes a name as SQL takes any.
pub fn named(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Writes bytes in upper-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02X}").unwrap();
        text
    })
}

/// Reads bytes from hex.
pub fn unhex(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// The server's `psql`.
fn psql() -> &'static Path {
    static PSQL: OnceLock<PathBuf> = OnceLock::new();
    PSQL.get_or_init(|| tests::postgres::bin().join("psql"))
}

fn shell(db: &Db) -> Command {
    match db {
        Db::Sqlite(path) => {
            let mut shell = Command::new("sqlite3");
            shell
                .args(["-batch", "-noheader", "-list", "-init", "/dev/null"])
                .arg(path);
            shell
        }
        Db::Postgres(database) => {
            let mut shell = Command::new(psql());
            shell.args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-F",
                "\x1f",
                "-U",
                "app",
                "-d",
                &database.name,
            ]);
            shell
                .arg("-h")
                .arg(&database.server.folder)
                .args(["-p", &database.server.port.to_string()]);
            shell.env("PGTZ", "UTC").env("PGCLIENTENCODING", "UTF8");
            shell
        }
    }
}

/// Runs a script and returns what it printed, and what it complained of.
fn ran(db: &Db, script: &str) -> (Vec<u8>, String) {
    let mut shell = shell(db);
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = shell
        .spawn()
        .unwrap_or_else(|error| panic!("{shell:?}: {error}; run `just setup`"));
    let mut input = child.stdin.take().unwrap();
    let bytes = script.as_bytes().to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes).ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (
        output.stdout,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Runs a script that must succeed, and returns what it printed.
pub fn query(db: &Db, script: &str) -> Vec<u8> {
    // Whatever the database is set to.
    let pinned = match db {
        Db::Sqlite(_) => "",
        Db::Postgres(_) => {
            "SET array_nulls = on; SET DateStyle = 'ISO'; SET TimeZone = 'UTC'; SET bytea_output = 'hex';\n\
             SET extra_float_digits = 1; SET intervalstyle = 'postgres';\n"
        }
    };
    let (out, complaints) = ran(db, &format!("{pinned}{script}"));
    assert!(complaints.is_empty(), "{complaints}\n{script}");
    out
}

/// Runs statements one by one, as people do: some of them may be refused.
pub fn try_each(db: &Db, statements: &[String]) {
    let mut script = match db {
        Db::Sqlite(_) => "PRAGMA foreign_keys = ON;\n".to_owned(),
        Db::Postgres(_) => String::new(),
    };
    for statement in statements {
        script.push_str(statement);
        script.push_str(";\n");
    }
    let _ = ran(db, &script);
}
