//! One column of a record: where its value comes from, and the steps that it goes through.

use std::rc::Rc;

use contract::expr::{Expression, Scope};
use contract::plan::{Empty, Entity, Field, Plan, Transform, Type};
use contract::reject::MASK;
use contract::{FieldError, Ref};
use serde_json::Value;

use super::column::{Column, View};
use super::text::{Template, plain, transform};
use super::translate::{Entry, Translation};
use super::value::{Kind, of_plan};
use crate::item::Found;

/// One column, ready to be filled.
#[derive(Debug)]
pub(super) struct FieldMap {
    pub(super) column: String,
    pub(super) kind: Type,
    take: Take,
    empty: Empty,
    apply: Vec<Transform>,
    map: Option<Rc<Translation>>,
    convert: Kind,
    reference: Option<String>,
    lookup: bool,
    required: bool,
    secret: bool,
}

#[derive(Debug)]
enum Take {
    From(Column),
    Constant(Value),
    Template(Template),
    Expr(Expression),
}

/// What a column of a record holds.
#[derive(Debug)]
pub(super) enum Slot {
    /// It is not touched.
    Absent,
    /// A value.
    Value(Value),
    /// A record.
    Ref(Ref),
    /// A code that apply looks up.
    Lookup(String),
}

/// Why a record is not made.
#[derive(Debug)]
pub(super) enum Stop {
    /// The plan leaves it out, for this reason.
    Ignore(String),
    /// Something is wrong.
    Wrong(Box<FieldError>),
}

impl FieldMap {
    /// Prepares a field; `None` for one that apply fills in.
    ///
    /// # Errors
    ///
    /// Says what in the plan makes no sense.
    pub(super) fn new(
        plan: &Plan,
        entity: &Entity,
        column: &str,
        field: &Field,
        secret: bool,
    ) -> Result<Option<Self>, String> {
        let format = entity.source.format;
        let each = entity.source.each.is_some();
        let composite = |name: &String| {
            plan.entity(name).is_some_and(|other| {
                let parts = other.source.key.parts();
                let names_element = parts
                    .iter()
                    .copied()
                    .flatten()
                    .any(|name| name.starts_with("each"));
                parts.len() > 1 || (other.source.each.is_some() && !names_element)
            })
        };
        let take = if let Some(from) = &field.from {
            Take::From(Column::new(from.as_slice(), format, each)?)
        } else if let Some(expr) = &field.expr {
            Take::Expr(Expression::compile(expr)?)
        } else if let Some(value) = &field.value {
            match value {
                toml::Value::String(text) if text.contains(['{', '}']) => {
                    let key = field.reference.as_ref().is_some_and(composite);
                    Take::Template(Template::new(text, format, each, key)?)
                }
                value => Take::Constant(of_plan(value)?),
            }
        } else {
            return Ok(None);
        };
        let map = match &field.map {
            Some(name) => plan
                .map
                .get(name)
                .map(|map| Translation::new(name, map))
                .transpose()?,
            None => None,
        };
        let made = Self {
            column: column.to_owned(),
            kind: field.kind,
            take,
            empty: field.empty,
            apply: field.apply.clone(),
            map: map.map(Rc::new),
            convert: Kind::new(field, plan.zone.as_deref())?,
            reference: field.reference.clone(),
            lookup: field.lookup.is_some(),
            required: field.required,
            secret,
        };
        // A constant that is wrong is wrong in the plan, not in a record.
        if let Take::Constant(value) = &made.take
            && let Err(Stop::Wrong(error)) = made.steps(value.clone(), true, &mut Vec::new())
        {
            return Err(error.message);
        }
        Ok(Some(made))
    }

