//! One database that a fault is put into, and what its ledger says.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Db;

/// A folder to work in, and a database.
#[derive(Debug)]
pub struct Place {
    /// The folder.
    pub folder: PathBuf,
    /// The database; a file lies in the folder.
    pub db: Db,
    /// The way to it, for the programs.
    pub url: String,
}

impl Place {
    /// A folder with a SQLite database in it, which need not be there yet.
    pub fn sqlite(folder: PathBuf) -> Self {
        let db = Db::Sqlite(folder.join("t.db"));
        Self::of(folder, db)
    }

    /// Makes a folder with a copy of a database.
    pub fn with(folder: PathBuf, base: &Db) -> Self {
        fs::create_dir(&folder).unwrap();
        let db = base.copy(&folder.join("t.db"));
        Self::of(folder, db)
    }

    /// A folder that is there, and a database that is or will be.
    pub fn of(folder: PathBuf, db: Db) -> Self {
        let url = db.url();
        Self { folder, db, url }
    }

    /// The file of a SQLite database.
    pub fn file(&self) -> &Path {
        self.db.file()
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Tells whether the ledger knows the run.
    pub fn run_is_there(&self) -> bool {
        self.db.has_ledger() && self.db.ask("SELECT count(*) FROM switchback_runs") == "1"
    }

    /// The status of the one run.
    pub fn status(&self) -> String {
        self.db.ask("SELECT status FROM switchback_runs")
    }

    /// Returns the last batch that apply said stands.
    pub fn acknowledged(&self) -> u64 {
        let said = fs::read(self.path(".migration-checkpoint.json"));
        said.map_or(0, |bytes| {
            let said: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            said["current_batch"].as_u64().unwrap()
        })
    }

    /// Copies the folder, and the database as any reader finds it.
    pub fn copy(&self) -> Self {
        let folder = self.folder.with_extension("copy");
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(&self.folder).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        match &self.db {
            Db::Sqlite(_) => Self::sqlite(folder),
            db @ Db::Postgres(_) => {
                let db = db.copy(&folder);
                Self::of(folder, db)
            }
        }
    }

    /// Removes the folder and the database.
    pub fn remove(self) {
        fs::remove_dir_all(self.folder).unwrap();
        self.db.remove();
    }
}

/// Returns how many batches the ledger says stand; they must be the first ones, each with all its
/// changes, and there must be no change without one.
pub fn batches(db: &Db) -> u64 {
    let rows = db.rows(
        "SELECT no, coalesce(last_seq - first_seq + 1, 0), (SELECT count(*) FROM switchback_changes c \
         WHERE c.run = b.run AND c.batch = b.no AND c.seq BETWEEN b.first_seq AND b.last_seq) \
         FROM switchback_batches b WHERE status = 'applied' ORDER BY no",
    );
    for (place, row) in rows.iter().enumerate() {
        assert_eq!(
            row[0],
            (place + 1).to_string(),
            "batches stand out of order"
        );
        assert_eq!(row[1], row[2], "batch {}: changes", row[0]);
    }
    let strays = "SELECT count(*) FROM switchback_changes WHERE batch > 0 AND batch NOT IN \
                  (SELECT no FROM switchback_batches WHERE status = 'applied')";
    assert_eq!(db.ask(strays), "0", "changes of batches that do not stand");
    rows.len() as u64
}

/// Returns the ledger but what the clock and the process put in it.
pub fn ledger(db: &Db) -> String {
    let rows = [
        "SELECT id, status, counts, counters, lookups, last_seq, reason FROM switchback_runs ORDER BY seq",
        "SELECT run, no, phase, entity, records, status, counts, first_seq, last_seq, error FROM switchback_batches \
         ORDER BY run, no",
        "SELECT * FROM switchback_changes ORDER BY run, seq",
        "SELECT * FROM switchback_ids ORDER BY entity, source",
        "SELECT kind, name FROM switchback_names ORDER BY id",
    ]
    .map(|query| db.rows(query));
    rows.concat()
        .iter()
        .map(|row| without_oid(&row.join("|")) + "\n")
        .collect()
}

/// A row without the number that the server gave a table: one that a run adds has another each time.
fn without_oid(row: &str) -> String {
    let parts = row
        .split_once("\"oid\":")
        .and_then(|(head, rest)| Some((head, rest.split_once(',')?.1)));
    parts.map_or_else(|| row.to_owned(), |(head, tail)| format!("{head}{tail}"))
}
