//! The checks of one field of the plan.

use super::check::{Checked, fault, known_entity};
use super::field::{Ambiguous, Field, Gap, RunValue, Type};
use super::load::Step;
use super::{Plan, spelling};

pub(super) fn check_field(plan: &Plan, column: &str, field: &Field, at: &[Step]) -> Checked {
    let ways = [
        field.from.is_some(),
        field.value.is_some(),
        field.expr.is_some(),
        field.run.is_some(),
    ];
    if ways.iter().filter(|way| **way).count() != 1 {
        return fault(
            at,
            &[],
            format!("`{column}` needs exactly one of `from`, `value`, `expr` and `run`"),
        );
    }
    if let Some(Err(error)) = field.expr.as_deref().map(crate::expr::Expression::compile) {
        return fault(at, &["expr"], error);
    }
    if let Some(name) = field
        .map
        .as_ref()
        .filter(|name| !plan.map.contains_key(*name))
    {
        let near = spelling::suggestion(name, plan.map.keys().map(String::as_str));
        return fault(at, &["map"], format!("there is no [map.{name}]{near}"));
    }
    if let Some(name) = &field.reference {
        known_entity(plan, name, at, "ref")?;
    }
    if let Some((key, .., whom)) = misplaced(field)
        .iter()
        .find(|(_, given, fits, _)| *given && !fits)
    {
        return fault(at, &[key], format!("`{key}` is for {whom}"));
    }
    if let Some(Err(error)) = field.pattern.as_deref().map(regex::Regex::new) {
        return fault(
            at,
            &["pattern"],
            format!("the pattern is no regular expression: {error}"),
        );
    }
    if field.run == Some(RunValue::Json) {
        return fault(at, &["run"], "`run = \"json\"` is for the [metadata] row");
    }
    Ok(())
}

/// Every key that is only for some fields: its name, whether it is given, whether it fits here, and
/// what it is for.
#[rustfmt::skip] // a table: one row a line
fn misplaced(field: &Field) -> [(&'static str, bool, bool, &'static str); 21] {
    let text = matches!(field.kind, Type::Text | Type::Uuid);
    let number = matches!(field.kind, Type::Integer | Type::Decimal);
    let moment = matches!(field.kind, Type::Date | Type::Timestamp);
    let sized = matches!(field.kind, Type::Text | Type::List);
    [
        ("formats", !field.formats.is_empty(), moment, "type date or timestamp"),
        ("zone", field.zone.is_some(), moment, "type date or timestamp"),
        ("gap", field.gap != Gap::Reject, moment, "type date or timestamp"),
        ("ambiguous", field.ambiguous != Ambiguous::Reject, moment, "type date or timestamp"),
        ("decimal", field.decimal.is_some(), number, "type integer or decimal"),
        ("thousands", field.thousands.is_some(), number, "type integer or decimal"),
        ("true", !field.truths.is_empty(), field.kind == Type::Boolean, "type boolean"),
        ("false", !field.falsehoods.is_empty(), field.kind == Type::Boolean, "type boolean"),
        ("list", field.list.is_some(), field.kind == Type::List, "type list"),
        ("store", field.store.is_some(), field.kind == Type::List, "type list"),
        ("dimensions", field.dimensions.is_some(), field.kind == Type::Vector, "type vector"),
        ("exact", field.exact.is_some(), field.kind == Type::Decimal, "type decimal"),
        ("min", field.min.is_some(), number || moment, "a number, date or timestamp"),
        ("max", field.max.is_some(), number || moment, "a number, date or timestamp"),
        ("min_length", field.min_length.is_some(), sized, "text or a list"),
        ("max_length", field.max_length.is_some(), sized, "text or a list"),
        ("pattern", field.pattern.is_some(), text, "text"),
        ("format", field.format.is_some(), text, "text"),
        ("outside", field.outside.is_some(), field.reference.is_some(), "a `ref`"),
        ("late", field.late, field.reference.is_some() && !field.required, "a `ref` that is not required"),
        ("ref", field.reference.is_some(), field.lookup.is_none(), "a field without `lookup`"),
    ]
}
