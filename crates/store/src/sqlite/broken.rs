//! Triggers that SQLite can't prepare: they name a table or a column that is not there. SQLite says what is
//! missing, and not which trigger names it.

use super::connect::{Sqlite, quoted};
use super::error::of_statement;
use super::programs::Event;
use super::{additions, catalogue};
use crate::StoreError;

/// A trigger that can't be prepared.
pub(super) struct Broken {
    trigger: String,
    table: String,
    why: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            trigger,
            table,
            why,
        } = self;
        write!(f, "trigger `{trigger}` on {table} can't run: {why}")
    }
}

impl Sqlite {
    /// What an error means that a statement met when it was prepared, which is made of names that are there:
    /// the triggers that it is about are named.
    pub(super) fn unprepared(&self, error: &rusqlite::Error, statement: &str) -> StoreError {
        match of_statement(error, statement, true) {
            Some(StoreError::Statement { message, about }) => {
                let broken = self.broken_triggers().unwrap_or_default();
                let same = broken.iter().filter(|trigger| trigger.why == message);
                let named: Vec<String> = same.map(Broken::to_string).collect();
                let message = if named.is_empty() {
                    message
                } else {
                    named.join("; ")
                };
                StoreError::Statement { message, about }
            }
            _ => self.error(error),
        }
    }

    /// Returns the triggers that can't be prepared, each tried alone in a copy of the schema.
    fn broken_triggers(&self) -> Result<Vec<Broken>, StoreError> {
        let copy = additions::copy(self)?;
        let all =
            "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid";
        let triggers = copy.rows(all, &[])?;
        let drop = |copy: &Sqlite, name: &str| {
            let dropped = copy
                .conn
                .execute_batch(&format!("DROP TRIGGER {}", quoted(name)));
            dropped.map_err(|error| copy.error(&error))
        };
        for row in &triggers {
            drop(&copy, row[0].text().unwrap_or_default())?;
        }
        let mut broken = Vec::new();
        for row in &triggers {
            let [Some(name), Some(table), Some(sql)] = [0, 1, 2].map(|at: usize| row[at].text())
            else {
                continue;
            };
            // What this build can't make is not tried; nor is one on a view, which no run writes to.
            if copy.conn.execute_batch(sql).is_err() {
                continue;
            }
            let on = catalogue::table(&copy, table).ok().flatten();
            let fault = on.and_then(|on| {
                let prepare = |event: &Event| copy.conn.prepare(&event.statement(&on)).err();
                Event::ALL.iter().find_map(prepare)
            });
            broken.extend(fault.map(|error| Broken {
                trigger: name.to_owned(),
                table: table.to_owned(),
                why: additions::said(&error),
            }));
            drop(&copy, name)?;
        }
        Ok(broken)
    }
}
