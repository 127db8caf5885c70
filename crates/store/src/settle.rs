//! Settling by hand a run that failed, and what of it is not applied.

use std::collections::BTreeSet;

use contract::plan::LoadedPlan;
use contract::{Op, Record, Reject};
use serde_json::json;

use crate::ledger::{self, BatchStatus, Entry, Holder, Phase, Run, RunStatus};
use crate::undo::Undo;
use crate::writer::late_digest;
use crate::{Sql, StoreError};

/// Finds the records of a run that neither it nor a later run has applied.
pub struct Unapplied {
    run: i64,
    phase: Phase,
    /// The entity's number in the id map, if it has one.
    entity: Option<i64>,
    /// Batches that stand.
    applied: BTreeSet<i64>,
    /// Batches with records at fault.
    faults: BTreeSet<i64>,
}

impl Unapplied {
    /// Looks into one pass of a run.
    ///
    /// # Errors
    ///
    /// What the target said.
    pub fn of(
        sql: &mut dyn Sql,
        run: &Run,
        plan: &LoadedPlan,
        phase: Phase,
        entity: &str,
    ) -> Result<Self, StoreError> {
        let table = match plan.plan.entity(entity) {
            Some(entity) => ledger::table_of(sql, run, entity)?,
            None => None,
        };
        let number = match &table {
            Some(table) => ledger::entity_id(sql, &plan.plan.system, entity, table)?,
            None => None,
        };
        let mut applied = BTreeSet::new();
        ledger::each_batch(sql, run.seq, |batch| {
            if batch.status == BatchStatus::Applied {
                applied.insert(batch.no);
            }
        })?;
        Ok(Self {
            run: run.seq,
            phase,
            entity: number,
            applied,
            faults: ledger::batches_with_failures(sql, run.seq)?,
        })
    }

    /// Returns those of a batch's records that are not applied by now.
    ///
    /// # Errors
    ///
    /// What the target said.
    pub fn among<'r>(
        &mut self,
        sql: &mut dyn Sql,
        no: i64,
        records: &'r [Record],
    ) -> Result<Vec<&'r Record>, StoreError> {
        let failed = if self.faults.contains(&no) {
            ledger::failures_of_batch(sql, self.run, no)?
        } else {
            Vec::new()
        };
        let is_failed = |record: &Record| {
            let same = |reject: &Reject| {
                reject.at == record.at && reject.key.as_deref() == Some(&record.key)
            };
            failed.iter().any(same)
        };
        let whole = self.applied.contains(&no);
        let asked: Vec<&Record> = records
            .iter()
            .filter(|record| !whole || is_failed(record))
            .collect();
        if asked.is_empty() {
            return Ok(asked);
        }
        let entries = match self.entity {
            Some(entity) => {
                let keys: Vec<&str> = asked.iter().map(|record| record.key.as_str()).collect();
                sql.entries(entity, &keys)?
            }
            None => vec![None; asked.len()],
        };
        let left = asked.into_iter().zip(entries);
        let left = left.filter(|(record, entry)| !self.is_done(record, entry.as_ref()));
        Ok(left.map(|(record, _)| record).collect())
    }

    fn is_done(&self, record: &Record, entry: Option<&Entry>) -> bool {
        let there = entry.filter(|entry| !entry.gone);
        match (self.phase, record.op) {
            (Phase::Late, _) => {
                there.is_some_and(|entry| entry.digest != late_digest(&record.digest()))
            }
            (_, Op::Delete) => there.is_none(),
            _ => there.is_some(),
        }
    }
}

/// Says that a failed run is completed. `left`: so many of its records are not applied.
///
/// # Errors
///
/// Another program holds the lock; the run is not failed. Nothing was written.
pub fn settle(
    target: &mut dyn Undo,
    id: &str,
    holder: &Holder,
    note: &str,
    left: u64,
) -> Result<Run, StoreError> {
    let mut settled = None;
    target.note(&mut |sql| {
        ledger::upgrade(sql, (&holder.operator, &holder.host))?;
        let (lease, _) = ledger::take(sql, holder, false)?;
        let run = ledger::find_run(sql, id)?;
        let mut run =
            run.ok_or_else(|| StoreError::refused(format!("Migration run {id} not found")))?;
        if run.status != RunStatus::Failed {
            let message = format!(
                "run {id} is {}: only a failed run is settled by a note",
                run.status
            );
            return Err(StoreError::refused(message));
        }
        let now = sql.now()?;
        (run.status, run.ended) = (RunStatus::Completed, Some(now));
        run.reason = Some(note.to_owned());
        ledger::update_run(sql, &run)?;
        let by = (holder.operator.as_str(), holder.host.as_str());
        let figures = ledger::figures(sql, &run)?;
        let detail = ledger::with(
            figures,
            json!({"reason": note, "resolved": true, "left": left}),
        );
        ledger::append_audit(sql, now, "migration:completed", Some(id), by, &detail)?;
        ledger::release(sql, lease)?;
        settled = Some(run);
        Ok(())
    })?;
    settled.ok_or_else(|| StoreError::damaged("the run is missing"))
}
