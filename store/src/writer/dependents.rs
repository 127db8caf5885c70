//! Parents and children: a delete or key change never reaches children by a cascade, and a row
//! without its parent is told by name.

use contract::{At, FieldError, Record};

use super::resolve::error;
use super::{Bound, Decided, Fault, Writer};
use crate::{Cell, Engine, Row, StoreError, Table};

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

    /// Finds the rows just written that miss a parent where the target would tell at COMMIT only.
    pub(super) fn orphans(
        &mut self,
        bound: &Bound,
        written: &[Decided],
    ) -> Result<Vec<(At, FieldError)>, StoreError> {
        let mut orphans = Vec::new();
        if !bound.binding.table.deferred {
            return Ok(orphans);
        }
        for decided in written {
            let Some(key) = &decided.target else { continue };
            let Some(row) = self.row_at(bound, key)? else {
                continue;
            };
            let cells: Vec<(usize, Cell)> = row.into_iter().enumerate().collect();
            let missing = self.parents_missing(bound, &cells)?;
            orphans.extend(missing.into_iter().map(|error| (decided.at.clone(), error)));
        }
        Ok(orphans)
    }

    /// Says which parents a record would miss: the target's own message does not.
    pub(super) fn missing_parents(
        &mut self,
        bound: &Bound,
        record: &Record,
    ) -> Result<Vec<FieldError>, StoreError> {
        match self.wanted(bound, record, false) {
            Ok(wanted) => {
                let cells: Vec<(usize, Cell)> = wanted
                    .into_iter()
                    .map(|wanted| (wanted.place, wanted.cell))
                    .collect();
                self.parents_missing(bound, &cells)
            }
            Err(Fault::Store(error)) => Err(error),
            Err(_) => Ok(vec![]),
        }
    }

    fn parents_missing(
        &mut self,
        bound: &Bound,
        cells: &[(usize, Cell)],
    ) -> Result<Vec<FieldError>, StoreError> {
        let table = &bound.binding.table;
        let mut errors = Vec::new();
        for key in &table.foreign_keys {
            let value = |place: &usize| {
                cells
                    .iter()
                    .find(|(other, _)| other == place)
                    .map(|(_, cell)| cell.clone())
                    .filter(|cell| !cell.is_null())
            };
            let Some(values) = key.columns.iter().map(value).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let Some(parent) = self.engine.table(&key.parent)? else {
                continue;
            };
            let places: Option<Vec<usize>> = key
                .parent_columns
                .iter()
                .map(|name| parent.position(name))
                .collect();
            let Some(places) = places else { continue };
            if self
                .engine
                .fetch(&parent, &places, std::slice::from_ref(&values))?
                .iter()
                .any(|rows| !rows.is_empty())
            {
                continue;
            }
            let column = table.columns[key.columns[0]].name.as_str();
            let message = format!(
                "no row of {} has {} = {}",
                parent.name,
                key.parent_columns.join(", "),
                crate::Key(values)
            );
            errors.push(error(Some(column), "foreign-key", message));
        }
        Ok(errors)
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
