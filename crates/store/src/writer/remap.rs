//! Corrections of the id map. All of a run are written together, with the rows that refer to them: the
//! first batch that holds one writes those of the batches after it too, so that entries can be exchanged.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use contract::{FieldError, Op, Record};

use super::locate::Faults;
use super::notes::Notes;
use super::resolve::error;
use super::target_key::other_row;
use super::{Batch, Bound, Corrected, Decided, Fault, Writer};
use crate::cell::encode_all;
use crate::ledger::{self, Action, Change, Entry};
use crate::{Engine, Key, StoreError};

/// A correction that is asked for.
struct Asked<'a> {
    record: &'a Record,
    /// Its place among the records in hand; none of one that is written before its turn.
    own: Option<usize>,
    batch: i64,
}

/// A correction that is to be written.
pub(super) struct Correction<'a> {
    /// Its place among those that were asked for.
    pub at: usize,
    pub record: &'a Record,
    pub bound: Rc<Bound>,
    /// What the id map says of the record now.
    pub before: Option<Entry>,
    pub to: Key,
}

impl Correction<'_> {
    /// The key of the row that the record stands for now, if it is another.
    pub fn old(&self) -> Option<&Key> {
        let before = self.before.as_ref().filter(|entry| !entry.gone)?;
        Some(&before.target).filter(|old| **old != self.to)
    }
}

/// What is wrong with corrections, by their place among those that were asked for.
pub(super) type Wrong = Vec<(usize, FieldError)>;

impl<E: Engine> Writer<E> {
    /// Points the id-map entries of these records at other rows, and with them those of the batches after
    /// this one. Of the latter, those at fault wait for their own batch.
    pub(super) fn remap(
        &mut self,
        bound: &Bound,
        batch: &Batch<'_>,
        records: &[&Record],
    ) -> Result<Vec<Decided>, Fault> {
        let entries = self.entries_of(bound, records)?;
        let run = self.the_run()?.seq;
        let is_done = |(record, entry): (&&Record, &Option<Entry>)| {
            entry
                .as_ref()
                .is_some_and(|entry| wrote(entry, record, run))
        };
        if !records.iter().zip(&entries).all(is_done) {
            self.remap_together(batch, records)?;
        }
        let entries = self.entries_of(bound, records)?;
        let decided = |(record, entry): (&&Record, Option<Entry>)| {
            let done = entry
                .as_ref()
                .is_some_and(|entry| wrote(entry, record, run));
            Decided {
                action: if done { "remapped" } else { "unchanged" },
                target: entry.map(|entry| entry.target),
                ..super::delete::unchanged(record)
            }
        };
        Ok(records.iter().zip(entries).map(decided).collect())
    }

    fn entries_of(
        &mut self,
        bound: &Bound,
        records: &[&Record],
    ) -> Result<Vec<Option<Entry>>, StoreError> {
        let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
        self.engine.entries(bound.entity, &keys)
    }

    fn remap_together(&mut self, batch: &Batch<'_>, records: &[&Record]) -> Result<(), Fault> {
        let own = records.iter().enumerate().map(|(place, record)| Asked {
            record,
            own: Some(place),
            batch: batch.no,
        });
        let in_hand = |record: &&Record| records.iter().any(|own| std::ptr::eq(*own, *record));
        let of_batch = batch.records.iter().filter(|record| record.op == Op::Remap);
        let of_batch = of_batch
            .filter(|record| !in_hand(record))
            .map(|record| Asked {
                record,
                own: None,
                batch: batch.no,
            });
        let ahead = batch.remaps.iter().map(|(no, record)| Asked {
            record,
            own: None,
            batch: *no,
        });
        let mut asked: Vec<Asked<'_>> = own.chain(of_batch).chain(ahead).collect();
        loop {
            let so_far = self.the_run()?.clone();
            self.engine.savepoint("remap")?;
            let wrong = self.correct(batch.no, &asked)?;
            if wrong.is_empty() {
                self.engine.release("remap")?;
                return Ok(());
            }
            self.engine.undo_to("remap")?;
            *self.the_run()? = so_far;
            let mine: Faults = wrong
                .iter()
                .filter_map(|(at, error)| Some((asked[*at].own?, vec![error.clone()])))
                .collect();
            if !mine.is_empty() {
                return Err(Fault::of(mine));
            }
            // Where a batch is the unit of failure, none of its corrections goes without the others.
            let places: HashSet<usize> = wrong.iter().map(|(at, _)| *at).collect();
            let batches: HashSet<i64> = wrong.iter().map(|(at, _)| asked[*at].batch).collect();
            let mut place = 0;
            asked.retain(|asked| {
                let at = place;
                place += 1;
                let out =
                    places.contains(&at) || (!batch.quarantine && batches.contains(&asked.batch));
                asked.own.is_some() || !out
            });
        }
    }

