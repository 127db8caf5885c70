//! `apply`: a bundle into a target, batch by batch, under a run ID.

mod args;
mod checkpoint;
mod corrections;
mod cut;
mod decide;
mod decisions;
mod ending;
mod guard;
mod hooks;
mod job;
mod rehearse;
mod report;
mod retry;
mod run;
mod settle;
mod snapshot;
mod throttle;
mod trigger;
mod which;

pub use args::Args;
pub use run::run;
