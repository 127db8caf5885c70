//! Whole pipelines, through the binaries, as a user runs them: one module per subject.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::similar_names,
    clippy::format_push_string,
    reason = "tests: a failure here is a failed test"
)]

mod acceptance;
mod additions;
mod answers;
mod at_fault;
mod batches;
mod bytes;
mod checkpoint;
mod conflicts;
mod corrections;
mod damage;
mod decisions;
mod docs;
mod dropped;
mod eligibility;
mod exports;
mod foreign_keys;
mod guards;
mod half_text;
mod hooks;
mod hostile;
mod identity;
mod inverse;
mod json_columns;
mod kill;
mod killed_counts;
mod late;
mod ledger_odds;
mod limits;
mod lineage;
mod lock_holders;
mod marks;
mod members;
mod messages;
mod migrate;
mod odd_names;
mod old_ledgers;
mod permission;
mod pipe;
mod planted;
mod raw_text;
mod recognised;
mod rehearsal;
mod renamed;
mod repairs;
mod reproducible;
mod retention;
mod rivals;
mod rollback;
mod rollback_properties;
mod rollback_tags;
mod secrets;
mod settings;
mod settings_lists;
mod signed;
mod snapshots;
mod taken_back;
mod tampered;
mod target_keys;
mod tenants;
mod tried_again;
mod triggers;
mod triggers_that_end_it;
mod unvalidated;
mod used_up;
mod verify;
mod versions;
mod whole_tables;
mod wide;
mod wrong;
