//! PostgreSQL: values travel as text, the server gives them their type.

mod arrays;
mod catalogue;
mod connect;
mod engine;
mod error;
mod portable;
mod sql;
mod tls;
mod triggers;
mod url;
mod values;

pub use connect::Postgres;
pub use url::PostgresUrl;
