//! Whole pipelines, through the binaries, as a user runs them: one module per subject.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests: a failure here is a failed test"
)]

mod reproducible;
