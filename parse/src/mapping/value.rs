//! The types: a value of the source becomes one of the record line, exactly or not at all.

use contract::plan::{Field, Type};
use serde_json::{Value, json};

use super::moment::Moments;
use super::number::{self, Notation};
use super::text::{plain, split};
use crate::json::kind_of;
use crate::json::strict::{self, Fault};

/// The type of one field, ready to convert.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Integer(Notation),
    Decimal(Notation),
    Boolean {
        truths: Vec<String>,
        falsehoods: Vec<String>,
    },
    Date(Moments),
    Timestamp(Moments),
    Json,
    List(Vec<String>),
    Vector,
    Uuid,
    Bytes,
}

impl Kind {
    /// Prepares the type of a field.
    ///
    /// # Errors
    ///
    /// Says what in the plan makes no sense.
    pub(super) fn new(field: &Field, zone: Option<&str>) -> Result<Self, String> {
        let notation = Notation {
            decimal: field.decimal.unwrap_or('.'),
            thousands: field.thousands,
        };
        if field.thousands == Some(notation.decimal) && field.kind == Type::Decimal {
            return Err("`thousands` and `decimal` are the same".into());
        }
        let words = |words: &[String], standard: &str| match words {
            [] => vec![standard.to_owned()],
            words => words.to_vec(),
        };
        Ok(match field.kind {
            Type::Text => Self::Text,
            Type::Integer => Self::Integer(notation),
            Type::Decimal => Self::Decimal(notation),
            Type::Boolean => Self::Boolean {
                truths: words(&field.truths, "true"),
                falsehoods: words(&field.falsehoods, "false"),
            },
            Type::Date => Self::Date(Moments::new(field, zone)?),
            Type::Timestamp => Self::Timestamp(Moments::new(field, zone)?),
            Type::Json => Self::Json,
            Type::List => Self::List(
                field
                    .list
                    .as_ref()
                    .map(|list| list.split.clone())
                    .unwrap_or_default(),
            ),
            Type::Vector => Self::Vector,
            Type::Uuid => Self::Uuid,
            Type::Bytes => Self::Bytes,
        })
    }

    /// Converts a value that is not null. `cell` says that it comes from text without types (CSV,
    /// an expression), so that JSON is to be read from it.
    ///
    /// # Errors
    ///
    /// Says why it can't be, to stand after the value.
    pub(super) fn convert(&self, value: Value, cell: bool) -> Result<Value, String> {
        match (self, value) {
            (Self::Text, value) => text(plain(&value)?),
            (Self::Integer(notation), Value::String(text)) => number::integer(&text, *notation),
            (Self::Integer(_), Value::Number(number)) => number::json_integer(&number),
            (Self::Decimal(notation), Value::String(text)) => number::decimal(&text, *notation),
            (Self::Decimal(_), Value::Number(number)) => number::json_decimal(&number),
            (Self::Boolean { .. }, Value::Bool(flag)) => Ok(Value::Bool(flag)),
            (Self::Boolean { truths, falsehoods }, value @ (Value::String(_) | Value::Number(_))) => {
                let text = plain(&value)?;
                match (truths.contains(&text), falsehoods.contains(&text)) {
                    (true, _) => Ok(Value::Bool(true)),
                    (_, true) => Ok(Value::Bool(false)),
                    _ => Err(format!(
                        "is neither true ({}) nor false ({})",
                        truths.join(", "),
                        falsehoods.join(", ")
                    )),
                }
            }
            (Self::Date(moments), value @ (Value::String(_) | Value::Number(_))) => {
                moments.date(&plain(&value)?).map(Value::String)
            }
            (Self::Timestamp(moments), value @ (Value::String(_) | Value::Number(_))) => {
                moments.timestamp(&plain(&value)?).map(Value::String)
            }
            (Self::Json, Value::String(text)) if cell => strict::parse(&text).map_err(|fault| match fault {
                Fault::Syntax { message, .. } => format!("is not JSON: {message}"),
                Fault::Meaning(message) => format!("is not JSON to be sure of: {message}"),
            }),
            (Self::Json, value) => Ok(value),
            (Self::List(_), Value::Array(items)) => {
                let items = items.iter().map(|item| text(plain(item)?));
                items.collect::<Result<_, _>>().map(Value::Array).map_err(|error| format!("has an element that {error}"))
            }
            (Self::List(separators), Value::String(text)) if !separators.is_empty() => {
                Ok(split(&text, separators).into())
            }
            (Self::List(_), Value::String(_)) => {
                Err("is a text where a list is expected: say how to split it, `list = { split = [\",\"] }`".into())
            }
            (Self::Vector, Value::String(text)) => match strict::parse(&text) {
                Ok(value @ Value::Array(_)) => self.convert(value, false),
                _ => Err("is no list of numbers in brackets".into()),
            },
            (Self::Vector, Value::Array(items)) => match items.iter().find(|item| !item.is_number()) {
                None => Ok(Value::Array(items)),
                Some(other) => Err(format!("holds {} where numbers are expected", kind_of(other))),
            },
            (Self::Uuid, Value::String(text)) => uuid(&text),
            (Self::Bytes, Value::String(text)) => bytes(&text),
            (_, other) => Err(format!("is {} where {} is expected", kind_of(&other), self.name())),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer(_) => "a whole number",
            Self::Decimal(_) => "a decimal number",
            Self::Boolean { .. } => "true or false",
            Self::Date(_) => "a date",
            Self::Timestamp(_) => "a date with time",
            Self::Json => "JSON",
            Self::List(_) => "a list of texts",
            Self::Vector => "a list of numbers",
            Self::Uuid => "a UUID",
            Self::Bytes => "bytes in hex",
        }
    }
}

