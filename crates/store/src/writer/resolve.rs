//! From records to the cells they want.

use std::borrow::Cow;
use std::collections::HashMap;

use contract::plan::{RunValue, Type};
use contract::{FieldError, Record, Ref};
use serde_json::Value;

use super::decide::Wanted;
use super::{Bound, Writer};
use crate::binding::From;
use crate::ledger::{Entry, Run};
use crate::{Cell, Engine, StoreError};

/// What a record wants, or why it can't have it.
pub(super) type Wishes = Result<Vec<Wanted>, Vec<FieldError>>;

/// Entries of the records that others refer to, by entity and source key.
type Parents<'a> = HashMap<(&'a str, &'a str), Option<Entry>>;

pub(super) fn error(field: Option<&str>, rule: &str, message: impl Into<String>) -> FieldError {
    FieldError {
        field: field.map(str::to_owned),
        rule: rule.to_owned(),
        message: message.into(),
        value: None,
        caused_by: None,
    }
}

/// The same where it is the only one.
pub(super) fn wrong(
    field: Option<&str>,
    rule: &str,
    message: impl Into<String>,
) -> Vec<FieldError> {
    vec![error(field, rule, message)]
}

impl<E: Engine> Writer<E> {
    /// Makes the cells that records want: in the put pass all but late references, in the late pass
    /// those alone.
    pub(super) fn wanted(
        &mut self,
        bound: &Bound,
        records: &[&Record],
        late: bool,
    ) -> Result<Vec<Wishes>, StoreError> {
        let parents = self.parents(bound, records, late)?;
        let mut found: Vec<(Vec<Wanted>, Vec<FieldError>)> =
            vec![Default::default(); records.len()];
        for column in &bound.binding.columns {
            if column.field.late != late || matches!(column.from, From::Run(_)) {
                continue;
            }
            let place = column.place;
            let target = &bound.binding.table.columns[place];
            let name = target.name.as_str();
            let mut values: Vec<(usize, &Value)> = Vec::new();
            // Whether each was resolved in the target, too.
            let mut cells: Vec<(usize, bool, Result<Cell, Vec<FieldError>>)> = Vec::new();
            for (at, record) in records.iter().enumerate() {
                if let Some(value) = record.fields.get(name) {
                    values.push((at, value));
                } else if let Some(to) = record.refs.get(name) {
                    cells.push((at, true, self.parent_cell(&parents, to, name)));
                } else if let Some(code) = record.lookups.get(name) {
                    cells.push((at, true, self.looked_up(bound, name, code)));
                }
            }
            let sent: Vec<&Value> = values.iter().map(|(_, value)| *value).collect();
            let encoded = self.engine.encode(&column.field, target, &sent)?;
            for ((at, value), cell) in values.into_iter().zip(encoded) {
                let shown = || {
                    if column.field.secret {
                        contract::reject::MASK.into()
                    } else {
                        value.clone()
                    }
                };
                let cell = cell.map_err(|message| {
                    let error = error(Some(name), "type", message);
                    vec![FieldError {
                        value: Some(shown()),
                        ..error
                    }]
                });
                cells.push((at, false, cell));
            }
            for (at, resolved, cell) in cells {
                match cell {
                    Ok(cell) => {
                        let canonical = match self.comparable(bound, place, &cell) {
                            Cow::Owned(other) => Some(other),
                            Cow::Borrowed(_) => None,
                        };
                        found[at].0.push(Wanted {
                            place,
                            cell,
                            canonical,
                            resolved,
                        });
                    }
                    Err(errors) => found[at].1.extend(errors),
                }
            }
        }
        let fields = &bound.binding.entity.fields;
        for (record, (_, errors)) in records.iter().zip(&mut found) {
            let names = record
                .fields
                .keys()
                .chain(record.refs.keys())
                .chain(record.lookups.keys());
            errors.extend(
                names
                    .filter(|column| !fields.contains_key(*column))
                    .map(|column| {
                        let message = format!("the plan has no column `{column}` for this entity");
                        error(Some(column), "column", message)
                    }),
            );
        }
        let wishes = |(wanted, errors): (Vec<Wanted>, Vec<FieldError>)| {
            if errors.is_empty() {
                Ok(wanted)
            } else {
                Err(errors)
            }
        };
        Ok(found.into_iter().map(wishes).collect())
    }

    /// Reads the entries of all records that these refer to.
    fn parents<'a>(
        &mut self,
        bound: &Bound,
        records: &[&'a Record],
        late: bool,
    ) -> Result<Parents<'a>, StoreError> {
        let table = &bound.binding.table;
        let columns = bound.binding.columns.iter();
        let columns =
            columns.filter(|column| column.from == From::Ref && column.field.late == late);
        let mut parents = Parents::new();
        for column in columns {
            let name = &table.columns[column.place].name;
            for to in records.iter().filter_map(|record| record.refs.get(name)) {
                parents.insert((&to.entity, &to.key), None);
            }
        }
        let mut asked: HashMap<&str, Vec<&str>> = HashMap::new();
        for (entity, key) in parents.keys() {
            asked.entry(entity).or_default().push(key);
        }
        for (entity, keys) in asked {
            let Some(number) = self.bound.get(entity).map(|parent| parent.entity) else {
                continue;
            };
            let entries = self.engine.entries(number, &keys)?;
            parents.extend(keys.into_iter().map(|key| (entity, key)).zip(entries));
        }
        Ok(parents)
    }

    fn looked_up(&self, bound: &Bound, name: &str, code: &str) -> Result<Cell, Vec<FieldError>> {
        let columns = self.lookups.get(&bound.binding.entity.name);
        let found = columns.and_then(|columns| columns.get(name)?.get(code));
        found.cloned().ok_or_else(|| {
            let message = format!("the code {code:?} was not looked up before the run");
            wrong(Some(name), "lookup", message)
        })
    }

    fn parent_cell(
        &self,
        parents: &Parents<'_>,
        to: &Ref,
        name: &str,
    ) -> Result<Cell, Vec<FieldError>> {
        let Some(parent) = self.bound.get(&to.entity) else {
            let message = format!("the plan has no entity `{}`", to.entity);
            return Err(wrong(Some(name), "ref", message));
        };
        let entry = parents
            .get(&(to.entity.as_str(), to.key.as_str()))
            .and_then(Option::as_ref);
        let fault = |message: String| {
            let caused_by = Some(to.clone());
            let error = error(Some(name), "ref", message);
            Err(vec![FieldError { caused_by, ..error }])
        };
        match entry {
            Some(entry) if entry.gone => fault(format!(
                "it refers to {} {:?}, whose row was deleted",
                to.entity, to.key
            )),
            Some(entry) if parent.binding.key.len() == 1 => {
                Ok(entry.target.0.first().cloned().unwrap_or(Cell::Null))
            }
            Some(_) => fault(format!(
                "{} has a key of several columns: it can't be referred to",
                to.entity
            )),
            None => fault(format!(
                "it refers to {} {:?}, which is not applied: not in this target, or later in this bundle (`late = true`)",
                to.entity, to.key
            )),
        }
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
