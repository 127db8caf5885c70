//! Which rows of a table WITHOUT ROWID a statement touched: the update hook does not see them, so that
//! triggers of our own, in the connection's temporary database, note their keys.

use super::connect::{Sqlite, quoted};
use crate::catalogue::Table;
use crate::{Cell, StoreError};

/// The table of the notes, and what the names of the triggers begin with.
const NOTES: &str = "switchback_touched";

/// What was noted of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noted {
    /// How often a row was touched.
    pub times: u64,
    /// How many rows were.
    pub rows: u64,
}

impl Sqlite {
    /// Has the keys of the rows noted that are touched from now on.
    pub(super) fn note_rows(&mut self, table: &Table) -> Result<(), StoreError> {
        // They may have been made for another table, or in a transaction that was undone.
        let known =
            format!("SELECT tbl_name FROM sqlite_temp_master WHERE name = '{NOTES}_delete'");
        let of: Option<Cell> = self.rows(&known, &[])?.pop().and_then(|mut row| row.pop());
        if of.as_ref().and_then(Cell::text) == Some(&table.name) {
            return Ok(());
        }
        let keys = "SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE pk > 0 ORDER BY pk";
        let keys = self.rows(keys, &[table.name.as_str().into()])?;
        let keys: Vec<String> = keys
            .iter()
            .filter_map(|row| row[0].text().map(quoted))
            .collect();
        let columns: Vec<String> = (0..keys.len()).map(|place| format!("k{place}")).collect();
        let trigger = |(event, row): &(&str, &str)| {
            let values: Vec<String> = keys.iter().map(|key| format!("{row}.{key}")).collect();
            format!(
                "DROP TRIGGER IF EXISTS temp.{NOTES}_{event}; \
                 CREATE TEMP TRIGGER {NOTES}_{event} AFTER {event} ON main.{} BEGIN \
                 INSERT INTO {NOTES} VALUES ({}); END;",
                quoted(&table.name),
                values.join(", ")
            )
        };
        let events = [("insert", "NEW"), ("update", "OLD"), ("delete", "OLD")];
        let triggers: String = events.iter().map(trigger).collect();
        let sql = format!(
            "DROP TABLE IF EXISTS temp.{NOTES}; CREATE TABLE temp.{NOTES} ({}); {triggers}",
            columns.join(", ")
        );
        self.try_batch(&sql).map_err(|error| self.error(&error))
    }

    /// Forgets what was noted. Where nothing can be, nothing is there to be forgotten.
    pub(super) fn forget_noted(&self) {
        self.run(&format!("DELETE FROM temp.{NOTES}"), &[]).ok();
    }

    /// What was noted since; none where nothing could be: the triggers went with a transaction that was
    /// undone.
    pub(super) fn noted(&self) -> Option<Noted> {
        let sql = format!(
            "SELECT (SELECT count(*) FROM temp.{NOTES}), \
             (SELECT count(*) FROM (SELECT DISTINCT * FROM temp.{NOTES}))"
        );
        let row = self.rows(&sql, &[]).ok()?.pop()?;
        let count = |place: usize| row[place].int().and_then(|count| u64::try_from(count).ok());
        Some(Noted {
            times: count(0)?,
            rows: count(1)?,
        })
    }
}
