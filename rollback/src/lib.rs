//! `rollback`: takes a run back by its ID, and proves it.

mod args;
mod evidence;
mod guard;
mod proof;
mod report;
mod run;
mod undo;

pub use args::Args;
pub use run::run;
