//! `rollback`: takes a run back by its ID, and proves it.

mod added;
mod args;
mod course;
mod eligible;
mod evidence;
mod export;
mod former;
mod guard;
mod handback;
mod hooks;
mod inverse;
mod moved;
mod place;
mod proof;
mod prune;
mod report;
mod restore;
mod run;
mod settle;
mod trial;
mod undo;
mod words;

pub use args::Args;
pub use run::run;
