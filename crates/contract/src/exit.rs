//! The exit codes of all six programs: one table (`README.md` prints it, a test compares).

use std::io::{self, Write};
use std::process::ExitCode;

use system::Signal;

/// How a program ends. The numbers are part of the contract with scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// The answer is no: too many rejects, a check failed, conflicts.
    No = 1,
    /// Wrong usage: arguments or plan. Nothing was written.
    Usage = 2,
    /// Done in part, stopped part-way, or outcome unknown: the ledger says what was committed.
    Partial = 3,
    /// Refused by a guard before any write.
    Refused = 4,
    /// A source or the target could not be reached, read or written (before any write).
    Unreachable = 5,
    /// Another run holds the lock.
    Locked = 11,
    /// A bug: an error that no part of the program has a code for. A panic ends with it too.
    Bug = 101,
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

impl From<Signal> for Exit {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
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
    /// What the message lists, each printed on its own line.
    pub rows: Vec<String>,
    /// What to do next, printed on its own line after `hint: `.
    pub hint: Option<String>,
    /// Another program holds what is needed: the same command may work later.
    pub busy: bool,
}

impl Failure {
    /// Makes an error with a code and a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            rows: Vec::new(),
            hint: None,
            busy: false,
        }
    }

    /// Adds what the message lists.
    #[must_use]
    pub fn rows(mut self, rows: impl IntoIterator<Item = String>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Finds the exit code of an error: the first typed error in its chain decides; an error of the system's
/// input and output is 5, a closed pipe 141. An error that nobody typed is a bug.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> Exit {
    typed(error).unwrap_or(Exit::Bug)
}

/// Finds the exit code of an error, if any in its chain has one.
#[must_use]
pub fn typed(error: &anyhow::Error) -> Option<Exit> {
    // One that was given as context hides in the chain behind a type of the library's own.
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return Some(failure.exit);
    }
    error.chain().find_map(|cause| {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return Some(failure.exit);
        }
        if let Some(error) = cause.downcast_ref::<crate::plan::PlanError>() {
            return Some(error.exit());
        }
        if let Some(error) = cause.downcast_ref::<crate::stream::StreamError>() {
            return Some(error.exit());
        }
        if let Some(error) = cause.downcast_ref::<crate::bundle::BundleError>() {
            return Some(error.exit());
        }
        cause.downcast_ref::<io::Error>().map(of_io)
    })
}

fn of_io(error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Exit::ReaderLeft
    } else {
        Exit::Unreachable
    }
}

/// Ends a program that only said how it is used, or who it is: `code` is what the parser of its command
/// line asks for, `printed` whether that could be written.
#[must_use]
pub fn told(stage: &str, code: i32, printed: io::Result<()>) -> ExitCode {
    let code = u8::try_from(code).unwrap_or(Exit::Usage as u8);
    match printed {
        Err(error) if code == Exit::Done as u8 => {
            let exit = of_io(&error);
            if exit != Exit::ReaderLeft {
                writeln!(io::stderr(), "{stage}: standard output: {error}").ok();
            }
            exit.into()
        }
        _ => ExitCode::from(code),
    }
}

/// Returns what the errors of the chain list.
pub(crate) fn rows_of(error: &anyhow::Error) -> impl Iterator<Item = &String> {
    let failures = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<Failure>());
    failures.flat_map(|failure| &failure.rows)
}

/// Returns the hint of the first error in the chain that has one.
#[must_use]
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>()?.hint.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_typed_error_of_a_chain_decides_and_an_untyped_one_is_a_bug() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let closed = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(code_of(&closed.context("writing")), Exit::ReaderLeft);
        assert_eq!(
            code_of(&anyhow::Error::new(full()).context("writing")),
            Exit::Unreachable
        );
        let refused = Failure::new(Exit::Refused, "no");
        assert_eq!(
            code_of(&anyhow::Error::new(full()).context(refused)),
            Exit::Refused
        );
        assert_eq!(code_of(&anyhow::Error::msg("what is this")), Exit::Bug);
        let number = u8::try_from(300).unwrap_err();
        assert_eq!(code_of(&anyhow::Error::new(number)), Exit::Bug);
        assert_eq!(Exit::Bug as u8, 101);
    }
}
