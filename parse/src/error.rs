//! Why a source can't be read.

use std::io;

use contract::Exit;

/// Why reading a source ends. Nothing of the file's rest is handed on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file is damaged or not what the plan says.
    #[error("{file}:{line}: {message}")]
    Damaged {
        /// The source, as the plan names it.
        file: String,
        /// 1-based physical line.
        line: u64,
        /// What was found (with the byte offset where that helps), what was expected, what to do.
        message: String,
    },
    /// The file could not be read.
    #[error("reading {file}")]
    Io {
        /// The source, as the plan names it.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl SourceError {
    /// The exit code: a damaged source is refused (4), an unreadable one is 5.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Damaged { .. } => Exit::Refused,
            Self::Io { .. } => Exit::Unreachable,
        }
    }
}