    /// Writes corrections, or says what is wrong with some of them; what was written then is to be undone.
    fn correct(&mut self, batch: i64, asked: &[Asked<'_>]) -> Result<Wrong, Fault> {
        let mut wrong = Wrong::new();
        let corrections = self.corrections(asked, &mut wrong)?;
        if !wrong.is_empty() {
            return Ok(wrong);
        }
        let wrong = self.claimed_in_the_end(&corrections)?;
        if !wrong.is_empty() {
            return Ok(wrong);
        }
        let mut done: Vec<Corrected> = corrections.iter().map(Corrected::new).collect();
        self.shapes.clear();
        // What refers to them moves by what the id map says before any of them.
        let wrong = self.move_referring(batch, &corrections, &mut done)?;
        if wrong.is_empty() {
            for (correction, done) in corrections.iter().zip(done) {
                self.write_correction(batch, correction, done)?;
            }
        }
        Ok(wrong)
    }

    /// Finds out what each correction changes; one that changes nothing is left out.
    fn corrections<'a>(
        &mut self,
        asked: &[Asked<'a>],
        wrong: &mut Wrong,
    ) -> Result<Vec<Correction<'a>>, Fault> {
        let mut entities: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, asked) in asked.iter().enumerate() {
            entities.entry(&asked.record.entity).or_default().push(at);
        }
        let mut corrections = Vec::new();
        for (entity, places) in entities {
            let bound = self.bound.get(entity).cloned().map(Rc::new);
            let bound = bound
                .ok_or_else(|| StoreError::refused(format!("the plan has no entity {entity:?}")))?;
            let (mut known, mut found) = (HashSet::new(), Vec::new());
            for at in places {
                let record = asked[at].record;
                let to = record.to.as_ref().filter(|to| !to.is_null());
                let key = match to {
                    Some(to) => self.target_key(&bound, to)?,
                    None => Err("a remap needs the target key in `to`".into()),
                };
                match key {
                    // A second correction of the same record waits until the first is written.
                    Ok(_) if !known.insert(record.key.as_str()) => {}
                    Ok(key) => found.push((at, record, key)),
                    Err(message) => wrong.push((at, error(None, "to", message))),
                }
            }
            let records: Vec<&Record> = found.iter().map(|(_, record, _)| *record).collect();
            let entries = self.entries_of(&bound, &records)?;
            let keys: Vec<Key> = found.iter().map(|(.., key)| key.clone()).collect();
            let rows = self.rows_at(&bound, &keys)?;
            for (((at, record, to), before), row) in found.into_iter().zip(entries).zip(rows) {
                let table = &bound.binding.table.name;
                let amiss = match &row {
                    None => Some(format!("{table} has no row {to}")),
                    Some(row) => other_row(&bound, &to, row),
                };
                let stands = |entry: &Entry| !entry.gone && entry.target == to;
                if let Some(message) = amiss {
                    wrong.push((at, error(None, "to", message)));
                } else if !before.as_ref().is_some_and(stands) {
                    corrections.push(Correction {
                        at,
                        record,
                        bound: Rc::clone(&bound),
                        before,
                        to,
                    });
                }
            }
        }
        Ok(corrections)
    }

    /// Says which corrections claim a row that another record has once all of them are written.
    fn claimed_in_the_end(&mut self, corrections: &[Correction<'_>]) -> Result<Wrong, StoreError> {
        let mut wrong = Wrong::new();
        let mut taken: HashMap<(i64, Vec<u8>), &Correction<'_>> = HashMap::new();
        let mut asked: BTreeMap<i64, Vec<&Correction<'_>>> = BTreeMap::new();
        for correction in corrections {
            let Correction { bound, to, .. } = correction;
            let place = (bound.claim, encode_all(&to.0));
            if let Some(first) = taken.get(&place) {
                let Record { entity, key, .. } = first.record;
                let error = super::locate::claim_error(bound, to, entity, key);
                wrong.push((correction.at, error));
            } else {
                taken.insert(place, correction);
                asked.entry(bound.claim).or_default().push(correction);
            }
        }
        let moved: HashSet<(i64, &str)> = corrections
            .iter()
            .map(|moved| (moved.bound.entity, moved.record.key.as_str()))
            .collect();
        for (claim, asked) in asked {
            let keys: Vec<Key> = asked
                .iter()
                .map(|correction| correction.to.clone())
                .collect();
            for (correction, other) in asked.iter().zip(self.engine.claims(claim, &keys)?) {
                let Some(other) = other.filter(|other| !other.gone) else {
                    continue;
                };
                if !moved.contains(&(other.entity, other.source.as_str())) {
                    let Correction { bound, to, .. } = correction;
                    wrong.push((correction.at, self.claimant(bound, to, &other)?));
                }
            }
        }
        Ok(wrong)
    }

    fn write_correction(
        &mut self,
        batch: i64,
        correction: &Correction<'_>,
        done: Corrected,
    ) -> Result<(), StoreError> {
        let Correction {
            record, bound, to, ..
        } = correction;
        // Its own row may have been moved with what it refers to.
        let before = self.entries_of(bound, &[record])?.pop().flatten();
        let seq = self.next_seq()?;
        let run = self.the_run()?.clone();
        let now = Entry {
            entity: bound.entity,
            source: record.key.clone(),
            claim: bound.claim,
            target: to.clone(),
            gone: false,
            digest: record.digest().to_vec(),
            sums: vec![],
            run: run.seq,
            seq,
        };
        let mut detail = serde_json::json!({
            "entity": record.entity, "key": record.key,
            "old": correction.old().map(ToString::to_string), "new": to.to_string(),
            "moved": done.moved.values().sum::<u64>(), "left": done.left.len(),
        });
        // Tables that the run's plan does not name: no other entry confirms their shapes.
        let shapes = std::mem::take(&mut self.shapes);
        if !shapes.is_empty() {
            detail["tables"] = ledger::shapes_noted(&mut self.engine, shapes)?.into();
        }
        let at = self.engine.now()?;
        if let Some(holder) = self.holder.clone() {
            self.audit(&run, at, "migration:mapping:corrected", &holder, &detail)?;
        }
        let change = Change::new(seq, batch, bound.shape, Action::Map, to.clone());
        let mut notes = Notes::default();
        notes.add(bound.entity, record, change, before, now, run.seq);
        self.keep(&notes)?;
        self.corrected.push(done);
        Ok(())
    }

    /// Returns what was corrected by the batch in hand: of what was undone meanwhile, nothing.
    pub(super) fn take_corrected(&mut self) -> Result<Vec<Corrected>, StoreError> {
        let run = self.the_run()?.seq;
        let mut all: Vec<Corrected> = Vec::new();
        for corrected in std::mem::take(&mut self.corrected) {
            let Some(entity) = self.bound.get(&corrected.entity).map(|bound| bound.entity) else {
                continue;
            };
            let entry = self
                .engine
                .entries(entity, &[&corrected.key])?
                .pop()
                .flatten();
            if entry.is_some_and(|entry| entry.run == run && entry.target == corrected.new) {
                all.retain(|other| {
                    (&other.entity, &other.key) != (&corrected.entity, &corrected.key)
                });
                all.push(corrected);
            }
        }
        Ok(all)
    }
}

/// Tells whether this run wrote the entry for a correction.
fn wrote(entry: &Entry, record: &Record, run: i64) -> bool {
    !entry.gone && entry.run == run && entry.digest == record.digest().to_vec()
}

impl Corrected {
    fn new(correction: &Correction<'_>) -> Self {
        Self {
            at: correction.record.at.clone(),
            entity: correction.record.entity.clone(),
            key: correction.record.key.clone(),
            old: correction.old().cloned(),
            new: correction.to.clone(),
            moved: BTreeMap::new(),
            left: Vec::new(),
        }
    }
}
