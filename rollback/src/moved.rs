//! Rows that came back under another rowid than they had: what the ledger noted against what is there now.

use serde_json::{Value, json};
use store::ledger::{self, Action, Change};
use store::{Key, Sql, StoreError, Table};

/// Such a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moved {
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: Key,
    /// The number that it had.
    pub rowid: i64,
}

impl Moved {
    /// Finds those among rows of a table that the run deleted: each with the number that it had, and its key.
    ///
    /// # Errors
    ///
    /// What the target said.
    pub fn among(
        sql: &mut dyn Sql,
        (table, key): (&Table, &[usize]),
        deleted: Vec<(i64, Key)>,
    ) -> Result<Vec<Self>, StoreError> {
        let keys: Vec<Key> = deleted.iter().map(|(_, key)| key.clone()).collect();
        let now = sql.rowids(table, key, &keys)?;
        let moved = deleted.into_iter().zip(now);
        let moved = moved.filter(|((had, _), now)| now.is_some_and(|now| now != *had));
        let moved = moved.map(|((rowid, key), _)| Self {
            table: table.name.clone(),
            key,
            rowid,
        });
        Ok(moved.collect())
    }

    pub fn to_json(&self) -> Value {
        json!({"table": self.table, "key": self.key.to_string(), "rowid": self.rowid})
    }
}

/// Returns the rowid that a row had before the run, if the run noted it with this change: not that of a row which
/// the run itself had made before.
///
/// # Errors
///
/// What the target said.
pub(crate) fn rowid_before(
    sql: &mut dyn Sql,
    run: i64,
    change: &Change,
) -> Result<Option<i64>, StoreError> {
    let Some(rowid) = change.rowid else {
        return Ok(None);
    };
    let mut earlier = change.earlier;
    while let Some(seq) = earlier {
        match ledger::change(sql, run, seq)? {
            Some(one) if matches!(one.action, Action::Insert | Action::Delete) => return Ok(None),
            Some(one) => earlier = one.earlier,
            None => break,
        }
    }
    Ok(Some(rowid))
}
