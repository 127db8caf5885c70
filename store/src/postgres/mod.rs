//! PostgreSQL: values travel as text, the server gives them their type.

mod additions;
mod arrays;
mod built;
mod catalogue;
mod cells;
mod config;
mod connect;
mod definition;
mod encode;
mod engine;
mod error;
mod going;
mod ledger;
mod part;
mod portable;
mod privileges;
mod question;
mod restore;
mod scratch;
mod snapshot;
mod spelling;
mod sql;
mod stage;
mod tls;
mod tools;
mod triggers;
mod url;
mod values;

pub use connect::Postgres;
pub(crate) use restore::{check as check_restore, restore};
pub(crate) use scratch::Scratch;
pub(crate) use snapshot::{folders, leftover, run_of, take as take_snapshot};
pub use url::PostgresUrl;
