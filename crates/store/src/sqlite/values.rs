//! Values of a record as SQLite keeps them.

use std::borrow::Cow;

use contract::plan::{Field, ListOut, Type};
use serde_json::Value;

use crate::Cell;
use crate::catalogue::Column;
use crate::plain::{json, plain, shortest, sorted};

/// The affinity of a declared type (SQLite: datatype3.html, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

pub(super) fn affinity(declared: &str) -> Affinity {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    match () {
        () if has("INT") => Affinity::Integer,
        () if has("CHAR") || has("CLOB") || has("TEXT") => Affinity::Text,
        () if has("BLOB") || declared.is_empty() => Affinity::Blob,
        () if has("REAL") || has("FLOA") || has("DOUB") => Affinity::Real,
        () => Affinity::Numeric,
    }
}

/// Makes the cell for a value, refusing what the column's affinity would change.
pub(super) fn encode(field: &Field, column: &Column, value: &Value) -> Result<Cell, String> {
    let affinity = affinity(&column.declared);
    let wrong = || Err(format!("{value} is no {:?}", field.kind).to_lowercase());
    match (field.kind, value) {
        (_, Value::Null) => Ok(Cell::Null),
        // A value map gives numbers and booleans for text columns too.
        (Type::Integer | Type::Text, Value::Number(number)) => {
            integer(&number.to_string(), affinity, column)
        }
        (Type::Decimal, Value::Number(number)) => decimal(&number.to_string(), affinity, column),
        (Type::Boolean, Value::Bool(value)) if is_json(column) => Ok(Cell::Text(value.to_string())),
        (Type::Boolean | Type::Text, Value::Bool(value)) => Ok(Cell::Int(i64::from(*value))),
        (Type::Json, Value::Number(number)) if affinity == Affinity::Numeric => {
            json_number(&number.to_string(), column)
        }
        (Type::Json, value) => Ok(Cell::Text(value.to_string())),
        (Type::List, Value::Array(items)) => list(items, field.store.as_ref()),
        (Type::Vector, Value::Array(_)) => Ok(Cell::Text(value.to_string())),
        (Type::Text | Type::Date | Type::Timestamp | Type::Uuid, Value::String(text)) => {
            Ok(Cell::Text(text.clone()))
        }
        (Type::Bytes, value) => {
            crate::plain::bytes(value).map_or_else(wrong, |bytes| Ok(Cell::Blob(bytes)))
        }
        _ => wrong(),
    }
}

/// Says why a column would change what a field holds.
pub(super) fn misfit(field: &Field, column: &Column) -> Option<String> {
    let affinity = affinity(&column.declared);
    let Column { name, declared, .. } = column;
    // DATE and DATETIME have numeric affinity too, and hold text that looks like no number.
    let numeric = matches!(affinity, Affinity::Integer | Affinity::Real);
    match field.kind {
        Type::Decimal
            if !matches!(affinity, Affinity::Text | Affinity::Blob)
                && field.exact != Some(false) =>
        {
            Some(format!(
                "column `{name}` is {declared}: it would keep a decimal as a binary float; make it TEXT, \
                 or say `exact = false` to take values that read back equal"
            ))
        }
        Type::Text
            if numeric && field.map.is_none() && field.value.is_none() && field.expr.is_none() =>
        {
            Some(format!(
                "column `{name}` is {declared}, the field is text: say `type = \"integer\"` or what it is"
            ))
        }
        Type::Json | Type::List | Type::Vector | Type::Uuid | Type::Date | Type::Timestamp
            if numeric =>
        {
            Some(
                format!(
                    "column `{name}` is {declared}, which is no place for {:?}",
                    field.kind
                )
                .to_lowercase(),
            )
        }
        Type::List if field.store == Some(ListOut::Array) => Some(format!(
            "column `{name}`: SQLite has no arrays, say `store = \"json\"` or `store = {{ separated = … }}`"
        )),
        _ => None,
    }
}

/// Makes the cell for a key that is written as text: a number where the column holds numbers.
pub(super) fn key_cell(column: &Column, text: &str) -> Cell {
    match text.parse::<i64>() {
        Ok(number)
            if affinity(&column.declared) == Affinity::Integer && number.to_string() == text =>
        {
            Cell::Int(number)
        }
        _ => Cell::Text(text.to_owned()),
    }
}

/// Tells whether a column holds JSON: its declared type contains the word.
pub(super) fn is_json(column: &Column) -> bool {
    column.declared.to_ascii_uppercase().contains("JSON")
}

/// A number as JSON in a column of numeric affinity (a declared type of `JSON` has it), which makes a
/// number of every text that looks like one: written as the number that it would become, or refused
/// where that is another.
fn json_number(digits: &str, column: &Column) -> Result<Cell, String> {
    let value = plain(digits);
    if let Some(whole) = whole(&value) {
        return Ok(Cell::Int(whole));
    }
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() && plain(&shortest(number)) == value => {
            Ok(Cell::Real(number))
        }
        _ => Err(format!(
            "{digits} does not fit column {} of type {}: it would lose digits",
            column.name, column.declared
        )),
    }
}

