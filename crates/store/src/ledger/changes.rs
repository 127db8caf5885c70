//! What a run did to each row, and what undo needs.

use std::borrow::Cow;

use contract::digest::Hasher;

use super::Statement;
use crate::cell::encode_all;
use crate::{Cell, Image, Key, Row, Sql, StoreError};

/// How many keys a statement asks for. (SQLite takes 32,766 variables in one, PostgreSQL 65,535.)
const CHUNK: usize = 500;

/// Where a before-image has the number of a row: behind all columns.
const ROWID: usize = u16::MAX as usize;

/// What was done to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was inserted.
    Insert = 1,
    /// It was updated.
    Update = 2,
    /// It was deleted.
    Delete = 3,
    /// Only the id map changed.
    Map = 4,
    /// It was inserted to describe the run, and rollback marks it instead of deleting it.
    Keep = 5,
    /// It is no row: a column was added to the table.
    Column = 6,
    /// It is no row: the table was created.
    Table = 7,
    /// Its reference was set NULL by a rollback that took its parent away.
    Detach = 8,
}

impl Action {
    fn from_int(number: i64) -> Option<Self> {
        [
            Self::Insert,
            Self::Update,
            Self::Delete,
            Self::Map,
            Self::Keep,
            Self::Column,
            Self::Table,
            Self::Detach,
        ]
        .into_iter()
        .find(|action| *action as i64 == number)
    }
}

/// One change of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// 1-based place in the run.
    pub seq: i64,
    /// The batch it belongs to.
    pub batch: i64,
    /// The table's shape, by number.
    pub shape: i64,
    /// What was done.
    pub action: Action,
    /// The row's key.
    pub target: Key,
    /// The record's entity, by number, and its source key; none for a metadata row.
    pub identity: Option<(i64, String)>,
    /// Update: the former values of every column that changed, whoever changed it, and of the
    /// run-stamped and volatile ones. Delete: the whole row.
    pub before: Image,
    /// SQLite: the number that a deleted row had, where no column shows it. It is no part of the hash.
    pub rowid: Option<i64>,
    /// Update: the values, as they were read back, of the columns that the record wrote, and of the
    /// run-stamped and volatile ones. Insert: none.
    pub after: Image,
    /// Insert: the first 4 bytes of the checksum of each column after.
    pub sums: Vec<u32>,
    /// Insert: hash of the whole row after. Update and delete: hash of the whole row before.
    pub hash: [u8; 16],
    /// The same run's change of the same row before this one.
    pub earlier: Option<i64>,
    /// The same run's change of the same row after this one.
    pub later: Option<i64>,
    /// What the id map said before: nothing changed, there was no entry, or this one.
    pub entry: EntryBefore,
}

/// What the id map said of a record before a change.
pub type EntryBefore = Option<Option<Box<super::Entry>>>;

impl Change {
    /// The columns of the ledger's table, in the order of [`Change::from_row`].
    pub const COLUMNS: &'static str = "seq, batch, shape, action, target, entity, source, before, after, hash, earlier, later, entry, checksum";

    /// Makes a change of which nothing is known yet but its place.
    #[must_use]
    pub fn new(seq: i64, batch: i64, shape: i64, action: Action, target: Key) -> Self {
        Self {
            seq,
            batch,
            shape,
            action,
            target,
            identity: None,
            before: Image::default(),
            rowid: None,
            after: Image::default(),
            sums: vec![],
            hash: [0; 16],
            earlier: None,
            later: None,
            entry: None,
        }
    }

    /// Iterates over the columns of the before-image, each with what the run left in it where that is
    /// known.
    pub fn images(&self) -> impl Iterator<Item = (usize, &Cell, Option<&Cell>)> {
        let before = self.before.0.iter();
        before.map(|(place, cell)| (*place, cell, self.after.get(*place)))
    }

