//! Waves: records that are resolved and written together, as many as the target takes at once.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use contract::plan::IdFrom;
use contract::{FieldError, Op, Record};

use super::decide::{Decision, Found, decide};
use super::locate::{Faults, Item, Located};
use super::notes::Notes;
use super::resolve::wrong;
use super::{Batch, Bound, Decided, Fault, Writer};
use crate::cell::row_hash;
use crate::ledger::{Entry, Format, Phase};
use crate::{Cell, Engine, Row, StoreError};

/// A record and what is to be done with it.
pub(super) struct Task<'a> {
    pub item: Item<'a>,
    pub digest: Vec<u8>,
    pub decision: Decision,
}

impl<E: Engine> Writer<E> {
    /// The records of a batch that its phase is about.
    pub(super) fn concerned<'r>(
        &mut self,
        bound: &Bound,
        batch: &Batch<'r>,
    ) -> Result<Vec<&'r Record>, StoreError> {
        let ops: &[Op] = match batch.phase {
            Phase::Put => &[Op::Put, Op::Remap],
            Phase::Late => &[Op::Put],
            Phase::Delete => &[Op::Delete],
        };
        let mut records: Vec<&Record> = batch
            .records
            .iter()
            .filter(|record| ops.contains(&record.op))
            .collect();
        if batch.phase == Phase::Late {
            let has_late = |record: &&Record| {
                let mut names = record.refs.keys().chain(record.fields.keys());
                names.any(|name| is_late(bound, name))
            };
            records.retain(has_late);
            // What failed in the put pass is not written in part: it has no row to write to, or its
            // entry speaks of what an earlier run wrote.
            let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
            let mut entries = self.engine.entries(bound.entity, &keys)?.into_iter();
            records.retain(|record| {
                let whole = record.digest().to_vec();
                entries
                    .next()
                    .flatten()
                    .is_some_and(|Entry { digest, .. }| {
                        digest.is_empty()
                            || digest == whole
                            || digest == put_digest(bound, record, &whole)
                    })
            });
        }
        Ok(records)
    }

    /// Writes records in waves. Of a wave that fails, its range is told too.
    pub(super) fn write(
        &mut self,
        bound: &Bound,
        batch: &Batch<'_>,
        records: &[&Record],
    ) -> Result<Vec<Decided>, (Range<usize>, Fault)> {
        let mut decisions = Vec::with_capacity(records.len());
        while decisions.len() < records.len() {
            if (batch.abort)() {
                return Err((0..0, Fault::Aborted));
            }
            let start = decisions.len();
            let rest = &records[start..records.len().min(start + E::WAVE)];
            let alike = rest
                .iter()
                .take_while(|record| record.op == rest[0].op)
                .count();
            let wave = &rest[..alike];
            let written = match wave[0].op {
                Op::Put => self.put(bound, batch.no, wave, batch.phase == Phase::Late),
                Op::Remap => self.remap(bound, batch, wave),
                Op::Delete => self.delete(bound, batch.no, wave),
            };
            decisions.extend(written.map_err(|fault| (start..start + alike, fault))?);
        }
        Ok(decisions)
    }

    /// Puts the first of the records, as many as do not depend on one another: inserts their rows,
    /// updates them, or leaves them.
    fn put(
        &mut self,
        bound: &Bound,
        batch: i64,
        records: &[&Record],
        late: bool,
    ) -> Result<Vec<Decided>, Fault> {
        let records = &records[..apart(bound, records, late)];
        let mut faults = Faults::new();
        let mut items = Vec::with_capacity(records.len());
        for (at, wanted) in self.wanted(bound, records, late)?.into_iter().enumerate() {
            match wanted {
                Ok(wanted) => items.push(Item {
                    at,
                    record: records[at],
                    wanted,
                    located: Located::default(),
                }),
                Err(errors) => faults.push((at, errors)),
            }
        }
        self.locate(bound, &mut items, &mut faults)?;
        let independent = self.independent(bound, &items);
        if independent < items.len() {
            // Who waits is looked at again when the others are written.
            let end = items[independent].at;
            items.truncate(independent);
            faults.retain(|(at, _)| *at < end);
        }
        let mut tasks = Vec::with_capacity(items.len());
        for item in items {
            let at = item.at;
            match self.decide(bound, item, late) {
                Ok(task) => tasks.push(task),
                Err(errors) => faults.push((at, errors)),
            }
        }
        if !faults.is_empty() {
            return Err(Fault::of(faults));
        }
        self.carry_out(bound, batch, tasks, late)
    }

    fn decide<'a>(
        &self,
        bound: &Bound,
        item: Item<'a>,
        late: bool,
    ) -> Result<Task<'a>, Vec<FieldError>> {
        let full = item.record.digest().to_vec();
        let digest = if late {
            full.clone()
        } else {
            put_digest(bound, item.record, &full)
        };
        let Located { entry, row } = &item.located;
        let same = |entry: &Entry| entry.digest == digest || entry.digest == full;
        let same = entry.as_ref().is_some_and(same);
        let canonical = row
            .as_ref()
            .map(|row| |place: usize| self.comparable(bound, place, &row[place]));
        let found = canonical.as_ref().map(|canonical| Found { canonical });
        let decision = decide(
            &bound.binding.entity,
            entry.as_ref(),
            found,
            &item.wanted,
            same,
        );
        match decision {
            Decision::Fail {
                rule,
                message,
                column,
            } => {
                let column = column.map(|place| bound.binding.table.columns[place].name.as_str());
                let message = match column.filter(|column| bound.is_secret(column)) {
                    // The target's value is no part of the record, so that nobody would mask it later.
                    Some(_) if rule == "drift" => {
                        "it changed in the source and in the target, and `on_drift` is \"fail\""
                            .into()
                    }
                    _ => message,
                };
                Err(wrong(column, rule, message))
            }
            Decision::Insert if late => {
                let message = "its row is not there, so that its late references can't be written";
                Err(wrong(None, "gone", message))
            }
            decision => Ok(Task {
                item,
                digest,
                decision,
            }),
        }
    }

    fn carry_out(
        &mut self,
        bound: &Bound,
        batch: i64,
        tasks: Vec<Task<'_>>,
        late: bool,
    ) -> Result<Vec<Decided>, Fault> {
        let run = self.the_run()?.seq;
        let mut decided: Vec<Decided> = tasks
            .iter()
            .map(|task| Self::decided(bound, task, run, late))
            .collect();
        let written = self.write_rows(bound, &tasks)?;
        let mut notes = Notes::default();
        for ((task, written), decided) in tasks.into_iter().zip(written).zip(&mut decided) {
            let key = self.note(bound, batch, task, written, &mut notes)?;
            if decided.action == "created" {
                let derived = bound
                    .binding
                    .id
                    .is_some_and(|(_, from)| from != IdFrom::Target);
                decided.target = key.filter(|_| derived || !self.dry);
            }
        }
        self.keep(&notes)?;
        Ok(decided)
    }

    fn decided(bound: &Bound, task: &Task<'_>, run: i64, late: bool) -> Decided {
        let names = |places: &[usize]| -> Vec<String> {
            let name = |place: &usize| bound.binding.table.columns[*place].name.clone();
            places.iter().map(name).collect()
        };
        let Item {
            record, located, ..
        } = &task.item;
        let row = located.row.as_ref();
        let mut decided = Decided {
            at: record.at.clone(),
            key: record.key.clone(),
            action: "unchanged",
            target: row.map(|row| bound.binding.key_of(row)),
            before: row_before(located.entry.as_ref(), row, run),
            columns: vec![],
            drifted: vec![],
            overwritten: vec![],
        };
        match &task.decision {
            Decision::Insert => decided.action = "created",
            Decision::Update {
                columns,
                overwritten,
                kept,
            } => {
                decided.action = if late { "linked" } else { "updated" };
                decided.columns = names(columns);
                (decided.overwritten, decided.drifted) = (names(overwritten), names(kept));
            }
            Decision::Unchanged { drifted, .. } => decided.drifted = names(drifted),
            Decision::Skip { reason, .. } => {
                decided.action = "skipped";
                decided.columns = vec![(*reason).to_owned()];
            }
            Decision::Fail { .. } => {}
        }
        decided
    }

    /// A cell as it is compared: a tag of a run in the tag column does not count.
    pub(super) fn comparable<'a>(
        &self,
        bound: &Bound,
        place: usize,
        cell: &'a Cell,
    ) -> Cow<'a, Cell> {
        let field = bound.binding.field(place);
        if bound.binding.tag == Some(place) {
            let cell = super::stamps::without_tags(bound, cell);
            return Cow::Owned(self.engine.canonical(field, &cell).into_owned());
        }
        self.engine.canonical(field, cell)
    }
}

