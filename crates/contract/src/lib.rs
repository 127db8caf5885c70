//! Whatever crosses a pipe or a file between the six programs of Switchback: record, reject and
//! seal lines, the plan, the bundle, digests, exit codes, and the manners that all six share.
//!
//! `FORMAT.md` beside this crate says each format in words.

pub mod answer;
pub mod bundle;
mod columns;
mod command_line;
pub mod digest;
pub mod exit;
pub mod expr;
pub mod key;
pub mod lines;
pub mod plan;
pub mod record;
pub mod reject;
pub mod seal;
pub mod stream;
pub mod talk;
mod upgrade;
pub mod visible;

pub use answer::Answer;
pub use command_line::shown_args;
pub use digest::{Digest, HashingReader, HashingWriter};
pub use exit::{Exit, Failure, code_of};
pub use lines::{Edited, LineSum};
pub use plan::Plan;
pub use record::{At, Op, Record, Ref};
pub use reject::{FieldError, Reject};
pub use seal::{Account, Seal, SourceSum, StageSum};
pub use stream::{Line, RecordReader, RecordWriter};
pub use talk::Talk;
pub use visible::{Visible, inline, without_passwords};

/// Version of the rules by which sources become records. It is part of every bundle, and is raised
/// only when the same sources and plan may give other bytes than before.
pub const RULES: u32 = 2;

/// The longest line a stage reads, in bytes: a longer one is refused before it is buffered.
pub const LINE_LIMIT: u64 = 16 * 1024 * 1024;
