//! What SQLite's errors mean to a writer.

use rusqlite::ErrorCode;

use crate::error::PREPARED;
use crate::{About, StoreError};

/// What a general error of a statement means: SQLite has one code for a statement that it does not
/// understand and for a value that a function in an index, a check or a trigger refuses. None where the
/// error is of another kind.
pub(super) fn of_statement(
    error: &rusqlite::Error,
    statement: &str,
    preparing: bool,
) -> Option<StoreError> {
    if error.sqlite_error_code() != Some(ErrorCode::Unknown) {
        return None;
    }
    let mut about = about(error);
    about.statement = Some(statement.to_owned());
    if preparing {
        PREPARED.clone_into(&mut about.code);
    }
    let message = match error {
        // Without the statement, which is named apart.
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    Some(StoreError::Statement {
        message,
        about: Box::new(about),
    })
}

/// What an error says beside its message. SQLite names the columns at fault in the message alone:
/// `UNIQUE constraint failed: m.email`.
pub(super) fn about(error: &rusqlite::Error) -> About {
    let code = error.sqlite_error().map(|error| error.extended_code);
    let message = error.to_string();
    let (table, column) = named(&message).unzip();
    About {
        code: code.map(|code| code.to_string()).unwrap_or_default(),
        table,
        column,
        constraint: None,
        statement: None,
    }
}

/// The table and the one column that a message names.
fn named(message: &str) -> Option<(String, String)> {
    let (_, names) = message
        .split_once(" constraint failed: ")
        .filter(|(kind, _)| matches!(*kind, "UNIQUE" | "NOT NULL"))
        .or_else(|| {
            let typed = message.strip_prefix("cannot store ")?;
            typed.split_once(" column ")
        })?;
    let (table, column) = names.split_once('.')?;
    (!column.contains(", ")).then(|| (table.to_owned(), column.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_column_where_there_is_one() {
        let pair = |table: &str, column: &str| Some((table.to_owned(), column.to_owned()));
        assert_eq!(
            named("UNIQUE constraint failed: m.email"),
            pair("m", "email")
        );
        assert_eq!(named("NOT NULL constraint failed: m.a b"), pair("m", "a b"));
        assert_eq!(
            named("cannot store TEXT value in INTEGER column m.age"),
            pair("m", "age")
        );
        assert_eq!(named("UNIQUE constraint failed: m.a, m.b"), None);
        assert_eq!(named("CHECK constraint failed: m.a"), None);
        assert_eq!(named("FOREIGN KEY constraint failed"), None);
    }
}
