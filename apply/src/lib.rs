//! `apply`: a bundle into a target, batch by batch, under a run ID.

mod args;
mod cut;
mod report;
mod run;
mod which;

pub use args::Args;
pub use run::run;
