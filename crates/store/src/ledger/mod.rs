//! The ledger: the only truth about runs, in the target itself.

mod additions;
mod ascii;
mod audit;
mod batches;
mod changes;
mod confirmed;
mod entries;
mod extent;
mod failures;
mod figures;
mod hooks;
mod lock;
mod names;
mod policy;
mod prune;
mod rename;
mod renames;
mod retries;
mod runs;
mod schema;
mod shape;
mod signed;
mod source;
mod statement;
mod touches;
mod upgrade;
mod wait;

pub use additions::{Added, added};
pub use audit::{
    AuditEntry, Chain, PRUNED as AUDIT_PRUNED, append as append_audit, check as check_audit,
    each as each_audit, list as list_audit, older as older_audit, prune as prune_audit,
};
pub use batches::{
    BatchRow, BatchStatus, Counts, Phase, counts_of, drift_of, each as each_batch, each_drift,
    list as list_batches, put as put_batch,
};
pub use changes::{
    Action, Change, Kept, add_kept, change, changes_at, kept, page as page_changes, remove_kept,
};
pub use confirmed::{confirm, confirm_all};
pub use entries::{Entry, Mapping, page as page_entries};
pub use extent::{Extent, extents};
pub use failures::{add_failure, clear_failures, failures, failures_by_batch};
pub use figures::{Part, digest_of, figures, opening, with};
pub use hooks::{
    HookStep, claim as claim_hook, give_up as give_up_run, next as next_hook, note as note_hooks,
    note_of as note_hooks_of, settle as settle_hook,
};
pub use lock::{Held, Holder, Lease, holder, release, renew, renew_every, renew_own, take};
pub(crate) use names::{Numbers, numbers};
pub use names::{claim_id, claims_of_others, entity_id, entity_of, name_of, shape_id};
pub use policy::{Policy, of as policy_of};
pub use prune::{completed, prune_run, prune_snapshot, pruned};
pub use rename::{follow, renamed, renamed_of};
pub use renames::{Rename, former_counters};
pub use retries::{
    batch as batch_of, of_batch as failures_of_batch, reopen as reopen_batch,
    with_failures as batches_with_failures,
};
pub use runs::{
    Run, RunStatus, counters as counters_of, find as find_run, insert as insert_run,
    latest as latest_run, list as list_runs, update as update_run,
};
pub use schema::{Dialect, Format, LEDGER, TABLES, statements, version};
pub(crate) use schema::{upgrades_of_ids, version_of};
pub use shape::{Renamed, Shape, check_table, noted as shapes_noted, shape_of, shapes, table_of};
pub use signed::{Signed, each as each_signed, signed_plan};
pub use source::stored as stored_source;
pub use statement::Statement;
pub use touches::{later_touches, stays, taken_further};
pub use upgrade::upgrade;
pub use wait::wait_out;
