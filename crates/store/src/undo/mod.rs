//! Taking a run back: everything is checked first, then reversed newest change first.
//!
//! [`check`] reads alone; what [`Undo`] does writes, each call in one transaction; all of it works on a
//! [`Scene`]. What was undone is proved elsewhere, by
//! code that shares nothing with this.

mod additions;
mod chain;
mod check;
mod detach;
mod differences;
mod finish;
mod judge;
mod layout;
mod mark;
mod places;
mod reverse;
mod scene;
mod settle;
mod tag;
mod ties;
mod traps;
mod trial;
mod verdict;
mod watched;
mod work;

pub use check::check;
pub use detach::page as detached;
pub use scene::{Choice, Scene};
pub use settle::{give_up, resolve};
pub use traps::Trap;
pub(crate) use traps::traps_of;
pub(crate) use trial::{Tried, try_out};
pub use verdict::{Dependents, Detached, Differs, Finding, RunsValue, Values, Verdict};
pub use work::{Begun, Pace, Step, Undo};
