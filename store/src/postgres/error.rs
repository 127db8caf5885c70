//! What PostgreSQL's errors mean to a writer.

use postgres::error::{DbError, SqlState};

use crate::StoreError;

/// Sorts an error by its SQLSTATE.
pub(super) fn sorted(target: &str, error: &postgres::Error) -> StoreError {
    let Some(db) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        return StoreError::Unreachable {
            message: format!("{target}: {error}{}", cause.unwrap_or_default()),
        };
    };
    let message = said(db);
    let code = db.code();
    match (code.code().get(..2).unwrap_or_default(), code) {
        // Data, integrity, a trigger's RAISE, a view's CHECK OPTION, a type that does not fit.
        ("22" | "23" | "44" | "P0", _) => StoreError::Constraint { message },
        (_, code) if *code == SqlState::DATATYPE_MISMATCH => StoreError::Constraint { message },
        ("40", _) => StoreError::Again { message },
        // Somebody made the ledger at the same time, and it is there now.
        (_, code) if [SqlState::DUPLICATE_SCHEMA, SqlState::DUPLICATE_TABLE].contains(code) => {
            StoreError::Again { message }
        }
        (_, code) if [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED].contains(code) => {
            StoreError::Busy { message }
        }
        (_, code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => StoreError::Refused { message },
        _ => StoreError::Unreachable {
            message: format!("{target}: {message}"),
        },
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
/// been.
pub(super) fn is_refusal(error: &postgres::Error) -> bool {
    let class = error
        .code()
        .map(|code| code.code().get(..2).unwrap_or_default());
    matches!(class, Some("22" | "23" | "25" | "40" | "44" | "P0"))
}
