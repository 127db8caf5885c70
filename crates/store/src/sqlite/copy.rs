//! A copy of a SQLite file as it stands, and what the tables of one hold: for rehearsals.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use contract::Digest;
use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::connect::{Sqlite, cell, quoted};
use super::trace::traced;
use super::values;
use crate::cell::encode_all;
use crate::{Cell, Fingerprint, Row, StoreError};

/// Pages copied in a step. The reader's snapshot keeps the source as it is in between.
const PAGES: i32 = 10_000;

impl Sqlite {
    /// Copies what is seen in this snapshot to a new file, by SQLite's backup interface.
    ///
    /// # Errors
    ///
    /// There is no room for the copy, or the source can't be read.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let copy = Connection::open(path).and_then(traced);
        let mut copy = copy.map_err(|error| self.error(&error))?;
        let done = Backup::new(&self.conn, &mut copy)
            .and_then(|backup| backup.run_to_completion(PAGES, Duration::from_millis(50), None));
        done.map_err(|error| StoreError::Unreachable {
            message: format!("copying to {}: {error}", path.display()),
        })
    }

    /// Returns the content of every table but the ledger's, and of SQLite's own counters.
    ///
    /// # Errors
    ///
    /// What the target said.
    pub fn contents(&self) -> Result<BTreeMap<String, Fingerprint>, StoreError> {
        let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'switchback\\_%' ESCAPE '\\' \
                     AND (name = 'sqlite_sequence' OR name NOT LIKE 'sqlite\\_%' ESCAPE '\\') ORDER BY name";
        let mut contents = BTreeMap::new();
        for row in self.rows(names, &[])? {
            if let Some(Cell::Text(name)) = row.into_iter().next() {
                contents.insert(name.clone(), self.content(&name)?);
            }
        }
        Ok(contents)
    }

    fn content(&self, table: &str) -> Result<Fingerprint, StoreError> {
        let failed = |error: rusqlite::Error| self.error(&error);
        let all = format!("SELECT * FROM {}", quoted(table));
        let statement = self.conn.prepare(&all).map_err(failed)?;
        let columns: Vec<rusqlite::Column<'_>> = statement.columns().collect();
        let declared =
            |column: &rusqlite::Column<'_>| column.decl_type().unwrap_or_default().to_owned();
        let declared: Vec<String> = columns.iter().map(declared).collect();
        let reads = self.reads(columns.iter().map(|column| quoted(column.name())));
        let sql = format!("SELECT {reads} FROM {}", quoted(table));
        let mut statement = self.conn.prepare(&sql).map_err(failed)?;
        let width = statement.column_count();
        let mut rows = statement.query([]).map_err(failed)?;
        let mut found = Fingerprint::default();
        while let Some(row) = rows.next().map_err(failed)? {
            let cells = (0..width).map(|place| row.get_ref(place).map(cell));
            let cells: Row = cells.collect::<rusqlite::Result<_>>().map_err(failed)?;
            let cells = self.narrow(table, cells)?.into_iter().zip(&declared);
            let cells: Row = cells
                .map(|(cell, declared)| values::portable(declared, cell))
                .collect();
            found.add(Digest::of(&encode_all(&cells)));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, sql: &str) -> std::path::PathBuf {
        let path = folder.join(name);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    }

    #[test]
    fn a_copy_holds_the_same_and_the_source_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(
            folder.path(),
            "a.db",
            "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, x'00'); \
             CREATE TABLE c (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO c DEFAULT VALUES; \
             CREATE TABLE switchback_runs (a);",
        );
        let bytes = std::fs::read(&path).unwrap();
        let source = Sqlite::open_reader(&path).unwrap();
        let copied = folder.path().join("b.db");
        source.copy_to(&copied).unwrap();
        let copy = Sqlite::open_reader(&copied).unwrap();
        let contents = copy.contents().unwrap();
        assert_eq!(contents, source.contents().unwrap());
        let names: Vec<&str> = contents.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["c", "sqlite_sequence", "t"],
            "the ledger is left out"
        );
        assert_eq!(contents["t"].rows, 3, "a table without a key is read too");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn any_difference_of_a_value_or_its_type_shows() {
        let folder = tempfile::tempdir().unwrap();
        let contents = |name: &str, values: &str| {
            let sql = format!("CREATE TABLE t (a); INSERT INTO t VALUES {values};");
            let path = file(folder.path(), name, &sql);
            Sqlite::open_reader(&path).unwrap().contents().unwrap()
        };
        let first = contents("1", "(1), (2)");
        assert_eq!(first, contents("2", "(2), (1)"), "order is none");
        for (name, other) in [("3", "(1)"), ("4", "(1), ('2')"), ("5", "(1), (2), (2)")] {
            assert_ne!(first, contents(name, other), "{other}");
        }
    }
}
