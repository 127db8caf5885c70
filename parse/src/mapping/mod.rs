//! From items to records, as an entity of the plan says.

mod column;
mod field;
mod moment;
mod number;
mod secrets;
mod text;
mod translate;
mod value;

use contract::expr::{Expression, Scope};
use contract::plan::{Entity, OpSpec, Plan, SourceFormat};
use contract::{At, FieldError, Op, Record, key};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::item::{Body, Found, Header, Item};
use column::{Column, Element, View, members_only};
use field::{FieldMap, Slot, Stop};
use secrets::Secrets;

/// The mapping of one entity.
#[derive(Debug)]
pub(crate) struct Mapper {
    entity: String,
    key: Vec<Column>,
    /// The element in hand is the last part of the key.
    key_takes_element: bool,
    each: Option<Each>,
    only: Option<Only>,
    op: Operation,
    target: Option<Column>,
    to: Option<Column>,
    fields: Vec<FieldMap>,
    secrets: Secrets,
    /// Some expression wants to see the item.
    scoped: bool,
}

#[derive(Debug)]
struct Each {
    from: Column,
    separators: Vec<String>,
}

#[derive(Debug)]
struct Only {
    rule: Expression,
    reason: String,
}

#[derive(Debug)]
enum Operation {
    Fixed(Op),
    From(Column, IndexMap<String, Op>),
}

/// What became of an item.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// At least one record.
    Records(Vec<Record>),
    /// The plan leaves it out.
    Ignored,
    /// It is wrong: its key, where it has one, all that is wrong, and its text.
    Rejected { key: Option<String>, errors: Vec<FieldError>, raw: String },
}

/// What became of an item, and what the plan left out of it, with reasons.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) outcome: Outcome,
    pub(crate) left_out: Vec<String>,
}

/// What is wrong with an item, and the key that it has nevertheless.
struct Wrong {
    key: Option<String>,
    errors: Vec<FieldError>,
}

impl Mapper {
    /// Prepares an entity.
    ///
    /// # Errors
    ///
    /// Says what in the plan makes no sense, and of which column.
    pub(crate) fn new(plan: &Plan, entity: &Entity) -> Result<Self, String> {
        let source = &entity.source;
        let with_each = source.each.is_some();
        let column = |names: &[String]| Column::new(names, source.format, with_each);
        let secrets = Secrets::new(plan, entity);
        let mut fields = Vec::new();
        for (name, field) in &entity.fields {
            let made = FieldMap::new(plan, entity, name, field, secrets.cover(field));
            fields.extend(made.map_err(|error| format!("column `{name}`: {error}"))?);
        }
        let key = source.key.parts().into_iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let key_names_element = key.iter().any(Column::is_element);
        let each = match &source.each {
            Some(each) => Some(Each {
                from: Column::new(each.from.as_slice(), source.format, false)?,
                separators: each.split.clone(),
            }),
            None => None,
        };
        let only = match (&source.only, &source.where_reason) {
            (Some(rule), Some(reason)) => {
                Some(Only { rule: Expression::compile(rule)?, reason: reason.clone() })
            }
            _ => None,
        };
        let op = match &entity.op {
            OpSpec::Fixed(op) => Operation::Fixed(*op),
            OpSpec::From(from) => Operation::From(column(from.from.as_slice())?, from.values.clone()),
        };
        let optional = |names: &Option<contract::plan::Names>| {
            names.as_ref().map(|names| column(names.as_slice())).transpose()
        };
        Ok(Self {
            entity: entity.name.clone(),
            key,
            key_takes_element: with_each && !key_names_element,
            each,
            scoped: only.is_some() || fields.iter().any(FieldMap::is_computed),
            only,
            op,
            target: optional(&entity.target)?,
            to: optional(&entity.to)?,
            fields,
            secrets,
        })
    }

