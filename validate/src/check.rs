//! Everything that can be said of a record when it comes by: all but its references.

use std::borrow::Cow;

use anyhow::Result;
use contract::expr::Scope;
use contract::plan::{Level, LoadedPlan, Unique};
use contract::reject::MASK;
use contract::{FieldError, Op, Record};
use serde_json::Value;

use crate::claims::{Claims, sum};
use crate::place::{Files, Place};
use crate::rules::{EntityRules, FieldRules, Rules};
use crate::secrets::Secrets;
use crate::value::{canonical, own_type};

/// So many characters of a value go into an error.
const VALUE_SHOWN: usize = 200;

/// What is wrong with a record, and what is only odd about it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<FieldError>,
    /// What it is, and the place of the other record where there is one.
    pub(crate) warnings: Vec<(String, Option<Place>)>,
}

impl Findings {
    /// Tells whether something is wrong with a column.
    fn names(&self, column: &str) -> bool {
        self.errors
            .iter()
            .any(|error| error.field.as_deref() == Some(column))
    }
}

/// Checks records one by one, and remembers what no two may share.
pub(crate) struct Checker<'p> {
    pub(crate) rules: Rules<'p>,
    secrets: Secrets,
    unique: Claims,
    contents: Claims,
}

impl<'p> Checker<'p> {
    pub(crate) fn new(plan: &'p LoadedPlan) -> Result<Self> {
        Ok(Self {
            rules: Rules::of(plan)?,
            secrets: Secrets::new()?,
            unique: Claims::default(),
            contents: Claims::default(),
        })
    }

    /// Checks a record that starts at `place`.
    pub(crate) fn check(&mut self, record: &Record, place: Place, files: &Files) -> Findings {
        let mut found = Findings::default();
        let Some(rules) = self.rules.entity(&record.entity) else {
            let message = format!("the plan has no entity {:?}", record.entity);
            found.errors.push(error(None, "entity", message));
            return found;
        };
        check_shape(record, &mut found);
        check_columns(rules, record, &mut found);
        for (column, field) in &rules.fields {
            if found.names(column) {
                continue;
            }
            let value = value_of(record, column);
            let must = field.field.required && field.field.run.is_none() && record.op == Op::Put;
            let broken = match &value {
                None if must => vec![("required", "it is required, and missing".to_owned())],
                Some(value) if must && value.is_null() => {
                    vec![("required", "it is required, and null".to_owned())]
                }
                Some(value) => field.check(value),
                None => Vec::new(),
            };
            let Some(value) = value else {
                found.errors.extend(
                    broken
                        .into_iter()
                        .map(|(rule, message)| error(Some(column), rule, message)),
                );
                continue;
            };
            let looks_like = if field.field.secret {
                None
            } else {
                self.secrets.look_at(&value)
            };
            let shown = if looks_like.is_some() {
                Value::String(MASK.into())
            } else {
                show(field, &value)
            };
            for (rule, message) in broken {
                found.errors.push(FieldError {
                    value: Some(shown.clone()),
                    ..error(Some(column), rule, message)
                });
            }
            if let Some(what) = looks_like {
                let text = format!(
                    "{column} holds what looks like {what}: take it out, or mark the column `secret = true`"
                );
                found.warnings.push((text, None));
            }
            if let Some(first) = claim(&mut self.unique, field, column, record, &value, place) {
                let message = format!("the record at {} has the same value", files.show(first));
                found.errors.push(FieldError {
                    value: Some(shown),
                    ..error(Some(column), "unique", message)
                });
            }
        }
        check_policies(rules, record, &mut found);
        self.check_content(record, place, &mut found);
        found
    }

    /// The same content under two keys is most often one thing exported twice.
    fn check_content(&mut self, record: &Record, place: Place, found: &mut Findings) {
        if record.is_bare() {
            return;
        }
        let mut content = record.digest();
        // The digest does not cover the entity.
        for (byte, other) in content.iter_mut().zip(sum(&[&record.entity])) {
            *byte ^= other;
        }
        if let Some(first) = self.contents.claim(content, place) {
            let text = "it says the same as a record under another key".to_owned();
            found.warnings.push((text, Some(first)));
        }
    }
}

/// Makes an error without a value.
pub(crate) fn error(field: Option<&str>, rule: &str, message: String) -> FieldError {
    FieldError {
        field: field.map(str::to_owned),
        rule: rule.to_owned(),
        message,
        value: None,
        caused_by: None,
    }
}

/// Returns a column's value; of a reference its key, of a lookup its code.
fn value_of<'r>(record: &'r Record, column: &str) -> Option<Cow<'r, Value>> {
    let text = |text: &String| Cow::Owned(Value::String(text.clone()));
    record
        .fields
        .get(column)
        .map(Cow::Borrowed)
        .or_else(|| record.refs.get(column).map(|to| text(&to.key)))
        .or_else(|| record.lookups.get(column).map(text))
}

