//! Why a bundle was refused.

use std::io;
use std::path::PathBuf;

use crate::{Digest, Exit};

/// Why a bundle was refused, or could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file's content is not what the manifest says.
    #[error("{file}: its sha256 is {found}, the manifest says {expected}: the bundle was changed")]
    Digest {
        /// The file inside the bundle.
        file: String,
        /// What the manifest says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The bundle does not add up in another way.
    #[error("{file}: {message}")]
    Damaged {
        /// The file inside the bundle.
        file: String,
        /// What was found, what was expected.
        message: String,
    },
    /// The bundle is of a version that this build does not know.
    #[error("{file}: bundle format {found}, this build reads formats up to {expected}")]
    Version {
        /// The file inside the bundle.
        file: String,
        /// The version found.
        found: u64,
        /// The version that is read.
        expected: u32,
    },
    /// The bundle was made by rules that this build does not know.
    #[error(
        "manifest.json: made by rules {found}, this build knows rules up to {expected}: use the newer programs"
    )]
    Rules {
        /// The version found.
        found: u32,
        /// The newest version that is known.
        expected: u32,
    },
    /// Another bundle is there already.
    #[error("{} exists: {message}", path.display())]
    Exists {
        /// The place.
        path: PathBuf,
        /// What it is instead.
        message: String,
    },
    /// A source is not what parse read.
    #[error("{}: it changed since parse read it: its sha256 is {found}, the seal says {expected}", path.display())]
    SourceChanged {
        /// The source.
        path: PathBuf,
        /// What the seal says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A record or a figure of the stream does not fit the plan or the seal.
    #[error("{message}")]
    Stream {
        /// What was found, what was expected.
        message: String,
    },
    /// A file could not be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BundleError {
    /// The exit code: whatever does not add up is refused (4), what can't be read or written is 5.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Digest { .. }
            | Self::Damaged { .. }
            | Self::Version { .. }
            | Self::Rules { .. }
            | Self::Exists { .. }
            | Self::SourceChanged { .. }
            | Self::Stream { .. } => Exit::Refused,
            Self::Io { .. } => Exit::Unreachable,
        }
    }
}
