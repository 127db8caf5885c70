//! Adding columns and tables, in the transaction that starts the run.

use super::Writer;
use crate::additions::{Addition, called, resting};
use crate::ledger::{self, Added, Shape};
use crate::{Cell, Engine, StoreError};

impl<E: Engine> Writer<E> {
    /// Adds what is missing, in order, each with its change in the ledger.
    pub(super) fn add(&mut self, missing: &[Addition]) -> Result<(), StoreError> {
        for addition in missing {
            let added = self.add_one(addition);
            added.map_err(|error| match error {
                StoreError::Constraint { message, .. } | StoreError::Statement { message, .. } => {
                    let name = called(addition.table(), addition.column());
                    StoreError::refused(format!("{name} can't be added: {message}"))
                }
                other => other,
            })?;
        }
        if missing.is_empty() {
            return Ok(());
        }
        let run = self.the_run()?.clone();
        ledger::update_run(&mut self.engine, &run)
    }

    fn add_one(&mut self, addition: &Addition) -> Result<(), StoreError> {
        let name = addition.table();
        let before = self.engine.definition(name)?;
        let rows = match addition {
            Addition::Column(_) => self.rows_of(name)?,
            Addition::Table(_) => None,
        };
        for statement in self.engine.adding(addition) {
            self.engine.alter(&statement)?;
        }
        let gone = || StoreError::damaged(format!("{name} was added, and is not there"));
        let table = self.engine.table(name)?.ok_or_else(gone)?;
        let place = addition
            .column()
            .map(|column| table.position(column).ok_or_else(gone))
            .transpose()?;
        let definition = match place {
            Some(_) => before,
            None => self.engine.definition(name)?,
        };
        // Any row tells: all have the same.
        let key: Vec<usize> = table.uniques.first().cloned().unwrap_or_else(|| vec![0]);
        let any = self.engine.page(&table, &key, None, 1)?.pop();
        let initial = place.and_then(|place| Some(any?[place].clone()));
        let shape = ledger::shape_id(&mut self.engine, &Shape::of(&table, &[]))?;
        self.shapes.push(shape);
        let added = Added {
            seq: self.next_seq()?,
            table: table.name,
            at: Some(table.id),
            column: addition.column().map(str::to_owned),
            initial: match (initial, addition) {
                (Some(initial), _) => initial,
                (None, Addition::Column(new)) => resting(new).pop().unwrap_or(Cell::Null),
                (None, Addition::Table(_)) => Cell::Null,
            },
            definition: definition.ok_or_else(gone)?,
            own: match addition.column() {
                Some(column) => self.engine.column_definition(name, column)?,
                None => None,
            },
            rows,
        };
        let run = self.the_run()?.seq;
        let change = added.to_change(shape, place.unwrap_or(0));
        self.engine.put_changes(run, &[change])
    }

    /// Counts the rows of a table.
    fn rows_of(&mut self, table: &str) -> Result<Option<i64>, StoreError> {
        let Some(table) = self.engine.table(table)? else {
            return Ok(None);
        };
        let rows = self.engine.count(&table, None)?;
        Ok(i64::try_from(rows).ok())
    }
}
