//! What a database was asked, by its own account.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use postgres::Client;
use rusqlite::Connection;
use tests::Db;
use tests::postgres::Server;

use crate::literals::{Literal, Spelling, is_among, one_line};
use crate::place::Place;

/// What makes a server note all that it is asked, and by which program.
pub const TELL: &str = "-c log_statement=all -c log_error_verbosity=verbose -c log_line_prefix=%a~";

/// SQLSTATEs by which a server says that it does not know a statement, or what the statement names.
const UNKNOWN: [&str; 12] = [
    "42601", "42703", "42883", "42P01", "42P02", "42704", "42804", "42846", "42725", "42P18",
    "42P10", "42803",
];

/// Errors of these kinds that are no fault of a statement, by a part of what the server says, and why.
const EXPECTED: &[(&str, &str)] = &[];

/// Statements that came, and a database with a ledger in which others can be prepared.
pub struct Heard {
    /// Each once, its blanks as one.
    pub statements: BTreeSet<String>,
    /// Errors that say that a statement is not known.
    pub unknown: Vec<String>,
    preparer: Preparer,
}

enum Preparer {
    Sqlite(Connection),
    Postgres(RefCell<Client>),
}

impl Heard {
    /// What a server's log says. `place`: one whose database has a ledger.
    pub fn of_server(server: &Server, place: &Place) -> Self {
        let Db::Postgres(database) = &place.room.db else {
            panic!("a server's place has a database on it");
        };
        let log = fs::read_to_string(server.folder.join("log")).unwrap();
        let entries = entries(&log);
        let mut this = Self {
            statements: BTreeSet::new(),
            unknown: Vec::new(),
            preparer: Preparer::Postgres(database.session().into()),
        };
        for (at, entry) in entries.iter().enumerate() {
            let Some((by, said)) = entry.split_once('~') else {
                continue;
            };
            // The tests themselves, and the server's own tools.
            if ["test", "psql", "pg_dump", "pg_restore"].contains(&by) {
                continue;
            }
            if let Some(error) = said.strip_prefix("ERROR:  ") {
                let expected = EXPECTED.iter().any(|(part, _)| error.contains(part));
                if !expected && UNKNOWN.iter().any(|code| error.starts_with(code)) {
                    let after = &entries[at..entries.len().min(at + 4)];
                    this.unknown.push(after.join("\n"));
                }
            } else if let Some(said) = said.strip_prefix("LOG:  00000: ") {
                let sql = said
                    .split_once(": ")
                    .filter(|(how, _)| *how == "statement" || how.starts_with("execute "));
                this.statements.extend(sql.map(|(_, sql)| one_line(sql)));
            }
        }
        this
    }

    /// What the programs noted of a file. What SQLite does not know it does not begin: it is missing here.
    pub fn of_file(log: &Path, place: &Place) -> Self {
        let log = fs::read_to_string(log).unwrap();
        let own = |line: &&str| !line.starts_with("--");
        Self {
            statements: log.lines().filter(own).map(str::to_owned).collect(),
            unknown: Vec::new(),
            preparer: Preparer::Sqlite(Connection::open(place.room.db.file()).unwrap()),
        }
    }

    /// Tells whether all statements of a literal are known: one came that was made of it, or the database
    /// prepares it as it is written.
    pub fn knows(&self, literal: &Literal) -> bool {
        let statements = literal.statements(self.spelling());
        statements
            .iter()
            .all(|sql| is_among(sql, &self.statements) || self.prepares(sql))
    }

    /// Where numbers are added to a text, or columns put before it, it is tried with one.
    fn prepares(&self, sql: &str) -> bool {
        let whole = match sql {
            sql if sql.ends_with(" LIMIT") => format!("{sql} 1"),
            sql if sql.ends_with('(') => format!("{sql}NULL)"),
            sql if sql.starts_with("FROM ") => format!("SELECT NULL {sql}"),
            sql => sql.to_owned(),
        };
        match &self.preparer {
            Preparer::Sqlite(file) => file.prepare(&whole).is_ok(),
            Preparer::Postgres(client) => client.borrow_mut().prepare(&whole).is_ok(),
        }
    }

    fn spelling(&self) -> Spelling {
        match &self.preparer {
            Preparer::Sqlite(_) => ("switchback_", "?"),
            Preparer::Postgres(_) => ("switchback.", "$"),
        }
    }
}

/// The entries of a log, each in one line.
fn entries(log: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in log.lines() {
        match entries.last_mut() {
            Some(entry) if line.starts_with('\t') => {
                entry.push(' ');
                entry.push_str(line);
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}
