//! What triggers write beside the rows that are sent: the plan accepts it, or the batch is undone.

use super::{Fault, Writer};
use crate::watch::Stray;
use crate::{Engine, StoreError, Table};

impl<E: Engine> Writer<E> {
    /// Does what writes to a table, and counts what its triggers write beside.
    pub(super) fn watched<T>(
        &mut self,
        table: &Table,
        work: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if table.triggers.is_empty() {
            return work(self);
        }
        self.engine.watch(table)?;
        let done = work(self)?;
        let plan = self.plan.as_ref();
        let accepted = plan.map_or(&[][..], |plan| &plan.plan.accept_triggers);
        let strays = self.engine.strays(accepted)?;
        if strays.is_empty() {
            return Ok(done);
        }
        Err(Fault::Store(StoreError::Irreversible {
            message: Stray::all(&strays),
        }))
    }

    /// Keeps what was done since a savepoint. Triggers that wait for the end of the batch fire here.
    pub(super) fn release(&mut self, table: &Table, savepoint: &str) -> Result<(), Fault> {
        if !table.deferred {
            return Ok(self.engine.release(savepoint)?);
        }
        self.watched(table, |this| Ok(this.engine.release(savepoint)?))
    }
}
