//! The two kinds of target: one suite runs on both.

use std::fs;
use std::path::{Path, PathBuf};

use crate::db;
use crate::postgres::Database;

/// A kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A file.
    Sqlite,
    /// A database on the test program's server.
    Postgres,
}

/// A test that is run on a target.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The target.
    pub target: Target,
    /// The test's name, as the test program takes it.
    pub test: &'static str,
}

impl Case {
    /// Names a test by its path, that of its program included.
    #[must_use]
    pub fn new(target: Target, path: &'static str) -> Self {
        let test = path.split_once("::").map_or(path, |(_, test)| test);
        Self { target, test }
    }
}

impl From<Case> for Target {
    fn from(case: Case) -> Self {
        case.target
    }
}

impl Case {
    /// Returns what is for this target of two things that differ.
    #[must_use]
    pub fn either<T>(self, sqlite: T, postgres: T) -> T {
        match self.target {
            Target::Sqlite => sqlite,
            Target::Postgres => postgres,
        }
    }
}

/// Makes tests of functions that take a [`Case`]: `sqlite::name` and `postgres::name`.
#[macro_export]
macro_rules! both {
    ($($(#[$how:meta])* $name:ident),+ $(,)?) => {
        mod sqlite { $crate::on_target!(Sqlite, $($(#[$how])* $name),+); }
        mod postgres { $crate::on_target!(Postgres, $($(#[$how])* $name),+); }
    };
}

/// Makes tests of functions that take a [`Case`], on one target.
#[macro_export]
macro_rules! on_target {
    ($target:ident, $($(#[$how:meta])* $name:ident),+) => {
        $(#[test]
        $(#[$how])*
        fn $name() {
            let path = concat!(module_path!(), "::", stringify!($name));
            super::$name($crate::Case::new($crate::Target::$target, path));
        })+
    };
}

/// A database of either kind. Statements name the ledger's tables as SQLite has them, `switchback_…`, and
/// what SQLite alone understands, `INTEGER PRIMARY KEY AUTOINCREMENT`, `REAL`, `BLOB`, `x'…'` and `->>` of a
/// text, becomes PostgreSQL's.
#[derive(Debug)]
pub enum Db {
    /// A file.
    Sqlite(PathBuf),
    /// A database on a server.
    Postgres(Database),
}

impl Db {
    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(database) => database.url(),
        }
    }

    /// Returns the file of a SQLite database.
    ///
    /// # Panics
    ///
    /// It is another one.
    #[must_use]
    pub fn file(&self) -> &Path {
        match self {
            Self::Sqlite(path) => path,
            Self::Postgres(_) => panic!("a test for SQLite alone"),
        }
    }

    /// Returns the database on a server.
    ///
    /// # Panics
    ///
    /// It is a file.
    #[must_use]
    pub fn postgres(&self) -> &Database {
        match self {
            Self::Sqlite(_) => panic!("a test for PostgreSQL alone"),
            Self::Postgres(database) => database,
        }
    }

    /// Runs statements, as somebody else would.
    #[track_caller]
    pub fn sql(&self, sql: &str) {
        match self {
            Self::Sqlite(path) => db::run(path, sql),
            Self::Postgres(database) => database.sql(&spelled(sql)),
        }
    }

    /// Runs statements that the database may refuse, and returns what it said then.
    ///
    /// # Errors
    ///
    /// The database's message.
    pub fn try_sql(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(path) => db::try_run(path, sql).map_err(|error| error.to_string()),
            Self::Postgres(database) => database.try_sql(&spelled(sql)),
        }
    }

    /// Tells whether a table has a column.
    #[must_use]
    #[track_caller]
    pub fn has_column(&self, table: &str, column: &str) -> bool {
        let sql = match self {
            Self::Sqlite(_) => {
                format!("SELECT count(*) FROM pragma_table_info('{table}') WHERE name = '{column}'")
            }
            Self::Postgres(_) => format!(
                "SELECT count(*) FROM pg_attribute WHERE attrelid = '\"{table}\"'::regclass \
                 AND attname = '{column}' AND NOT attisdropped"
            ),
        };
        self.ask(&sql) == "1"
    }

    /// Returns the rows of a query, each value as text.
    #[must_use]
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        match self {
            Self::Sqlite(path) => db::rows(path, sql),
            Self::Postgres(database) => database.rows(&spelled(sql)),
        }
    }

    /// Asks for one row, its values as text with `|` between them.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}: {} rows", rows.len());
        rows[0].join("|")
    }

    /// Makes the database refuse what is done to some rows of a table, as a trigger of the user's does.
    ///
    /// `event` is `INSERT`, `UPDATE` or `DELETE`; `when` speaks of the row as `OLD` and `NEW`.
    #[track_caller]
    pub fn refuse(&self, event: &str, table: &str, when: &str, message: &str) {
        match self {
            // A trigger on the ledger is refused.
            Self::Sqlite(_) if table.starts_with("switchback_") => self.sql(&format!(
                "PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = substr(sql, 1, instr(sql, ', ') - 1) || \
                 ' CONSTRAINT \"{message}\" CHECK (NOT ({}))/**/' || substr(sql, instr(sql, ', ')) WHERE name = '{table}'",
                when.replace("NEW.", "").replace('\'', "''")
            )),
            Self::Sqlite(_) => self.sql(&format!(
                "CREATE TRIGGER refuse BEFORE {event} ON {table} WHEN {when} \
                 BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )),
            Self::Postgres(_) if table.starts_with("switchback_") => self.sql(&format!(
                "ALTER TABLE {table} ADD CONSTRAINT \"{message}\" CHECK (NOT ({})) NOT VALID",
                when.replace("NEW.", "")
            )),
            Self::Postgres(_) => self.sql(&format!(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION '{message}'; END $$; \
                 CREATE TRIGGER refuse BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuse()"
            )),
        }
    }

    /// Takes back what [`Self::refuse`] did to a table.
    #[track_caller]
    pub fn allow(&self, table: &str) {
        match self {
            Self::Sqlite(_) if table.starts_with("switchback_") => self.sql(&format!(
                "PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = substr(sql, 1, instr(sql, ' CONSTRAINT ') - 1) || \
                 substr(sql, instr(sql, '/**/') + 4) WHERE name = '{table}'",
            )),
            Self::Sqlite(_) => self.sql("DROP TRIGGER refuse"),
            Self::Postgres(_) if table.starts_with("switchback_") => self.sql(&format!(
                "DO $$ DECLARE c text; BEGIN FOR c IN SELECT conname FROM pg_constraint WHERE contype = 'c' \
                 AND conrelid = '{}'::regclass LOOP EXECUTE format('ALTER TABLE {} DROP CONSTRAINT %I', c); END LOOP; END $$",
                table.replacen('_', ".", 1),
                table.replacen('_', ".", 1)
            )),
            Self::Postgres(_) => self.sql(&format!(
                "DROP TRIGGER refuse ON {table}; DROP FUNCTION refuse()"
            )),
        }
    }

    /// Returns all that the database holds but the ledger, and but what does not go back: the
    /// counters of PostgreSQL.
    #[must_use]
    #[track_caller]
    pub fn dump(&self) -> String {
        match self {
            Self::Sqlite(path) => db::dump(path),
            Self::Postgres(database) => database.content(),
        }
    }

    /// Returns all that the database holds, the ledger and counters too: a file's bytes.
    #[must_use]
    #[track_caller]
    pub fn everything(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(path) => fs::read(path).unwrap(),
            Self::Postgres(database) => database.everything().into_bytes(),
        }
    }

    /// Tells whether there is a ledger.
    #[must_use]
    pub fn has_ledger(&self) -> bool {
        let sql = match self {
            Self::Sqlite(_) => "SELECT count(*) FROM sqlite_master WHERE name = 'switchback_runs'",
            Self::Postgres(_) => {
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'switchback' AND tablename = 'runs'"
            }
        };
        self.ask(sql) == "1"
    }

    /// Copies the database; a file to this place.
    #[must_use]
    pub fn copy(&self, to: &Path) -> Self {
        match self {
            Self::Sqlite(path) => {
                fs::copy(path, to).unwrap();
                Self::Sqlite(to.to_owned())
            }
            Self::Postgres(database) => {
                database.settle();
                Self::Postgres(database.copy())
            }
        }
    }

    /// Removes the database from its server; a file goes with its folder.
    pub fn remove(self) {
        if let Self::Postgres(database) = self {
            database.remove();
        }
    }

    /// Waits until a server has noticed which clients are gone.
    pub fn settle(&self) {
        if let Self::Postgres(database) = self {
            database.settle();
        }
    }
}

fn spelled(sql: &str) -> String {
    [
        ("switchback_", "switchback."),
        (" AUTOINCREMENT", ""),
        (
            " INTEGER PRIMARY KEY",
            " bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        ),
        (" REAL", " double precision"),
        (" BLOB", " bytea"),
        (" x'", " '\\x"),
        (" ->> ", "::jsonb ->> "),
    ]
    .iter()
    .fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to))
}
