//! Opening a SQLite file, and making sure that what it says is durable is durable.

use std::cell::Cell as Flag;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use super::encoding::Encoding;
use super::programs::Known;
use super::trace::traced;
use super::watch::Watching;
use crate::{Cell, StoreError};

/// How long a statement waits for somebody else's lock.
const BUSY: Duration = Duration::from_secs(5);

/// An open SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
    /// Which file the path named when it was opened.
    file: Option<(u64, u64)>,
    /// Whether triggers fire.
    pub(super) triggers: bool,
    /// What statements bring about, by table, and the version of the catalogue that says so.
    pub(super) known: HashMap<String, Rc<Known>>,
    pub(super) version: Option<i64>,
    /// The table that is watched.
    pub(super) watching: Option<Watching>,
    /// In which encoding the file keeps text.
    pub(super) encoding: Encoding,
    /// The version of the ledger.
    pub(super) ledger: Flag<LedgerVersion>,
}

/// The version of the ledger, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) enum LedgerVersion {
    /// The file was not asked yet.
    NotAsked,
    /// What the file says; none where it has no ledger.
    Found(Option<i64>),
}

impl Sqlite {
    /// Opens a file for writing. It must exist; WAL databases stay WAL.
    ///
    /// # Errors
    ///
    /// The file can't be opened, is no database, or does not take the settings that make a commit
    /// durable.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let this = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if this
            .conn
            .is_readonly(rusqlite::MAIN_DB)
            .map_err(|error| this.error(&error))?
        {
            return Err(StoreError::Unreachable {
                message: format!("{} is read-only", path.display()),
            });
        }
        // A power cut loses acknowledged commits with DELETE and FULL (SQLite: pragma.html#pragma_synchronous).
        this.conn
            .pragma_update(None, "synchronous", "EXTRA")
            .map_err(|error| this.error(&error))?;
        this.conn
            .pragma_update(None, "foreign_keys", true)
            .map_err(|error| this.error(&error))?;
        let read = |name: &str| {
            this.conn
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
        };
        let settings = (read("synchronous"), read("foreign_keys"));
        match settings {
            (Ok(3), Ok(1)) => Ok(this),
            (Err(error), _) | (_, Err(error)) => Err(this.error(&error)),
            (Ok(synchronous), Ok(keys)) => {
                let message = format!(
                    "SQLite kept synchronous={synchronous}, foreign_keys={keys}; 3 and 1 were asked"
                );
                Err(StoreError::Unreachable { message })
            }
        }
    }

    /// Opens a file for reading alone, in one snapshot that lasts as long as this value. What a crash
    /// left half written is undone first, as whoever opens the file next has to.
    ///
    /// # Errors
    ///
    /// The file can't be opened or is no database.
    pub fn open_reader(path: &Path) -> Result<Self, StoreError> {
        match Self::open_untouched(path) {
            Err(StoreError::Refused { .. }) if Self::open(path).is_ok() => {
                Self::open_untouched(path)
            }
            other => other,
        }
    }

    /// Opens a file as [`Sqlite::open_reader`] does, but never writes to it.
    ///
    /// # Errors
    ///
    /// The file can't be opened or is no database; a crash left it half written.
    pub fn open_untouched(path: &Path) -> Result<Self, StoreError> {
        let this = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let snapshot = this
            .conn
            .execute_batch("PRAGMA query_only = ON; BEGIN; SELECT 1 FROM sqlite_master LIMIT 1");
        snapshot.map_err(|error| this.error(&error))?;
        Ok(this)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let failed = |error: &rusqlite::Error| {
            // Only a writer may put back what the journal of a crash holds.
            if extended(error) == Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK) {
                return StoreError::refused(format!(
                    "{0}-journal is the hot journal of another program's crash: what {0} holds is not known before a \
                     program that writes to it has opened it",
                    path.display()
                ));
            }
            said(path, error)
        };
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).and_then(traced);
        let conn = conn.map_err(|error| failed(&error))?;
        conn.busy_timeout(BUSY).map_err(|error| failed(&error))?;
        conn.set_prepared_statement_cache_capacity(256);
        // Without this a statement is prepared anew for each value it is bound to.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|error| failed(&error))?;
        // The first read tells a database from any other file.
        conn.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
            .map_err(|error| failed(&error))?;
        let encoding = Encoding::of(&conn).map_err(|error| failed(&error))?;
        Ok(Self {
            conn,
            path: path.to_owned(),
            file: identity(path),
            triggers: true,
            known: HashMap::new(),
            version: None,
            watching: None,
            encoding,
            ledger: Flag::new(LedgerVersion::NotAsked),
        })
    }

    /// Makes an empty database in memory, to try statements in.
    pub(super) fn scratch(&self) -> Result<Self, StoreError> {
        let conn = Connection::open_in_memory().and_then(traced);
        let conn = conn.map_err(|error| self.error(&error))?;
        Ok(Self {
            conn,
            path: self.path.clone(),
            file: None,
            triggers: true,
            known: HashMap::new(),
            version: None,
            watching: None,
            encoding: Encoding::Utf8,
            ledger: Flag::new(LedgerVersion::NotAsked),
        })
    }

    /// Makes sure that the path still names the file that is open: what is written to one that was
    /// moved or removed is written for nobody.
    pub(super) fn check_identity(&self) -> Result<(), StoreError> {
        if identity(&self.path) == self.file {
            return Ok(());
        }
        Err(StoreError::Unreachable {
            message: format!(
                "{} was replaced by another file since it was opened",
                self.path.display()
            ),
        })
    }

    /// Returns the table whose ids are used up: SQLite says of that what it says of a volume that is full, and
    /// takes back what the transaction had counted up by then.
    fn used_up(&self) -> Option<String> {
        let sql = "SELECT name FROM sqlite_sequence WHERE seq > 9223372036854775807 - 1000000000 ORDER BY seq DESC";
        let found = self.conn.query_row(sql, [], |row| row.get(0));
        found.ok()
    }

    pub(super) fn error(&self, error: &rusqlite::Error) -> StoreError {
        said(&self.path, error)
    }

    /// What an error of a statement means; `preparing`: before any value was bound to it.
    pub(super) fn error_in(
        &self,
        error: &rusqlite::Error,
        statement: &str,
        preparing: bool,
    ) -> StoreError {
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull)
            && let Some(table) = self.used_up()
        {
            let message = format!(
                "{table} has no further id: AUTOINCREMENT has come to the highest, {}",
                i64::MAX
            );
            return StoreError::constraint(message);
        }
        super::error::of_statement(error, statement, preparing)
            .unwrap_or_else(|| said(&self.path, error))
    }
}

