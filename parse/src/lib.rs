//! Reads sources (CSV, JSON, Markdown) and writes the records that the plan makes of them, as
//! lines on stdout, ended by a seal.

mod args;
mod csv;
mod decode;
mod dropped;
mod error;
mod explain;
pub mod item;
mod json;
mod mapping;
pub mod markdown;
mod prepared;
mod run;
mod sources;
mod stage;

pub use args::{Args, Progress};
pub use error::SourceError;
pub use run::run;
