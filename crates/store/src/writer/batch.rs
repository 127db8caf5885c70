//! Batches: each in its savepoint, several in a commit, undone whole when a record is at fault.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Batch, Bound, Decided, Fault, Outcome, Writer, retry};
use crate::error::again;
use crate::ledger::{self, BatchRow, BatchStatus, Counts, Phase};
use crate::{Engine, Row, StoreError};

impl<E: Engine> Writer<E> {
    pub(super) fn apply_batch(&mut self, batch: &Batch<'_>) -> Result<Outcome, StoreError> {
        let bound = self.bound.get(batch.entity).cloned();
        let bound = bound.ok_or_else(|| {
            StoreError::refused(format!("the plan has no entity {:?}", batch.entity))
        })?;
        if self.shares() {
            return self.try_batch(&bound, batch);
        }
        again(|| self.try_batch(&bound, batch))
    }

    /// Learns which values of a batch must not be shown, beside those of the batches that it shares a
    /// transaction with.
    pub(super) fn learn_secrets(&mut self, batch: &Batch<'_>) {
        if self.open.is_none() {
            self.secrets.forget();
        }
        let Some(bound) = self.bound.get(batch.entity) else {
            return;
        };
        if bound
            .binding
            .entity
            .fields
            .values()
            .any(|field| field.secret)
        {
            for record in batch.records {
                self.secrets.learn(record, |column| bound.is_secret(column));
            }
        }
    }

    /// Learns what secret columns of rows hold: triggers may tell of it.
    pub(super) fn learn_rows(&mut self, bound: &Bound, found: &[Vec<Row>]) {
        if !self.secrets.is_any() {
            return;
        }
        let binding = &bound.binding;
        for place in 0..binding.table.columns.len() {
            if binding.field(place).is_some_and(|field| field.secret) {
                let rows = found.iter().flatten();
                rows.for_each(|row| self.secrets.cell(&row[place]));
            }
        }
    }

    /// Tells whether batches share a transaction.
    fn shares(&self) -> bool {
        self.dry || !self.gather.is_zero()
    }

    fn try_batch(&mut self, bound: &Bound, batch: &Batch<'_>) -> Result<Outcome, StoreError> {
        let opened = self.open_group();
        let result = opened
            .and_then(|()| {
                if self.shares() {
                    again(|| self.apply_again(bound, batch))
                } else {
                    self.apply_inside(bound, batch)
                }
            })
            .and_then(|outcome| {
                if !self.shares() && !outcome.aborted {
                    self.commit_now()?;
                }
                Ok(outcome)
            });
        result.inspect_err(|_| {
            // The transaction is lost with all its batches; what stands, the ledger says.
            self.open = None;
            self.sure = false;
            self.engine.rollback().ok();
        })
    }

    fn commit_now(&mut self) -> Result<(), StoreError> {
        if let Some((_, numbers)) = self.open.take() {
            // What we remember is of batches that may not stand.
            let sure = std::mem::take(&mut self.sure);
            self.engine.commit()?;
            self.sure = sure;
            self.stand.extend(numbers);
        }
        Ok(())
    }

    pub(super) fn open_group(&mut self) -> Result<(), StoreError> {
        if self.open.is_some() {
            return Ok(());
        }
        if !self.dry {
            self.engine.begin()?;
            self.hold()?;
        }
        self.open = Some((Instant::now(), Vec::new()));
        Ok(())
    }

    /// Applies a batch; where the target asks for another try, the batches before it in the transaction
    /// are kept.
    fn apply_again(&mut self, bound: &Bound, batch: &Batch<'_>) -> Result<Outcome, StoreError> {
        let before = self.the_run()?.clone();
        let result = self.apply_inside(bound, batch);
        let Err(StoreError::Again { message }) = result else {
            return result;
        };
        if self.engine.undo_to("batch").is_err() {
            return Err(StoreError::Unreachable { message });
        }
        *self.the_run()? = before;
        Err(StoreError::Again { message })
    }

