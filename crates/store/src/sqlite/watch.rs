//! What triggers and foreign keys write beside our own statements, counted by the update hook when a
//! statement runs.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rusqlite::hooks::Action;

use super::bare::Noted;
use super::connect::Sqlite;
use super::programs::{Event, Known};
use crate::StoreError;
use crate::catalogue::Table;
use crate::watch::Stray;

/// Rows of a table that a statement touched.
#[derive(Debug, Default)]
struct Rows {
    first: i64,
    times: u64,
    /// How often another row than the first was touched.
    others: u64,
}

/// The rows that a statement touched, by table.
#[derive(Debug, Default)]
struct Touched {
    tables: BTreeMap<String, Rows>,
    times: u64,
}

impl Touched {
    fn note(&mut self, table: &str, row: i64) {
        self.times += 1;
        if !self.tables.contains_key(table) {
            let rows = Rows {
                first: row,
                ..Rows::default()
            };
            self.tables.insert(table.to_owned(), rows);
        }
        if let Some(rows) = self.tables.get_mut(table) {
            rows.times += 1;
            rows.others += u64::from(rows.first != row);
        }
    }
}

/// A table while it is watched.
#[derive(Debug)]
pub(super) struct Watching {
    table: String,
    known: Rc<Known>,
    touched: Arc<Mutex<Touched>>,
    /// Rows that were written beside those sent: by event and table; a table without a name is another
    /// that the hook does not see.
    strays: BTreeMap<(Event, Option<String>), u64>,
}

impl Sqlite {
    pub(super) fn start_watch(&mut self, table: &Table) -> Result<(), StoreError> {
        if table.triggers.is_empty() {
            self.watching = None;
            return Ok(());
        }
        let known = self.known(table)?;
        let touched: Arc<Mutex<Touched>> = Arc::default();
        let note = Arc::clone(&touched);
        let hook = move |_: Action, database: &str, table: &str, row: i64| {
            if database == "main"
                && let Ok(mut touched) = note.lock()
            {
                touched.note(table, row);
            }
        };
        if !known.rowids {
            self.note_rows(table)?;
        }
        let set = self.conn.update_hook(Some(hook));
        set.map_err(|error| self.error(&error))?;
        self.watching = Some(Watching {
            table: table.name.clone(),
            known,
            touched,
            strays: BTreeMap::new(),
        });
        Ok(())
    }

    /// Runs a statement that writes one row of a table, and counts what else it writes.
    pub(super) fn counted<T>(
        &mut self,
        table: &Table,
        event: Event,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let watched = |watching: &&Watching| watching.table == table.name;
        let Some(watching) = self.watching.as_ref().filter(watched) else {
            return work(self);
        };
        if let Ok(mut touched) = watching.touched.lock() {
            *touched = Touched::default();
        }
        let bare = !watching.known.rowids;
        if bare {
            self.forget_noted();
        }
        let before = self.conn.total_changes();
        let done = work(self)?;
        let written = self.conn.total_changes() - before;
        let noted = if bare { self.noted() } else { None };
        if let Some(watching) = &mut self.watching {
            watching.count(event, written, noted);
        }
        Ok(done)
    }

    pub(super) fn end_watch(&mut self, accepted: &[String]) -> Result<Vec<Stray>, StoreError> {
        let Some(watching) = self.watching.take() else {
            return Ok(vec![]);
        };
        let set = self.conn.update_hook(None::<fn(Action, &str, &str, i64)>);
        set.map_err(|error| self.error(&error))?;
        Ok(watching.judged(accepted))
    }
}

impl Watching {
    fn count(&mut self, event: Event, written: u64, noted: Option<Noted>) {
        let Ok(touched) = self.touched.lock() else {
            return;
        };
        let mut add = |table: Option<&String>, rows: u64| {
            if rows > 0 {
                *self.strays.entry((event, table.cloned())).or_default() += rows;
            }
        };
        for (table, rows) in &touched.tables {
            let own = *table == self.table;
            add(Some(table), if own { rows.others } else { rows.times });
        }
        let mut seen = touched.times;
        if !self.known.rowids {
            let noted = noted.unwrap_or(Noted { times: 0, rows: 0 });
            add(Some(&self.table), noted.rows.saturating_sub(1));
            // Each note is a row too. The row that was sent is seen in any case.
            seen += (2 * noted.times).max(1);
        }
        add(None, written.saturating_sub(seen));
    }

    fn judged(&self, accepted: &[String]) -> Vec<Stray> {
        let mut strays = Vec::new();
        for ((event, table), rows) in &self.strays {
            let programs = self.known.of(*event);
            let known = programs.accepted(accepted);
            // Of other tables that the hook does not see no trigger that is not accepted writes any.
            let writers = table.iter().flat_map(|table| programs.writers(table));
            let writers: BTreeSet<&str> = writers.collect();
            let suspects = writers.iter().filter(|name| !known.contains(*name));
            let triggers: Vec<String> = suspects.map(|name| (*name).to_owned()).collect();
            // A foreign key's action, or a table behind a virtual one: an accepted trigger may have led to it.
            if triggers.is_empty() && !known.is_empty() {
                continue;
            }
            strays.push(Stray {
                of: self.table.clone(),
                table: table
                    .clone()
                    .unwrap_or_else(|| "another table (one WITHOUT ROWID)".into()),
                rows: *rows,
                triggers,
            });
        }
        strays
    }
}
