//! The targets and the ledger that lives in each.
//!
//! `verify` reads through [`Sql`] and [`ledger`]; `apply` and `rollback` write through [`Target`].

mod additions;
mod binding;
mod catalogue;
mod cell;
mod engine;
mod error;
mod fingerprint;
pub mod hooks;
pub mod ledger;
mod plain;
mod postgres;
mod restore;
mod snapshot;
mod sqlite;
mod temporary;
mod trial;
pub mod undo;
mod url;
mod writer;

pub use additions::{Addition, Planned, called, drop_statement};
pub use binding::{Binding, Bound, From, claim_name, entity_name};
pub use catalogue::{Column, ForeignKey, Table, Trigger, catalogue_digest};
pub use cell::{Cell, Image, Key, Row, decode_all, encode_all, row_hash};
pub use engine::{Engine, Sql};
pub use error::StoreError;
pub use fingerprint::{Fingerprint, fingerprint};
pub use postgres::{Postgres, PostgresUrl};
pub use restore::{Restore, Restored};
pub use snapshot::{Snapshot, digest_of};
pub use sqlite::Sqlite;
pub use url::{Copied, TargetUrl};
pub use writer::{
    Batch, Decided, End, LookupCode, LookupFault, NewRun, Outcome, Start, Target, Which, Writer,
    derived_id,
};
