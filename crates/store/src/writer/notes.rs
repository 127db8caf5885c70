//! What writing leaves in the ledger: changes, and the id map.

use contract::Record;

use super::decide::{Decision, Wanted};
use super::locate::Located;
use super::rows::Written;
use super::wave::Task;
use super::{Bound, Writer};
use crate::cell::row_hash;
use crate::ledger::{Action, Change, Entry, Mapping};
use crate::{Cell, Engine, Key, Row, StoreError};

/// What records leave in the ledger.
#[derive(Default)]
pub(super) struct Notes {
    pub changes: Vec<Change>,
    /// The entry that each identity has from now on.
    pub entries: Vec<Mapping>,
    /// Changes of this run that are followed by another of the same row: both by sequence.
    superseded: Vec<(i64, i64)>,
}

impl<E: Engine> Writer<E> {
    /// Notes what was done for a record. Returns the key of its row, if it has one.
    pub(super) fn note(
        &mut self,
        bound: &Bound,
        batch: i64,
        task: Task<'_>,
        written: Option<Written>,
        notes: &mut Notes,
    ) -> Result<Option<Key>, StoreError> {
        let Task {
            item,
            digest,
            decision,
        } = task;
        let Located { entry, row } = item.located;
        let remembered = match &decision {
            Decision::Unchanged { remember, .. } => *remember,
            Decision::Skip { adopt, .. } => *adopt,
            _ => written.is_some(),
        };
        let row_key = row.as_ref().map(|row| bound.binding.key_of(row));
        let key = written
            .as_ref()
            .map(|written| written.key.clone())
            .or(row_key);
        let (Some(key), true) = (key, remembered) else {
            return Ok(None);
        };
        let skipped = matches!(decision, Decision::Skip { .. });
        let (wanted, digest) = if skipped {
            (&[][..], vec![])
        } else {
            (&item.wanted[..], digest)
        };
        let seq = self.next_seq()?;
        let run = self.the_run()?.seq;
        let now = entry_now(
            bound,
            item.record,
            key.clone(),
            wanted,
            entry.as_ref(),
            digest,
            (run, seq),
        );
        let mut change = Change::new(seq, batch, bound.shape, Action::Map, key.clone());
        match (&decision, written, row) {
            (Decision::Insert, Some(written), _) => {
                self.inserted(bound, &written.after, &mut change)?;
            }
            (Decision::Update { columns, .. }, Some(written), Some(before)) => {
                let mut set = columns.clone();
                set.extend(
                    bound
                        .binding
                        .tag
                        .filter(|tag| written.tagged && !columns.contains(tag)),
                );
                change.hash = row_hash(self.the_run()?.format, &before);
                updated(bound, before, written.after, &set, &mut change);
            }
            _ => {}
        }
        notes.add(bound.entity, item.record, change, entry, now, run);
        Ok(Some(key))
    }

    /// Notes what is needed to know a row again that was inserted.
    pub(super) fn inserted(
        &mut self,
        bound: &Bound,
        row: &Row,
        change: &mut Change,
    ) -> Result<(), StoreError> {
        let sum = |(place, cell): (usize, &Cell)| {
            let canonical = self.engine.canonical(bound.binding.field(place), cell);
            // The upper half of the checksum is enough to name a column that changed.
            u32::try_from(canonical.sum() >> 32).unwrap_or_default()
        };
        change.action = Action::Insert;
        change.sums = row.iter().enumerate().map(sum).collect();
        change.hash = row_hash(self.the_run()?.format, row);
        Ok(())
    }

    /// Writes what is noted to the ledger.
    pub(super) fn keep(&mut self, notes: &Notes) -> Result<(), StoreError> {
        let run = self.the_run()?.seq;
        let images = notes
            .changes
            .iter()
            .flat_map(|change| change.before.0.iter().chain(&change.after.0));
        if images.into_iter().any(|(_, cell)| cell.is_folded()) {
            // Only what was not there when the run began to write to the table can do this.
            let message = "a column that the plan does not name was changed by what came in since the run started (a trigger), \
                           and its former value was not read: rollback could not put it back";
            return Err(StoreError::Irreversible {
                message: message.into(),
            });
        }
        self.engine.supersede(run, &notes.superseded)?;
        self.engine.put_entries(&notes.entries)?;
        self.engine.put_changes(run, &notes.changes)
    }

    pub(super) fn next_seq(&mut self) -> Result<i64, StoreError> {
        let run = self.the_run()?;
        run.last_seq += 1;
        Ok(run.last_seq)
    }
}

impl Notes {
    /// Adds a change of a record, its entry before, and its entry from now on.
    pub(super) fn add(
        &mut self,
        entity: i64,
        record: &Record,
        mut change: Change,
        before: Option<Entry>,
        now: Entry,
        run: i64,
    ) {
        // Links it to the same run's change of the same row before it.
        change.earlier = before
            .as_ref()
            .filter(|entry| entry.run == run)
            .map(|entry| entry.seq);
        self.superseded
            .extend(change.earlier.map(|earlier| (earlier, change.seq)));
        change.identity = Some((entity, record.key.clone()));
        self.entries.push(Mapping {
            entity,
            source: record.key.clone(),
            new: before.is_none(),
            entry: Some(now),
        });
        change.entry = Some(before.map(Box::new));
        self.changes.push(change);
    }
}

/// Notes what undo needs of a row that was updated in the columns `set`.
fn updated(bound: &Bound, before: Row, after: Row, set: &[usize], change: &mut Change) {
    // Of a column that the run fills, or that others may change at any time, undo must know too
    // whether it is as the run left it.
    let written = |place: usize| bound.binding.is_loose(place) || set.contains(&place);
    change.action = Action::Update;
    for (place, (before, after)) in before.into_iter().zip(after).enumerate() {
        let written = written(place);
        if written || before != after {
            change.before.0.push((place, before));
        }
        if written {
            change.after.0.push((place, after));
        }
    }
}

/// The entry of a record from now on. `place`: the run and the sequence of its change.
fn entry_now(
    bound: &Bound,
    record: &Record,
    target: Key,
    wanted: &[Wanted],
    before: Option<&Entry>,
    digest: Vec<u8>,
    place: (i64, i64),
) -> Entry {
    let mut sums: Vec<(usize, u64)> = before.map(|entry| entry.sums.clone()).unwrap_or_default();
    sums.retain(|(place, _)| wanted.iter().all(|wanted| wanted.place != *place));
    sums.extend(
        wanted
            .iter()
            .map(|wanted| (wanted.place, wanted.canonical().sum())),
    );
    sums.sort_unstable();
    Entry {
        entity: bound.entity,
        source: record.key.clone(),
        claim: bound.claim,
        target,
        gone: false,
        digest,
        sums,
        run: place.0,
        seq: place.1,
    }
}
