//! The id map: which row each record became.

use super::Statement;
use super::source::{long, stored};
use crate::{Cell, Key, Row, Sql, StoreError};

/// What the id map says of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The entity, by number.
    pub entity: i64,
    /// The record's source key.
    pub source: String,
    /// System and table, by number: a row is claimed by at most one record of a system.
    pub claim: i64,
    /// The row's key.
    pub target: Key,
    /// Whether the row was deleted by a record; the entry remembers that.
    pub gone: bool,
    /// Digest of the record that was applied last; empty for a record that is skipped for good.
    pub digest: Vec<u8>,
    /// Column -> checksum of the cell that the record last had for it (in canonical form).
    pub sums: Vec<(usize, u64)>,
    /// The run that wrote the entry, by number.
    pub run: i64,
    /// That run's last change of the row, by sequence.
    pub seq: i64,
}

/// What becomes of an identity's entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// The entity, by number.
    pub entity: i64,
    /// The record's source key.
    pub source: String,
    /// Whether there is no entry yet.
    pub new: bool,
    /// The entry from now on, if any.
    pub entry: Option<Entry>,
}

impl Entry {
    /// Tells whether the record is skipped for good.
    #[must_use]
    pub fn skipped(&self) -> bool {
        self.digest.is_empty()
    }

    /// Returns the checksum of a column.
    #[must_use]
    pub fn sum(&self, column: usize) -> Option<u64> {
        self.sums
            .iter()
            .find(|(place, _)| *place == column)
            .map(|(_, sum)| *sum)
    }

    /// The columns of the ledger's table, in the order of [`Entry::to_ledger`].
    pub const COLUMNS: &'static str =
        "entity, source, claim, target, gone, digest, sums, run, seq, long";

    /// Returns what is read of the ledger's table, in the order of [`Entry::from_row`], in a ledger of this
    /// version.
    #[must_use]
    pub fn read(version: i64) -> &'static str {
        match version {
            1 => "entity, source, claim, target, gone, digest, sums, run, seq",
            _ => Self::COLUMNS,
        }
    }

    /// Reads a row of the ledger.
    ///
    /// # Errors
    ///
    /// A row that this build did not write.
    pub fn from_row(mut row: Row) -> Result<Self, StoreError> {
        let damaged = || StoreError::damaged("an id-map entry does not read");
        if row.len() > 9 {
            let long = row.remove(9);
            row[1] = whole(&row[1], &long)?.into();
        }
        let [entity, source, claim, target, gone, digest, sums, run, seq]: [Cell; 9] =
            row.try_into().map_err(|_| damaged())?;
        Ok(Self {
            entity: entity.int().ok_or_else(damaged)?,
            source: source.text().ok_or_else(damaged)?.to_owned(),
            claim: claim.int().ok_or_else(damaged)?,
            target: Key::from_cell(target)?,
            gone: match gone.int() {
                Some(0) => false,
                Some(1) => true,
                _ => return Err(damaged()),
            },
            digest: digest.blob().ok_or_else(damaged)?.to_vec(),
            sums: decode_sums(sums.blob().ok_or_else(damaged)?).ok_or_else(damaged)?,
            run: run.int().ok_or_else(damaged)?,
            seq: seq.int().ok_or_else(damaged)?,
        })
    }

    /// Makes a row of the ledger's table, in the order of [`Entry::COLUMNS`].
    #[must_use]
    pub fn to_ledger(&self) -> Row {
        let mut row = self.to_row();
        row[1] = stored(&self.source).into_owned().into();
        row.push(long(&self.source).into());
        row
    }

    /// Makes the cells that a change keeps of an entry, as [`Entry::from_row`] reads them.
    #[must_use]
    pub fn to_row(&self) -> Row {
        vec![
            self.entity.into(),
            self.source.as_str().into(),
            self.claim.into(),
            self.target.to_cell(),
            i64::from(self.gone).into(),
            self.digest.clone().into(),
            self.sums_bytes().into(),
            self.run.into(),
            self.seq.into(),
        ]
    }

    fn sums_bytes(&self) -> Vec<u8> {
        let pair = |(place, sum): &(usize, u64)| {
            let place = u16::try_from(*place).unwrap_or(u16::MAX).to_be_bytes();
            [&place[..], &sum.to_be_bytes()[..]].concat()
        };
        self.sums.iter().flat_map(pair).collect()
    }
}

/// Returns the source key of what `source` and `long` hold.
fn whole(source: &Cell, long: &Cell) -> Result<String, StoreError> {
    let (key, fits) = match (source.text(), long.text()) {
        (Some(source), None) if long.is_null() => (source, super::source::long(source).is_none()),
        (Some(source), Some(long)) => (long, stored(long) == source),
        _ => return Err(StoreError::damaged("an id-map entry does not read")),
    };
    if !fits {
        let message = format!("the id map's entry {key} is not kept under its own key or digest");
        return Err(StoreError::damaged(message));
    }
    Ok(key.to_owned())
}

fn decode_sums(bytes: &[u8]) -> Option<Vec<(usize, u64)>> {
    let pair = |pair: &[u8]| {
        let mut sum = [0; 8];
        sum.copy_from_slice(&pair[2..]);
        (
            usize::from(u16::from_be_bytes([pair[0], pair[1]])),
            u64::from_be_bytes(sum),
        )
    };
    let whole = bytes.len().is_multiple_of(10);
    whole.then(|| bytes.chunks_exact(10).map(pair).collect())
}

/// Returns a page of an entity's entries in the order of their source key as the ledger keeps it, after
/// the entry of `after`.
///
/// # Errors
///
/// What the target said.
pub fn page(
    sql: &mut dyn Sql,
    entity: i64,
    after: &str,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let version = super::version(sql)?.unwrap_or_default();
    let statement = Statement::from("SELECT ")
        + Entry::read(version)
        + " FROM ledger.ids WHERE entity = ?1 AND source > ?2 ORDER BY source LIMIT "
        + limit;
    // Version 1 kept long keys as they are.
    let after = match version {
        1 => after.to_owned(),
        _ => stored(after).into_owned(),
    };
    sql.query_made(&statement, &[entity.into(), after.into()])?
        .into_iter()
        .map(Entry::from_row)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_believed_only_under_its_own_key() {
        let whole = |source: &str, long: Option<&str>| whole(&source.into(), &long.into()).ok();
        let key = "k".repeat(1001);
        assert_eq!(whole("k", None), Some("k".into()));
        assert_eq!(whole(&stored(&key), Some(&key)), Some(key.clone()));
        assert_eq!(whole(&stored(&key), None), None, "a digest is no key");
        assert_eq!(whole("x", Some("planted")), None);
        assert_eq!(whole(&stored(&key), Some("planted")), None);
    }
}
