//! How a run deals with records that fail: a property of the run, which a resumed one keeps. The audit
//! entries of its starts hold it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Sql, StoreError};

/// What is undone when a record fails, and whether the run goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Whether the record alone is undone; else its batch.
    pub by_record: bool,
    /// Whether the run goes on with the next batch when one fails.
    pub continues: bool,
}

/// Returns how a run dealt with records that failed when it was started or resumed last; a run of an
/// older build has not said it.
///
/// # Errors
///
/// What the target said; the entry does not read.
pub fn of(sql: &mut dyn Sql, run: &str) -> Result<Option<Policy>, StoreError> {
    let statement = "SELECT detail FROM ledger.audit WHERE run = ?1 \
                     AND action IN ('migration:started', 'migration:resumed') ORDER BY seq DESC LIMIT 1";
    let rows = sql.query(statement, &[run.into()])?;
    let Some(detail) = rows.first().and_then(|row| row[0].text()) else {
        return Ok(None);
    };
    let damaged = |_| StoreError::damaged("an audit entry does not read");
    let mut detail: Value = serde_json::from_str(detail).map_err(damaged)?;
    match detail.get_mut("policy").map(Value::take) {
        Some(policy) => serde_json::from_value(policy).map(Some).map_err(damaged),
        None => Ok(None),
    }
}
