//! One database that a fault is put into, and what its ledger says.

use std::fs;
use std::path::{Path, PathBuf};

use tests::db;

/// A folder with a database in it.
pub struct Place(pub PathBuf);

impl Place {
    pub fn db(&self) -> PathBuf {
        self.0.join("t.db")
    }

    pub fn url(&self) -> String {
        format!("sqlite:{}", self.db().display())
    }

    /// Tells whether the ledger knows the run.
    pub fn run_is_there(&self) -> bool {
        let ledger = "SELECT count(*) FROM sqlite_master WHERE name = 'switchback_runs'";
        db::ask(&self.db(), ledger) == "1"
            && db::ask(&self.db(), "SELECT count(*) FROM switchback_runs") == "1"
    }

    pub fn status(&self) -> String {
        db::ask(&self.db(), "SELECT status FROM switchback_runs")
    }

    /// Returns the last batch that apply said stands.
    pub fn acknowledged(&self) -> u64 {
        let said = fs::read(self.0.join(".migration-checkpoint.json"));
        said.map_or(0, |bytes| {
            let said: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            said["current_batch"].as_u64().unwrap()
        })
    }

    /// Copies the folder, the database as any reader finds it.
    pub fn copy(&self) -> Self {
        let copy = Self(self.0.with_extension("copy"));
        fs::create_dir(&copy.0).unwrap();
        for entry in fs::read_dir(&self.0).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
        }
        copy
    }

    pub fn remove(self) {
        fs::remove_dir_all(self.0.with_extension("copy")).ok();
        fs::remove_dir_all(self.0).unwrap();
    }
}

/// Returns how many batches the ledger says stand; they must be the first ones, each with all its
/// changes, and there must be no change without one.
pub fn batches(path: &Path) -> u64 {
    let rows = db::rows(
        path,
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
    assert_eq!(
        db::ask(path, strays),
        "0",
        "changes of batches that do not stand"
    );
    rows.len() as u64
}

/// Returns the ledger but what the clock and the process put in it.
pub fn ledger(path: &Path) -> String {
    let rows = [
        "SELECT id, status, counts, counters, lookups, last_seq, reason FROM switchback_runs ORDER BY seq",
        "SELECT run, no, phase, entity, records, status, counts, first_seq, last_seq, error FROM switchback_batches \
         ORDER BY run, no",
        "SELECT * FROM switchback_changes ORDER BY run, seq",
        "SELECT * FROM switchback_ids ORDER BY entity, source",
        "SELECT kind, name FROM switchback_names ORDER BY id",
    ]
    .map(|query| db::rows(path, query));
    rows.concat()
        .iter()
        .map(|row| row.join("|") + "\n")
        .collect()
}
