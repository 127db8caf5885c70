//! From records to the rows that they are: by the id map, by `via`, by `match`, by their own id.

use std::collections::HashSet;

use contract::plan::{IdFrom, MatchNull, Via};
use contract::{FieldError, Record, Ref};

use super::decide::Wanted;
use super::resolve::{error, wrong};
use super::{Bound, Writer};
use crate::cell::encode_all;
use crate::ledger::Entry;
use crate::{Cell, Engine, Key, Row, StoreError};

/// A row that a record was found to be, with the entry that knows it.
#[derive(Debug, Default)]
pub(super) struct Located {
    /// The id map's entry of the record.
    pub entry: Option<Entry>,
    /// The row, if it is there.
    pub row: Option<Row>,
}

impl Located {
    /// The entry, unless its row was deleted.
    pub fn known(&self) -> Option<&Entry> {
        self.entry.as_ref().filter(|entry| !entry.gone)
    }
}

/// A record on its way to its row.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// Its place among the records that were asked for.
    pub at: usize,
    pub record: &'a Record,
    pub wanted: Vec<Wanted>,
    pub located: Located,
}

/// Records at fault, by their place, and why.
pub(super) type Faults = Vec<(usize, Vec<FieldError>)>;

/// Names each record once, in their order, with all that is wrong with it.
pub(super) fn merged(mut faults: Faults) -> Faults {
    faults.sort_by_key(|(at, _)| *at);
    let mut once: Faults = Vec::with_capacity(faults.len());
    for (at, errors) in faults {
        match once.last_mut().filter(|(last, _)| *last == at) {
            Some((_, all)) => all.extend(errors),
            None => once.push((at, errors)),
        }
    }
    once
}

