//! How far a run reaches into the rows that were there before it.

use std::collections::BTreeMap;

use super::{Action, Shape, Statement, shapes};
use crate::{Sql, StoreError, TableName};

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
    let mut tables: BTreeMap<(Option<TableName>, String), (Shape, Vec<i64>)> = BTreeMap::new();
    for (id, shape) in shapes(sql)? {
        let name = (shape.at.clone(), shape.table.clone());
        let (_, ids) = tables.entry(name).or_insert_with(|| (shape, Vec::new()));
        ids.push(id);
    }
    let mut extents = Vec::new();
    for (shape, shapes) in tables.into_values() {
        let touched = |action: Action| {
            let touched = Statement::from(
                "SELECT DISTINCT target FROM ledger.changes WHERE run = ?1 AND shape IN (",
            );
            touched.list(shapes.iter().copied()) + ") AND action = " + action as i64
        };
        let count = |sql: &mut dyn Sql, rows: Statement| {
            let counted = Statement::from("SELECT COUNT(*) FROM (") + rows + ") AS touched";
            let found = sql.query_made(&counted, &[run.into()])?;
            Ok::<u64, StoreError>(
                found
                    .first()
                    .and_then(|row| row[0].int())
                    .map_or(0, i64::unsigned_abs),
            )
        };
        let inserted = touched(Action::Insert);
        let of_before = |action| touched(action) + " EXCEPT " + inserted.clone();
        let changed = count(sql, of_before(Action::Update))?;
        let deleted = count(sql, of_before(Action::Delete))?;
        if changed + deleted == 0 {
            continue;
        }
        // The rows that are there now, and those that are there no more.
        let added = count(sql, inserted.clone() + " EXCEPT " + touched(Action::Delete))?;
        let Some(table) = shape.live(sql)? else {
            continue;
        };
        let now = sql.count(&table, None)?;
        extents.push(Extent {
            rows: (now + deleted).saturating_sub(added),
            table: table.name,
            changed,
            deleted,
        });
    }
    Ok(extents)
}
