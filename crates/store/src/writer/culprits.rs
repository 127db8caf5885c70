//! Who is at fault in a batch that could not be written.

use std::ops::Range;

use contract::reject::MASK;
use contract::{At, FieldError, Record, Reject};

use super::locate::{Faults, merged};
use super::resolve::error;
use super::{Batch, Bound, Decided, Fault, Outcome, Refusal, Writer};
use crate::ledger::Phase;
use crate::secrets::Secrets;
use crate::{Engine, StoreError};

/// What a search has found.
#[derive(Default)]
pub(super) struct Found {
    decisions: Vec<(usize, Decided)>,
    rejects: Vec<(usize, Reject)>,
    aborted: bool,
    /// What the target said of each record that failed alone by an error of which the statement may be
    /// the cause.
    either: Vec<Refusal>,
    /// The record by which the transaction was lost, and what the target said of it.
    lost: Option<(usize, Fault)>,
}

impl Found {
    /// The error of the statement itself, if every one of so many records fails alone with the same
    /// code: none of them is at fault then.
    fn of_the_statement(&self, records: usize) -> Option<StoreError> {
        let Refusal { message, about, .. } = self.either.first()?;
        let same = self
            .either
            .iter()
            .all(|other| other.about.code == about.code);
        // A single record can't be told from its batch, but by what the code is about.
        let all = self.either.len() == records && (records > 1 || about.is_of_the_statement());
        (same && all).then(|| StoreError::Statement {
            message: format!(
                "{message}; no record can be written, so that none is at fault: {}",
                about.statement.as_deref().unwrap_or("the statement itself")
            ),
            about: about.clone(),
        })
    }
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
        let decisions =
            written.map_err(|(wave, fault)| self.named(fault, records.get(wave.start)))?;
        if let Some((_, error)) = self.orphans(bound, &decisions)?.pop() {
            return Err(Fault::one(error));
        }
        if !(batch.judge)(&decisions, &[]) {
            return Err(Fault::Aborted);
        }
        self.release(&bound.binding.table, "batch")?;
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
        let mut places: Vec<usize> = (0..records.len()).collect();
        let mut found = Found::default();
        self.narrow(bound, batch, records, &places, &mut found)?;
        // A record that ends the transaction takes along what was written before it: from the start, without it.
        let mut ended = Found::default();
        while let Some(lost) = found.lost.take() {
            places.retain(|place| *place != lost.0);
            self.accuse_of_the_end(bound, batch, records, lost, &mut ended)?;
            *self.the_run()? = before.clone();
            found = Found {
                rejects: ended.rejects.clone(),
                either: ended.either.clone(),
                ..Found::default()
            };
            self.narrow(bound, batch, records, &places, &mut found)?;
        }
        if let Some(error) = found.of_the_statement(records.len()) {
            return Err(error);
        }
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
                    .push((place, reject(bound, records[place], errors, &self.secrets)));
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
        while !rest.is_empty() && !found.aborted && found.lost.is_none() {
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
            if self.engine.is_lost() && wave.len() == 1 {
                found.lost = Some((rest[wave.start], fault));
                return Ok(());
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
                Fault::Some(_) | Fault::Refused(_) => {
                    if let [place] = places {
                        let record = records[*place];
                        let errors = vec![self.refused(bound, batch, record, fault, found)?];
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

    /// The error of a record that the target refuses by itself.
    pub(super) fn refused(
        &mut self,
        bound: &Bound,
        batch: &Batch<'_>,
        record: &Record,
        fault: Fault,
        found: &mut Found,
    ) -> Result<FieldError, StoreError> {
        let refusal = match fault {
            Fault::Refused(refusal) => refusal,
            Fault::Some(message) => return Ok(error(None, "target", message)),
            Fault::Store(error) => return Err(error),
            Fault::Records(_) | Fault::Aborted => return Err(StoreError::damaged("no refusal")),
        };
        let late = batch.phase == Phase::Late;
        let column = self.column_at_fault(bound, record, late, &refusal.about)?;
        let field = error(column.as_deref(), "target", refusal.message.clone());
        if refusal.either {
            found.either.push(refusal);
        }
        Ok(field)
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
        self.release(&bound.binding.table, "part").map_err(all)?;
        Ok(decided)
    }

    pub(super) fn accuse(
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
            // What the target refuses may be refused here, too.
            let missing = self.aside(|writer| writer.missing_parents(bound, record))?;
            errors.splice(0..0, missing.unwrap_or_default());
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
            let reject = reject(bound, record, errors, &self.secrets);
            found.rejects.push((place, reject));
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

/// The reject of a record at fault: values of secret fields are masked, in what the target said too.
fn reject(bound: &Bound, record: &Record, mut errors: Vec<FieldError>, known: &Secrets) -> Reject {
    let mut masked = record.clone();
    for (column, value) in &mut masked.fields {
        if bound.is_secret(column) {
            *value = MASK.into();
        }
    }
    for (column, code) in &mut masked.lookups {
        if bound.is_secret(column) {
            *code = MASK.into();
        }
    }
    let entity = std::slice::from_ref(&bound.binding.entity);
    let mut secrets = Secrets::of_entities(entity);
    secrets.learn(record, |column| bound.is_secret(column));
    for error in &mut errors {
        error.message = known.mask(&secrets.mask(&error.message));
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
