//! The rules of one column, asked of one value.

use contract::plan::{ListOut, Type};
use contract::reject::MASK;
use serde_json::Value;

use crate::rules::{Bound, FieldRules};
use crate::value::{canonical, check_format, check_type, own_type};

/// A rule that is broken: its name and what is wrong.
pub(crate) type Broken = (&'static str, String);

impl FieldRules<'_> {
    /// Returns every rule that a value breaks; null breaks none of these.
    pub(crate) fn check(&self, value: &Value) -> Vec<Broken> {
        if value.is_null() {
            return Vec::new();
        }
        if self.field.secret && value.as_str() == Some(MASK) {
            return vec![(
                "secret",
                "its value was masked in the reject: put it back".into(),
            )];
        }
        let open = self.given.contains(value);
        let kind = if open {
            own_type(value, self.kind)
        } else {
            self.kind
        };
        if let Err(message) = check_type(value, kind, self.field.dimensions) {
            return vec![("type", message)];
        }
        let mut broken = Vec::new();
        match value {
            Value::String(text) => {
                self.check_text(text, &mut broken);
                self.check_one_of(value, kind, &mut broken);
                self.check_length(text.chars().count(), "characters", &mut broken);
            }
            Value::Array(items) if kind == Type::List => {
                for item in items {
                    self.check_one_of(item, Type::Text, &mut broken);
                }
                broken.dedup();
                self.check_separator(items, &mut broken);
                self.check_length(items.len(), "elements", &mut broken);
            }
            _ => self.check_one_of(value, kind, &mut broken),
        }
        self.check_range(value, kind, &mut broken);
        broken
    }

    fn check_text(&self, text: &str, broken: &mut Vec<Broken>) {
        if let Some(Err(message)) = self.field.format.map(|format| check_format(text, format)) {
            broken.push(("format", message.into()));
        }
        if let (Some(whole), Some(pattern)) = (&self.pattern, &self.field.pattern)
            && !whole.is_match(text)
        {
            broken.push(("pattern", format!("it does not match {pattern}")));
        }
    }

    fn check_one_of(&self, value: &Value, kind: Type, broken: &mut Vec<Broken>) {
        if self.one_of.is_empty() {
            return;
        }
        if !canonical(value, kind).is_some_and(|value| self.one_of.contains(&value)) {
            let known: Vec<_> = self.field.one_of.iter().map(ToString::to_string).collect();
            broken.push(("one_of", format!("it is none of {}", known.join(", "))));
        }
    }

    fn check_length(&self, length: usize, unit: &str, broken: &mut Vec<Broken>) {
        if let Some(least) = self.field.min_length.filter(|least| length < *least) {
            broken.push((
                "min_length",
                format!("it has {length} {unit}, the least is {least}"),
            ));
        }
        if let Some(most) = self.field.max_length.filter(|most| length > *most) {
            broken.push((
                "max_length",
                format!("it has {length} {unit}, the most is {most}"),
            ));
        }
    }

    fn check_range(&self, value: &Value, kind: Type, broken: &mut Vec<Broken>) {
        if self.min.is_none() && self.max.is_none() {
            return;
        }
        let Some(bound) = Bound::of(value, kind) else {
            return;
        };
        if let (Some(least), Some(said)) = (&self.min, &self.field.min)
            && bound < *least
        {
            broken.push(("min", format!("it is below {said}")));
        }
        if let (Some(most), Some(said)) = (&self.max, &self.field.max)
            && bound > *most
        {
            broken.push(("max", format!("it is above {said}")));
        }
    }

    /// A list that is kept as one text must not hold what separates its elements.
    fn check_separator(&self, items: &[Value], broken: &mut Vec<Broken>) {
        let Some(ListOut::Separated(separator)) = &self.field.store else {
            return;
        };
        if items
            .iter()
            .any(|item| item.as_str().is_some_and(|item| item.contains(separator)))
        {
            let message =
                format!("an element holds {separator:?}, which separates them in the target");
            broken.push(("separator", message));
        }
    }
}