    /// Reads a row of the ledger.
    ///
    /// # Errors
    ///
    /// A row that this build did not write.
    pub fn from_row(row: Row) -> Result<Self, StoreError> {
        let damaged = || StoreError::damaged("a change does not read");
        let expected = checksum(&row);
        let [
            seq,
            batch,
            shape,
            action,
            target,
            entity,
            source,
            before,
            after,
            hash,
            earlier,
            later,
            entry,
            checksum,
        ]: [Cell; 14] = row.try_into().map_err(|_| damaged())?;
        let action = action
            .int()
            .and_then(Action::from_int)
            .ok_or_else(damaged)?;
        // What is of another kind than the run wrote is damage, and never taken for nothing.
        let bytes = |cell: &Cell| matches!(cell, Cell::Null | Cell::Blob(_));
        let number = |cell: &Cell| matches!(cell, Cell::Null | Cell::Int(_));
        let text = matches!(source, Cell::Null | Cell::Text(_));
        if !text
            || ![&before, &after, &entry].into_iter().all(bytes)
            || ![&entity, &earlier, &later].into_iter().all(number)
        {
            return Err(damaged());
        }
        let inserted = matches!(action, Action::Insert | Action::Keep);
        let image = Image::decode(before.blob().unwrap_or_default())?;
        // Wide images are not held both as bytes and as cells.
        drop(before);
        let mut before = image;
        let rowid = before.0.pop_if(|(place, _)| *place == ROWID);
        let after = after.blob().unwrap_or_default();
        let four = |four: &[u8]| u32::from_be_bytes([four[0], four[1], four[2], four[3]]);
        if entity.is_null() != source.is_null() || (inserted && after.len() % 4 != 0) {
            return Err(damaged());
        }
        let change = Self {
            seq: seq.int().ok_or_else(damaged)?,
            batch: batch.int().ok_or_else(damaged)?,
            shape: shape.int().ok_or_else(damaged)?,
            action,
            target: Key::from_cell(target)?,
            identity: entity.int().zip(source.text().map(str::to_owned)),
            before,
            rowid: rowid.and_then(|(_, cell)| cell.int()),
            after: if inserted {
                Image::default()
            } else {
                Image::decode(after)?
            },
            sums: if inserted {
                after.chunks_exact(4).map(four).collect()
            } else {
                Vec::new()
            },
            hash: hash
                .blob()
                .and_then(|hash| hash.try_into().ok())
                .ok_or_else(damaged)?,
            earlier: earlier.int(),
            later: later.int(),
            entry: match entry {
                Cell::Blob(bytes) if bytes.is_empty() => Some(None),
                Cell::Blob(bytes) => Some(Some(Box::new(super::Entry::from_row(
                    crate::cell::decode_all(&bytes)?,
                )?))),
                _ => None,
            },
        };
        if checksum.int() != Some(expected) {
            let Self { seq, target, .. } = change;
            let message = format!("change {seq}, of row {target}, is not as the run wrote it");
            return Err(StoreError::damaged(message));
        }
        Ok(change)
    }

    /// Makes a row of the ledger, in the order of [`Change::COLUMNS`].
    #[must_use]
    pub fn to_row(&self) -> Row {
        let mut cells = self.cells();
        cells.push(checksum(&cells).into());
        cells
    }

    fn cells(&self) -> Row {
        let blob = |bytes: Vec<u8>| {
            if bytes.is_empty() {
                Cell::Null
            } else {
                Cell::Blob(bytes)
            }
        };
        let mut before = Cow::Borrowed(&self.before);
        if let Some(rowid) = self.rowid {
            before.to_mut().0.push((ROWID, rowid.into()));
        }
        let after = match self.action {
            Action::Insert | Action::Keep => {
                self.sums.iter().flat_map(|sum| sum.to_be_bytes()).collect()
            }
            _ => self.after.encode(),
        };
        vec![
            self.seq.into(),
            self.batch.into(),
            self.shape.into(),
            (self.action as i64).into(),
            self.target.to_cell(),
            self.identity.as_ref().map(|(entity, _)| *entity).into(),
            self.identity
                .as_ref()
                .map(|(_, source)| source.as_str())
                .into(),
            blob(before.encode()),
            blob(after),
            Cell::Blob(self.hash.to_vec()),
            self.earlier.into(),
            self.later.into(),
            match &self.entry {
                None => Cell::Null,
                Some(None) => Cell::Blob(Vec::new()),
                Some(Some(entry)) => Cell::Blob(encode_all(&entry.to_row())),
            },
        ]
    }
}

