//! Values that no two records may share, and the place of the first that has each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use contract::digest::Hasher;

use crate::place::Place;

/// The first 16 bytes of a SHA-256: 128 bits are ample against accident.
pub(crate) type Sum = [u8; 16];

/// Hashes texts so that different lists of texts never give the same bytes to hash.
pub(crate) fn sum(parts: &[&str]) -> Sum {
    let mut hasher = Hasher::default();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.digest().short()
}

/// Who was first: 24 bytes a value, 28 to 57 in the table.
#[derive(Debug, Default)]
pub(crate) struct Claims(HashMap<Sum, Place>);

impl Claims {
    /// Claims a value; returns the place of who has it already.
    pub(crate) fn claim(&mut self, value: Sum, place: Place) -> Option<Place> {
        match self.0.entry(value) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(free) => {
                free.insert(place);
                None
            }
        }
    }
}