    /// Iterates over the source columns that it reads, as far as the plan names them.
    pub(super) fn columns(&self) -> Box<dyn Iterator<Item = &Column> + '_> {
        match &self.take {
            Take::From(column) => Box::new(std::iter::once(column)),
            Take::Template(template) => Box::new(template.columns()),
            Take::Constant(_) | Take::Expr(_) => Box::new(std::iter::empty()),
        }
    }

    /// Tells whether a source without its column can give no record.
    pub(super) fn needs_columns(&self) -> bool {
        self.required || matches!(self.take, Take::Template(_))
    }

    /// Says on which line of the plan its expression stands.
    pub(super) fn on_line(self, line: usize) -> Self {
        let take = match self.take {
            Take::Expr(expression) => Take::Expr(expression.on_line(line)),
            take => take,
        };
        Self { take, ..self }
    }

    /// Tells whether it is computed from a scope.
    pub(super) fn is_computed(&self) -> bool {
        matches!(self.take, Take::Expr(_))
    }

    /// Fills the column for one item or element. Elements of a list that the plan ignores are
    /// added to `left_out`.
    ///
    /// # Errors
    ///
    /// Why there is to be no record.
    pub(super) fn fill(
        &self,
        view: View,
        scope: &Scope,
        left_out: &mut Vec<String>,
    ) -> Result<Slot, Stop> {
        let wrong = |rule, error| self.wrong(rule, error, None);
        let (value, cell) = match &self.take {
            Take::From(column) => match column.find(view).map_err(|error| wrong("path", error))? {
                Found::Absent if self.required => {
                    return Err(wrong(
                        "required",
                        format!("the source has no {}", column.shown()),
                    ));
                }
                Found::Absent => return Ok(Slot::Absent),
                Found::Text(text) => (Value::String(text.to_owned()), true),
                Found::Value(value) => (value.into_owned(), false),
            },
            Take::Constant(value) => (value.clone(), true),
            Take::Template(template) => (
                Value::String(template.fill(view).map_err(|error| wrong("value", error))?),
                true,
            ),
            Take::Expr(expression) => (
                expression
                    .value(scope)
                    .map_err(|error| wrong("expr", error))?,
                true,
            ),
        };
        self.steps(value, cell, left_out)
    }

    fn steps(&self, value: Value, cell: bool, left_out: &mut Vec<String>) -> Result<Slot, Stop> {
        let done = match (&self.convert, value) {
            (Kind::List(separators), Value::String(text))
                if !text.is_empty() && !separators.is_empty() =>
            {
                self.list(
                    super::text::split(&text, separators)
                        .into_iter()
                        .map(Value::String),
                    left_out,
                )?
            }
            (Kind::List(_), Value::Array(items)) => self.list(items.into_iter(), left_out)?,
            (_, value) => match self.translated(value)? {
                Step::Absent => return Ok(Slot::Absent),
                Step::Value(Value::Null) => Value::Null,
                Step::Value(value) => self.converted(value, cell)?,
                // What a map or the plan gives is typed already, unless the field names a type.
                Step::Typed(value) if matches!(self.convert, Kind::Text) => value,
                Step::Typed(value) => self.converted(value, true)?,
                Step::Ignore(text, why) => return Err(Stop::Ignore(self.left_out(&text, &why))),
            },
        };
        if done.is_null() || (self.reference.is_none() && !self.lookup) {
            return Ok(Slot::Value(done));
        }
        let text = plain(&done).map_err(|error| self.wrong("type", error, Some(&done)))?;
        Ok(match &self.reference {
            Some(entity) => Slot::Ref(Ref {
                entity: entity.clone(),
                key: text.trim().to_owned(),
            }),
            None => Slot::Lookup(text),
        })
    }

    /// Takes the elements of a list through the steps before the type.
    fn list(
        &self,
        items: impl Iterator<Item = Value>,
        left_out: &mut Vec<String>,
    ) -> Result<Value, Stop> {
        let mut list = Vec::new();
        for item in items {
            match self.translated(item)? {
                Step::Absent => {}
                Step::Ignore(text, why) => left_out.push(self.left_out(&text, &why)),
                Step::Value(item) | Step::Typed(item) => list.push(item),
            }
        }
        self.converted(Value::Array(list), false)
    }

    fn left_out(&self, text: &str, why: &str) -> String {
        let text = if self.secret {
            MASK.to_owned()
        } else {
            format!("\"{text}\"")
        };
        format!("`{}` is {text}: {why}", self.column)
    }

    /// The steps `empty`, `apply` and `map`. A text that `apply` makes empty is empty too.
    fn translated(&self, value: Value) -> Result<Step, Stop> {
        if value.is_null() {
            return Ok(Step::Value(value));
        }
        let mut value = value;
        if !self.apply.is_empty() && value != "" {
            let text = plain(&value).map_err(|error| self.wrong("apply", error, Some(&value)))?;
            value = Value::String(transform(text, &self.apply));
        }
        if value == "" {
            match self.empty {
                Empty::Null => return Ok(Step::Value(Value::Null)),
                Empty::Absent => return Ok(Step::Absent),
                Empty::Text => {}
            }
        }
        let Some(map) = &self.map else {
            return Ok(match self.take {
                Take::Constant(_) => Step::Typed(value),
                _ => Step::Value(value),
            });
        };
        let text = plain(&value).map_err(|error| self.wrong("map", error, Some(&value)))?;
        match map
            .of(&text)
            .map_err(|error| self.wrong("map", error, Some(&value)))?
        {
            Entry::Value(value) => Ok(Step::Typed(value.clone())),
            Entry::Ignore(why) => Ok(Step::Ignore(text, why.clone())),
        }
    }

    fn converted(&self, value: Value, cell: bool) -> Result<Value, Stop> {
        let kept = value.clone();
        self.convert
            .convert(value, cell)
            .map_err(|error| self.wrong("type", error, Some(&kept)))
    }

    /// Says what is wrong; of a value, after the value itself, which a secret field never shows.
    fn wrong(&self, rule: &str, error: String, value: Option<&Value>) -> Stop {
        let message = match value {
            Some(_) if self.secret => format!("{MASK} {error}"),
            Some(value) => format!("{} {error}", cut(&value.to_string())),
            None => error,
        };
        let mask = || Value::String(MASK.to_owned());
        Stop::Wrong(Box::new(FieldError {
            field: Some(self.column.clone()),
            rule: rule.to_owned(),
            message,
            value: value.map(|value| if self.secret { mask() } else { value.clone() }),
            caused_by: None,
        }))
    }
}

enum Step {
    Absent,
    Value(Value),
    Typed(Value),
    Ignore(String, String),
}

/// Shortens a value for a message; the reject keeps it whole.
fn cut(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((place, _)) => format!("{}…", &text[..place]),
        None => text.to_owned(),
    }
}
