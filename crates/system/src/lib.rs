//! What the six programs ask of the operating system: files that are whole or not there, signals, and the fail points at
//! which a build for tests dies. It knows no format of Switchback.

pub mod fail_points;
pub mod files;
pub mod signals;

pub use signals::{Signal, Signals};
