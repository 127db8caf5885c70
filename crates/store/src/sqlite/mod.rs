//! SQLite: one file, one prepared statement a row.

mod additions;
mod bare;
mod broken;
mod catalogue;
mod connect;
mod copy;
mod encoding;
mod engine;
mod error;
mod keys;
mod programs;
mod question;
mod references;
mod restore;
mod snapshot;
mod sql;
mod strangers;
mod trace;
mod values;
mod watch;
mod words;

pub use connect::Sqlite;
pub(crate) use restore::restore;
pub(crate) use snapshot::{folders, leftover, run_of, take as take_snapshot};
