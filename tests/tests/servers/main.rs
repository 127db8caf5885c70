//! Faults that only a server has: its backends and itself killed, connections cut, clients that race,
//! a standby that takes over, a pooler, TLS.
//!
//! `just test-all` runs the short form, `just faults` the long one. Needs PostgreSQL and `PgBouncer`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure here is a failed test"
)]

mod backends;
mod bank;
mod cuts;
mod failover;
mod limits;
mod others;
mod pooler;
mod proxy;
mod restarts;
mod retries;
mod tls;
