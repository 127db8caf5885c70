//! The records of one item.

use contract::expr::Scope;
use contract::{At, FieldError, Op, Record, key};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::column::{Column, Element, View};
use super::each::scope;
use super::field::{Slot, Stop};
use super::{Mapper, Operation, text};
use crate::item::{Found, Item};

/// What is wrong with an item, and the key that it has nevertheless.
pub(super) struct Wrong {
    pub(super) key: Option<String>,
    pub(super) errors: Vec<FieldError>,
}

impl Mapper {
    /// Makes the records of an item.
    pub(super) fn records(
        &self,
        at: &At,
        item: &Item,
        left_out: &mut Vec<String>,
    ) -> Result<Vec<Record>, Wrong> {
        let whole = View {
            body: &item.body,
            each: None,
        };
        if let Some(only) = &self.only {
            match only.rule.holds(&scope(whole)) {
                Ok(true) => {}
                Ok(false) => {
                    left_out.push(only.reason.clone());
                    return Ok(Vec::new());
                }
                Err(error) => return Err(Wrong::one(None, "where", error)),
            }
        }
        let Some(each) = &self.each else {
            return self
                .record(whole, at.clone(), left_out)
                .map(|record| record.into_iter().collect());
        };
        let elements = each
            .elements(whole)
            .map_err(|error| Wrong::one(None, "each", error))?;
        if elements.is_empty() {
            left_out.push(format!("{} holds no element", each.from.shown()));
        }
        let mut records = Vec::new();
        let mut wrong: Option<Wrong> = None;
        for (index, value) in elements.iter().enumerate() {
            let element = Some(Element {
                value,
                index: index + 1,
            });
            let view = View {
                body: &item.body,
                each: element,
            };
            match (self.record(view, at.clone(), left_out), &mut wrong) {
                (Ok(record), _) => records.extend(record),
                (Err(more), Some(wrong)) => wrong.errors.extend(more.errors),
                (Err(more), wrong) => *wrong = Some(more),
            }
        }
        // An item stands or falls as a whole: that is what is counted and mended.
        wrong.map_or(Ok(records), Err)
    }

    /// Makes one record; `None` where the plan leaves it out.
    fn record(
        &self,
        view: View,
        at: At,
        left_out: &mut Vec<String>,
    ) -> Result<Option<Record>, Wrong> {
        let mut errors = Vec::new();
        let key = self
            .key(view)
            .map_err(|error| errors.push(whole("key", error)))
            .ok();
        let op = self
            .operation(view)
            .map_err(|error| errors.push(whole("op", error)))
            .ok();
        let mut end = |column: &Option<Column>, wanted: bool| match column {
            Some(column) if wanted => text_of(column, view).map_or_else(
                |error| {
                    errors.push(whole("op", error));
                    None
                },
                |text| text.map(Value::String),
            ),
            _ => None,
        };
        let target = end(&self.target, op == Some(Op::Delete));
        let to = end(&self.to, op == Some(Op::Remap));
        if op == Some(Op::Remap) && to.is_none() && errors.is_empty() {
            errors.push(whole(
                "op",
                "a record to remap says no target key in `to`".into(),
            ));
        }
        let mut record = Record {
            entity: self.entity.clone(),
            key: key.clone().unwrap_or_default(),
            op: op.unwrap_or_default(),
            target,
            to,
            at,
            fields: Map::with_capacity(self.fields.len()),
            refs: IndexMap::new(),
            lookups: IndexMap::new(),
        };
        if record.op.is_put()
            && let Some(reason) = self.fill(view, &mut record, &mut errors, left_out)
        {
            left_out.push(reason);
            return Ok(None);
        }
        if errors.is_empty() {
            Ok(Some(record))
        } else {
            Err(Wrong { key, errors })
        }
    }

    /// Fills the columns; the reason, where the plan leaves the record out.
    fn fill(
        &self,
        view: View,
        record: &mut Record,
        errors: &mut Vec<FieldError>,
        left_out: &mut Vec<String>,
    ) -> Option<String> {
        let mut scope = if self.scoped {
            scope(view)
        } else {
            Scope::default()
        };
        for field in &self.fields {
            let slot = match field.fill(view, &scope, left_out) {
                Ok(slot) => slot,
                Err(Stop::Ignore(reason)) => return Some(reason),
                Err(Stop::Wrong(error)) => {
                    errors.push(*error);
                    Slot::Absent
                }
            };
            if self.scoped {
                match &slot {
                    Slot::Absent => scope.column(&field.column, &Value::Null, field.kind),
                    Slot::Value(value) => scope.column(&field.column, value, field.kind),
                    Slot::Ref(to) => {
                        scope.column(&field.column, &to.key.clone().into(), field.kind);
                    }
                    Slot::Lookup(code) => {
                        scope.column(&field.column, &code.clone().into(), field.kind);
                    }
                }
            }
            let column = field.column.clone();
            match slot {
                Slot::Absent => {}
                Slot::Value(value) => drop(record.fields.insert(column, value)),
                Slot::Ref(to) => drop(record.refs.insert(column, to)),
                Slot::Lookup(code) => drop(record.lookups.insert(column, code)),
            }
        }
        None
    }

    fn key(&self, view: View) -> Result<String, String> {
        let mut parts = Vec::with_capacity(self.key.len() + 1);
        for column in &self.key {
            match text_of(column, view)? {
                Some(text) => parts.push(text),
                None => return Err(format!("the key {} is empty or missing", column.shown())),
            }
        }
        if let Some(element) = view.each.filter(|_| self.key_takes_element) {
            let text = text::plain(element.value);
            parts.push(text.map_err(|error| {
                format!("the element {error}: name a part of it in the key, such as `each.id`")
            })?);
        }
        Ok(key::join(&parts))
    }

    fn operation(&self, view: View) -> Result<Op, String> {
        match &self.op {
            Operation::Fixed(op) => Ok(*op),
            Operation::From(column, values) => {
                let text = text_of(column, view)?.unwrap_or_default();
                values.get(&text).copied().ok_or_else(|| {
                    let known: Vec<_> = values.keys().map(String::as_str).collect();
                    format!(
                        "{text:?} in {} is no operation: expected {}",
                        column.shown(),
                        known.join(", ")
                    )
                })
            }
        }
    }
}

impl Wrong {
    fn one(key: Option<String>, rule: &str, message: String) -> Self {
        Self {
            key,
            errors: vec![whole(rule, message)],
        }
    }
}

/// Says what is wrong with a whole record.
fn whole(rule: &str, message: String) -> FieldError {
    FieldError {
        field: None,
        rule: rule.to_owned(),
        message,
        value: None,
        caused_by: None,
    }
}

/// Returns the text of a column, without white space around it; `None` where there is none.
fn text_of(column: &Column, view: View) -> Result<Option<String>, String> {
    let text = match column.find(view)? {
        Found::Absent => return Ok(None),
        Found::Text(text) => text.trim().to_owned(),
        Found::Value(value) if value.is_null() => return Ok(None),
        Found::Value(value) => {
            let text =
                text::plain(&value).map_err(|error| format!("{} {error}", column.shown()))?;
            text.trim().to_owned()
        }
    };
    Ok((!text.is_empty()).then_some(text))
}