/// What may be shown of a value: nothing of a secret, not all of a long text.
fn show(field: &FieldRules, value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        _ if field.field.secret => Value::String(MASK.into()),
        Value::String(text) => match text.char_indices().nth(VALUE_SHOWN) {
            Some((end, _)) => Value::String(format!("{}…", &text[..end])),
            None => value.clone(),
        },
        other => match other.to_string().char_indices().nth(VALUE_SHOWN) {
            Some((end, _)) => Value::String(format!("{}…", &other.to_string()[..end])),
            None => other.clone(),
        },
    }
}

/// Claims a value that must be unique; returns the place of who has it.
fn claim(
    claims: &mut Claims,
    field: &FieldRules,
    column: &str,
    record: &Record,
    value: &Value,
    place: Place,
) -> Option<Place> {
    let kind = own_type(value, field.kind);
    let text = match field.field.unique {
        Unique::No => return None,
        _ if record.op != Op::Put || value.is_null() => return None,
        Unique::Exact => canonical(value, kind)?,
        Unique::Fold => canonical(value, kind)?.to_lowercase(),
    };
    claims.claim(sum(&[&record.entity, column, &text]), place)
}

fn check_shape(record: &Record, found: &mut Findings) {
    let mut wrong = |message: &str| found.errors.push(error(None, "key", message.to_owned()));
    if record.key.is_empty() && record.target.is_none() {
        wrong("the key is empty");
    }
    match record.op {
        Op::Remap if record.to.is_none() => wrong("a remap needs `to`"),
        Op::Put | Op::Delete if record.to.is_some() => wrong("`to` is for a remap"),
        Op::Put | Op::Remap if record.target.is_some() => wrong("`target` is for a delete"),
        _ => {}
    }
}

/// Are all columns the plan's, and each of its sort?
fn check_columns(rules: &EntityRules, record: &Record, found: &mut Findings) {
    let entity = &record.entity;
    let mut wrong =
        |column: &str, rule, message| found.errors.push(error(Some(column), rule, message));
    let names = record
        .fields
        .keys()
        .chain(record.refs.keys())
        .chain(record.lookups.keys());
    for column in names {
        match rules.fields.get(column.as_str()) {
            None => wrong(
                column,
                "column",
                format!("the plan has no column {column:?} of {entity}"),
            ),
            Some(field) if field.field.run.is_some() => {
                wrong(column, "column", "only apply fills it in".into());
            }
            Some(_) => {}
        }
        let stands = [
            record.fields.contains_key(column),
            record.refs.contains_key(column),
            record.lookups.contains_key(column),
        ];
        if stands.iter().filter(|stands| **stands).count() > 1 {
            wrong(
                column,
                "column",
                "it is in several of `fields`, `refs` and `lookups`".into(),
            );
        }
    }
    for (column, field) in &rules.fields {
        let value = record.fields.get(*column).filter(|value| !value.is_null());
        let to = record.refs.get(*column);
        match &field.field.reference {
            Some(expected) if value.is_some() || record.lookups.contains_key(*column) => {
                wrong(
                    column,
                    "type",
                    format!("a reference to {expected} was expected"),
                );
            }
            Some(expected) => {
                if let Some(to) = to.filter(|to| to.entity != *expected) {
                    wrong(
                        column,
                        "type",
                        format!(
                            "it refers to {:?}, a reference to {expected} was expected",
                            to.entity
                        ),
                    );
                }
            }
            None if to.is_some() => wrong(
                column,
                "type",
                "it is a reference, the plan has no `ref`".into(),
            ),
            None if field.field.lookup.is_some() && value.is_some() => {
                wrong(column, "type", "a code to look up was expected".into());
            }
            None if field.field.lookup.is_none() && record.lookups.contains_key(*column) => {
                wrong(
                    column,
                    "type",
                    "it is a code, the plan has no `lookup`".into(),
                );
            }
            None => {}
        }
    }
}

/// Asks the policies, apart from those about a column that is wrong already.
fn check_policies(rules: &EntityRules, record: &Record, found: &mut Findings) {
    if rules.policies.is_empty() || record.op != Op::Put {
        return;
    }
    let mut scope = Scope::default();
    for (column, field) in &rules.fields {
        let value = value_of(record, column).unwrap_or(Cow::Owned(Value::Null));
        scope.column(column, &value, field.kind);
    }
    let secret = rules.fields.values().any(|field| field.field.secret);
    for (rule, policy) in &rules.policies {
        if rule.names().iter().any(|name| found.names(name)) {
            continue;
        }
        let message = match rule.holds(&scope) {
            Ok(true) => continue,
            Ok(false) => policy.message.clone(),
            // What the expression saw may be a secret.
            Err(_) if secret => format!("{}: the expression fails", policy.message),
            Err(what) => format!("{}: {what}", policy.message),
        };
        match policy.level {
            Level::Reject => found.errors.push(error(None, "policy", message)),
            Level::Warn => found.warnings.push((message, None)),
        }
    }
}
