//! Parents and children: a delete or key change never reaches children by a cascade, and a row
//! without its parent is told by name.

use std::rc::Rc;

use contract::{At, FieldError, Record};

use super::locate::Faults;
use super::resolve::error;
use super::{Bound, Decided, Writer};
use crate::catalogue::ForeignKey;
use crate::{Cell, Engine, Key, Row, StoreError, Table};

/// How many rows that depend on one are counted.
const MOST: usize = 10_000;

impl<E: Engine> Writer<E> {
    /// Names the rows that others refer to: they may not be deleted, nor the columns that are
    /// referred to (`changed`) change. Rows go in their order: an earlier one is no hindrance.
    pub(super) fn check_dependents(
        &mut self,
        bound: &Bound,
        rows: &[(usize, &Row)],
        changed: Option<&[usize]>,
    ) -> Result<Faults, StoreError> {
        if rows.is_empty() {
            return Ok(vec![]);
        }
        let parent = &bound.binding.table;
        let children = match self.children.get(&parent.name) {
            Some(known) => Rc::clone(known),
            None => Rc::new(self.engine.children(parent)?),
        };
        self.children
            .insert(parent.name.clone(), Rc::clone(&children));
        let mut faults = Faults::new();
        for (child, key) in &children.keys {
            self.dependents_by(bound, rows, changed, (child, key), &mut faults)?;
        }
        Ok(faults)
    }

    fn dependents_by(
        &mut self,
        bound: &Bound,
        rows: &[(usize, &Row)],
        changed: Option<&[usize]>,
        (child, key): (&Table, &ForeignKey),
        faults: &mut Faults,
    ) -> Result<(), StoreError> {
        let parent = &bound.binding.table;
        let columns = parent.positions(&key.parent_columns)?;
        if changed.is_some_and(|changed| columns.iter().all(|column| !changed.contains(column))) {
            return Ok(());
        }
        let values =
            |(_, row): &(usize, &Row)| columns.iter().map(|column| row[*column].clone()).collect();
        let values: Vec<(Vec<Cell>, Option<Key>)> =
            rows.iter().map(|row| (values(row), None)).collect();
        let order = child.order();
        let found = self
            .engine
            .referring((child, key), parent, &order, &values, MOST)?;
        for (place, ((at, _), children)) in rows.iter().zip(found).enumerate() {
            // A row that refers to itself goes with itself.
            let goes = |other: &Row| {
                let own = parent.row_of(child, other).filter(|_| child.is_kin(parent));
                own.is_some_and(|own| rows[..=place].iter().any(|(_, row)| **row == own))
            };
            let count = children.iter().filter(|other| !goes(other)).count();
            if count == 0 || faults.iter().any(|(other, _)| other == at) {
                continue;
            }
            let names = key
                .columns
                .iter()
                .map(|column| child.columns[*column].name.as_str());
            let action = if changed.is_some() {
                &key.on_update
            } else {
                &key.on_delete
            };
            let message = format!(
                "{count} {} of {} {} on it by {} ({}): the run must deal with them first",
                if count == 1 { "row" } else { "rows" },
                child.name,
                if count == 1 { "depends" } else { "depend" },
                names.collect::<Vec<_>>().join(", "),
                action.to_lowercase()
            );
            faults.push((*at, vec![error(None, "dependents", message)]));
        }
        Ok(())
    }

    /// Says what forbids an update of columns that others refer to.
    pub(super) fn check_key_change(
        &mut self,
        bound: &Bound,
        row: &Row,
        columns: &[usize],
    ) -> Result<Option<FieldError>, StoreError> {
        let mut uniques = bound.binding.table.uniques.iter().flatten();
        if !uniques.any(|column| columns.contains(column)) {
            return Ok(None);
        }
        let faults = self.check_dependents(bound, &[(0, row)], Some(columns))?;
        Ok(faults.into_iter().flat_map(|(_, errors)| errors).next())
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
        let targets: Vec<(&At, Key)> = written
            .iter()
            .filter_map(|decided| Some((&decided.at, decided.target.clone()?)))
            .collect();
        let keys: Vec<Key> = targets.iter().map(|(_, key)| key.clone()).collect();
        for ((at, _), row) in targets.into_iter().zip(self.rows_at(bound, &keys)?) {
            let cells: Vec<(usize, Cell)> = row.into_iter().flatten().enumerate().collect();
            let missing = self.parents_missing(bound, &cells)?;
            orphans.extend(missing.into_iter().map(|error| (at.clone(), error)));
        }
        Ok(orphans)
    }

    /// Says which parents a record would miss: the target's own message does not.
    pub(super) fn missing_parents(
        &mut self,
        bound: &Bound,
        record: &Record,
    ) -> Result<Vec<FieldError>, StoreError> {
        match self.wanted(bound, &[record], false)?.pop() {
            Some(Ok(wanted)) => {
                let cells: Vec<(usize, Cell)> = wanted
                    .into_iter()
                    .map(|wanted| (wanted.place, wanted.cell))
                    .collect();
                self.parents_missing(bound, &cells)
            }
            _ => Ok(vec![]),
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
            let Some(parent) = self.engine.readable(&key.parent)? else {
                continue;
            };
            if self
                .engine
                .referred((table, key), &parent, std::slice::from_ref(&values))?
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
}