/// A checksum of all that a row of the ledger holds but `later`, which is known only later: that of a blob of all its
/// cells, the key as bytes.
fn checksum(row: &[Cell]) -> i64 {
    let cells = row.iter().take(13).enumerate();
    let cells: Vec<Cow<'_, Cell>> = cells
        .map(|(place, cell)| match (place, cell) {
            (4, Cell::Blob(_)) => Cow::Borrowed(cell),
            (4, key) => Cow::Owned(Cell::Blob(encode_all(std::slice::from_ref(key)))),
            (11, _) => Cow::Owned(Cell::Null),
            _ => Cow::Borrowed(cell),
        })
        .collect();
    let length: usize = cells.iter().map(|cell| cell.encoded_len()).sum();
    let mut hasher = Hasher::default();
    hasher.update(b"b");
    hasher.update(&(length as u64).to_be_bytes());
    for cell in &cells {
        cell.feed(&mut hasher);
    }
    let mut sum = [0; 8];
    sum.copy_from_slice(&hasher.digest().bytes()[..8]);
    i64::from_be_bytes(sum)
}

/// Returns a page of a run's changes, newest first, from before `before`: at most `limit`, and no more once their
/// images have 8 MiB. Empty at the end alone.
///
/// # Errors
///
/// What the target said.
pub fn page(
    sql: &mut dyn Sql,
    run: i64,
    before: i64,
    limit: usize,
) -> Result<Vec<Change>, StoreError> {
    sql.changes_before(Change::COLUMNS, run, before, limit)?
        .into_iter()
        .map(Change::from_row)
        .collect()
}

/// Returns one change of a run.
///
/// # Errors
///
/// What the target said.
pub fn change(sql: &mut dyn Sql, run: i64, seq: i64) -> Result<Option<Change>, StoreError> {
    let statement = Statement::from("SELECT ")
        + Change::COLUMNS
        + " FROM ledger.changes WHERE run = ?1 AND seq = ?2";
    sql.query_made(&statement, &[run.into(), seq.into()])?
        .into_iter()
        .next()
        .map(Change::from_row)
        .transpose()
}

/// Returns changes of a run by their sequence; one that is not there is left out.
///
/// # Errors
///
/// What the target said.
pub fn changes_at(sql: &mut dyn Sql, run: i64, seqs: &[i64]) -> Result<Vec<Change>, StoreError> {
    let mut found = Vec::with_capacity(seqs.len());
    for chunk in seqs.chunks(CHUNK) {
        let statement = Statement::from("SELECT ")
            + Change::COLUMNS
            + " FROM ledger.changes WHERE run = ?1 AND seq IN (";
        let statement = statement.places(2, chunk.len()) + ")";
        let params: Vec<Cell> = std::iter::once(run)
            .chain(chunk.iter().copied())
            .map(Cell::from)
            .collect();
        for row in sql.query_made(&statement, &params)? {
            found.push(Change::from_row(row)?);
        }
    }
    Ok(found)
}

/// A change that rollback left in place.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The change.
    pub seq: i64,
    /// A fixed word: `changed`, `depended-on`, `place-taken`, `failed`; or `gone`: there
    /// was no row to reverse any more, which does not count as kept.
    pub reason: String,
    /// JSON: table, key, columns with both values, dependents.
    pub detail: String,
}

