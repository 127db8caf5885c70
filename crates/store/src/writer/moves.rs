//! Rows that refer to a record whose id-map entry is corrected: those that the id map knows, and whose
//! column still holds what a run wrote, move with it; the others are listed.

use std::collections::{BTreeMap, HashMap};

use contract::plan::Entity;
use contract::{FieldError, Plan, Record};

use super::carry::{Move, record_of};
use super::decide::Wanted;
use super::remap::{Correction, Wrong};
use super::{Bound, Corrected, Fault, Left, Writer};
use crate::cell::encode_all;
use crate::ledger;
use crate::referrers::{Referrer, referrers};
use crate::{Binding, Cell, Engine, Key, Row, StoreError};

/// How many rows are read at a time.
const PAGE: usize = 500;

/// How many rows that stay are named.
const NAMED: usize = 10;

/// An entity whose records may refer to corrected ones.
struct Referring {
    bound: Bound,
    /// Its references to them: the column's position, and the entity that they point to.
    columns: Vec<(usize, String)>,
}

/// What each key becomes, and by which correction: entity -> bytes of the old key.
type Moved<'a> = BTreeMap<&'a str, HashMap<Vec<u8>, (&'a Cell, usize)>>;

impl<E: Engine> Writer<E> {
    /// Moves what refers to corrected records, and notes in `done` what was moved and what stays.
    pub(super) fn move_referring(
        &mut self,
        batch: i64,
        corrections: &[Correction<'_>],
        done: &mut [Corrected],
    ) -> Result<Wrong, Fault> {
        let mut moved: Moved<'_> = BTreeMap::new();
        for (place, correction) in corrections.iter().enumerate() {
            if let (Some(old), [new]) = (correction.old(), correction.to.0.as_slice()) {
                let of_entity = moved.entry(&correction.record.entity).or_default();
                of_entity.insert(encode_all(&old.0), (new, place));
            }
        }
        // What is written from here on was moved.
        let start = self.the_run()?.last_seq;
        let mut by_entity: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, correction) in corrections.iter().enumerate() {
            if correction.old().is_some() {
                let of_entity = by_entity.entry(&correction.record.entity);
                of_entity.or_default().push(place);
            }
        }
        let Some(plan) = self.plan.as_ref().map(|plan| plan.plan.clone()) else {
            return Ok(Wrong::new());
        };
        let mut found: Vec<(&str, Vec<usize>, Vec<Referrer>)> = Vec::new();
        for (entity, places) in by_entity {
            let parent = &corrections[places[0]].bound.binding;
            let by = referrers(&mut self.engine, &plan, entity, &parent.table, &parent.key)?;
            found.push((entity, places, by));
        }
        let known = self.all_referring(&plan, &found)?;
        let mut wrong = Wrong::new();
        for (_, places, referrers) in &found {
            for referrer in referrers {
                for place in places {
                    let scope = (batch, start, &moved, &known);
                    let correction = (*place, &corrections[*place]);
                    wrong.extend(self.move_rows(scope, referrer, correction, done)?);
                }
            }
        }
        let at = |(place, error): (usize, FieldError)| (corrections[place].at, error);
        Ok(wrong.into_iter().map(at).collect())
    }

    /// Binds the entities whose records refer to corrected ones, each with all its references to them.
    fn all_referring(
        &mut self,
        plan: &Plan,
        found: &[(&str, Vec<usize>, Vec<Referrer>)],
    ) -> Result<HashMap<String, Referring>, StoreError> {
        let mut known: HashMap<String, Referring> = HashMap::new();
        for (parent, _, referrers) in found {
            for referrer in referrers {
                for entity in &referrer.entities {
                    if !known.contains_key(&entity.name) {
                        let Some(bound) = self.referring(plan, entity)? else {
                            continue;
                        };
                        let columns = Vec::new();
                        known.insert(entity.name.clone(), Referring { bound, columns });
                    }
                    if let Some(referring) = known.get_mut(&entity.name) {
                        let column = (referrer.columns[0], (*parent).to_owned());
                        referring.columns.push(column);
                    }
                }
            }
        }
        Ok(known)
    }

    /// Binds an entity: as the plan says, or, where an earlier run's plan alone knows it, without what a
    /// run leaves in its rows. None where it no longer fits its table, or never had a record.
    fn referring(&mut self, plan: &Plan, entity: &Entity) -> Result<Option<Bound>, StoreError> {
        if let Some(bound) = self.bound.get(&entity.name) {
            return Ok(Some(bound.clone()));
        }
        let mut entity = entity.clone();
        entity.tag = None;
        entity.fields.retain(|_, field| field.run.is_none());
        let Ok(binding) = Binding::new(&mut self.engine, &entity)? else {
            return Ok(None);
        };
        let (sql, table) = (&mut self.engine, &binding.table);
        let number = ledger::entity_id(sql, &plan.system, &entity.name, table)?;
        let claim = ledger::claim_id(sql, &plan.system, table)?;
        let (Some(number), Some(claim)) = (number, claim) else {
            return Ok(None);
        };
        let shape = ledger::shape_id(sql, &binding.shape())?;
        self.shapes.push(shape);
        Ok(Some(Bound {
            entity: number,
            claim,
            shape,
            binding,
        }))
    }

    /// Moves the rows that refer to one corrected record by some columns, page by page.
    fn move_rows(
        &mut self,
        (batch, start, moved, known): (i64, i64, &Moved<'_>, &HashMap<String, Referring>),
        referrer: &Referrer,
        (place, correction): (usize, &Correction<'_>),
        done: &mut [Corrected],
    ) -> Result<Wrong, Fault> {
        let table = &referrer.table;
        let Some(old) = correction.old() else {
            return Ok(Wrong::new());
        };
        let (mut wrong, mut left) = (Wrong::new(), Left::new(table, &referrer.columns));
        let order = table.whole_key().cloned();
        let mut after: Option<Key> = None;
        loop {
            let rows = if let Some(order) = &order {
                let asked = [(old.0.clone(), after.clone())];
                let columns = &referrer.columns;
                self.engine
                    .fetch_page(table, columns, order, &asked, PAGE)?
            } else {
                let asked = std::slice::from_ref(&old.0);
                self.engine.fetch(table, &referrer.columns, asked)?
            };
            let rows: Vec<Row> = rows.into_iter().flatten().collect();
            let key =
                |row: &Row, key: &[usize]| Key(key.iter().map(|at| row[*at].clone()).collect());
            let last = rows.last().zip(order.as_ref());
            after = last.map(|(row, order)| key(row, order));
            let more = rows.len() == PAGE && order.is_some();
            let mut stays: Vec<bool> = vec![true; rows.len()];
            for entity in &referrer.entities {
                let Some(referring) = known.get(&entity.name) else {
                    continue;
                };
                let scope = (start, moved, place);
                let record = correction.record;
                let found = self.moves_of(referring, scope, record, referrer, &rows, &mut stays)?;
                let count = found.len() as u64;
                let amiss = self.carry_moves(&referring.bound, batch, &found)?;
                if amiss.is_empty() && count > 0 {
                    *done[place].moved.entry(table.name.clone()).or_default() += count;
                }
                wrong.extend(amiss);
            }
            let own = order.as_ref().unwrap_or(&table.primary_key);
            for (row, _) in rows.iter().zip(&stays).filter(|(_, stays)| **stays) {
                left.add(key(row, own), NAMED);
            }
            if !more {
                break;
            }
        }
        done[place]
            .left
            .extend(Some(left).filter(|left| left.count > 0));
        Ok(wrong)
    }

    /// Of these rows those that an entity's records became, and whose reference is still what a run wrote.
    fn moves_of(
        &mut self,
        referring: &Referring,
        (start, moved, place): (i64, &Moved<'_>, usize),
        correction: &Record,
        referrer: &Referrer,
        rows: &[Row],
        stays: &mut [bool],
    ) -> Result<Vec<Move>, StoreError> {
        let Referring { bound, columns } = referring;
        let run = self.the_run()?.seq;
        let keys: Vec<Key> = rows.iter().map(|row| bound.binding.key_of(row)).collect();
        let entries = self.engine.claims(bound.claim, &keys)?;
        let mut found = Vec::new();
        for ((row, entry), stays) in rows.iter().zip(entries).zip(stays) {
            let Some(entry) = entry
                .filter(|entry| entry.entity == bound.entity && !entry.gone && !entry.skipped())
            else {
                continue;
            };
            let written =
                |at: usize| entry.sum(at) == Some(self.comparable(bound, at, &row[at]).sum());
            if entry.run == run && entry.seq > start {
                // Moved already: what was written points to the row from which another record is moved.
                *stays = !referrer.columns.iter().all(|at| written(*at));
                continue;
            }
            let (mut wanted, mut causes) = (Vec::new(), Vec::new());
            for (at, entity) in columns {
                let new = moved.get(entity.as_str());
                let new = new.and_then(|keys| keys.get(&encode_all(&row[*at..=*at])));
                let Some((new, cause)) = new.filter(|_| written(*at)) else {
                    continue;
                };
                causes.push(*cause);
                wanted.push(Wanted {
                    place: *at,
                    cell: (*new).clone(),
                    canonical: None,
                    resolved: true,
                });
            }
            let refers = |wanted: &Wanted| referrer.columns.contains(&wanted.place);
            if wanted.iter().any(refers) {
                *stays = false;
                found.push(Move {
                    correction: place,
                    record: record_of(&bound.binding.entity.name, &entry.source, correction),
                    entry,
                    row: row.clone(),
                    wanted,
                    causes,
                });
            }
        }
        Ok(found)
    }
}
