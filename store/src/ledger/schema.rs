//! The ledger's tables. `FORMAT.md` says what each column means.

use crate::{Sql, StoreError};

/// The version of the ledger.
pub const LEDGER: i64 = 1;

/// The ledger's tables, without the target's prefix.
pub const TABLES: [&str; 11] = [
    "meta", "runs", "batches", "failures", "changes", "ids", "names", "kept", "hooks", "audit",
    "lock",
];

/// Returns the statements that make the ledger. `blob` is the target's type of bytes, `key` its type
/// of a row's key, `clustered` what follows a table that is kept in the order of its key.
#[must_use]
pub fn statements(blob: &str, key: &str, clustered: &str) -> Vec<String> {
    vec![
        "CREATE TABLE ledger.meta (version BIGINT PRIMARY KEY)".into(),
        "CREATE TABLE ledger.runs (seq BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, bundle TEXT NOT NULL, \
         bundle_path TEXT, name TEXT NOT NULL, system TEXT NOT NULL, plan TEXT NOT NULL, lookups TEXT NOT NULL, \
         counters TEXT NOT NULL, status TEXT NOT NULL, operator TEXT NOT NULL, environment TEXT, host TEXT NOT NULL, \
         target TEXT NOT NULL, tool TEXT NOT NULL, batch_size BIGINT NOT NULL, started BIGINT NOT NULL, ended BIGINT, \
         counts TEXT NOT NULL, last_seq BIGINT NOT NULL, undo_seq BIGINT, kept BIGINT NOT NULL, snapshot TEXT, \
         reason TEXT)"
            .into(),
        format!(
            "CREATE TABLE ledger.batches (run BIGINT NOT NULL, no BIGINT NOT NULL, phase TEXT NOT NULL, \
             entity TEXT NOT NULL, records BIGINT NOT NULL, status TEXT NOT NULL, counts TEXT NOT NULL, \
             first_seq BIGINT, last_seq BIGINT, error TEXT, at BIGINT NOT NULL, files TEXT NOT NULL, PRIMARY KEY (run, no)){clustered}"
        ),
        format!(
            "CREATE TABLE ledger.failures (run BIGINT NOT NULL, batch BIGINT NOT NULL, no BIGINT NOT NULL, \
             line TEXT NOT NULL, PRIMARY KEY (run, batch, no)){clustered}"
        ),
        format!(
            "CREATE TABLE ledger.changes (run BIGINT NOT NULL, seq BIGINT NOT NULL, batch BIGINT NOT NULL, \
             shape BIGINT NOT NULL, action BIGINT NOT NULL, target {key}, entity BIGINT, source TEXT, before {blob}, \
             after {blob}, hash {blob}, earlier BIGINT, later BIGINT, entry {blob}, checksum BIGINT NOT NULL, PRIMARY KEY (run, seq)){clustered}"
        ),
        format!(
            "CREATE TABLE ledger.ids (entity BIGINT NOT NULL, source TEXT NOT NULL, claim BIGINT NOT NULL, \
             target {key}, gone BIGINT NOT NULL, digest {blob} NOT NULL, sums {blob} NOT NULL, run BIGINT NOT NULL, \
             seq BIGINT NOT NULL, PRIMARY KEY (entity, source)){clustered}"
        ),
        "CREATE INDEX ledger.ids_target ON ledger.ids (claim, target)".into(),
        "CREATE TABLE ledger.names (id BIGINT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name))"
            .into(),
        format!(
            "CREATE TABLE ledger.kept (run BIGINT NOT NULL, seq BIGINT NOT NULL, reason TEXT NOT NULL, \
             detail TEXT NOT NULL, PRIMARY KEY (run, seq)){clustered}"
        ),
        format!(
            "CREATE TABLE ledger.hooks (run BIGINT NOT NULL, no BIGINT NOT NULL, event TEXT NOT NULL, \
             hook BIGINT NOT NULL, status TEXT NOT NULL, holder TEXT, tries BIGINT NOT NULL, at BIGINT NOT NULL, \
             detail TEXT, PRIMARY KEY (run, no)){clustered}"
        ),
        format!(
            "CREATE TABLE ledger.audit (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, action TEXT NOT NULL, run TEXT, \
             operator TEXT NOT NULL, host TEXT NOT NULL, detail TEXT NOT NULL, hash {blob} NOT NULL)"
        ),
        "CREATE TABLE ledger.lock (id BIGINT PRIMARY KEY, token BIGINT NOT NULL, run TEXT, holder TEXT, \
         since BIGINT, expires BIGINT)"
            .into(),
        format!("INSERT INTO ledger.meta (version) VALUES ({LEDGER})"),
        "INSERT INTO ledger.lock (id, token) VALUES (1, 0)".into(),
    ]
}

/// Returns the ledger's version, or `None` where the target has none yet.
///
/// # Errors
///
/// A version that this build does not know is refused.
pub fn version(sql: &mut dyn Sql) -> Result<Option<i64>, StoreError> {
    if !sql.has_ledger()? {
        return Ok(None);
    }
    let rows = sql.query("SELECT version FROM ledger.meta ORDER BY version DESC", &[])?;
    match rows.first().and_then(|row| row[0].int()) {
        Some(LEDGER) => Ok(Some(LEDGER)),
        Some(other) => Err(StoreError::refused(format!(
            "the target's ledger has version {other}, this build knows {LEDGER}"
        ))),
        None => Err(StoreError::damaged("it names no version")),
    }
}
