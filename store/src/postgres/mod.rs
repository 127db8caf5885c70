//! PostgreSQL: values travel as text, the server gives them their type.

mod additions;
mod arrays;
mod catalogue;
mod connect;
mod encode;
mod engine;
mod error;
mod ledger;
mod portable;
mod privileges;
mod question;
mod sql;
mod stage;
mod tls;
mod triggers;
mod url;
mod values;

pub use connect::Postgres;
pub use url::PostgresUrl;
