//! Columns and tables that a plan adds: on PostgreSQL not in this version.

use crate::StoreError;

/// Says so.
pub(super) fn unsupported() -> StoreError {
    StoreError::refused(
        "this version adds columns and tables to SQLite files alone: make them in PostgreSQL before the run, and leave \
         [add] out of the plan",
    )
}
