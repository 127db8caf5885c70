//! Who is at fault in a batch that could not be written.

use std::ops::Range;

use contract::{At, FieldError, Record, Reject};

use super::locate::{Faults, merged};
use super::resolve::error;
use super::{Batch, Bound, Decided, Fault, Outcome, Writer};
use crate::{Engine, StoreError};

/// What a search has found.
#[derive(Default)]
struct Found {
    decisions: Vec<(usize, Decided)>,
    rejects: Vec<(usize, Reject)>,
    aborted: bool,
}

impl<E: Engine> Writer<E> {
    /// Writes the records of a batch, all or nothing.
    pub(super) fn write_all(
        &mut self,
        bound: &Bound,
        batch: &Batch<'_>,
        records: &[&Record],
    ) -> Result<Vec<Decided>, Fault> {
        let written = self.write(bound, batch, records);
        let decisions = written.map_err(|(_, fault)| fault)?;
        if let Some((_, error)) = self.orphans(bound, &decisions)?.pop() {
            return Err(Fault::one(error));
        }
        if !(batch.judge)(&decisions, &[]) {
            return Err(Fault::Aborted);
        }
        self.engine.release("batch")?;
        Ok(decisions)
    }

    /// Goes through an undone batch to name all that are at fault. Of a batch that is the unit of
    /// failure nothing is kept; in quarantine the others are.
    pub(super) fn search(
        &mut self,
        bound: &Bound,
        batch: &Batch<'_>,
        records: &[&Record],
    ) -> Result<Outcome, StoreError> {
        let before = self.the_run()?.clone();
        self.engine.savepoint("search")?;
        let places: Vec<usize> = (0..records.len()).collect();
        let mut found = Found::default();
        self.narrow(bound, batch, records, &places, &mut found)?;
        found.decisions.sort_by_key(|(place, _)| *place);
        let decisions: Vec<Decided> = found
            .decisions
            .into_iter()
            .map(|(_, decided)| decided)
            .collect();
        if !batch.quarantine {
            let orphans = self.orphans(bound, &decisions)?;
            for (place, errors) in merged(places_of(records, orphans)) {
                found
                    .rejects
                    .push((place, reject(bound, records[place], errors)));
            }
        }
        found.rejects.sort_by_key(|(place, _)| *place);
        let rejects: Vec<Reject> = found
            .rejects
            .into_iter()
            .map(|(_, reject)| reject)
            .collect();
        // Records that get in each other's way only when they are written at once are not at fault.
        let keep = batch.quarantine || rejects.is_empty();
        let keep = keep && !found.aborted;
        if keep && (batch.judge)(&decisions, &rejects) {
            self.engine.release("search")?;
            return Ok(Outcome {
                applied: true,
                decisions,
                rejects,
                ..Outcome::default()
            });
        }
        self.engine.undo_to("search")?;
        *self.the_run()? = before;
        if keep || found.aborted {
            return Ok(Outcome {
                aborted: true,
                ..Outcome::default()
            });
        }
        let first = rejects
            .first()
            .map(|reject| format!("{}: {}", reject.at, reject.errors[0].message));
        Ok(Outcome {
            rejects,
            error: first,
            ..Outcome::default()
        })
    }

