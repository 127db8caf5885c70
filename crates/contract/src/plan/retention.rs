//! How long a run can be taken back, and how long what that needs is kept.

use schemars::JsonSchema;
use serde::Deserialize;

/// Retention, in days. Audit entries stay for two years, the runs for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// So many days after a run was completed `rollback` takes it back without being asked twice;
    /// after them `rollback prune` gives up what it needs (default 7).
    pub window_days: u32,
    /// So long `rollback prune` leaves a snapshot; never less than the window (default 30).
    pub snapshot_days: u32,
    /// So long `rollback prune` leaves what was never finished: copies that a crash left half made
    /// (default 7).
    pub dry_run_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            window_days: 7,
            snapshot_days: 30,
            dry_run_days: 7,
        }
    }
}
