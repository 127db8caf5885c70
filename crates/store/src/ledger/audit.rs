//! The audit trail: append-only, each entry carrying the hash of all before it.

use std::fmt::Write as _;

use contract::Digest;
use serde_json::{Value, json};

use super::{Statement, signed};
use crate::cell::encode_all;
use crate::{Cell, Row, Sql, StoreError};

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// 1-based place in the trail.
    pub seq: i64,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// What: `migration:started`, `migration:completed`, …
    pub action: String,
    /// The run, if it was about one.
    pub run: Option<String>,
    /// Who.
    pub operator: String,
    /// Where.
    pub host: String,
    /// Figures, as a JSON object.
    pub detail: String,
    /// SHA-256 over the hash before and this entry's canonical cells.
    pub hash: Vec<u8>,
}

const COLUMNS: &str = "seq, at, action, run, operator, host, detail, hash";

pub(super) fn hash(before: &[u8], row: &[Cell]) -> Vec<u8> {
    let mut bytes = before.to_vec();
    bytes.extend(encode_all(row));
    Digest::of(&bytes).bytes().to_vec()
}

/// Appends an entry. One that can't be written fails the operation it is about.
///
/// # Errors
///
/// What the target said.
pub fn append(
    sql: &mut dyn Sql,
    at: i64,
    action: &str,
    run: Option<&str>,
    (operator, host): (&str, &str),
    detail: &Value,
) -> Result<(), StoreError> {
    let last = sql.query(
        "SELECT seq, hash FROM ledger.audit ORDER BY seq DESC LIMIT 1",
        &[],
    )?;
    let (seq, before) = match last.first() {
        Some(row) => (
            row[0].int().unwrap_or(0) + 1,
            row[1].blob().unwrap_or_default().to_vec(),
        ),
        None => (1, Vec::new()),
    };
    let detail = super::ascii::json(sql, detail.to_string());
    let mut row: Row = vec![
        seq.into(),
        at.into(),
        action.into(),
        run.into(),
        operator.into(),
        host.into(),
        detail.as_str().into(),
    ];
    if let Some(signed) = signed::sign(&detail, &hash(&before, &row)) {
        row[6] = signed.into();
    }
    let hash = hash(&before, &row);
    row.push(hash.into());
    let statement = Statement::from("INSERT INTO ledger.audit (")
        + COLUMNS
        + ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    sql.execute_made(&statement, &row).map(|_| ())
}

/// Makes sure that every entry has a number: SQLite lets others leave it out, and no page would show the entry.
fn all_numbered(sql: &mut dyn Sql) -> Result<(), StoreError> {
    let without = "SELECT 1 FROM ledger.audit WHERE seq IS NULL LIMIT 1";
    if sql.query(without, &[])?.is_empty() {
        return Ok(());
    }
    Err(StoreError::damaged("an audit entry has no number"))
}

/// Returns entries in order, from a number on.
fn page(sql: &mut dyn Sql, from: i64) -> Result<Vec<Row>, StoreError> {
    let statement = Statement::from("SELECT ")
        + COLUMNS
        + " FROM ledger.audit WHERE seq >= ?1 ORDER BY seq LIMIT 1000";
    sql.query_made(&statement, &[from.into()])
}

fn from_row(row: &Row) -> Result<AuditEntry, StoreError> {
    let damaged = || StoreError::damaged("an audit entry does not read");
    let text = |cell: &Cell| cell.text().map(str::to_owned);
    Ok(AuditEntry {
        seq: row[0].int().ok_or_else(damaged)?,
        at: row[1].int().ok_or_else(damaged)?,
        action: text(&row[2]).ok_or_else(damaged)?,
        run: text(&row[3]),
        operator: text(&row[4]).ok_or_else(damaged)?,
        host: text(&row[5]).ok_or_else(damaged)?,
        detail: text(&row[6]).ok_or_else(damaged)?,
        hash: row[7].blob().ok_or_else(damaged)?.to_vec(),
    })
}

/// Returns all entries in order.
///
/// # Errors
///
/// What the target said.
pub fn list(sql: &mut dyn Sql) -> Result<Vec<AuditEntry>, StoreError> {
    let mut entries: Vec<AuditEntry> = Vec::new();
    each(sql, |entry| entries.push(entry))?;
    Ok(entries)
}

/// Calls a function with each entry, in order; memory does not grow with them.
///
/// # Errors
///
/// What the target said.
pub fn each(sql: &mut dyn Sql, mut visit: impl FnMut(AuditEntry)) -> Result<(), StoreError> {
    all_numbered(sql)?;
    let mut next = Some(i64::MIN);
    while let Some(from) = next {
        next = None;
        for row in page(sql, from)? {
            let entry = from_row(&row)?;
            next = entry.seq.checked_add(1);
            visit(entry);
        }
    }
    Ok(())
}