    /// Writes what can be written of the records at these places: of a wave that fails, those that are
    /// known to be at fault are left out, else halves are tried, down to the single record that the
    /// target refuses.
    fn narrow(
        &mut self,
        bound: &Bound,
        batch: &Batch<'_>,
        records: &[&Record],
        places: &[usize],
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let mut rest = places;
        while !rest.is_empty() && !found.aborted {
            let so_far = self.the_run()?.clone();
            let part: Vec<&Record> = rest.iter().map(|place| records[*place]).collect();
            self.engine.savepoint("part")?;
            let (wave, fault) = match self.write_part(bound, batch, &part) {
                Ok(decided) => {
                    found.decisions.extend(rest.iter().copied().zip(decided));
                    return Ok(());
                }
                Err(failed) => failed,
            };
            if let Fault::Store(error) = fault {
                return Err(error);
            }
            self.engine.undo_to("part")?;
            *self.the_run()? = so_far;
            // What came before the wave can be written.
            self.narrow(bound, batch, records, &rest[..wave.start], found)?;
            let places = &rest[wave.clone()];
            match fault {
                Fault::Store(error) => return Err(error),
                Fault::Aborted => found.aborted = true,
                Fault::Records(faults) => {
                    let good = |at: &usize| faults.iter().all(|(fault, _)| fault != at);
                    let good: Vec<usize> = (0..places.len())
                        .filter(good)
                        .map(|at| places[at])
                        .collect();
                    for (at, errors) in faults {
                        self.accuse(bound, batch, records, places[at], errors, found)?;
                    }
                    self.narrow(bound, batch, records, &good, found)?;
                }
                Fault::Some(message) => {
                    if let [place] = places {
                        let errors = vec![error(None, "target", message)];
                        self.accuse(bound, batch, records, *place, errors, found)?;
                    } else {
                        let (first, second) = places.split_at(places.len() / 2);
                        self.narrow(bound, batch, records, first, found)?;
                        self.narrow(bound, batch, records, second, found)?;
                    }
                }
            }
            rest = &rest[wave.end..];
        }
        Ok(())
    }

    fn write_part(
        &mut self,
        bound: &Bound,
        batch: &Batch<'_>,
        part: &[&Record],
    ) -> Result<Vec<Decided>, (Range<usize>, Fault)> {
        let decided = self.write(bound, batch, part)?;
        let all = |fault: Fault| (0..part.len(), fault);
        if batch.quarantine {
            let orphans = self
                .orphans(bound, &decided)
                .map_err(|error| all(error.into()))?;
            let faults = places_of(part, orphans);
            if !faults.is_empty() {
                return Err(all(Fault::of(faults)));
            }
        }
        self.engine
            .release("part")
            .map_err(|error| all(error.into()))?;
        Ok(decided)
    }

    fn accuse(
        &mut self,
        bound: &Bound,
        batch: &Batch<'_>,
        records: &[&Record],
        place: usize,
        mut errors: Vec<FieldError>,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let record = records[place];
        if errors.iter().any(|error| error.rule == "target") {
            errors.splice(0..0, self.missing_parents(bound, record)?);
        }
        // Who only refers to a culprit is none, but can't be kept without it either.
        let caused = |error: &FieldError| {
            let cause = error.caused_by.as_ref().filter(|_| error.rule == "ref");
            cause.is_some_and(|cause| {
                found.rejects.iter().any(|(_, other)| {
                    other.entity == cause.entity && other.key.as_ref() == Some(&cause.key)
                })
            })
        };
        if batch.quarantine || !errors.iter().all(caused) {
            found.rejects.push((place, reject(bound, record, errors)));
        }
        Ok(())
    }
}

/// The places of the records that stand there.
fn places_of(records: &[&Record], errors: Vec<(At, FieldError)>) -> Faults {
    let place = |at: &At| records.iter().position(|record| record.at == *at);
    let placed = |(at, error)| Some((place(&at)?, vec![error]));
    errors.into_iter().filter_map(placed).collect()
}

/// The reject of a record at fault: values of secret fields are masked.
fn reject(bound: &Bound, record: &Record, errors: Vec<FieldError>) -> Reject {
    let mut masked = record.clone();
    for (column, value) in &mut masked.fields {
        if bound
            .binding
            .entity
            .fields
            .get(column)
            .is_some_and(|field| field.secret)
        {
            *value = contract::reject::MASK.into();
        }
    }
    Reject {
        entity: record.entity.clone(),
        key: Some(record.key.clone()),
        at: record.at.clone(),
        stage: "apply".into(),
        errors,
        record: serde_json::to_value(masked).unwrap_or_default(),
    }
}
