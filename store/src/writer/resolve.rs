//! From a record to the cells it wants, and to the row that it is.

use contract::plan::{Field, IdFrom, MatchNull, RunValue, Type, Via};
use contract::{FieldError, Record, Ref};
use serde_json::Value;

use super::decide::Wanted;
use super::{Bound, Fault, Writer};
use crate::binding::From;
use crate::ledger::{Entry, Run};
use crate::{Cell, Engine, Key, Row, StoreError};

/// A row that a record was found to be, with the entry that knows it.
#[derive(Debug, Default)]
pub(super) struct Located {
    /// The id map's entry of the record.
    pub entry: Option<Entry>,
    /// The row, if it is there.
    pub row: Option<Row>,
}

pub(super) fn error(field: Option<&str>, rule: &str, message: impl Into<String>) -> FieldError {
    FieldError {
        field: field.map(str::to_owned),
        rule: rule.to_owned(),
        message: message.into(),
        value: None,
        caused_by: None,
    }
}

impl<E: Engine> Writer<E> {
    /// Makes the cells that a record wants: in the put pass all but late references, in the late
    /// pass those alone.
    pub(super) fn wanted(
        &mut self,
        bound: &Bound,
        record: &Record,
        late: bool,
    ) -> Result<Vec<Wanted>, Fault> {
        let mut wanted = Vec::new();
        let mut errors = Vec::new();
        for column in &bound.binding.columns {
            if column.field.late != late || matches!(column.from, From::Run(_)) {
                continue;
            }
            let place = column.place;
            let name = bound.binding.table.columns[place].name.as_str();
            match self.cell_of(bound, record, name, &column.field, place)? {
                Ok(Some(cell)) => {
                    let canonical = self.comparable(bound, place, &cell);
                    wanted.push(Wanted {
                        place,
                        cell,
                        canonical,
                    });
                }
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        let fields = &bound.binding.entity.fields;
        let names = record
            .fields
            .keys()
            .chain(record.refs.keys())
            .chain(record.lookups.keys());
        for column in names.filter(|column| !fields.contains_key(*column)) {
            errors.push(error(
                Some(column),
                "column",
                format!("the plan has no column `{column}` for this entity"),
            ));
        }
        if errors.is_empty() {
            Ok(wanted)
        } else {
            Err(Fault::Record(errors))
        }
    }

    fn cell_of(
        &mut self,
        bound: &Bound,
        record: &Record,
        name: &str,
        field: &Field,
        place: usize,
    ) -> Result<Result<Option<Cell>, FieldError>, StoreError> {
        if let Some(value) = record.fields.get(name) {
            let cell = self
                .engine
                .encode(field, &bound.binding.table.columns[place], value);
            return Ok(cell.map(Some).map_err(|message| {
                let value = if field.secret {
                    contract::reject::MASK.into()
                } else {
                    value.clone()
                };
                FieldError {
                    value: Some(value),
                    ..error(Some(name), "type", message)
                }
            }));
        }
        if let Some(to) = record.refs.get(name) {
            return Ok(self.resolve_ref(to, name)?.map(Some));
        }
        if let Some(code) = record.lookups.get(name) {
            let found = self
                .lookups
                .get(&bound.binding.entity.name)
                .and_then(|columns| columns.get(name)?.get(code));
            let missing = || {
                error(
                    Some(name),
                    "lookup",
                    format!("the code {code:?} was not looked up before the run"),
                )
            };
            return Ok(found.cloned().map(Some).ok_or_else(missing));
        }
        Ok(Ok(None))
    }

    fn resolve_ref(
        &mut self,
        to: &Ref,
        name: &str,
    ) -> Result<Result<Cell, FieldError>, StoreError> {
        let Some(parent) = self.bound.get(&to.entity) else {
            return Ok(Err(error(
                Some(name),
                "ref",
                format!("the plan has no entity `{}`", to.entity),
            )));
        };
        let (entity, key_columns) = (parent.entity, parent.binding.key.len());
        let entry = self.engine.entries(entity, &[&to.key])?.pop().flatten();
        let fault = |message: String| FieldError {
            caused_by: Some(to.clone()),
            ..error(Some(name), "ref", message)
        };
        Ok(match entry {
            Some(entry) if entry.gone => Err(fault(format!(
                "it refers to {} {:?}, whose row was deleted",
                to.entity, to.key
            ))),
            Some(entry) if key_columns == 1 => {
                Ok(entry.target.0.into_iter().next().unwrap_or(Cell::Null))
            }
            Some(_) => Err(fault(format!(
                "{} has a key of several columns: it can't be referred to",
                to.entity
            ))),
            None => Err(fault(format!(
                "it refers to {} {:?}, which is not applied: not in this target, or later in this bundle (`late = true`)",
                to.entity, to.key
            ))),
        })
    }

    /// Finds the row that a record is: by the id map, by `via`, by `match`, by its derived id.
    pub(super) fn locate(
        &mut self,
        bound: &Bound,
        record: &Record,
        wanted: &[Wanted],
    ) -> Result<Located, Fault> {
        let entry = self
            .engine
            .entries(bound.entity, &[&record.key])?
            .pop()
            .flatten();
        if let Some(known) = entry.as_ref().filter(|entry| !entry.gone) {
            let row = self.row_at(bound, &known.target)?;
            return Ok(Located { entry, row });
        }
        let mut row = match &bound.binding.entity.via {
            Some(via) => self.row_via(bound, record, via)?,
            None => None,
        };
        if row.is_none() && !bound.binding.matching.is_empty() {
            row = self.row_by_match(bound, record, wanted)?;
        }
        if row.is_none()
            && let Some(id) = self.own_id(bound, record)
        {
            row = self.row_at(bound, &Key(vec![id]))?;
        }
        if let Some(row) = &row {
            self.check_claim(bound, record, &bound.binding.key_of(row))?;
        }
        Ok(Located { entry, row })
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
        let binding = &bound.binding;
        Ok(self
            .engine
            .fetch(&binding.table, &binding.key, std::slice::from_ref(&key.0))?
            .pop()
            .and_then(|mut rows| rows.pop()))
    }

    fn row_by_match(
        &mut self,
        bound: &Bound,
        record: &Record,
        wanted: &[Wanted],
    ) -> Result<Option<Row>, Fault> {
        let binding = &bound.binding;
        let mut values = Vec::new();
        for place in &binding.matching {
            let name = binding.table.columns[*place].name.as_str();
            let own = binding
                .id
                .filter(|(id, _)| id == place)
                .and_then(|_| self.own_id(bound, record));
            let cell = own.or_else(|| {
                wanted
                    .iter()
                    .find(|wanted| wanted.place == *place)
                    .map(|wanted| wanted.cell.clone())
            });
            match cell {
                Some(cell) if !cell.is_null() => values.push(cell),
                _ if binding.entity.match_null == MatchNull::Insert => return Ok(None),
                _ => {
                    let message = "it is NULL, so that no row can be recognised by it (`match_null = \"insert\"` inserts)";
                    return Err(Fault::Record(vec![error(Some(name), "match", message)]));
                }
            }
        }
        let mut rows = self
            .engine
            .fetch(&binding.table, &binding.matching, &[values])?
            .pop()
            .unwrap_or_default();
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            count => {
                let keys: Vec<String> = rows
                    .iter()
                    .take(3)
                    .map(|row| binding.key_of(row).to_string())
                    .collect();
                let message = format!(
                    "{count} rows of {} match ({}, …)",
                    binding.table.name,
                    keys.join(", ")
                );
                Err(Fault::Record(vec![error(None, "match", message)]))
            }
        }
    }

    fn row_via(&mut self, bound: &Bound, record: &Record, via: &Via) -> Result<Option<Row>, Fault> {
        let Some(table) = self.engine.table(&via.table)? else {
            return Err(Fault::Store(StoreError::refused(format!(
                "there is no table `{}`",
                via.table
            ))));
        };
        let names = std::iter::once((&via.key, &record.key)).chain(&via.only);
        let mut by = Vec::new();
        let mut values = Vec::new();
        for (column, text) in names {
            let Some(place) = table.position(column) else {
                continue;
            };
            by.push(place);
            values.push(self.engine.key_cell(&table.columns[place], text));
        }
        let rows = self
            .engine
            .fetch(&table, &by, &[values])?
            .pop()
            .unwrap_or_default();
        let target = table.position(&via.target).unwrap_or_default();
        match rows.as_slice() {
            [] => Ok(None),
            [row] => {
                let key = Key(vec![row[target].clone()]);
                let found = self.row_at(bound, &key)?;
                found.map(Some).ok_or_else(|| {
                    let message = format!(
                        "{} maps it to {key}, which is no row of {}",
                        via.table, bound.binding.table.name
                    );
                    Fault::Record(vec![error(None, "via", message)])
                })
            }
            rows => {
                let message = format!("{} maps it {} times", via.table, rows.len());
                Err(Fault::Record(vec![error(None, "via", message)]))
            }
        }
    }

    /// A row is claimed by at most one record of a system.
    pub(super) fn check_claim(
        &mut self,
        bound: &Bound,
        record: &Record,
        key: &Key,
    ) -> Result<(), Fault> {
        let claims = self
            .engine
            .claims(bound.claim, std::slice::from_ref(key))?
            .pop()
            .flatten();
        let Some(other) = claims.filter(|other| !other.gone) else {
            return Ok(());
        };
        if other.entity == bound.entity && other.source == record.key {
            return Ok(());
        }
        let name = crate::ledger::name_of(&mut self.engine, other.entity)?;
        let entity = name
            .split_once('/')
            .map_or(name.as_str(), |(_, entity)| entity)
            .to_owned();
        let message = format!(
            "it is the row {key} of {}, which is {entity} {:?} already",
            bound.binding.table.name, other.source
        );
        let caused_by = Some(Ref {
            entity,
            key: other.source,
        });
        Err(Fault::Record(vec![FieldError {
            caused_by,
            ..error(None, "claimed", message)
        }]))
    }
}

/// Makes the value of a column that only a run knows.
pub(super) fn run_value(run: &Run, value: RunValue, kind: Type) -> Value {
    let moment = |at: i64| {
        let at = chrono::DateTime::from_timestamp_millis(at).unwrap_or_default();
        at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    };
    match value {
        RunValue::Id => Value::from(run.id.as_str()),
        RunValue::StartedAt if kind == Type::Integer => Value::from(run.started),
        RunValue::StartedAt => Value::from(moment(run.started)),
        RunValue::Operator => Value::from(run.operator.as_str()),
        RunValue::Bundle => Value::from(run.bundle.as_str()),
        RunValue::Json => serde_json::json!({
            "run": run.id,
            "bundle": run.bundle,
            "name": run.name,
            "system": run.system,
            "operator": run.operator,
            "started_at": moment(run.started),
            "status": run.status.word(),
            "counts": run.counts,
        }),
    }
}
