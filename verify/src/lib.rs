//! `verify`: reads a target and says whether what a run did stands.
//!
//! It writes nothing and shares no code with what writes rows: a record's value is compared with the
//! cell that is read back by code of its own.

mod args;
mod audit;
mod bundle;
mod checks;
mod compare;
mod figures;
mod finding;
mod lineage;
mod operators;
mod print;
mod room;
mod run;
mod runs;
mod sample;
mod scene;
mod summary;
mod trail;

pub use args::Args;
pub use run::run;