impl<E: Engine> Writer<E> {
    /// Finds the row that each record is, of the first ones alone where the rows are wide. Who can't be found out is
    /// moved to `faults`.
    pub(super) fn locate(
        &mut self,
        bound: &Bound,
        items: &mut Vec<Item<'_>>,
        faults: &mut Faults,
    ) -> Result<(), StoreError> {
        let binding = &bound.binding;
        let keys: Vec<&str> = items.iter().map(|item| item.record.key.as_str()).collect();
        let entries = self.engine.entries(bound.entity, &keys)?;
        for (item, entry) in items.iter_mut().zip(entries) {
            item.located.entry = entry;
        }
        let known = |item: &Item<'_>| item.located.known().map(|entry| entry.target.clone());
        let mut mapped = pick(items, known);
        self.cut(bound, &binding.key, (items, faults), &mut mapped)?;
        self.fetch_rows(bound, items, mapped)?;
        if let Some(via) = &binding.entity.via {
            self.locate_via(bound, items, via, faults)?;
        }
        if !binding.matching.is_empty() {
            self.locate_by_match(bound, items, faults)?;
        }
        let mut own = pick(items, |item| {
            let id = self.own_id(bound, item.record).filter(|_| is_new(item));
            id.map(|id| Key(vec![id]))
        });
        self.cut(bound, &binding.key, (items, faults), &mut own)?;
        let by_own: Vec<usize> = own.iter().map(|(place, _)| *place).collect();
        self.fetch_rows(bound, items, own)?;
        faults.extend(self.taken_for_own(bound, items, &by_own));
        let found = |item: &Item<'_>| {
            let row = item.located.row.as_ref();
            row.filter(|_| item.located.known().is_none())
                .map(|row| binding.key_of(row))
        };
        let found = pick(items, found);
        let asked: Vec<(&Record, &Key)> = found
            .iter()
            .map(|(place, key)| (items[*place].record, key))
            .collect();
        let claimed = self.claimed(bound, &asked)?;
        let claimed = found
            .iter()
            .zip(claimed)
            .filter_map(|((place, _), error)| Some((items[*place].at, vec![error?])));
        faults.extend(claimed);
        items.retain(|item| faults.iter().all(|(at, _)| *at != item.at));
        Ok(())
    }

    /// Leaves as many items as those have whose rows can be held together; the others are looked at again when these
    /// are written. `asked`: by what the rows of some items are looked for, by their places in order.
    fn cut(
        &mut self,
        bound: &Bound,
        by: &[usize],
        (items, faults): (&mut Vec<Item<'_>>, &mut Faults),
        asked: &mut Vec<(usize, Key)>,
    ) -> Result<(), StoreError> {
        if E::WAVE == 1 {
            return Ok(());
        }
        let keys: Vec<Vec<Cell>> = asked.iter().map(|(_, key)| key.0.clone()).collect();
        let fit = self.engine.held_together(&bound.binding.table, by, &keys)?;
        if let Some((place, _)) = asked.get(fit) {
            let (place, end) = (*place, items[*place].at);
            items.truncate(place);
            faults.retain(|(at, _)| *at < end);
            asked.truncate(fit);
        }
        Ok(())
    }

    /// Names the records whose key the target only takes for the id of the row that it found by it (`007`
    /// for 7, capitals for small letters). `by_own`: the places of the items that were looked for by their
    /// id, in order.
    fn taken_for_own(&self, bound: &Bound, items: &[Item<'_>], by_own: &[usize]) -> Faults {
        let binding = &bound.binding;
        let Some((id, IdFrom::Key)) = binding.id else {
            return vec![];
        };
        let by_match = binding.matching.contains(&id) && binding.entity.via.is_none();
        let fault = |(place, item): (usize, &Item<'_>)| {
            let row = item.located.row.as_ref()?;
            let own = self.own_id(bound, item.record)?;
            let asked = by_match || by_own.binary_search(&place).is_ok();
            if item.located.known().is_some() || !asked || row[id] == own {
                return None;
            }
            let name = binding.table.columns[id].name.as_str();
            let message = format!(
                "{} has no row with {name} = {own}; what it takes for it is the row {}",
                binding.table.name, row[id]
            );
            Some((item.at, wrong(Some(name), "key", message)))
        };
        items.iter().enumerate().filter_map(fault).collect()
    }

    /// Returns the id that a record gives its row, if it does.
    pub(super) fn own_id(&self, bound: &Bound, record: &Record) -> Option<Cell> {
        let (place, from) = bound.binding.id?;
        let column = &bound.binding.table.columns[place];
        let system = self
            .plan
            .as_ref()
            .map(|plan| plan.plan.system.as_str())
            .unwrap_or_default();
        match from {
            IdFrom::Target => None,
            IdFrom::Key => Some(self.engine.key_cell(column, &record.key)),
            IdFrom::Uuid => Some(Cell::Text(super::derived_id(
                system,
                &record.entity,
                &record.key,
            ))),
        }
    }

    pub(super) fn row_at(&mut self, bound: &Bound, key: &Key) -> Result<Option<Row>, StoreError> {
        Ok(self
            .rows_at(bound, std::slice::from_ref(key))?
            .pop()
            .flatten())
    }

    /// Returns the row of each key.
    pub(super) fn rows_at(
        &mut self,
        bound: &Bound,
        keys: &[Key],
    ) -> Result<Vec<Option<Row>>, StoreError> {
        let binding = &bound.binding;
        let cells: Vec<Vec<Cell>> = keys.iter().map(|key| key.0.clone()).collect();
        let found = self.engine.fetch(&binding.table, &binding.key, &cells)?;
        self.learn_rows(bound, &found);
        Ok(found.into_iter().map(|mut rows| rows.pop()).collect())
    }

    fn fetch_rows(
        &mut self,
        bound: &Bound,
        items: &mut [Item<'_>],
        wanted: Vec<(usize, Key)>,
    ) -> Result<(), StoreError> {
        let (places, keys): (Vec<usize>, Vec<Key>) = wanted.into_iter().unzip();
        for (place, row) in places.into_iter().zip(self.rows_at(bound, &keys)?) {
            items[place].located.row = row;
        }
        Ok(())
    }

    /// The values of a record's `match` columns; none where a NULL means that it is new.
    pub(super) fn match_values(
        &self,
        bound: &Bound,
        record: &Record,
        wanted: &[Wanted],
    ) -> Result<Option<Vec<Cell>>, Vec<FieldError>> {
        let binding = &bound.binding;
        let mut values = Vec::with_capacity(binding.matching.len());
        for place in &binding.matching {
            let own = binding.id.filter(|(id, _)| id == place);
            let own = own.and_then(|_| self.own_id(bound, record));
            let wanted = || wanted.iter().find(|wanted| wanted.place == *place);
            match own.or_else(|| wanted().map(|wanted| wanted.cell.clone())) {
                Some(cell) if !cell.is_null() => values.push(cell),
                _ if binding.entity.match_null == MatchNull::Insert => return Ok(None),
                _ => {
                    let name = binding.table.columns[*place].name.as_str();
                    let message = "it is NULL, so that no row can be recognised by it (`match_null = \"insert\"` inserts)";
                    return Err(wrong(Some(name), "match", message));
                }
            }
        }
        Ok(Some(values).filter(|values| !values.is_empty()))
    }

    /// How many of the items stand for rows of their own: the first that is recognised by what an
    /// earlier one brings, or is the same row, has to wait until that one is written.
    pub(super) fn independent(&self, bound: &Bound, items: &[Item<'_>]) -> usize {
        if items.len() < 2 {
            return items.len();
        }
        let mut seen: HashSet<(bool, Vec<u8>)> = HashSet::new();
        let mut fresh = |is_row, cells: &[Cell]| seen.insert((is_row, encode_all(cells)));
        let clash = items.iter().position(|item| {
            let values = self
                .match_values(bound, item.record, &item.wanted)
                .ok()
                .flatten();
            let own_values = values.is_none_or(|values| fresh(false, &values));
            let row = item.located.row.as_ref();
            let own_row = row.is_none_or(|row| fresh(true, &bound.binding.key_of(row).0));
            !(own_values && own_row)
        });
        clash.unwrap_or(items.len())
    }

    fn locate_by_match(
        &mut self,
        bound: &Bound,
        items: &mut Vec<Item<'_>>,
        faults: &mut Faults,
    ) -> Result<(), StoreError> {
        let binding = &bound.binding;
        let mut asked: Vec<(usize, Key)> = Vec::new();
        for (place, item) in items.iter().enumerate().filter(|(_, item)| is_new(item)) {
            match self.match_values(bound, item.record, &item.wanted) {
                Ok(values) => asked.extend(values.map(|values| (place, Key(values)))),
                Err(errors) => faults.push((item.at, errors)),
            }
        }
        self.cut(bound, &binding.matching, (items, faults), &mut asked)?;
        let asked = asked.into_iter().map(|(place, key)| (place, key.0));
        let (places, values): (Vec<usize>, Vec<Vec<Cell>>) = asked.unzip();
        let found = self
            .engine
            .fetch(&binding.table, &binding.matching, &values)?;
        self.learn_rows(bound, &found);
        for (place, mut rows) in places.into_iter().zip(found) {
            if rows.len() > 1 {
                let keys = rows
                    .iter()
                    .take(3)
                    .map(|row| binding.key_of(row).to_string());
                let message = format!(
                    "{} rows of {} match ({}, …)",
                    rows.len(),
                    binding.table.name,
                    keys.collect::<Vec<_>>().join(", ")
                );
                faults.push((items[place].at, wrong(None, "match", message)));
            }
            items[place].located.row = rows.pop();
        }
        Ok(())
    }

    fn locate_via(
        &mut self,
        bound: &Bound,
        items: &mut [Item<'_>],
        via: &Via,
        faults: &mut Faults,
    ) -> Result<(), StoreError> {
        let table = self
            .engine
            .table(&via.table)?
            .ok_or_else(|| StoreError::refused(format!("there is no table `{}`", via.table)))?;
        let place_of = |column: &str| {
            table.position(column).ok_or_else(|| {
                StoreError::refused(format!("table {} has no column `{column}`", table.name))
            })
        };
        let target = place_of(&via.target)?;
        let mut by = vec![place_of(&via.key)?];
        let mut only = Vec::new();
        for (column, text) in &via.only {
            by.push(place_of(column)?);
            only.push(self.engine.key_cell(&table.columns[by[by.len() - 1]], text));
        }
        let asked = pick(items, |item| {
            let key = self
                .engine
                .key_cell(&table.columns[by[0]], &item.record.key);
            is_new(item).then(|| std::iter::once(key).chain(only.iter().cloned()).collect())
        });
        let (places, values): (Vec<usize>, Vec<Vec<Cell>>) = asked.into_iter().unzip();
        let mut mapped = Vec::new();
        for (place, rows) in places
            .into_iter()
            .zip(self.engine.fetch(&table, &by, &values)?)
        {
            match rows.as_slice() {
                [] => {}
                [row] => mapped.push((place, Key(vec![row[target].clone()]))),
                rows => {
                    let message = format!("{} maps it {} times", via.table, rows.len());
                    faults.push((items[place].at, wrong(None, "via", message)));
                }
            }
        }
        self.fetch_rows(bound, items, mapped.clone())?;
        for (place, key) in mapped
            .iter()
            .filter(|(place, _)| items[*place].located.row.is_none())
        {
            let message = format!(
                "{} maps it to {key}, which is no row of {}",
                via.table, bound.binding.table.name
            );
            faults.push((items[*place].at, wrong(None, "via", message)));
        }
        Ok(())
    }

    /// A row is claimed by at most one record of a system: says who else has claimed each.
    pub(super) fn claimed(
        &mut self,
        bound: &Bound,
        asked: &[(&Record, &Key)],
    ) -> Result<Vec<Option<FieldError>>, StoreError> {
        if asked.is_empty() {
            return Ok(vec![]);
        }
        let keys: Vec<Key> = asked.iter().map(|(_, key)| (*key).clone()).collect();
        let claims = self.engine.claims(bound.claim, &keys)?;
        let mut errors = Vec::with_capacity(asked.len());
        for ((record, key), claim) in asked.iter().zip(claims) {
            let others = |other: &Entry| {
                !other.gone && (other.entity != bound.entity || other.source != record.key)
            };
            let Some(other) = claim.filter(others) else {
                errors.push(None);
                continue;
            };
            errors.push(Some(self.claimant(bound, key, &other)?));
        }
        Ok(errors)
    }

    /// Says which other record has a row, by its entry.
    pub(super) fn claimant(
        &mut self,
        bound: &Bound,
        key: &Key,
        other: &Entry,
    ) -> Result<FieldError, StoreError> {
        let system = self.the_run()?.system.clone();
        let entity = crate::ledger::entity_of(&mut self.engine, other.entity, &system)?;
        Ok(claim_error(bound, key, &entity, &other.source))
    }
}

/// The error of a record that claims a row which another record has.
pub(super) fn claim_error(bound: &Bound, key: &Key, entity: &str, source: &str) -> FieldError {
    let message = format!(
        "it is the row {key} of {}, which is {entity} {source:?} already",
        bound.binding.table.name
    );
    FieldError {
        caused_by: Some(Ref {
            entity: entity.to_owned(),
            key: source.to_owned(),
        }),
        ..error(None, "claimed", message)
    }
}

/// The places of the items that a question is asked for, each with the question.
fn pick<'a, T>(items: &[Item<'a>], ask: impl Fn(&Item<'a>) -> Option<T>) -> Vec<(usize, T)> {
    let asked = |(place, item)| Some((place, ask(item)?));
    items.iter().enumerate().filter_map(asked).collect()
}

/// Tells whether neither the id map nor a row found so far knows the record.
fn is_new(item: &Item<'_>) -> bool {
    item.located.known().is_none() && item.located.row.is_none()
}
