//! The content of a whole table in one number: independent of the order of rows, of any setting of
//! the session, and of the kind of target.

use std::fmt;

use contract::Digest;
use contract::digest::Hasher;
use contract::talk::counted;

use crate::engine::PAGE_BYTES;
use crate::{Key, Sql, StoreError, Table};

/// How many rows are read at a time at most, and how many at first, as they may be wide.
const PAGE: usize = 1000;
const FIRST: usize = 1;

/// What a table holds: the SHA-256 of each row's portable bytes, added up mod 2^256, and the number
/// of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many rows.
    pub rows: u64,
    sum: [u8; 32],
}

impl Fingerprint {
    /// Of rows whose hashes were added up in parts of 4 bytes each, the highest first.
    pub(crate) fn of_parts(rows: u64, parts: [u64; 8]) -> Self {
        let (mut sum, mut carry) = ([0; 32], 0);
        for (place, part) in parts.iter().enumerate().rev() {
            let total = part + carry;
            sum[place * 4..][..4].copy_from_slice(&total.to_be_bytes()[4..]);
            carry = total >> 32;
        }
        Self { rows, sum }
    }

    pub(crate) fn add(&mut self, row: Digest) {
        let mut carry = 0;
        for (sum, byte) in self.sum.iter_mut().zip(row.bytes()).rev() {
            let total = u16::from(*sum) + u16::from(*byte) + carry;
            carry = total >> 8;
            *sum = total.to_be_bytes()[1];
        }
        self.rows += 1;
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256 ")?;
        self.sum
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ", {}", counted(self.rows, "row"))
    }
}

/// Reads a whole table.
///
/// # Errors
///
/// The table has no key by which it can be read in order; what the target said.
pub fn fingerprint(sql: &mut dyn Sql, table: &Table) -> Result<Fingerprint, StoreError> {
    let all = fingerprint_up_to(sql, table, u64::MAX)?;
    all.ok_or_else(|| {
        StoreError::refused(format!("{} has no unique key to read it by", table.name))
    })
}

/// Reads a whole table of at most so many rows; `None` of a larger one, and of one that has no key by
/// which it can be read in order.
///
/// # Errors
///
/// What the target said.
pub(crate) fn fingerprint_up_to(
    sql: &mut dyn Sql,
    table: &Table,
    most: u64,
) -> Result<Option<Fingerprint>, StoreError> {
    let table = &table.whole();
    let Some(key) = table.whole_key() else {
        return Ok(None);
    };
    let mut found = Fingerprint::default();
    let mut after: Option<Key> = None;
    let mut limit = FIRST;
    loop {
        let page = sql.page(table, key, after.as_ref(), limit)?;
        let Some(last) = page.last() else {
            return Ok(Some(found));
        };
        after = Some(Key(key.iter().map(|place| last[*place].clone()).collect()));
        let (rows, mut bytes) = (page.len(), 0);
        for row in page {
            let mut hasher = Hasher::default();
            for (column, cell) in table.columns.iter().zip(row) {
                let cell = sql.portable(column, cell);
                bytes += cell.len();
                cell.feed(&mut hasher);
            }
            found.add(hasher.digest());
        }
        // As many as fit by the width of these, and not many more at once.
        let fit = PAGE_BYTES * rows / bytes.max(1);
        limit = fit.min(4 * limit).clamp(1, PAGE);
        if found.rows > most {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_were_added_up_elsewhere_give_the_same() {
        let (mut whole, mut parts) = (Fingerprint::default(), [0; 8]);
        for row in (0..100u8).map(|n| Digest::of(&[n])) {
            whole.add(row);
            for (part, bytes) in parts.iter_mut().zip(row.bytes().chunks(4)) {
                *part += u64::from(u32::from_be_bytes(bytes.try_into().unwrap()));
            }
        }
        assert_eq!(Fingerprint::of_parts(100, parts), whole);
    }

    #[test]
    fn rows_add_up_with_carry_in_any_order() {
        let rows: Vec<Digest> = (0..100u8).map(|n| Digest::of(&[n])).collect();
        let (mut a, mut b) = (Fingerprint::default(), Fingerprint::default());
        for (forth, back) in rows.iter().zip(rows.iter().rev()) {
            a.add(*forth);
            b.add(*back);
        }
        assert_eq!(a, b);
        let full = Fingerprint {
            rows: 0,
            sum: [255; 32],
        };
        let (mut wrapped, one) = (full, Digest::of(b"x"));
        wrapped.add(one);
        let mut less = *one.bytes();
        less[31] = less[31].wrapping_sub(1);
        assert_eq!(wrapped.sum, less, "2^256 - 1 + x is x - 1");
    }
}
