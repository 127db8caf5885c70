//! `rollback`: takes a run back by its ID, and proves it.

mod added;
mod args;
mod course;
mod eligible;
mod evidence;
mod export;
mod guard;
mod handback;
mod inverse;
mod proof;
mod prune;
mod report;
mod restore;
mod run;
mod settle;
mod undo;

pub use args::Args;
pub use run::run;
