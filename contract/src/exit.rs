//! The exit codes of all six programs: one table (`README.md` prints it, a test compares).

use std::process::ExitCode;

/// How a program ends. The numbers are part of the contract with scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// The answer is no: too many rejects, a check failed, conflicts.
    No = 1,
    /// Wrong usage: arguments or plan. Nothing was written.
    Usage = 2,
    /// Done in part, stopped part-way, or outcome unknown: the ledger says what stands.
    Partial = 3,
    /// Refused by a guard before any write.
    Refused = 4,
    /// A source or the target could not be reached, read or written (before any write).
    Unreachable = 5,
    /// Another run holds the lock.
    Locked = 11,
    /// Stopped by SIGINT (128 + 2); the batch in hand was finished or undone.
    Interrupted = 130,
    /// The reader of our stdout left (128 + 13): a filter ends quietly.
    ReaderLeft = 141,
    /// Stopped by SIGTERM (128 + 15); the batch in hand was finished or undone.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that knows its exit code and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The code the program ends with.
    pub exit: Exit,
    /// A lower-case fragment that fits after `apply: `.
    pub message: String,
    /// What to do next, printed on its own line after `hint: `.
    pub hint: Option<String>,
}

impl Failure {
    /// Makes an error with a code and a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Finds the exit code of an error: the first typed error in its chain decides; an I/O error that
/// nobody typed is 5, and a closed pipe is 141.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.exit;
        }
        if let Some(error) = cause.downcast_ref::<crate::plan::PlanError>() {
            return error.exit();
        }
        if let Some(error) = cause.downcast_ref::<crate::stream::StreamError>() {
            return error.exit();
        }
        if let Some(error) = cause.downcast_ref::<crate::bundle::BundleError>() {
            return error.exit();
        }
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            return if error.kind() == std::io::ErrorKind::BrokenPipe {
                Exit::ReaderLeft
            } else {
                Exit::Unreachable
            };
        }
    }
    Exit::Unreachable
}

/// Returns the hint of the first error in the chain that has one.
#[must_use]
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>()?.hint.as_deref())
}
