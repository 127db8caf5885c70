//! What can go wrong with a target.

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
    },
    /// The ledger says that this can't be done.
    #[error("{message}")]
    Refused {
        /// What was found, what was expected.
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

impl StoreError {
    /// The exit code where nothing was written yet.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Again { .. } => Exit::Unreachable,
            Self::Constraint { .. } | Self::LockLost { .. } | Self::Unknown { .. } => Exit::Partial,
            Self::Refused { .. } | Self::Damaged { .. } => Exit::Refused,
            Self::Locked { .. } => Exit::Locked,
        }
    }

    pub(crate) fn damaged(message: impl Into<String>) -> Self {
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