fn extended(error: &rusqlite::Error) -> Option<i32> {
    Some(error.sqlite_error()?.extended_code)
}

/// Says in our words what SQLite said of a file.
fn said(path: &Path, error: &rusqlite::Error) -> StoreError {
    let message = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            StoreError::Constraint {
                message,
                about: Box::new(super::error::about(error)),
            }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let message = format!("{message}: another program writes to {}", path.display());
            StoreError::Busy { message }
        }
        Some(ErrorCode::DiskFull) => StoreError::Unreachable {
            message: format!("the volume of {} is full: {message}", path.display()),
        },
        _ => StoreError::Unreachable {
            message: format!("{}: {message}", path.display()),
        },
    }
}

/// Returns what tells a file from others, where the system says.
fn identity(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(path).ok()?;
        Some((file.dev(), file.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Int(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(Value::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Folded(_) => {
                let message = "a folded value can't be written";
                return Err(rusqlite::Error::ToSqlConversionFailure(message.into()));
            }
            // As it is: SQLite looks at no byte of it. Of a file in UTF-16 see `Sqlite::slot`.
            Self::Raw(bytes) => ToSqlOutput::Borrowed(ValueRef::Text(bytes)),
        })
    }
}

/// Reads a value. Text that is not UTF-8 is a kind of its own, so that it is neither lost nor changed.
pub(super) fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Raw(bytes.to_vec()),
        },
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
    }
}

/// Quotes a name.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_one_state_however_long_it_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)",
            )
            .unwrap();
        let count = |reader: &Sqlite| reader.rows("SELECT count(*) FROM t", &[]).unwrap();
        let reader = Sqlite::open_reader(&path).unwrap();
        writer.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        assert_eq!(count(&reader), [vec![Cell::Int(1)]]);
        let later = Sqlite::open_reader(&path).unwrap();
        assert_eq!(count(&later), [vec![Cell::Int(2)]]);
        // Without a log a writer has to wait for the reader instead.
        drop((reader, later));
        writer
            .execute_batch("PRAGMA journal_mode = DELETE")
            .unwrap();
        let reader = Sqlite::open_reader(&path).unwrap();
        writer.busy_timeout(Duration::ZERO).unwrap();
        writer
            .execute_batch("INSERT INTO t VALUES (3)")
            .unwrap_err();
        assert_eq!(count(&reader), [vec![Cell::Int(2)]]);
    }
}
