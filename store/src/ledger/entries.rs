//! The id map: which row each record became.

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

    /// The columns of the ledger's table, in the order of [`Entry::from_row`].
    pub const COLUMNS: &'static str = "entity, source, claim, target, gone, digest, sums, run, seq";

    /// Reads a row of the ledger.
    ///
    /// # Errors
    ///
    /// A row that this build did not write.
    pub fn from_row(row: Row) -> Result<Self, StoreError> {
        let damaged = || StoreError::damaged("an id-map entry does not read");
        let [entity, source, claim, target, gone, digest, sums, run, seq]: [Cell; 9] =
            row.try_into().map_err(|_| damaged())?;
        Ok(Self {
            entity: entity.int().ok_or_else(damaged)?,
            source: source.text().ok_or_else(damaged)?.to_owned(),
            claim: claim.int().ok_or_else(damaged)?,
            target: Key::from_cell(target)?,
            gone: gone.int() == Some(1),
            digest: digest.blob().ok_or_else(damaged)?.to_vec(),
            sums: decode_sums(sums.blob().ok_or_else(damaged)?),
            run: run.int().ok_or_else(damaged)?,
            seq: seq.int().ok_or_else(damaged)?,
        })
    }

    /// Makes a row of the ledger, in the order of [`Entry::COLUMNS`].
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

fn decode_sums(bytes: &[u8]) -> Vec<(usize, u64)> {
    let pair = |pair: &[u8]| {
        let mut sum = [0; 8];
        sum.copy_from_slice(&pair[2..]);
        (
            usize::from(u16::from_be_bytes([pair[0], pair[1]])),
            u64::from_be_bytes(sum),
        )
    };
    bytes.chunks_exact(10).map(pair).collect()
}

/// Returns a page of an entity's entries in the order of their source key, after `after`.
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
    let statement = format!(
        "SELECT {} FROM ledger.ids WHERE entity = ?1 AND source > ?2 ORDER BY source LIMIT {limit}",
        Entry::COLUMNS
    );
    sql.query(&statement, &[entity.into(), after.into()])?
        .into_iter()
        .map(Entry::from_row)
        .collect()
}
