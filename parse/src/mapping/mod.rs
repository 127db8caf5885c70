//! From items to records, as an entity of the plan says.

mod column;
mod each;
mod field;
mod moment;
mod number;
mod record;
mod secrets;
mod text;
mod translate;
mod value;

use contract::expr::Expression;
use contract::plan::{Entity, LoadedPlan, OpSpec};
use contract::{At, FieldError, Op, Record};
use indexmap::IndexMap;

use crate::item::{Header, Item};
use column::Column;
pub(crate) use column::members_only;
use each::Each;
use field::FieldMap;
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
    Rejected {
        key: Option<String>,
        errors: Vec<FieldError>,
        raw: String,
    },
}

/// What became of an item, and what the plan left out of it, with reasons.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) outcome: Outcome,
    pub(crate) left_out: Vec<String>,
}

impl Mapper {
    /// Prepares an entity.
    ///
    /// # Errors
    ///
    /// Says what in the plan makes no sense, and of which column.
    pub(crate) fn new(loaded: &LoadedPlan, entity: &Entity) -> Result<Self, String> {
        let (plan, source) = (&loaded.plan, &entity.source);
        let line = |way: &[&str]| {
            let way = [&["entity", entity.name.as_str()], way].concat();
            loaded.line_of(&way)
        };
        let with_each = source.each.is_some();
        let column = |names: &[String]| Column::new(names, source.format, with_each);
        let secrets = Secrets::new(plan, entity);
        let mut fields = Vec::new();
        for (name, field) in &entity.fields {
            let made = FieldMap::new(plan, entity, name, field, secrets.cover(field));
            let made = made.map_err(|error| format!("column `{name}`: {error}"))?;
            fields.extend(made.map(|made| made.on_line(line(&["fields", name, "expr"]))));
        }
        let key = source
            .key
            .parts()
            .into_iter()
            .map(column)
            .collect::<Result<Vec<_>, _>>()?;
        let key_names_element = key.iter().any(Column::is_element);
        let each = match &source.each {
            Some(each) => Some(Each {
                from: Column::new(each.from.as_slice(), source.format, false)?,
                separators: each.split.clone(),
            }),
            None => None,
        };
        let only = match (&source.only, &source.where_reason) {
            (Some(rule), Some(reason)) => Some(Only {
                rule: Expression::compile(rule)?.on_line(line(&["source", "where"])),
                reason: reason.clone(),
            }),
            _ => None,
        };
        let op = match &entity.op {
            OpSpec::Fixed(op) => Operation::Fixed(*op),
            OpSpec::From(from) => {
                Operation::From(column(from.from.as_slice())?, from.values.clone())
            }
        };
        let optional = |names: &Option<contract::plan::Names>| {
            names
                .as_ref()
                .map(|names| column(names.as_slice()))
                .transpose()
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
        let structure = self
            .key
            .iter()
            .chain(op)
            .chain(each)
            .chain(&self.target)
            .chain(&self.to);
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
        let structure = self
            .key
            .iter()
            .chain(op)
            .chain(each)
            .chain(&self.target)
            .chain(&self.to);
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
    pub(crate) fn map(&self, at: &At, item: &Item) -> Mapped {
        let mut left_out = Vec::new();
        let outcome = match self.records(at, item, &mut left_out) {
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
}
