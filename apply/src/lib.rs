//! `apply`: a bundle into a target, batch by batch, under a run ID.

mod args;
mod checkpoint;
mod cut;
mod job;
mod report;
mod run;
mod trigger;
mod which;

pub use args::Args;
pub use run::run;
