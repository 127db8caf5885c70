//! Taking a run back: everything is checked first, then reversed newest change first.
//!
//! [`check`] reads alone; what [`Undo`] does writes, each call in one transaction; all of it works on a
//! [`Scene`]. What was undone is proved elsewhere, by
//! code that shares nothing with this.

mod additions;
mod chain;
mod check;
mod finish;
mod judge;
mod layout;
mod places;
mod reverse;
mod scene;
mod settle;
mod tag;
mod ties;
mod verdict;
mod work;

pub use check::check;
pub use scene::{Choice, Scene};
pub use settle::{give_up, resolve};
pub use verdict::{Dependents, Differs, Finding, RunsValue, Values, Verdict};
pub use work::{Begun, Pace, Step, Undo};
