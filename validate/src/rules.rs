//! The plan's rules, made ready to be asked once a record.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};
use contract::expr::Expression;
use contract::plan::{Field, LoadedPlan, Plan, Policy, Type};
use contract::{Exit, Failure};
use indexmap::IndexMap;
use regex::Regex;
use serde_json::Value;

use crate::number::Number;
use crate::value;

/// The rules of all entities, by name.
pub(crate) struct Rules<'p>(HashMap<&'p str, EntityRules<'p>>);

/// The rules of one entity.
pub(crate) struct EntityRules<'p> {
    /// Its columns in plan order.
    pub(crate) fields: IndexMap<&'p str, FieldRules<'p>>,
    /// Its policies in plan order.
    pub(crate) policies: Vec<(Expression, &'p Policy)>,
}

/// The rules of one column.
pub(crate) struct FieldRules<'p> {
    /// What the plan says of it.
    pub(crate) field: &'p Field,
    /// Its type; of a reference or a lookup, whose rules are about the source key or the code, text.
    pub(crate) kind: Type,
    /// What the plan itself gives to a column whose type it leaves open: a constant or the values
    /// of a map, which keep their own types.
    pub(crate) given: Vec<Value>,
    /// What the whole text must match.
    pub(crate) pattern: Option<Regex>,
    /// The values it may have, each in its canonical text.
    pub(crate) one_of: Vec<String>,
    /// The least value.
    pub(crate) min: Option<Bound>,
    /// The greatest value.
    pub(crate) max: Option<Bound>,
}

/// A value that can be compared with another of its type.
#[derive(Debug, PartialEq, PartialOrd)]
pub(crate) enum Bound {
    /// A number, exactly.
    Number(Number),
    /// A day.
    Day(NaiveDate),
    /// An instant.
    Moment(DateTime<Utc>),
}

impl Bound {
    /// Reads a value of a type that has an order; `None` for any other.
    pub(crate) fn of(value: &Value, kind: Type) -> Option<Self> {
        match (kind, value) {
            (Type::Integer | Type::Decimal, Value::Number(number)) => {
                Number::parse(&number.to_string()).map(Self::Number)
            }
            (Type::Date, Value::String(text)) => value::date(text).map(Self::Day),
            (Type::Timestamp, Value::String(text)) => value::moment(text).map(Self::Moment),
            _ => None,
        }
    }
}

impl<'p> Rules<'p> {
    /// Makes the rules of a plan ready.
    ///
    /// # Errors
    ///
    /// A bound or a value of `one_of` that is not of its column's type, by name.
    pub(crate) fn of(plan: &'p LoadedPlan) -> Result<Self> {
        let entities = plan.plan.entity.iter().map(|entity| {
            let fields = entity.fields.iter().map(|(column, field)| {
                let rules = FieldRules::of(&plan.plan, field).map_err(|what| {
                    let path = plan.path.display();
                    let message = format!(
                        "{path}: {} of {column} of {} {}",
                        what.0, entity.name, what.1
                    );
                    Failure::new(Exit::Usage, message)
                })?;
                Ok((column.as_str(), rules))
            });
            let policies = plan
                .plan
                .policy
                .iter()
                .filter(|policy| policy.entity == entity.name);
            let policies = policies.map(|policy| {
                let rule = Expression::compile(&policy.rule)
                    .map_err(|message| Failure::new(Exit::Usage, message))?;
                Ok((rule, policy))
            });
            let rules = EntityRules {
                fields: fields.collect::<Result<_>>()?,
                policies: policies.collect::<Result<_>>()?,
            };
            Ok((entity.name.as_str(), rules))
        });
        Ok(Self(entities.collect::<Result<_>>()?))
    }

    /// Returns the rules of an entity.
    pub(crate) fn entity(&self, name: &str) -> Option<&EntityRules<'p>> {
        self.0.get(name)
    }

    /// Tells whether any record may refer to another.
    pub(crate) fn have_references(&self) -> bool {
        let mut fields = self.0.values().flat_map(|rules| rules.fields.values());
        fields.any(|rules| rules.field.reference.is_some())
    }
}

impl<'p> FieldRules<'p> {
    fn of(plan: &Plan, field: &'p Field) -> Result<Self, (&'static str, String)> {
        let is_code = field.reference.is_some() || field.lookup.is_some();
        let kind = if is_code { Type::Text } else { field.kind };
        let map = field.map.as_ref().and_then(|name| plan.map.get(name));
        let given = map
            .into_iter()
            .flat_map(|map| map.values.values())
            .chain(&field.value);
        let given = given.filter(|_| kind == Type::Text && !is_code);
        let bound = |name, limit: &Option<toml::Value>| match limit {
            Some(limit) => match json(limit, kind).and_then(|limit| Bound::of(&limit, kind)) {
                Some(bound) => Ok(Some(bound)),
                None => Err((name, format!("is {limit}, which is no value of its type"))),
            },
            None => Ok(None),
        };
        let one_of = field.one_of.iter().map(|value| {
            // Of a list every element must be one of them.
            let kind = if kind == Type::List { Type::Text } else { kind };
            json(value, kind)
                .and_then(|value| value::canonical(&value, value::own_type(&value, kind)))
                .ok_or_else(|| {
                    (
                        "`one_of`",
                        format!("holds {value}, which is no value of its type"),
                    )
                })
        });
        let whole = |pattern: &String| Regex::new(&format!(r"\A(?:{pattern})\z"));
        Ok(Self {
            field,
            kind,
            given: given.filter_map(|value| json(value, kind)).collect(),
            pattern: field
                .pattern
                .as_ref()
                .map(whole)
                .transpose()
                .map_err(|error| ("`pattern`", error.to_string()))?,
            one_of: one_of.collect::<Result<_, _>>()?,
            min: bound("`min`", &field.min)?,
            max: bound("`max`", &field.max)?,
        })
    }
}

/// Returns a value of the plan as it would stand in a record line. A number that TOML would make a
/// binary float may be written as text.
fn json(value: &toml::Value, kind: Type) -> Option<Value> {
    let number = matches!(kind, Type::Integer | Type::Decimal);
    match value {
        toml::Value::String(text) if number => serde_json::from_str(text).ok(),
        toml::Value::String(text) => Some(Value::String(text.clone())),
        toml::Value::Boolean(value) => Some(Value::Bool(*value)),
        toml::Value::Integer(_) | toml::Value::Float(_) => {
            serde_json::from_str(&value.to_string()).ok()
        }
        toml::Value::Datetime(moment) => Some(Value::String(moment.to_string())),
        toml::Value::Array(_) | toml::Value::Table(_) => serde_json::to_value(value).ok(),
    }
}