    /// Compares the plan with the columns that a table has. Returns those that the table lacks and
    /// the plan can do without, with the column of the record that stays untouched for it.
    ///
    /// # Errors
    ///
    /// Names the columns without which there can be no record.
    pub(crate) fn missing<'a>(&'a self, header: &Header) -> Result<Vec<(String, &'a str)>, String> {
        let mut lacking = Vec::new();
        let mut untouched = Vec::new();
        let op = match &self.op {
            Operation::Fixed(_) => None,
            Operation::From(column, _) => Some(column),
        };
        let each = self.each.as_ref().map(|each| &each.from);
        let structure = self.key.iter().chain(op).chain(each).chain(&self.target).chain(&self.to);
        for column in structure.filter(|column| !column.is_in(header)) {
            lacking.push(column.shown());
        }
        for field in &self.fields {
            for column in field.columns().filter(|column| !column.is_in(header)) {
                if !field.needs_columns() {
                    untouched.push((column.shown(), field.column.as_str()));
                } else if !lacking.contains(&column.shown()) {
                    lacking.push(column.shown());
                }
            }
        }
        if lacking.is_empty() {
            return Ok(untouched);
        }
        let names: Vec<_> = header.names().collect();
        Err(format!(
            "there is no column {}, which `{}` needs; the header has {}",
            lacking.join(", no column "),
            self.entity,
            names.join(", ")
        ))
    }

    /// Returns the columns of a table that no field reads; `None` where an expression may read any.
    pub(crate) fn unread<'a>(&self, header: &'a Header) -> Option<Vec<&'a str>> {
        if self.scoped {
            return None;
        }
        let op = match &self.op {
            Operation::Fixed(_) => None,
            Operation::From(column, _) => Some(column),
        };
        let each = self.each.as_ref().map(|each| &each.from);
        let structure = self.key.iter().chain(op).chain(each).chain(&self.target).chain(&self.to);
        let read: Vec<&str> = structure
            .chain(self.fields.iter().flat_map(FieldMap::columns))
            .flat_map(Column::names)
            .collect();
        Some(header.names().filter(|name| !read.contains(name)).collect())
    }

    /// Masks the secrets in the text of an item that could not be read.
    pub(crate) fn masked(&self, raw: &str) -> String {
        self.secrets.mask(raw, None)
    }

    /// Makes the records of an item.
    pub(crate) fn map(&self, file: &str, item: &Item) -> Mapped {
        let mut left_out = Vec::new();
        let outcome = match self.records(file, item, &mut left_out) {
            Ok(records) if records.is_empty() => Outcome::Ignored,
            Ok(records) => Outcome::Records(records),
            Err(wrong) => Outcome::Rejected {
                key: wrong.key,
                errors: wrong.errors,
                raw: self.secrets.mask(&item.raw, Some(&item.body)),
            },
        };
        Mapped { outcome, left_out }
    }

    fn records(&self, file: &str, item: &Item, left_out: &mut Vec<String>) -> Result<Vec<Record>, Wrong> {
        let whole = View { body: &item.body, each: None };
        if let Some(only) = &self.only {
            match only.rule.holds(&self.scope(whole)) {
                Ok(true) => {}
                Ok(false) => {
                    left_out.push(only.reason.clone());
                    return Ok(Vec::new());
                }
                Err(error) => return Err(Wrong::one(None, "where", error)),
            }
        }
        let at = At { file: file.to_owned(), line: item.line };
        let Some(each) = &self.each else {
            return self.record(whole, at, left_out).map(|record| record.into_iter().collect());
        };
        let elements = each.elements(whole).map_err(|error| Wrong::one(None, "each", error))?;
        if elements.is_empty() {
            left_out.push(format!("{} holds no element", each.from.shown()));
        }
        let mut records = Vec::new();
        let mut wrong: Option<Wrong> = None;
        for (index, value) in elements.iter().enumerate() {
            let element = Some(Element { value, index: index + 1 });
            let view = View { body: &item.body, each: element };
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
    fn record(&self, view: View, at: At, left_out: &mut Vec<String>) -> Result<Option<Record>, Wrong> {
        let mut errors = Vec::new();
        let key = self.key(view).map_err(|error| errors.push(whole("key", error))).ok();
        let op = self.operation(view).map_err(|error| errors.push(whole("op", error))).ok();
        let mut end = |column: &Option<Column>, wanted: bool| match column {
            Some(column) if wanted => {
                text_of(column, view).map(|text| text.map(Value::String)).unwrap_or_else(|error| {
                    errors.push(whole("op", error));
                    None
                })
            }
            _ => None,
        };
        let target = end(&self.target, op == Some(Op::Delete));
        let to = end(&self.to, op == Some(Op::Remap));
        if op == Some(Op::Remap) && to.is_none() && errors.is_empty() {
            errors.push(whole("op", "a record to remap says no target key in `to`".into()));
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
        if record.op.is_put() {
            if let Some(reason) = self.fill(view, &mut record, &mut errors, left_out) {
                left_out.push(reason);
                return Ok(None);
            }
        }
        if errors.is_empty() { Ok(Some(record)) } else { Err(Wrong { key, errors }) }
    }

    /// Fills the columns; the reason, where the plan leaves the record out.
    fn fill(&self, view: View, record: &mut Record, errors: &mut Vec<FieldError>, left_out: &mut Vec<String>) -> Option<String> {
        let mut scope = if self.scoped { self.scope(view) } else { Scope::default() };
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
                    Slot::Ref(to) => scope.column(&field.column, &to.key.clone().into(), field.kind),
                    Slot::Lookup(code) => scope.column(&field.column, &code.clone().into(), field.kind),
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
            parts.push(text.map_err(|error| format!("the element {error}: name a part of it in the key, such as `each.id`"))?);
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
                    format!("{text:?} in {} is no operation: expected {}", column.shown(), known.join(", "))
                })
            }
        }
    }

    /// What expressions see of the item: `source`, a map of its columns.
    fn scope(&self, view: View) -> Scope {
        let mut scope = Scope::default();
        let element = view.each.into_iter().flat_map(|element| {
            [("each", element.value.clone()), ("each_index", Value::from(element.index))]
        });
        match view.body {
            Body::Row(header, cells) => {
                let cell = |name| header.position(name).map(|place| Value::from(cells[place].as_str()));
                let columns = header.names().filter_map(|name| cell(name).map(|value| (name, value)));
                scope.map("source", columns.chain(element));
            }
            Body::Tree(members) => {
                let members = members.iter().map(|(name, value)| (name.as_str(), value.clone()));
                scope.map("source", members.chain(element));
            }
        }
        scope
    }
}

