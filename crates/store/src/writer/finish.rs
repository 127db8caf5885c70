//! The end of a run.

use contract::plan::{HookEvent, OnRollback, Type};
use serde_json::{Value, json};

use super::resolve::run_value;
use super::rows::kept;
use super::{Bound, End, Fault, METADATA, Refusal, Writer};
use crate::error::again;
use crate::ledger::{self, Action, BatchStatus, Change, Counts, Run, RunStatus};
use crate::{Cell, Engine, StoreError};

/// A constant of the plan; a text of type json is JSON text. (Plans that older builds took may hold
/// another text there: a JSON string.)
fn constant(value: &impl serde::Serialize, kind: Type) -> Result<Value, serde_json::Error> {
    match (serde_json::to_value(value)?, kind) {
        (Value::String(text), Type::Json) => {
            Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
        }
        (value, _) => Ok(value),
    }
}

impl<E: Engine> Writer<E> {
    pub(super) fn finish_run(&mut self, end: &End) -> Result<Run, StoreError> {
        if self.dry {
            return self.try_finish(end);
        }
        again(|| self.try_finish(end))
    }

    fn try_finish(&mut self, end: &End) -> Result<Run, StoreError> {
        if !self.dry {
            self.engine.begin()?;
        }
        match self.hold().and_then(|()| self.finish_inside(end)) {
            Ok(run) if self.dry => Ok(run),
            Ok(run) => self.engine.commit().map(|()| run),
            Err(error) => {
                self.sure = false;
                self.engine.rollback().ok();
                Err(error)
            }
        }
    }

    fn finish_inside(&mut self, end: &End) -> Result<Run, StoreError> {
        let seq = self.the_run()?.seq;
        let mut counts = Counts::default();
        let mut applied = 0;
        ledger::each_batch(&mut self.engine, seq, |batch| {
            counts.add(&batch.counts);
            applied += usize::from(batch.status == BatchStatus::Applied);
        })?;
        let faults = ledger::batches_with_failures(&mut self.engine, seq)?;
        counts.not_attempted += end.records.saturating_sub(counts.total());
        let run = self.the_run()?;
        run.counts = counts;
        run.reason.clone_from(&end.reason);
        // References that a second pass could not write are counted nowhere else.
        let done = applied == end.batches && run.counts.failed == 0 && faults.is_empty();
        let action = if done {
            run.status = RunStatus::Completed;
            "migration:completed"
        } else if end.interrupted {
            "migration:interrupted"
        } else {
            run.status = RunStatus::Failed;
            "migration:failed"
        };
        run.ended = Some(end.at);
        if done && run.last_seq > 0 {
            self.write_metadata()?;
        }
        let run = self.the_run()?.clone();
        ledger::update_run(&mut self.engine, &run)?;
        self.note_hooks(&run)?;
        let figures = ledger::figures(&mut self.engine, &run)?;
        let detail = ledger::with(figures, json!({"reason": run.reason}));
        if let Some(holder) = self.holder.clone() {
            self.audit(&run, end.at, action, &holder, &detail)?;
        }
        if let Some(lease) = self.lease {
            ledger::release(&mut self.engine, lease)?;
        }
        Ok(run)
    }

    /// Notes the hooks of how the run ended.
    fn note_hooks(&mut self, run: &Run) -> Result<(), StoreError> {
        let event = match run.status {
            RunStatus::Completed => HookEvent::Completed,
            RunStatus::Failed => HookEvent::Failed,
            _ => return Ok(()),
        };
        let Some(plan) = &self.plan else {
            return Ok(());
        };
        ledger::note_hooks(&mut self.engine, &plan.plan.hook, run.seq, event)
    }

    /// Inserts the row that describes the run.
    pub(super) fn write_metadata(&mut self) -> Result<(), StoreError> {
        let metadata = self
            .plan
            .as_ref()
            .and_then(|plan| plan.plan.metadata.clone());
        let (Some(metadata), Some(bound)) = (metadata, self.bound.get(METADATA).cloned()) else {
            return Ok(());
        };
        let run = self.the_run()?.clone();
        let action = match metadata.on_rollback {
            OnRollback::Keep => Action::Keep,
            OnRollback::Delete => Action::Insert,
        };
        let mut cells: Vec<(usize, Cell)> = Vec::new();
        if let Some((place, contract::plan::IdFrom::Uuid)) = bound.binding.id {
            cells.push((
                place,
                Cell::Text(super::derived_id(&run.system, "metadata", &run.id)),
            ));
        }
        for column in &bound.binding.columns {
            let field = &column.field;
            let target = &bound.binding.table.columns[column.place];
            let wrong = |message: String| {
                StoreError::refused(format!("metadata.{}: {message}", target.name))
            };
            let value = match (&field.run, &field.value) {
                (Some(value), _) => run_value(&run, *value, field.kind),
                (None, Some(value)) => {
                    constant(value, field.kind).map_err(|error| wrong(error.to_string()))?
                }
                (None, None) => continue,
            };
            let cell = self.engine.encode_one(field, target, &value)?;
            let cell = cell.map_err(wrong)?;
            cells.push((column.place, cell));
        }
        self.insert_metadata(&bound, &cells, action)
            .map_err(|fault| match fault {
                Fault::Store(error) => error,
                Fault::Some(message) | Fault::Refused(Refusal { message, .. }) => {
                    StoreError::refused(format!("the metadata row: {message}"))
                }
                Fault::Records(_) | Fault::Aborted => StoreError::refused("the metadata row"),
            })
    }

    fn insert_metadata(
        &mut self,
        bound: &Bound,
        cells: &[(usize, Cell)],
        action: Action,
    ) -> Result<(), Fault> {
        let inserted = self.watched(&bound.binding.table, |this| {
            this.insert_rows(bound, &[cells])
        })?;
        for (key, _) in inserted {
            let row = kept(bound, &key, self.row_at(bound, &key)?)?;
            if let Some(error) = self.differences(bound, &row, cells).pop() {
                return Err(Fault::Some(error.message));
            }
            let seq = self.next_seq()?;
            let mut change = Change::new(seq, 0, bound.shape, action, key);
            self.inserted(bound, &row, &mut change)?;
            change.action = action;
            let run = self.the_run()?.seq;
            self.engine.put_changes(run, &[change])?;
        }
        Ok(())
    }
}
