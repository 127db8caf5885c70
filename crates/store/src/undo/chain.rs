//! All that a run did to one row, as one change.

use std::collections::HashMap;

use crate::ledger::{self, Action, Change};
use crate::{Cell, Sql, StoreError};

/// A run's changes of one row that are not undone yet, newest first; there is at least one.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub changes: Vec<Change>,
}

/// What a run left in a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Left<'a> {
    Is(&'a Cell),
    Sum(u32),
    /// A trigger had the last word, or the run did not write it.
    Unknown,
}

impl Chain {
    /// Reads the chains that end with these changes.
    pub fn read(sql: &mut dyn Sql, run: i64, ends: Vec<Change>) -> Result<Vec<Self>, StoreError> {
        let mut chains: Vec<Self> = ends
            .into_iter()
            .map(|end| Self { changes: vec![end] })
            .collect();
        loop {
            let wanted: Vec<i64> = chains.iter().filter_map(Self::unread).collect();
            if wanted.is_empty() {
                return Ok(chains);
            }
            let mut found: HashMap<i64, Change> = ledger::changes_at(sql, run, &wanted)?
                .into_iter()
                .map(|change| (change.seq, change))
                .collect();
            for chain in &mut chains {
                if let Some(seq) = chain.unread() {
                    let change = found.remove(&seq);
                    let missing = || StoreError::damaged(format!("change {seq} is missing"));
                    chain.changes.push(change.ok_or_else(missing)?);
                }
            }
        }
    }

    /// The next older change that is not read yet. A correction of the id map parts rows: what is
    /// older is about another one.
    fn unread(&self) -> Option<i64> {
        let oldest = self.changes.last()?;
        let moved = oldest.action == Action::Map
            && matches!(&oldest.entry, Some(Some(entry)) if entry.target != oldest.target);
        oldest.earlier.filter(|_| !moved)
    }

    pub fn newest(&self) -> &Change {
        &self.changes[0]
    }

    pub fn into_newest(mut self) -> Change {
        self.changes.swap_remove(0)
    }

    pub fn seqs(&self) -> impl Iterator<Item = i64> {
        self.changes.iter().map(|change| change.seq)
    }

    /// The changes that touched the row itself.
    fn rows(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.changes
            .iter()
            .filter(|change| change.action != Action::Map)
    }

    pub fn last(&self) -> Option<&Change> {
        self.rows().next()
    }

    pub fn first(&self) -> Option<&Change> {
        self.rows().next_back()
    }

    /// The columns (by position in the shape) whose values before the run are known, with them.
    pub fn before(&self) -> Vec<(usize, &Cell)> {
        let mut cells: Vec<(usize, &Cell)> = Vec::new();
        for change in self.rows().rev() {
            for (place, cell) in &change.before.0 {
                if cells.iter().all(|(known, _)| known != place) {
                    cells.push((*place, cell));
                }
            }
        }
        cells
    }

    /// The same, each with what the run left in it where that is known.
    pub fn images(&self) -> impl Iterator<Item = (usize, &Cell, Option<&Cell>)> {
        let left = |place| match self.left(place) {
            Left::Is(cell) => Some(cell),
            Left::Sum(_) | Left::Unknown => None,
        };
        let before = self.before().into_iter();
        before.map(move |(place, cell)| (place, cell, left(place)))
    }

    /// The columns (by position in the shape) that the run wrote.
    pub fn written(&self) -> Vec<usize> {
        let mut places: Vec<usize> = Vec::new();
        for change in self.rows() {
            places.extend(0..change.sums.len());
            places.extend(change.after.0.iter().map(|(place, _)| *place));
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// What the run left in a column.
    pub fn left(&self, place: usize) -> Left<'_> {
        for change in self.rows() {
            if let Some(cell) = change.after.get(place) {
                return Left::Is(cell);
            }
            if change.before.get(place).is_some() {
                return Left::Unknown;
            }
            if let Some(sum) = change.sums.get(place) {
                return Left::Sum(*sum);
            }
        }
        Left::Unknown
    }
}
