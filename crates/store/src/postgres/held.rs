//! Transactions that are savepoints of one that is never committed.

use super::connect::Postgres;
use crate::{Engine as _, StoreError};

impl Postgres {
    pub(super) fn begin_held(&mut self) -> Result<(), StoreError> {
        self.batch("SAVEPOINT held")?;
        if let Some(held) = &mut self.held {
            (held.begun, held.inside) = (true, true);
        }
        Ok(())
    }

    /// Checks what a COMMIT would check. Sequences stay, as they would not go back.
    pub(super) fn end_held(&mut self) -> Result<(), StoreError> {
        if let Err(error) = self.settle_all() {
            self.undo_held()?;
            return Err(error);
        }
        self.batch("RELEASE held")?;
        if let Some(held) = &mut self.held {
            held.inside = false;
        }
        Ok(())
    }

    pub(super) fn undo_held(&mut self) -> Result<(), StoreError> {
        if let Some(held) = &mut self.held
            && std::mem::take(&mut held.inside)
        {
            self.batch("ROLLBACK TO held; RELEASE held")?;
            self.unsettled();
            self.broken.set(false);
            self.tables.clear();
        }
        Ok(())
    }
}
