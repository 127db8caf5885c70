//! What is wrong with a plan.

use std::io;
use std::path::PathBuf;

use crate::Exit;

/// Why a plan was refused. Nothing was read or written beside it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The plan says something that it can't.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// The plan's file.
        path: PathBuf,
        /// 1-based line.
        line: usize,
        /// 1-based column, in characters.
        column: usize,
        /// What was found, what was expected.
        message: String,
    },
    /// The plan could not be read.
    #[error("reading the plan {}", path.display())]
    Io {
        /// The plan's file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl PlanError {
    /// The exit code: a wrong or missing plan is wrong usage.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Wrong { .. } | Self::Io { .. } => Exit::Usage,
        }
    }
}
