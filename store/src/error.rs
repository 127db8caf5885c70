//! What can go wrong with a target.

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
            Self::Unreachable { .. } | Self::Busy { .. } => Exit::Unreachable,
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