fn text(text: String) -> Result<Value, String> {
    if text.contains('\0') {
        return Err("holds a NUL character, which targets can't keep".into());
    }
    Ok(Value::String(text))
}

/// Takes hex digits in any case, two a byte.
fn bytes(text: &str) -> Result<Value, String> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("is not in hex: expected two of the digits 0-9 and a-f for each byte".into());
    }
    Ok(json!({"hex": text.to_ascii_lowercase()}))
}

/// Takes 32 hex digits, with hyphens or without, in any case.
fn uuid(text: &str) -> Result<Value, String> {
    let hex: String = match text.len() {
        32 => text.to_ascii_lowercase(),
        36 => {
            let parts: Vec<&str> = text.split('-').collect();
            let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            if lengths == [8, 4, 4, 4, 12] {
                parts.concat().to_ascii_lowercase()
            } else {
                String::new()
            }
        }
        _ => String::new(),
    };
    if hex.is_empty() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("is no UUID: expected 32 hex digits, with hyphens or without".into());
    }
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    Ok(Value::String(parts.join("-")))
}

/// Takes a value of the plan as a value of a record.
///
/// # Errors
///
/// A binary float: its digits are lost already.
pub(super) fn of_plan(value: &toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text.clone()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Boolean(flag) => Value::Bool(*flag),
        toml::Value::Datetime(moment) => Value::String(moment.to_string()),
        toml::Value::Array(items) => {
            Value::Array(items.iter().map(of_plan).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| Ok((key.clone(), of_plan(value)?)))
                .collect::<Result<_, String>>()?,
        ),
        toml::Value::Float(number) => {
            return Err(format!(
                "the number {number} would lose its digits: write it as a text, with `type = \"decimal\"`"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn convert(plan: &str, value: Value, cell: bool) -> Result<Value, String> {
        let field: Field = toml::from_str(plan).unwrap();
        Kind::new(&field, Some("UTC")).unwrap().convert(value, cell)
    }

    #[test]
    fn values_of_every_type() {
        for (plan, value, expected) in [
            ("", json!(12), json!("12")),
            ("", json!(true), json!("true")),
            ("type = \"integer\"", json!("12"), json!(12)),
            ("type = \"integer\"", json!(12), json!(12)),
            (
                "type = \"boolean\"\ntrue = [\"Yes\"]\nfalse = [\"No\"]",
                json!("No"),
                json!(false),
            ),
            (
                "type = \"boolean\"\ntrue = [\"1\"]\nfalse = [\"0\"]",
                json!(1),
                json!(true),
            ),
            ("type = \"boolean\"", json!(true), json!(true)),
            (
                "type = \"timestamp\"\nformats = [\"%s\"]",
                json!(0),
                json!("1970-01-01T00:00:00Z"),
            ),
            ("type = \"json\"", json!("{\"a\":[1]}"), json!({"a": [1]})),
            (
                "type = \"list\"\nlist = { split = [\";\"] }",
                json!("a; b;a"),
                json!(["a", "b"]),
            ),
            ("type = \"list\"", json!(["a", 1]), json!(["a", "1"])),
            ("type = \"vector\"", json!("[1, 2]"), json!([1, 2])),
            (
                "type = \"uuid\"",
                json!("0000000000000000000000000000000A"),
                json!("00000000-0000-0000-0000-00000000000a"),
            ),
            ("type = \"bytes\"", json!("00fF"), json!({"hex": "00ff"})),
        ] {
            assert_eq!(convert(plan, value, true), Ok(expected), "{plan}");
        }
        assert_eq!(
            convert("type = \"json\"", json!("{}"), false),
            Ok(json!("{}"))
        );
    }

    #[test]
    fn nothing_is_coerced() {
        for (plan, value, said) in [
            ("", json!([1]), "is a list where a text is expected"),
            ("", json!("a\0"), "NUL"),
            (
                "type = \"integer\"",
                json!(true),
                "is true or false where a whole number is expected",
            ),
            (
                "type = \"boolean\"",
                json!("Yes"),
                "is neither true (true) nor false (false)",
            ),
            (
                "type = \"json\"",
                json!("{\"a\":1,\"a\":2}"),
                "the member `a` is there twice",
            ),
            ("type = \"list\"", json!("a;b"), "say how to split it"),
            (
                "type = \"list\"",
                json!([{"Id": 1}]),
                "has an element that is an object",
            ),
            (
                "type = \"vector\"",
                json!(["1"]),
                "holds a text where numbers",
            ),
            ("type = \"uuid\"", json!("not one"), "is no UUID"),
            ("type = \"bytes\"", json!("00f"), "is not in hex"),
        ] {
            let found = convert(plan, value, true).unwrap_err();
            assert!(found.contains(said), "{plan}: {found}");
        }
        assert!(
            of_plan(&toml::Value::Float(1.5))
                .unwrap_err()
                .contains("lose its digits")
        );
    }
}
