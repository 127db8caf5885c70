//! A JSON value with its digits kept and no member named twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Number, Value};

/// How `serde_json` hands over a number whose digits are kept: as a map of this one member.
const NUMBER: &str = "$serde_json::private::Number";

/// What is wrong with a text that should be one JSON value.
pub(crate) enum Fault {
    /// It is not JSON from this byte on.
    Syntax {
        /// 0-based byte of the text.
        offset: usize,
        /// What was found.
        message: String,
    },
    /// It is JSON, but not a value that can be told apart from others.
    Meaning(String),
}

/// Reads one value.
pub(crate) fn parse(text: &str) -> Result<Value, Fault> {
    let Strict(value) = serde_json::from_str(text).map_err(|error| {
        let whole = error.to_string();
        let message = whole
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned();
        if error.classify() == Category::Data {
            return Fault::Meaning(message);
        }
        let above: usize = text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let offset = (above + error.column().saturating_sub(1)).min(text.len());
        Fault::Syntax { offset, message }
    })?;
    Ok(value)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Build).map(Self)
    }
}

struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    // Whole numbers of up to 64 bits come so; all others, digits kept, by `visit_map`.
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == NUMBER {
                let digits: String = map.next_value()?;
                return digits
                    .parse::<Number>()
                    .map(Value::Number)
                    .map_err(A::Error::custom);
            }
            let Strict(value) = map.next_value()?;
            if members.contains_key(&key) {
                return Err(A::Error::custom(format_args!(
                    "the member `{key}` is there twice"
                )));
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_order_are_kept() {
        let text = r#"{"b":12345678901234567890.1200,"a":[1e400,-0,null,true,"é"]}"#;
        let Ok(value) = parse(text) else { panic!() };
        assert_eq!(value.to_string().replace("1e+400", "1e400"), text);
    }

    #[test]
    fn a_member_named_twice_is_found_at_any_depth() {
        let Err(Fault::Meaning(message)) = parse(r#"[{"x":{"a":1,"a":1}}]"#) else {
            panic!()
        };
        assert_eq!(message, "the member `a` is there twice");
    }

    #[test]
    fn syntax_is_placed() {
        let Err(Fault::Syntax { offset, .. }) = parse("{\"a\":\n 1,\n x}") else {
            panic!()
        };
        assert_eq!(offset, 11);
    }
}
