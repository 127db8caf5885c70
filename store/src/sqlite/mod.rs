//! SQLite: one file, one prepared statement a row.

mod additions;
mod catalogue;
mod connect;
mod copy;
mod engine;
mod question;
mod restore;
mod snapshot;
mod sql;
mod triggers;
mod values;

pub use connect::Sqlite;
pub(crate) use restore::restore;
pub(crate) use snapshot::{folders, leftover, run_of, take as take_snapshot};
