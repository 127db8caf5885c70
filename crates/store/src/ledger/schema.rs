//! The ledger's tables. `FORMAT.md` says what each column means.

use super::Statement;
use crate::{Row, Sql, StoreError};

/// The version of the ledger.
pub const LEDGER: i64 = 2;

/// The ledger's tables, without the target's prefix.
pub const TABLES: [&str; 11] = [
    "meta", "runs", "batches", "failures", "changes", "ids", "names", "kept", "hooks", "audit",
    "lock",
];

/// By which rules the row hashes of a run are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Those of ledgers of version 1.
    One = 1,
    /// Wide cells are hashed by themselves.
    Two = 2,
}

impl Format {
    /// Reads the number that the ledger keeps.
    #[must_use]
    pub fn from_int(number: i64) -> Option<Self> {
        [Self::One, Self::Two]
            .into_iter()
            .find(|format| *format as i64 == number)
    }
}

/// How a target writes the ledger's tables.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The type of bytes.
    pub blob: &'static str,
    /// The type of a row's key.
    pub key: &'static str,
    /// The type of a text whose order is that of its bytes.
    pub text: &'static str,
    /// What follows a table that is kept in the order of its key.
    pub clustered: &'static str,
    /// What stands before the name of an index.
    pub index: &'static str,
    /// The part of a row's key that an index holds.
    pub indexed: &'static str,
}

const NAMES: &str =
    "CREATE TABLE ledger.names (id BIGINT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL)";

/// Returns the statements that make the ledger.
#[must_use]
pub fn statements(dialect: &Dialect) -> Vec<Statement> {
    let Dialect {
        blob,
        key,
        text,
        clustered,
        ..
    } = *dialect;
    vec![
        "CREATE TABLE ledger.meta (version BIGINT PRIMARY KEY)".into(),
        "CREATE TABLE ledger.runs (seq BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, bundle TEXT NOT NULL, \
         bundle_path TEXT, name TEXT NOT NULL, system TEXT NOT NULL, plan TEXT NOT NULL, lookups TEXT NOT NULL, \
         counters TEXT NOT NULL, status TEXT NOT NULL, operator TEXT NOT NULL, environment TEXT, host TEXT NOT NULL, \
         target TEXT NOT NULL, tool TEXT NOT NULL, batch_size BIGINT NOT NULL, started BIGINT NOT NULL, ended BIGINT, \
         counts TEXT NOT NULL, last_seq BIGINT NOT NULL, undo_seq BIGINT, kept BIGINT NOT NULL, snapshot TEXT, \
         reason TEXT, format BIGINT NOT NULL DEFAULT 1, tables TEXT)"
            .into(),
        Statement::from(
            "CREATE TABLE ledger.batches (run BIGINT NOT NULL, no BIGINT NOT NULL, phase TEXT NOT NULL, \
             entity TEXT NOT NULL, records BIGINT NOT NULL, status TEXT NOT NULL, counts TEXT NOT NULL, \
             first_seq BIGINT, last_seq BIGINT, error TEXT, at BIGINT NOT NULL, files TEXT NOT NULL, drift TEXT, PRIMARY KEY (run, no))",
        ) + clustered,
        Statement::from(
            "CREATE TABLE ledger.failures (run BIGINT NOT NULL, batch BIGINT NOT NULL, no BIGINT NOT NULL, \
             line TEXT NOT NULL, PRIMARY KEY (run, batch, no))",
        ) + clustered,
        Statement::from(
            "CREATE TABLE ledger.changes (run BIGINT NOT NULL, seq BIGINT NOT NULL, batch BIGINT NOT NULL, \
             shape BIGINT NOT NULL, action BIGINT NOT NULL, target ",
        ) + key + ", entity BIGINT, source TEXT, before " + blob + ", \
             after " + blob + ", hash " + blob + ", earlier BIGINT, later BIGINT, entry " + blob + ", checksum BIGINT NOT NULL, PRIMARY KEY (run, seq))" + clustered,
        Statement::from(
            "CREATE TABLE ledger.ids (entity BIGINT NOT NULL, source ",
        ) + text + " NOT NULL, claim BIGINT NOT NULL, \
             target " + key + ", gone BIGINT NOT NULL, digest " + blob + " NOT NULL, sums " + blob + " NOT NULL, run BIGINT NOT NULL, \
             seq BIGINT NOT NULL, long TEXT, alias TEXT, PRIMARY KEY (entity, source))" + clustered,
        target_index(dialect),
        NAMES.into(),
        Statement::from(
            "CREATE TABLE ledger.kept (run BIGINT NOT NULL, seq BIGINT NOT NULL, reason TEXT NOT NULL, \
             detail TEXT NOT NULL, PRIMARY KEY (run, seq))",
        ) + clustered,
        Statement::from(
            "CREATE TABLE ledger.hooks (run BIGINT NOT NULL, no BIGINT NOT NULL, event TEXT NOT NULL, \
             hook BIGINT NOT NULL, status TEXT NOT NULL, holder TEXT, tries BIGINT NOT NULL, at BIGINT NOT NULL, \
             detail TEXT, PRIMARY KEY (run, no))",
        ) + clustered,
        Statement::from(
            "CREATE TABLE ledger.audit (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, action TEXT NOT NULL, run TEXT, \
             operator TEXT NOT NULL, host TEXT NOT NULL, detail TEXT NOT NULL, hash ",
        ) + blob + " NOT NULL)",
        "CREATE TABLE ledger.lock (id BIGINT PRIMARY KEY, token BIGINT NOT NULL, run TEXT, holder TEXT, \
         since BIGINT, expires BIGINT)"
            .into(),
        Statement::from(
            "INSERT INTO ledger.meta (version) VALUES (",
        ) + LEDGER + ")",
        "INSERT INTO ledger.lock (id, token) VALUES (1, 0)".into(),
    ]
}