impl Each {
    fn elements(&self, view: View) -> Result<Vec<Value>, String> {
        let split = |text: &str| {
            if self.separators.is_empty() {
                return Err(format!("{} is a text: say how to split it, `each.split`", self.from.shown()));
            }
            Ok(text::split(text, &self.separators).into_iter().map(Value::String).collect())
        };
        match self.from.find(view)? {
            Found::Absent => Ok(Vec::new()),
            Found::Text(text) => split(text),
            Found::Value(value) => match value.into_owned() {
                Value::Null => Ok(Vec::new()),
                Value::Array(items) => Ok(items),
                Value::String(text) => split(&text),
                other => Err(format!("{} is {} where a list is expected", self.from.shown(), crate::json::kind_of(&other))),
            },
        }
    }
}

impl Wrong {
    fn one(key: Option<String>, rule: &str, message: String) -> Self {
        Self { key, errors: vec![whole(rule, message)] }
    }
}

/// Says what is wrong with a whole record.
fn whole(rule: &str, message: String) -> FieldError {
    FieldError { field: None, rule: rule.to_owned(), message, value: None, caused_by: None }
}

/// Returns the text of a column, without white space around it; `None` where there is none.
fn text_of(column: &Column, view: View) -> Result<Option<String>, String> {
    let text = match column.find(view)? {
        Found::Absent => return Ok(None),
        Found::Text(text) => text.trim().to_owned(),
        Found::Value(value) if value.is_null() => return Ok(None),
        Found::Value(value) => {
            let text = text::plain(&value).map_err(|error| format!("{} {error}", column.shown()))?;
            text.trim().to_owned()
        }
    };
    Ok((!text.is_empty()).then_some(text))
}

/// Reads a path of members, where the format has them.
pub(crate) fn items_path(format: SourceFormat, items: Option<&str>) -> Result<Option<Vec<String>>, String> {
    match (format, items) {
        (SourceFormat::Json, Some(path)) => members_only(path).map(Some),
        _ => Ok(None),
    }
}
