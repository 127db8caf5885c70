//! Rows that depend on a row: a delete or key change never reaches them by a cascade.

use super::resolve::error;
use super::{Bound, Fault, Writer};
use crate::{Engine, Row, StoreError, Table};

impl<E: Engine> Writer<E> {
    /// Refuses to touch a row that others refer to: when it is deleted, or when the columns that
    /// they refer to (`changed`) change.
    pub(super) fn check_dependents(
        &mut self,
        bound: &Bound,
        row: &Row,
        changed: Option<&[usize]>,
    ) -> Result<(), Fault> {
        let parent = &bound.binding.table;
        self.read_catalogue()?;
        let tables = self.catalogue.take().unwrap_or_default();
        let mut found = Ok(());
        'search: for child in &tables {
            for key in child
                .foreign_keys
                .iter()
                .filter(|key| key.parent.eq_ignore_ascii_case(&parent.name))
            {
                let columns: Option<Vec<usize>> = key
                    .parent_columns
                    .iter()
                    .map(|name| parent.position(name))
                    .collect();
                let Some(columns) = columns else { continue };
                if changed
                    .is_some_and(|changed| columns.iter().all(|column| !changed.contains(column)))
                {
                    continue;
                }
                let values: Vec<_> = columns.iter().map(|column| row[*column].clone()).collect();
                let children = self.engine.fetch(child, &key.columns, &[values]);
                let count = match children {
                    Ok(mut children) => children.pop().map_or(0, |children| {
                        // A row that refers to itself goes with itself.
                        children
                            .iter()
                            .filter(|other| !(child.name == parent.name && *other == row))
                            .count()
                    }),
                    Err(error) => {
                        found = Err(error.into());
                        break 'search;
                    }
                };
                if count > 0 {
                    let names: Vec<&str> = key
                        .columns
                        .iter()
                        .map(|column| child.columns[*column].name.as_str())
                        .collect();
                    let action = if changed.is_some() {
                        &key.on_update
                    } else {
                        &key.on_delete
                    };
                    let message = format!(
                        "{count} rows of {} depend on it by {} ({}): the run must deal with them first",
                        child.name,
                        names.join(", "),
                        action.to_lowercase()
                    );
                    found = Err(Fault::Record(vec![error(None, "dependents", message)]));
                    break 'search;
                }
            }
        }
        self.catalogue = Some(tables);
        found
    }

    /// Refuses an update of columns that others refer to.
    pub(super) fn check_key_change(
        &mut self,
        bound: &Bound,
        row: &Row,
        columns: &[usize],
    ) -> Result<(), Fault> {
        let table = &bound.binding.table;
        if table
            .uniques
            .iter()
            .any(|unique| unique.iter().any(|column| columns.contains(column)))
        {
            return self.check_dependents(bound, row, Some(columns));
        }
        Ok(())
    }

    fn read_catalogue(&mut self) -> Result<(), StoreError> {
        if self.catalogue.is_some() {
            return Ok(());
        }
        let mut tables: Vec<Table> = Vec::new();
        for name in self.engine.tables()? {
            match self.engine.table(&name) {
                Ok(Some(table)) if !table.foreign_keys.is_empty() => tables.push(table),
                // What can't be written has no foreign keys that bind.
                Ok(_) | Err(StoreError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.catalogue = Some(tables);
        Ok(())
    }
}
