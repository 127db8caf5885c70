//! Deletes.

use std::collections::HashSet;

use contract::plan::OnDrift;
use contract::{FieldError, Record};

use super::locate::Faults;
use super::notes::Notes;
use super::resolve::wrong;
use super::target_key::other_row;
use super::wave::row_before;
use super::{Bound, Decided, Fault, Writer};
use crate::cell::{encode_all, row_hash};
use crate::ledger::{Action, Change, Entry};
use crate::{Cell, Engine, Image, Key, Row, StoreError};

/// A row that is to be deleted.
struct Doomed {
    /// Its record, by place.
    at: usize,
    key: Key,
    entry: Option<Entry>,
    row: Option<Row>,
    /// Its number, where no column shows it.
    rowid: Option<i64>,
}

impl<E: Engine> Writer<E> {
    /// Deletes the rows of the first of the records, as many as do not depend on one another, unless
    /// others depend on them.
    pub(super) fn delete(
        &mut self,
        bound: &Bound,
        batch: i64,
        records: &[&Record],
    ) -> Result<Vec<Decided>, Fault> {
        let mut known = HashSet::new();
        let apart = records
            .iter()
            .take_while(|record| known.insert(record.key.as_str()));
        let records = &records[..apart.count()];
        let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
        let entries = self.engine.entries(bound.entity, &keys)?;
        let (mut faults, mut doomed) = (Faults::new(), Vec::new());
        let mut decided: Vec<Decided> = records.iter().map(|record| unchanged(record)).collect();
        let mut targets = HashSet::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let key = match (&entry, &records[at].target) {
                (Some(entry), _) if entry.gone => continue,
                (Some(entry), _) => entry.target.clone(),
                (None, Some(target)) => match self.target_key(bound, target)? {
                    Ok(key) => key,
                    Err(message) => {
                        faults.push((at, wrong(None, "key", message)));
                        continue;
                    }
                },
                (None, None) => {
                    let message = "no row is known by this key: nothing was ever applied under it";
                    faults.push((at, wrong(None, "missing", message)));
                    continue;
                }
            };
            if !targets.insert(encode_all(&key.0)) {
                // The same row again: it is looked at when this one is gone.
                decided.truncate(at);
                break;
            }
            decided[at].target = Some(key.clone());
            doomed.push(Doomed {
                at,
                key,
                entry,
                row: None,
                rowid: None,
            });
        }
        self.look_at(bound, records, &mut doomed, &mut decided, &mut faults)?;
        if !faults.is_empty() {
            return Err(Fault::of(faults));
        }
        let there = doomed.iter_mut().filter(|doomed| doomed.row.is_some());
        let mut there: Vec<&mut Doomed> = there.collect();
        let keys: Vec<Key> = there.iter().map(|doomed| doomed.key.clone()).collect();
        let (table, key) = (&bound.binding.table, &bound.binding.key);
        let rowids = self.engine.rowids(table, key, &keys)?;
        for (doomed, rowid) in there.iter_mut().zip(rowids) {
            doomed.rowid = rowid;
        }
        self.watched(table, |this| Ok(this.engine.delete(table, key, &keys)?))?;
        let mut notes = Notes::default();
        for doomed in doomed {
            if doomed.row.is_some() {
                decided[doomed.at].action = "deleted";
            }
            self.note_deleted(bound, batch, records[doomed.at], doomed, &mut notes)?;
        }
        self.keep(&notes)?;
        Ok(decided)
    }

    /// Reads the rows to be deleted and moves those that may not be to `faults`, or leaves them.
    fn look_at(
        &mut self,
        bound: &Bound,
        records: &[&Record],
        doomed: &mut Vec<Doomed>,
        decided: &mut [Decided],
        faults: &mut Faults,
    ) -> Result<(), StoreError> {
        let run = self.the_run()?.seq;
        let keys: Vec<Key> = doomed.iter().map(|doomed| doomed.key.clone()).collect();
        // Whole, as they are to come back.
        let table = bound.binding.table.whole();
        let cells: Vec<Vec<Cell>> = keys.iter().map(|key| key.0.clone()).collect();
        let found = self.engine.fetch(&table, &bound.binding.key, &cells)?;
        self.learn_rows(bound, &found);
        for (doomed, mut rows) in doomed.iter_mut().zip(found) {
            let row = rows.pop();
            decided[doomed.at].before = row_before(doomed.entry.as_ref(), row.as_ref(), run);
            if doomed.entry.is_none() {
                let fault = if let Some(row) = &row {
                    other_row(bound, &doomed.key, row).map(|why| ("key", why))
                } else {
                    let table = &bound.binding.table.name;
                    Some(("missing", format!("{table} has no row {}", doomed.key)))
                };
                faults.extend(fault.map(|(rule, why)| (doomed.at, wrong(None, rule, why))));
            }
            doomed.row = row;
        }
        let unknown: Vec<&Doomed> = doomed
            .iter()
            .filter(|doomed| doomed.entry.is_none())
            .collect();
        let asked: Vec<(&Record, &Key)> = unknown
            .iter()
            .map(|doomed| (records[doomed.at], &doomed.key))
            .collect();
        let claimed = self.claimed(bound, &asked)?;
        let claimed = unknown.iter().zip(claimed);
        faults.extend(claimed.filter_map(|(doomed, error)| Some((doomed.at, vec![error?]))));
        doomed.retain(|doomed| {
            let (Some(entry), Some(row)) = (&doomed.entry, &doomed.row) else {
                return true;
            };
            let may = self.may_delete(bound, entry, row, &mut decided[doomed.at]);
            may.unwrap_or_else(|errors| {
                faults.push((doomed.at, errors));
                false
            })
        });
        let rows: Vec<(usize, &Row)> = doomed
            .iter()
            .filter_map(|doomed| Some((doomed.at, doomed.row.as_ref()?)))
            .collect();
        faults.extend(self.check_dependents(bound, &rows, None)?);
        Ok(())
    }

    fn note_deleted(
        &mut self,
        bound: &Bound,
        batch: i64,
        record: &Record,
        doomed: Doomed,
        notes: &mut Notes,
    ) -> Result<(), StoreError> {
        let seq = self.next_seq()?;
        let run = self.the_run()?.seq;
        let tombstone = Entry {
            entity: bound.entity,
            source: record.key.clone(),
            claim: bound.claim,
            target: doomed.key.clone(),
            gone: true,
            digest: record.digest().to_vec(),
            sums: vec![],
            run,
            seq,
        };
        let mut change = Change::new(seq, batch, bound.shape, Action::Map, doomed.key);
        if let Some(row) = doomed.row {
            change.action = Action::Delete;
            change.hash = row_hash(self.the_run()?.format, &row);
            change.rowid = doomed.rowid;
            change.before = Image(row.into_iter().enumerate().collect());
        }
        notes.add(bound.entity, record, change, doomed.entry, tombstone, run);
        Ok(())
    }

    /// Decides by `on_drift` about a row that was edited since it was applied last.
    fn may_delete(
        &self,
        bound: &Bound,
        entry: &Entry,
        row: &Row,
        decided: &mut Decided,
    ) -> Result<bool, Vec<FieldError>> {
        let binding = &bound.binding;
        let edited = |(place, sum): &&(usize, u64)| {
            !binding.is_loose(*place) && self.comparable(bound, *place, &row[*place]).sum() != *sum
        };
        let name = |(place, _): &(usize, u64)| binding.table.columns[*place].name.clone();
        let edited: Vec<String> = entry.sums.iter().filter(edited).map(name).collect();
        match binding.entity.on_drift {
            _ if edited.is_empty() => Ok(true),
            OnDrift::Overwrite => {
                decided.overwritten = edited;
                Ok(true)
            }
            OnDrift::Keep => {
                decided.drifted = edited;
                Ok(false)
            }
            OnDrift::Fail => {
                let message = format!(
                    "it was edited since ({}), and `on_drift` is \"fail\"",
                    edited.join(", ")
                );
                Err(wrong(None, "drift", message))
            }
        }
    }
}

/// What is decided about a record until something else is.
pub(super) fn unchanged(record: &Record) -> Decided {
    Decided {
        at: record.at.clone(),
        key: record.key.clone(),
        action: "unchanged",
        target: None,
        before: None,
        columns: vec![],
        drifted: vec![],
        overwritten: vec![],
    }
}
