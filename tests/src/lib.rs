//! What the end-to-end tests, the demo and the bench share: a folder to work in, the programs run as
//! a user runs them, and a look into the database that does not go through our own code.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "test helpers: a failure here is a failed test"
)]

mod bulk;
pub mod db;
pub mod lab;
pub mod measure;
pub mod postgres;
mod process;
mod room;
mod seed;
pub mod suite;
mod target;

pub use bulk::Bulk;
pub use process::{Done, command, finish, holder, program, spawn};
pub use room::{Room, example_rows, packages, recipe, repository};
pub use seed::Seed;
pub use target::{Case, Db, Target};