    fn apply_inside(&mut self, bound: &Bound, batch: &Batch<'_>) -> Result<Outcome, StoreError> {
        let before = self.the_run()?.clone();
        let mut row = BatchRow {
            no: batch.no,
            phase: batch.phase.word().into(),
            entity: batch.entity.into(),
            records: i64::try_from(batch.records.len()).unwrap_or(i64::MAX),
            status: BatchStatus::Applied,
            counts: Counts::default(),
            files: BTreeMap::new(),
            changes: None,
            drift: BTreeMap::new(),
            error: None,
            at: if self.dry {
                self.engine.now()?
            } else {
                self.clock
            },
        };
        self.engine.savepoint("batch")?;
        self.corrected.clear();
        let records = self.concerned(bound, batch)?;
        let mut outcome = match self.write_all(bound, batch, &records) {
            Ok(decisions) => Outcome {
                applied: true,
                decisions,
                ..Outcome::default()
            },
            Err(Fault::Store(error)) => return Err(error),
            Err(Fault::Aborted) => {
                self.engine.undo_to("batch")?;
                *self.the_run()? = before;
                return Ok(Outcome {
                    aborted: true,
                    ..Outcome::default()
                });
            }
            Err(fault) => {
                self.back_to_batch(fault)?;
                *self.the_run()? = before.clone();
                self.search(bound, batch, &records)?
            }
        };
        if outcome.aborted {
            return Ok(outcome);
        }
        if outcome.applied {
            self.note_counters_after(bound)?;
            outcome.corrected = self.take_corrected()?;
            let warnings = self.try_undo(bound, before.last_seq, &outcome)?;
            let masked = warnings.iter().map(|warning| self.secrets.mask(warning));
            outcome.warnings = masked.collect();
        }
        outcome.files = tally(batch, &outcome);
        outcome
            .files
            .values()
            .for_each(|counts| outcome.counts.add(counts));
        let run = self.the_run()?;
        let (run_seq, last) = (run.seq, run.last_seq);
        if outcome.applied {
            row.changes = (last > before.last_seq).then_some((before.last_seq + 1, last));
        } else {
            row.status = BatchStatus::Failed;
        }
        row.counts = outcome.counts.clone();
        row.files.clone_from(&outcome.files);
        row.drift = drift(&outcome);
        row.error.clone_from(&outcome.error);
        if self.resumed
            && let Some(old) = ledger::batch_of(&mut self.engine, run_seq, batch.no)?
        {
            retry::merge(&mut row, &old, batch);
            if batch.again {
                for (key, columns) in ledger::drift_of(&mut self.engine, run_seq, batch.no)? {
                    row.drift.entry(key).or_insert(columns);
                }
            }
        }
        if let Some(late) = batch.late.filter(|_| !outcome.decisions.is_empty()) {
            ledger::reopen_batch(&mut self.engine, run_seq, late)?;
        }
        ledger::put_batch(&mut self.engine, run_seq, &row)?;
        if self.resumed {
            ledger::clear_failures(&mut self.engine, run_seq, batch.no)?;
        }
        for (no, reject) in (1..).zip(&outcome.rejects) {
            ledger::add_failure(&mut self.engine, run_seq, batch.no, no, reject)?;
        }
        let run = self.the_run()?.clone();
        ledger::update_run(&mut self.engine, &run)?;
        if let Some((_, numbers)) = &mut self.open {
            numbers.push(batch.no);
        }
        Ok(outcome)
    }

    fn note_counters_after(&mut self, bound: &Bound) -> Result<(), StoreError> {
        let table = &bound.binding.table;
        if !table.counted {
            return Ok(());
        }
        let mut counters = ledger::counters_of(self.the_run()?)?;
        let after = self.engine.counter(table)?;
        if let Some(pair) = counters.get_mut(&table.name) {
            pair[1] = after.into();
            self.the_run()?.counters = serde_json::Value::Object(counters).to_string();
        }
        Ok(())
    }

    pub(super) fn commit_group(&mut self, now: bool) -> Result<Vec<i64>, StoreError> {
        let due =
            |(since, _): &(Instant, Vec<i64>)| now || self.single || since.elapsed() >= self.gather;
        if self.dry {
            // Said to stand, for this run: nothing outlives the transaction around it.
            self.stand.extend(
                self.open
                    .take()
                    .into_iter()
                    .flat_map(|(_, numbers)| numbers),
            );
        } else if self.open.as_ref().is_some_and(due) {
            self.commit_now()?;
        }
        Ok(std::mem::take(&mut self.stand))
    }
}

/// The columns of each record that others changed, and that are left as they are.
fn drift(outcome: &Outcome) -> BTreeMap<String, Vec<String>> {
    let drifted = |decided: &&Decided| !decided.drifted.is_empty();
    let decided = outcome.decisions.iter().filter(drifted);
    decided
        .map(|decided| (decided.key.clone(), decided.drifted.clone()))
        .collect()
}

/// What became of a batch's records, by source. The late pass counts only what it wrote: its
/// records were counted by the put pass.
fn tally(batch: &Batch<'_>, outcome: &Outcome) -> BTreeMap<String, Counts> {
    let mut files: BTreeMap<String, Counts> = BTreeMap::new();
    for decided in &outcome.decisions {
        let counts = files.entry(decided.at.file.clone()).or_default();
        match decided.action {
            "linked" => counts.linked += 1,
            _ if batch.phase == Phase::Late => {}
            "created" => counts.created += 1,
            "updated" | "remapped" => counts.updated += 1,
            "deleted" => counts.deleted += 1,
            "skipped" => {
                let reason = decided.columns.first().cloned().unwrap_or_default();
                *counts.skipped.entry(reason).or_default() += 1;
            }
            _ => counts.unchanged += 1,
        }
        counts.drifted += u64::from(!decided.drifted.is_empty());
    }
    for corrected in &outcome.corrected {
        let counts = files.entry(corrected.at.file.clone()).or_default();
        counts.moved += corrected.moved.values().sum::<u64>();
    }
    if batch.phase == Phase::Late {
        return files;
    }
    for reject in &outcome.rejects {
        files.entry(reject.at.file.clone()).or_default().failed += 1;
    }
    if !outcome.applied {
        for record in batch.records {
            files
                .entry(record.at.file.clone())
                .or_default()
                .not_attempted += 1;
        }
        for counts in files.values_mut() {
            counts.not_attempted -= counts.failed;
        }
    }
    files
}
