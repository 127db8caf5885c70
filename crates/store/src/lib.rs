//! The targets and the ledger that lives in each.
//!
//! `verify` reads through [`Sql`] and [`ledger`]; `apply` and `rollback` write through [`Target`].

mod additions;
mod apart;
mod binding;
mod catalogue;
mod cell;
mod engine;
mod error;
mod fingerprint;
mod folding;
mod json_column;
pub mod ledger;
mod lists;
mod plain;
mod postgres;
mod private;
mod process_list;
mod referrers;
mod restore;
mod secrets;
pub mod settle;
mod signing;
mod snapshot;
mod sqlite;
mod temporary;
mod trial;
pub mod undo;
mod url;
mod watch;
mod writer;

pub use additions::{Addition, Planned, called, drop_statement};
pub use apart::Apart;
pub use binding::{Binding, Bound, From};
pub use catalogue::{
    Children, Column, ForeignKey, Table, TableName, Trigger, Unresolved, catalogue_digest,
};
pub use cell::{Cell, Image, Key, Row, decode_all, encode_all, row_hash};
pub use engine::{Engine, Sql};
pub use error::{About, StoreError, code_of};
pub use fingerprint::{Fingerprint, fingerprint};
pub use folding::{fold_compared, fold_unplanned};
pub use postgres::{Postgres, PostgresUrl};
pub use private::PrivateFolder;
pub use process_list::hide_password;
pub use referrers::{Referrer, referrers};
pub use restore::{Restore, Restored};
pub use signing::{AuditKey, sign_with};
pub use snapshot::{Snapshot, digest_of};
pub use sqlite::Sqlite;
pub use url::{Copied, TargetUrl};
pub use watch::Stray;
pub use writer::{
    Batch, Corrected, Decided, End, Left, LookupCode, LookupFault, NewRun, Outcome, Start, Target,
    Which, Writer, derived_id,
};