/// The whole number that a decimal in the form of [`plain`] is, if it is one of 64 bits.
fn whole(plain: &str) -> Option<i64> {
    let (digits, power) = plain.split_once('e').unwrap_or((plain, "0"));
    let power: u32 = power.parse().ok()?;
    digits
        .parse::<i64>()
        .ok()?
        .checked_mul(10_i64.checked_pow(power)?)
}

fn integer(digits: &str, affinity: Affinity, column: &Column) -> Result<Cell, String> {
    match (affinity, digits.parse::<i64>()) {
        (Affinity::Text, _) => Ok(Cell::Text(digits.to_owned())),
        (Affinity::Real, Ok(number)) if number.unsigned_abs() > 1 << 53 => Err(format!(
            "{digits} does not fit column {} of type {}: it would lose digits",
            column.name, column.declared
        )),
        (_, Ok(number)) => Ok(Cell::Int(number)),
        (_, Err(_)) => Err(format!(
            "{digits} does not fit column {} of type {}",
            column.name, column.declared
        )),
    }
}

fn decimal(digits: &str, affinity: Affinity, column: &Column) -> Result<Cell, String> {
    if matches!(affinity, Affinity::Text | Affinity::Blob) {
        return Ok(Cell::Text(digits.to_owned()));
    }
    // Such a column is refused before the first write unless the plan says `exact = false`.
    match digits.parse::<f64>() {
        Ok(number) if plain(&shortest(number)) == plain(digits) => Ok(Cell::Real(number)),
        _ => Err(format!(
            "{digits} does not fit column {} of type {}: it would lose digits",
            column.name, column.declared
        )),
    }
}

fn list(items: &[Value], store: Option<&ListOut>) -> Result<Cell, String> {
    match store {
        None | Some(ListOut::Json) => Ok(Cell::Text(Value::Array(items.to_vec()).to_string())),
        Some(ListOut::Array) => Err(
            "SQLite has no arrays: say `store = \"json\"` or `store = { separated = … }`".into(),
        ),
        Some(ListOut::Separated(separator)) => {
            let mut texts = Vec::new();
            for item in items {
                let text = item
                    .as_str()
                    .map_or_else(|| item.to_string(), str::to_owned);
                if text.contains(separator.as_str()) {
                    return Err(format!(
                        "the element {text:?} holds the separator {separator:?}"
                    ));
                }
                texts.push(text);
            }
            Ok(Cell::Text(texts.join(separator)))
        }
    }
}

/// The form in which two cells of a column are compared.
pub(super) fn canonical<'a>(field: Option<&Field>, cell: &'a Cell) -> Cow<'a, Cell> {
    Cow::Owned(match (field.map(|field| field.kind), cell) {
        (Some(Type::Json | Type::List | Type::Vector), Cell::Text(text)) => {
            match serde_json::from_str::<Value>(text) {
                Ok(value) => Cell::Text(sorted(value).to_string()),
                Err(_) => return Cow::Borrowed(cell),
            }
        }
        (Some(Type::Decimal), Cell::Real(number)) => Cell::Text(plain(&shortest(*number))),
        (Some(Type::Decimal), Cell::Int(number)) => Cell::Text(plain(&number.to_string())),
        (Some(Type::Uuid), Cell::Text(text)) => Cell::Text(text.to_ascii_lowercase()),
        // A REAL column gives whole numbers back as floats.
        (Some(Type::Integer), Cell::Real(number))
            if number.fract() == 0.0 && number.abs() < 9e15 =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "whole and below 2^53, checked above"
            )]
            Cell::Int(*number as i64)
        }
        _ => return Cow::Borrowed(cell),
    })
}

/// The form that every target shares.
pub(super) fn portable(declared: &str, cell: Cell) -> Cell {
    match cell {
        Cell::Text(text) if declared.to_ascii_uppercase().contains("JSON") => json(text),
        cell => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_column_refuses_what_it_would_round() {
        let column = |declared: &str| Column {
            name: "price".into(),
            declared: declared.into(),
            not_null: false,
            has_default: false,
            generated: false,
        };
        let field = Field {
            kind: Type::Decimal,
            ..Field::default()
        };
        let value: Value = serde_json::from_str("12345678901234567.89").unwrap();
        assert!(encode(&field, &column("REAL"), &value).is_err());
        assert_eq!(
            encode(&field, &column("TEXT"), &value),
            Ok(Cell::Text("12345678901234567.89".into()))
        );
        let value: Value = serde_json::from_str("12.50").unwrap();
        assert_eq!(
            encode(&field, &column("REAL"), &value),
            Ok(Cell::Real(12.5))
        );
    }
}
