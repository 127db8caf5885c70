//! Faults put in at every step: what stands afterwards is exactly what the ledger says, and going on
//! or taking back ends where undisturbed runs end.
//!
//! `just test-all` runs the short form, `just faults` the long one.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure here is a failed test"
)]

mod additions;
mod bundles;
mod cache;
mod calls;
mod desk;
mod desks;
mod disk;
mod holders;
mod listener;
mod manners;
mod matrix;
mod mount;
mod power;
mod rivals;
mod steps;
mod talk;
