//! What PostgreSQL's errors mean to a writer.

use postgres::error::{DbError, Severity, SqlState};

use crate::{About, StoreError};

/// A longer statement is cut where it is named in a message.
const SHOWN: usize = 300;

/// Sorts an error by its SQLSTATE, where no statement is at hand.
pub(super) fn sorted(target: &str, error: &postgres::Error) -> StoreError {
    sorted_of(target, error, None)
}

/// Sorts an error by its SQLSTATE: what is about the connection, the server's resources, its locks or
/// other transactions is no record's fault; of all else a value may be the cause.
pub(super) fn sorted_of(
    target: &str,
    error: &postgres::Error,
    statement: Option<&str>,
) -> StoreError {
    let Some(db) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        return StoreError::Unreachable {
            message: format!("{target}: {error}{}", cause.unwrap_or_default()),
        };
    };
    let message = said(db);
    let unreachable = |message: &str| StoreError::Unreachable {
        message: format!("{target}: {message}"),
    };
    if is_fatal(db) {
        return unreachable(&message);
    }
    let code = db.code();
    if [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED].contains(code) {
        return StoreError::Busy { message };
    }
    match code.code().get(..2).unwrap_or_default() {
        "40" => StoreError::Again { message },
        // Connection, resources, intervention, the system, the server itself.
        "08" | "53" | "57" | "58" | "XX" => unreachable(&message),
        // Features, transactions, names, syntax, rights: either the statement or a value in it.
        "0A" | "25" | "26" | "3D" | "3F" | "42" => StoreError::Statement {
            message,
            about: Box::new(about(db, statement)),
        },
        // Data, integrity, limits, what a trigger raises, with whatever code.
        _ => StoreError::Constraint {
            message,
            about: Box::new(about(db, statement)),
        },
    }
}

fn about(db: &DbError, statement: Option<&str>) -> About {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let statement = statement.map(|sql| match sql.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", &sql[..end]),
        None => sql.to_owned(),
    });
    About {
        code: db.code().code().to_owned(),
        table: text(db.table()),
        column: text(db.column()),
        constraint: text(db.constraint()),
        statement,
    }
}

/// Tells whether the server ended the session with it.
fn is_fatal(db: &DbError) -> bool {
    match db.parsed_severity() {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        None => matches!(db.severity(), "FATAL" | "PANIC"),
    }
}

/// Tells whether the ledger or a part of it was made by another program meanwhile.
pub(super) fn is_there_already(error: &StoreError) -> bool {
    match error {
        StoreError::Constraint { .. } => true,
        StoreError::Statement { about, .. } => {
            [SqlState::DUPLICATE_SCHEMA, SqlState::DUPLICATE_TABLE]
                .iter()
                .any(|code| code.code() == about.code)
        }
        _ => false,
    }
}

/// Says why the server won't have a change of the catalogue, if that is what the error is: what the
/// statement names, asks for or would break.
pub(super) fn refusal(error: &postgres::Error) -> Option<String> {
    let db = error.as_db_error()?;
    let class = db.code().code().get(..2).unwrap_or_default();
    // Access rule (not privileges), features, dependent objects, limits, state of the object.
    let refused = ["42", "0A", "2B", "54"].contains(&class)
        && *db.code() != SqlState::INSUFFICIENT_PRIVILEGE
        || *db.code() == SqlState::OBJECT_IN_USE;
    refused.then(|| said(db))
}

/// The message with what helps to find the fault. A detail that holds the whole row is left out: it
/// may hold what is secret.
fn said(db: &DbError) -> String {
    let mut message = db.message().to_owned();
    if *db.code() == SqlState::DISK_FULL {
        message = format!("the disk of the server is full: {message}");
    }
    let whole_row = [SqlState::NOT_NULL_VIOLATION, SqlState::CHECK_VIOLATION].contains(db.code());
    if let Some(detail) = db.detail().filter(|_| !whole_row) {
        message = format!("{message} ({})", detail.trim_end_matches('.'));
    }
    message
}

/// Tells whether the server said that a COMMIT was not carried out; without such a word it may have
/// been. An error that leaves the session alive is such a word, whichever trigger raised it.
pub(super) fn is_refusal(error: &postgres::Error) -> bool {
    let Some(db) = error.as_db_error() else {
        return false;
    };
    let class = db.code().code().get(..2).unwrap_or_default();
    !is_fatal(db) && !["08", "53", "57", "58", "XX"].contains(&class)
}
