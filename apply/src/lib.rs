//! `apply`: a bundle into a target, batch by batch, under a run ID.

mod args;
mod checkpoint;
mod cut;
mod decide;
mod decisions;
mod ending;
mod guard;
mod hooks;
mod job;
mod rehearse;
mod report;
mod run;
mod snapshot;
mod throttle;
mod trigger;
mod which;

pub use args::Args;
pub use run::run;
