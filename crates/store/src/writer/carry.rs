//! Writing rows that move with a corrected record.

use contract::{Op, Record};

use super::decide::{Decision, Wanted};
use super::locate::{Item, Located};
use super::notes::Notes;
use super::remap::Wrong;
use super::resolve::error;
use super::wave::Task;
use super::{Bound, Fault, Writer};
use crate::ledger::Entry;
use crate::{Engine, Row};

/// A row that is to be moved.
#[derive(Clone)]
pub(super) struct Move {
    /// The correction by which it was found.
    pub correction: usize,
    pub record: Record,
    pub entry: Entry,
    pub row: Row,
    pub wanted: Vec<Wanted>,
    /// The correction for the sake of which each column is written.
    pub causes: Vec<usize>,
}

impl<E: Engine> Writer<E> {
    /// Writes moves together; where the target refuses that, one by one, to name what can't be moved.
    pub(super) fn carry_moves(
        &mut self,
        bound: &Bound,
        batch: i64,
        moves: &[Move],
    ) -> Result<Wrong, Fault> {
        let mut wrong = Wrong::new();
        if self.try_moves(bound, batch, moves)?.is_empty() {
            return Ok(wrong);
        }
        for one in moves {
            let amiss = self.try_moves(bound, batch, std::slice::from_ref(one))?;
            if !amiss.is_empty() {
                let blamed = self.blame(bound, batch, one)?;
                wrong.extend(if blamed.is_empty() { amiss } else { blamed });
            }
        }
        Ok(wrong)
    }

    /// Of the corrections for the sake of which a row can't be moved, those that alone are enough for that.
    fn blame(&mut self, bound: &Bound, batch: i64, one: &Move) -> Result<Wrong, Fault> {
        let mut causes = one.causes.clone();
        causes.sort_unstable();
        causes.dedup();
        let mut wrong = Wrong::new();
        for cause in causes {
            let columns = one.wanted.iter().zip(&one.causes);
            let columns = columns.filter(|(_, other)| **other == cause);
            let part = Move {
                correction: cause,
                wanted: columns.map(|(wanted, _)| wanted.clone()).collect(),
                ..one.clone()
            };
            let so_far = self.the_run()?.clone();
            self.engine.savepoint("blame")?;
            wrong.extend(self.try_moves(bound, batch, &[part])?);
            self.engine.undo_to("blame")?;
            *self.the_run()? = so_far;
        }
        Ok(wrong)
    }

    fn try_moves(&mut self, bound: &Bound, batch: i64, moves: &[Move]) -> Result<Wrong, Fault> {
        if moves.is_empty() {
            return Ok(Wrong::new());
        }
        let so_far = self.the_run()?.clone();
        self.engine.savepoint("move")?;
        let fault = match self.write_moves(bound, batch, moves) {
            Ok(()) => {
                self.engine.release("move")?;
                return Ok(Wrong::new());
            }
            Err(fault) => fault,
        };
        let why = match fault {
            Fault::Some(message) => message,
            Fault::Refused(refusal) if !refusal.about.is_of_the_statement() => refusal.message,
            Fault::Records(faults) => {
                let first = faults.into_iter().flat_map(|(_, errors)| errors).next();
                first.map(|error| error.message).unwrap_or_default()
            }
            other => return Err(other),
        };
        self.engine.undo_to("move")?;
        *self.the_run()? = so_far;
        let named = |one: &Move| {
            let table = &bound.binding.table.name;
            let key = bound.binding.key_of(&one.row);
            let message =
                format!("{table} {key}, which refers to it, can't be moved with it: {why}");
            (one.correction, error(None, "moves", message))
        };
        Ok(moves.iter().map(named).collect())
    }

    fn write_moves(&mut self, bound: &Bound, batch: i64, moves: &[Move]) -> Result<(), Fault> {
        let tasks: Vec<Task<'_>> = moves.iter().enumerate().map(task).collect();
        let written = self.write_rows(bound, &tasks)?;
        let mut notes = Notes::default();
        for (task, written) in tasks.into_iter().zip(written) {
            self.note(bound, batch, task, written, &mut notes)?;
        }
        self.keep(&notes)?;
        Ok(())
    }
}

/// What is to be done with a row that is moved, as if its record had asked for it.
fn task((at, one): (usize, &Move)) -> Task<'_> {
    Task {
        item: Item {
            at,
            record: &one.record,
            wanted: one.wanted.clone(),
            located: Located {
                entry: Some(one.entry.clone()),
                row: Some(one.row.clone()),
            },
        },
        digest: one.entry.digest.clone(),
        decision: Decision::Update {
            columns: one.wanted.iter().map(|wanted| wanted.place).collect(),
            overwritten: vec![],
            kept: vec![],
        },
    }
}

/// The record of a row that is moved: what it says otherwise does not matter here.
pub(super) fn record_of(entity: &str, key: &str, correction: &Record) -> Record {
    let mut record = correction.clone();
    entity.clone_into(&mut record.entity);
    key.clone_into(&mut record.key);
    (record.op, record.target, record.to) = (Op::Put, None, None);
    record.fields.clear();
    record.refs.clear();
    record.lookups.clear();
    record
}
