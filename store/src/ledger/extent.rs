//! How far a run reaches into the rows that were there before it.

use std::collections::BTreeMap;

use super::{Action, shapes};
use crate::{Sql, StoreError};

/// What a run does to a table's rows of before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// The table.
    pub table: String,
    /// How many rows it had before the run.
    pub rows: u64,
    /// How many of them the run updated.
    pub changed: u64,
    /// How many of them the run deleted.
    pub deleted: u64,
}

/// Returns what a run did so far to each table it touched, from the ledger's changes: each row
/// counts once, however often it was written, and rows that the run inserted itself do not count.
///
/// # Errors
///
/// What the target said.
pub fn extents(sql: &mut dyn Sql, run: i64) -> Result<Vec<Extent>, StoreError> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, shape) in shapes(sql)? {
        tables.entry(shape.table).or_default().push(id.to_string());
    }
    let mut extents = Vec::new();
    for (table, shapes) in tables {
        let touched = |action: Action| {
            format!(
                "SELECT DISTINCT target FROM ledger.changes WHERE run = ?1 AND shape IN ({}) AND action = {}",
                shapes.join(", "),
                action as i64
            )
        };
        let count = |sql: &mut dyn Sql, rows: String| {
            let found = sql.query(
                &format!("SELECT COUNT(*) FROM ({rows}) AS rows"),
                &[run.into()],
            )?;
            Ok::<u64, StoreError>(
                found
                    .first()
                    .and_then(|row| row[0].int())
                    .map_or(0, i64::unsigned_abs),
            )
        };
        let inserted = touched(Action::Insert);
        let of_before = |action| format!("{} EXCEPT {inserted}", touched(action));
        let changed = count(sql, of_before(Action::Update))?;
        let deleted = count(sql, of_before(Action::Delete))?;
        if changed + deleted == 0 {
            continue;
        }
        // The rows that are there now, and those that are there no more.
        let added = count(
            sql,
            format!("{inserted} EXCEPT {}", touched(Action::Delete)),
        )?;
        let now = sql.query(&format!("SELECT COUNT(*) FROM {}", sql.quoted(&table)), &[])?;
        let now = now
            .first()
            .and_then(|row| row[0].int())
            .map_or(0, i64::unsigned_abs);
        extents.push(Extent {
            rows: (now + deleted).saturating_sub(added),
            table,
            changed,
            deleted,
        });
    }
    Ok(extents)
}