/// Notes a change that rollback leaves in place.
///
/// # Errors
///
/// What the target said.
pub fn add_kept(sql: &mut dyn Sql, run: i64, kept: &Kept) -> Result<(), StoreError> {
    remove_kept(sql, run, kept.seq)?;
    let statement = "INSERT INTO ledger.kept (run, seq, reason, detail) VALUES (?1, ?2, ?3, ?4)";
    let params = [
        run.into(),
        kept.seq.into(),
        kept.reason.as_str().into(),
        kept.detail.as_str().into(),
    ];
    sql.execute(statement, &params).map(|_| ())
}

/// Forgets that a change was left in place.
///
/// # Errors
///
/// What the target said.
pub fn remove_kept(sql: &mut dyn Sql, run: i64, seq: i64) -> Result<(), StoreError> {
    sql.execute(
        "DELETE FROM ledger.kept WHERE run = ?1 AND seq = ?2",
        &[run.into(), seq.into()],
    )
    .map(|_| ())
}

/// Returns a page of what rollback left in place, newest change first, from before `before`.
///
/// # Errors
///
/// What the target said.
pub fn kept(
    sql: &mut dyn Sql,
    run: i64,
    before: i64,
    limit: usize,
) -> Result<Vec<Kept>, StoreError> {
    let statement = Statement::from(
        "SELECT seq, reason, detail FROM ledger.kept WHERE run = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ",
    ) + limit;
    let read = |row: Row| {
        let text = |cell: &Cell| cell.text().map(str::to_owned);
        let kept = (row[0].int(), text(&row[1]), text(&row[2]));
        let (Some(seq), Some(reason), Some(detail)) = kept else {
            return Err(StoreError::damaged("a kept row does not read"));
        };
        Ok(Kept {
            seq,
            reason,
            detail,
        })
    };
    sql.query_made(&statement, &[run.into(), before.into()])?
        .into_iter()
        .map(read)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update() -> Change {
        let mut change = Change::new(7, 2, 3, Action::Update, Key(vec!["a".into()]));
        change.identity = Some((1, "A1".into()));
        change.before = Image(vec![(1, Cell::Null), (4, "x".repeat(3000).into())]);
        change.after = Image(vec![(1, Cell::Int(5))]);
        change.hash = [9; 16];
        change.entry = Some(None);
        change
    }

    #[test]
    fn a_change_reads_back_as_it_was_written() {
        let mut insert = Change::new(1, 1, 1, Action::Insert, Key(vec![Cell::Int(5), "b".into()]));
        insert.sums = vec![1, u32::MAX];
        let mut delete = Change::new(2, 1, 1, Action::Delete, Key(vec![Cell::Raw(vec![255])]));
        delete.rowid = Some(12);
        delete.before = Image(vec![(0, Cell::Blob(vec![0]))]);
        for change in [update(), insert, delete] {
            assert_eq!(Change::from_row(change.to_row()).unwrap(), change);
        }
    }

    #[test]
    fn a_change_in_which_anything_was_changed_is_damage() {
        let whole = update().to_row();
        for place in 0..whole.len() {
            let mut row = whole.clone();
            // What a later change of the same row adds is no part of the checksum.
            let said = Change::from_row({
                row[place] = match &row[place] {
                    Cell::Null => Cell::Int(1),
                    Cell::Int(number) => Cell::Int(number ^ 1),
                    Cell::Text(text) => format!("{text}x").into(),
                    Cell::Blob(bytes) => [&bytes[..], b"n"].concat().into(),
                    other => panic!("{other:?}"),
                };
                row
            });
            let is_damage = matches!(said, Err(StoreError::Damaged { .. }));
            assert_eq!(is_damage, place != 11, "{place}: {said:?}");
        }
        assert!(Change::from_row(whole[1..].to_vec()).is_err());
    }
}
