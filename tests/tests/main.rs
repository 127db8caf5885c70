//! Whole pipelines, through the binaries, as a user runs them: one module per subject.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::similar_names,
    clippy::format_push_string,
    reason = "tests: a failure here is a failed test"
)]

mod additions;
mod batches;
mod bytes;
mod checkpoint;
mod conflicts;
mod damage;
mod decisions;
mod docs;
mod eligibility;
mod exports;
mod guards;
mod hooks;
mod identity;
mod inverse;
mod k_checks;
mod kill;
mod late;
mod limits;
mod lineage;
mod marks;
mod members;
mod messages;
mod migrate;
mod pipe;
mod rehearsal;
mod repairs;
mod reproducible;
mod retention;
mod rivals;
mod rollback;
mod rollback_properties;
mod snapshots;
mod verify;
mod whole_tables;
mod wrong;
