//! What can go wrong with a target.

use std::fmt;
use std::time::Duration;

use contract::Exit;

/// Why a target refused or failed. Whether anything was written is said by who calls.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The target can't be reached, read or written.
    #[error("{message}")]
    Unreachable {
        /// What was tried and what was said.
        message: String,
    },
    /// The target is in use by somebody else for longer than we wait.
    #[error("the target is busy: {message}")]
    Busy {
        /// What was said.
        message: String,
    },
    /// The target undid the transaction for the sake of another one (a deadlock, a serialization
    /// failure) and asks for another try.
    #[error("the target was busy with others, again and again: {message}")]
    Again {
        /// What was said.
        message: String,
    },
    /// A statement was refused for what it would have written: the record is at fault.
    #[error("{message}")]
    Constraint {
        /// What the target said.
        message: String,
        /// What else it said.
        about: Box<About>,
    },
    /// A statement was refused, and the error alone does not tell whether the statement or a value in
    /// it is at fault: SQLSTATE 42601 is a table that was renamed under us or a bad `tsquery`.
    #[error("{message}")]
    Statement {
        /// What the target said.
        message: String,
        /// What else it said.
        about: Box<About>,
    },
    /// The ledger says that this can't be done.
    #[error("{message}")]
    Refused {
        /// What was found, what was expected.
        message: String,
    },
    /// What was done could not be taken back, and the plan does not accept that: found while it is under
    /// way, and undone before it was committed.
    #[error("{message}")]
    Irreversible {
        /// What, and by which trigger or index.
        message: String,
    },
    /// Another run holds the lock.
    #[error("Migration already in progress: {holder}")]
    Locked {
        /// Who, where, since when.
        holder: String,
    },
    /// We held the lock and lost it: somebody took over.
    #[error("the lock was taken over by {holder}")]
    LockLost {
        /// Who has it now.
        holder: String,
    },
    /// COMMIT gave an error or no answer: the ledger, read on a fresh connection, decides.
    #[error("the outcome of a commit is unknown: {message}")]
    Unknown {
        /// What was said.
        message: String,
    },
    /// What the ledger holds is not what this build writes.
    #[error("the ledger is damaged: {message}")]
    Damaged {
        /// What was found.
        message: String,
    },
}

/// What a target said of a statement that it refused, beside its message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The SQLSTATE on PostgreSQL, the extended result code on SQLite; empty where the check is ours.
    pub code: String,
    /// The table that it names, without its schema.
    pub table: Option<String>,
    /// The column that it names.
    pub column: Option<String>,
    /// The constraint or index that it names.
    pub constraint: Option<String>,
    /// The statement.
    pub statement: Option<String>,
}

impl About {
    /// Tells whether the login lacks a privilege.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.code == "42501"
    }

    /// Tells whether what the statement names is not there, or the statement itself can't be
    /// understood: no value has anything to do with that.
    #[must_use]
    pub fn is_of_the_statement(&self) -> bool {
        // Undefined column, function, table, parameter, object, schema, database; PREPARED is what
        // SQLite says before any value is bound.
        [
            "42703", "42883", "42P01", "42P02", "42704", "3F000", "3D000", PREPARED,
        ]
        .contains(&self.code.as_str())
    }
}

/// The code of an error that SQLite gave while it prepared a statement.
pub(crate) const PREPARED: &str = "prepare";

impl StoreError {
    /// The exit code where nothing was written yet.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Statement { about, .. } if about.is_denied() => Exit::Refused,
            Self::Unreachable { .. }
            | Self::Busy { .. }
            | Self::Again { .. }
            | Self::Statement { .. } => Exit::Unreachable,
            Self::LockLost { .. } | Self::Unknown { .. } => Exit::Partial,
            Self::Constraint { .. }
            | Self::Refused { .. }
            | Self::Irreversible { .. }
            | Self::Damaged { .. } => Exit::Refused,
            Self::Locked { .. } => Exit::Locked,
        }
    }

    /// Returns what the target said of a statement that it refused; another error stays one.
    pub(crate) fn refusal(self) -> Result<String, Self> {
        match self {
            Self::Constraint { message, .. } | Self::Statement { message, .. } => Ok(message),
            other => Err(other),
        }
    }

    /// The message, if there is one of a target or of ours.
    pub(crate) fn message_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Constraint { message, .. }
            | Self::Statement { message, .. }
            | Self::Unreachable { message }
            | Self::Busy { message }
            | Self::Again { message }
            | Self::Refused { message }
            | Self::Irreversible { message }
            | Self::Unknown { message }
            | Self::Damaged { message } => Some(message),
            Self::Locked { .. } | Self::LockLost { .. } => None,
        }
    }

    /// A record is at fault, by a check of our own.
    pub(crate) fn constraint(message: impl Into<String>) -> Self {
        Self::Constraint {
            message: message.into(),
            about: Box::default(),
        }
    }

    /// The target can't be reached, or did not answer.
    pub fn unreachable(why: impl fmt::Display) -> Self {
        Self::Unreachable {
            message: why.to_string(),
        }
    }

    /// The ledger, or a file that it speaks of, is not as it was written.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::Damaged {
            message: message.into(),
        }
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
        }
    }
}

/// Finds the exit code of an error of a program that opens a target, as [`contract::code_of`] does.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> Exit {
    let of_target = || {
        let mut causes = error.chain();
        causes.find_map(|cause| Some(cause.downcast_ref::<StoreError>()?.exit()))
    };
    contract::exit::typed(error)
        .or_else(of_target)
        .unwrap_or(Exit::Bug)
}

/// How often a transaction is tried.
const TRIES: u32 = 6;

/// How long to wait before the second try; twice as long before each that follows.
const PAUSE: Duration = Duration::from_millis(50);

/// Does what is all or nothing, and again where the target asks for that.
pub(crate) fn again<T>(mut work: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match work() {
            Err(StoreError::Again { .. }) => std::thread::sleep(pause),
            other => return other,
        }
        pause *= 2;
    }
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_it_is_tried_again_a_few_times() {
        let busy = || StoreError::Again {
            message: "deadlock".into(),
        };
        let mut tries = 0;
        let done = again(|| {
            tries += 1;
            if tries < 3 { Err(busy()) } else { Ok(tries) }
        });
        assert_eq!(done.unwrap(), 3);
        let mut tries = 0;
        let given_up = again(|| -> Result<(), StoreError> {
            tries += 1;
            Err(busy())
        });
        assert!(matches!(given_up, Err(StoreError::Again { .. })));
        assert_eq!(tries, TRIES);
        let mut tries = 0;
        let refused = again(|| -> Result<(), StoreError> {
            tries += 1;
            Err(StoreError::refused("no"))
        });
        assert!(refused.is_err());
        assert_eq!(tries, 1);
    }
}
