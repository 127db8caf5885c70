//! A transaction that a record takes along: in SQLite a trigger may end it, by `RAISE(ROLLBACK)`.

use contract::Record;

use super::culprits::Found;
use super::{Batch, Bound, Fault, Writer};
use crate::{Engine, StoreError};

impl<E: Engine> Writer<E> {
    /// Names the record in an error that has ended the transaction: nothing else is known of it then.
    pub(super) fn named(&self, fault: Fault, record: Option<&&Record>) -> Fault {
        match (fault, record) {
            (Fault::Refused(mut refusal), Some(record)) if self.engine.is_lost() => {
                refusal.message = format!("{} ({}): {}", record.at, record.key, refusal.message);
                Fault::Refused(refusal)
            }
            (fault, _) => fault,
        }
    }

    /// Goes back to the begin of the batch after an error: in a new transaction, where the error has ended
    /// the one at hand.
    ///
    /// # Errors
    ///
    /// What the target said; that the transaction held more than the batch, and all of it is lost.
    pub(super) fn back_to_batch(&mut self, fault: Fault) -> Result<(), StoreError> {
        if !self.engine.is_lost() {
            return self.engine.undo_to("batch");
        }
        let why = match fault {
            Fault::Refused(refusal) => refusal.message,
            _ => "a trigger ended the transaction".into(),
        };
        if self.dry {
            return Err(StoreError::refused(format!(
                "{why}; that ends the whole transaction, so that what comes after it can't be tried"
            )));
        }
        self.begin_batch_again(&why)
    }

    /// Begins a new transaction for the batch in hand, if it was alone in the one that was lost.
    fn begin_batch_again(&mut self, why: &str) -> Result<(), StoreError> {
        let alone = self
            .open
            .take()
            .is_some_and(|(_, others)| others.is_empty());
        self.sure = false;
        self.engine.rollback()?;
        if !alone {
            return Err(StoreError::Unreachable {
                message: format!("{why}; that ended a transaction of several batches"),
            });
        }
        self.corrected.clear();
        self.open_group()?;
        self.engine.savepoint("batch")
    }

    /// Notes the record that ended the transaction during a search for culprits, and begins again without
    /// what the search has written.
    pub(super) fn accuse_of_the_end(
        &mut self,
        bound: &Bound,
        batch: &Batch<'_>,
        records: &[&Record],
        (place, fault): (usize, Fault),
        found: &mut Found,
    ) -> Result<(), StoreError> {
        self.begin_batch_again("a trigger ended the transaction")?;
        self.engine.savepoint("search")?;
        let errors = vec![self.refused(bound, batch, records[place], fault, found)?];
        self.accuse(bound, batch, records, place, errors, found)
    }
}
