//! Fuzz targets: one function of bytes for each reader of bytes that others wrote. Each says by a panic that its
//! reader broke a promise: it panicked, or what it read, wrote and read again is not the same. The driver
//! adds two more: no input may take longer than some seconds, nor more memory than is given to the process.
#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a target says what it found"
)]

mod driver;
mod mutate;
mod targets;

pub use driver::{Found, drive, watch};
pub use targets::{TARGETS, Target, target};
