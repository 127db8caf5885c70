//! SQLite: one file, one prepared statement a row.

mod catalogue;
mod connect;
mod copy;
mod engine;
mod sql;
mod triggers;
mod values;

pub use connect::Sqlite;