fn target_index(dialect: &Dialect) -> Statement {
    let Dialect { index, indexed, .. } = *dialect;
    Statement::from("CREATE INDEX ") + index + "ids_target ON ledger.ids (claim, " + indexed + ")"
}

/// Returns the statements that give a ledger of version 1 the tables of version 2, but for its number.
#[must_use]
pub fn upgrades(dialect: &Dialect) -> Vec<Statement> {
    let mut all: Vec<Statement> = vec![
        "ALTER TABLE ledger.runs ADD COLUMN format BIGINT NOT NULL DEFAULT 1".into(),
        "ALTER TABLE ledger.runs ADD COLUMN tables TEXT".into(),
        "ALTER TABLE ledger.batches ADD COLUMN drift TEXT".into(),
        // An index can't hold every shape; names are few. They are written again as those of version 2.
        "DROP TABLE ledger.names".into(),
        NAMES.into(),
    ];
    all.extend(upgrades_of_ids(dialect));
    all
}

/// Returns those of them that are about the id map.
#[must_use]
pub fn upgrades_of_ids(dialect: &Dialect) -> Vec<Statement> {
    vec![
        "ALTER TABLE ledger.ids ADD COLUMN long TEXT".into(),
        "ALTER TABLE ledger.ids ADD COLUMN alias TEXT".into(),
        "DROP INDEX ledger.ids_target".into(),
        target_index(dialect),
    ]
}

/// Returns the ledger's version, or `None` where the target has none yet. One of version 1 can be read;
/// [`super::upgrade`] comes before the first write.
///
/// # Errors
///
/// A version that this build does not know is refused.
pub fn version(sql: &mut dyn Sql) -> Result<Option<i64>, StoreError> {
    match sql.ledger_version()? {
        Some(other) if !(1..=LEDGER).contains(&other) => Err(StoreError::refused(format!(
            "the target's ledger has version {other}, this build knows 1 to {LEDGER}"
        ))),
        known => Ok(known),
    }
}

/// Returns the version of the ledger, from the rows of its table `meta`: it has one.
pub(crate) fn version_of(rows: &[Row]) -> Result<i64, StoreError> {
    let version = match rows {
        [row] => row[0].int(),
        _ => None,
    };
    version.ok_or_else(|| StoreError::damaged("it names no version, or several"))
}
