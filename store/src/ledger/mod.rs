//! The ledger: the only truth about runs, in the target itself.

mod additions;
mod audit;
mod batches;
mod changes;
mod entries;
mod extent;
mod hooks;
mod lock;
mod names;
mod prune;
mod runs;
mod schema;

pub use additions::{Added, added};
pub use audit::{
    AuditEntry, Chain, append as append_audit, check as check_audit, list as list_audit,
    older as older_audit, prune as prune_audit,
};
pub use batches::{
    BatchRow, BatchStatus, Counts, Phase, add_failure, clear_failures, each as each_batch,
    failures, list as list_batches, put as put_batch,
};
pub use changes::{
    Action, Change, Kept, add_kept, change, changes_at, kept, later_touches, page as page_changes,
    remove_kept,
};
pub use entries::{Entry, Mapping, page as page_entries};
pub use extent::{Extent, extents};
pub use hooks::{
    HookStep, claim as claim_hook, give_up as give_up_run, next as next_hook, note as note_hooks,
    note_of as note_hooks_of, settle as settle_hook,
};
pub use lock::{Held, Holder, Lease, holder, release, renew, renew_every, renew_own, take};
pub use names::{Shape, find_id as find_name, id_of as name_id, name_of, shape_of, shapes};
pub use prune::{completed, prune_run, prune_snapshot, pruned};
pub use runs::{
    Run, RunStatus, find as find_run, insert as insert_run, latest as latest_run,
    list as list_runs, update as update_run,
};
pub use schema::{LEDGER, TABLES, statements, version};
