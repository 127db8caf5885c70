//! The frozen formats: files of every version, read by a second reader, and made again by the programs of today.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests: a failure here is a failed test"
)]

mod frozen;
mod reader;
mod rules;
mod today;