/// How many of the records can be looked at together: none of them twice, and none that refers to
/// another.
fn apart(bound: &Bound, records: &[&Record], late: bool) -> usize {
    if records.len() < 2 {
        return records.len();
    }
    let mut seen: HashSet<&str> = HashSet::new();
    let entity = bound.binding.entity.name.as_str();
    let clash = records.iter().position(|record| {
        let mut refs = record.refs.iter();
        let waits = refs.any(|(column, to)| {
            !late
                && to.entity == entity
                && !is_late(bound, column)
                && seen.contains(to.key.as_str())
        });
        waits || !seen.insert(&record.key)
    });
    clash.unwrap_or(records.len())
}

fn is_late(bound: &Bound, column: &str) -> bool {
    bound
        .binding
        .entity
        .fields
        .get(column)
        .is_some_and(|field| field.late)
}

/// The hash of a row as it was before the run; none of a row that the run itself has written.
pub(super) fn row_before(entry: Option<&Entry>, row: Option<&Row>, run: i64) -> Option<[u8; 16]> {
    let own = entry.is_some_and(|entry| entry.run == run);
    // What a dry run saves has a format of its own.
    row.filter(|_| !own).map(|row| row_hash(Format::One, row))
}

/// The digest that the put pass leaves: of a record with late references one that is not yet whole.
fn put_digest(bound: &Bound, record: &Record, whole: &[u8]) -> Vec<u8> {
    // One that is null now may have been written by an earlier run.
    let mut names = record.refs.keys().chain(record.fields.keys());
    if names.any(|name| is_late(bound, name)) {
        late_digest(whole)
    } else {
        whole.to_vec()
    }
}

/// The digest of a record whose late references are not written yet.
pub(crate) fn late_digest(whole: &[u8]) -> Vec<u8> {
    contract::Digest::of(&[b"late", whole].concat())
        .short()
        .to_vec()
}