/// The chain as far as it is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chain {
    /// Entries that are there.
    pub entries: i64,
    /// Entries before them that were pruned.
    pub pruned: i64,
    /// When the last of those was written, in milliseconds since 1970 (UTC).
    pub until: i64,
}

/// Checks the chain, from the hash that the last pruning kept, and returns how long it is, or the place
/// of the first entry that does not follow.
///
/// # Errors
///
/// What the target said.
pub fn check(sql: &mut dyn Sql) -> Result<Result<Chain, i64>, StoreError> {
    all_numbered(sql)?;
    let mut chain = Chain::default();
    let (mut seq, mut before) = (0, Vec::new());
    if let Some(anchor) = anchor(sql)? {
        (seq, chain.pruned, chain.until) = (anchor.last, anchor.last, anchor.until);
        before = anchor.hash;
    }
    // From the very first row: what a pruning left behind is part of no chain.
    let mut from = i64::MIN;
    loop {
        let rows = page(sql, from)?;
        if rows.is_empty() {
            return Ok(Ok(chain));
        }
        for row in &rows {
            let expected = hash(&before, &row[..7]);
            let next = seq.saturating_add(1);
            if row[0].int() != Some(next) || row[7].blob() != Some(&expected) {
                return Ok(Err(next));
            }
            (seq, before) = (next, expected);
        }
        chain.entries += i64::try_from(rows.len()).unwrap_or(i64::MAX);
        from = seq.saturating_add(1);
    }
}

/// What an entry is called that stands for those before it which were pruned.
pub const PRUNED: &str = "migration:audit:pruned";

/// What the newest pruning of the trail kept of the entries that it removed.
pub(super) struct Anchor {
    /// The number of the last of them.
    last: i64,
    /// When the latest of them was written.
    until: i64,
    /// The hash of the last of them.
    pub hash: Vec<u8>,
}

pub(super) fn anchor(sql: &mut dyn Sql) -> Result<Option<Anchor>, StoreError> {
    let newest = "SELECT detail FROM ledger.audit WHERE action = ?1 ORDER BY seq DESC LIMIT 1";
    let rows = sql.query(newest, &[PRUNED.into()])?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let read = |text: &str| {
        let detail: Value = serde_json::from_str(text).ok()?;
        let hash: Digest = serde_json::from_value(detail["hash"].clone()).ok()?;
        Some(Anchor {
            last: detail["last"].as_i64()?,
            until: detail["until"].as_i64()?,
            hash: hash.bytes().to_vec(),
        })
    };
    let anchor = row[0].text().and_then(read);
    anchor
        .map(Some)
        .ok_or_else(|| StoreError::damaged("an audit entry does not read"))
}

/// Returns until when entries of the trail were pruned, in milliseconds since 1970 (UTC), if any were.
pub(super) fn pruned_until(sql: &mut dyn Sql) -> Result<Option<i64>, StoreError> {
    Ok(anchor(sql)?.map(|anchor| anchor.until))
}

/// Returns how many entries, from the first on, were all written before a time, and the number of the
/// last of them.
///
/// # Errors
///
/// What the target said.
pub fn older(sql: &mut dyn Sql, before: i64) -> Result<Option<(i64, i64)>, StoreError> {
    let last = "SELECT COUNT(*), MAX(seq) FROM ledger.audit WHERE seq < \
                COALESCE((SELECT MIN(seq) FROM ledger.audit WHERE at >= ?1), (SELECT MAX(seq) + 1 FROM ledger.audit))";
    let rows = sql.query(last, &[before.into()])?;
    Ok(rows.first().and_then(|row| row[0].int().zip(row[1].int())))
}

/// Removes the entries up to one, in the transaction at hand; an entry of its own keeps that one's
/// number, time and hash, so that the rest of the chain can still be checked.
///
/// # Errors
///
/// What the target said.
pub fn prune(sql: &mut dyn Sql, last: i64, at: i64, by: (&str, &str)) -> Result<(), StoreError> {
    let find = "SELECT (SELECT MAX(at) FROM ledger.audit WHERE seq <= ?1), hash FROM ledger.audit WHERE seq = ?1";
    let rows = sql.query(find, &[last.into()])?;
    let found = rows.first().and_then(|row| {
        let hash = <[u8; 32]>::try_from(row[1].blob()?).ok()?;
        Some((row[0].int()?, hash))
    });
    let (until, hash) = found.ok_or_else(|| StoreError::damaged("an audit entry does not read"))?;
    let hash = hash.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").ok();
        hex
    });
    let detail = json!({"last": last, "until": until, "hash": hash});
    append(sql, at, PRUNED, None, by, &detail)?;
    sql.execute("DELETE FROM ledger.audit WHERE seq <= ?1", &[last.into()])
        .map(|_| ())
}
