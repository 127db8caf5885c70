//! A ledger whose tables fire something: it would be done with the operator's rights, and could change what was sent.

use super::connect::Sqlite;
use crate::StoreError;
use crate::ledger::TABLES;

impl Sqlite {
    /// Refuses triggers on the ledger's tables. Whoever only reads fires none.
    pub(super) fn no_strangers(&self) -> Result<(), StoreError> {
        let reads = self.conn.is_readonly(rusqlite::MAIN_DB);
        if reads.map_err(|error| self.error(&error))? {
            return Ok(());
        }
        let tables: Vec<String> = TABLES
            .iter()
            .map(|table| format!("'switchback_{table}'"))
            .collect();
        let triggers = format!(
            "SELECT tbl_name || ' has the trigger ' || name FROM sqlite_master WHERE type = 'trigger' \
             AND lower(tbl_name) IN ({}) ORDER BY name LIMIT 1",
            tables.join(", ")
        );
        match self.rows(&triggers, &[])?.first() {
            None => Ok(()),
            Some(row) => Err(StoreError::refused(format!(
                "the ledger of {} can't be trusted: {}; look who made it, and drop it",
                self.path.display(),
                row[0].text().unwrap_or("it is not as it was made")
            ))),
        }
    }
}
