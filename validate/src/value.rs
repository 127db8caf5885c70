//! Values of record lines: are they what the plan's type says, and are two of them the same?

use chrono::{DateTime, NaiveDate, SecondsFormat, Timelike, Utc};
use contract::plan::{Format, Type};
use serde_json::Value;

use crate::number::Number;

/// Says what is wrong with a value of this type; null is of every type.
///
/// # Errors
///
/// What was found and what was expected, without the value itself.
pub(crate) fn check_type(
    value: &Value,
    kind: Type,
    dimensions: Option<usize>,
) -> Result<(), String> {
    let wrong = |expected: &str| Err(format!("it is {}, {expected} was expected", name_of(value)));
    match (kind, value) {
        (_, Value::Null)
        | (Type::Text, Value::String(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Json, _) => Ok(()),
        (Type::Text, _) => wrong("text"),
        (Type::Boolean, _) => wrong("true or false"),
        (Type::Integer, Value::Number(number)) if is_integer(&number.to_string()) => Ok(()),
        (Type::Integer, Value::Number(_)) => {
            Err("it is not a whole number written in digits".into())
        }
        (Type::Integer, _) => wrong("a whole number"),
        (Type::Decimal, Value::Number(number)) if Number::parse(&number.to_string()).is_some() => {
            Ok(())
        }
        (Type::Decimal, _) => wrong("a decimal number"),
        (Type::Date, Value::String(text)) => match date(text) {
            Some(_) => Ok(()),
            None => Err("it is not a date that exists, written YYYY-MM-DD".into()),
        },
        (Type::Date, _) => wrong("a date"),
        (Type::Timestamp, Value::String(text)) => match moment(text) {
            Some(_) => Ok(()),
            None => Err("it is not an instant that exists, written YYYY-MM-DDThh:mm:ssZ".into()),
        },
        (Type::Timestamp, _) => wrong("an instant"),
        (Type::List, Value::Array(items)) => {
            match items.iter().position(|item| !item.is_string()) {
                None => Ok(()),
                Some(place) => Err(format!(
                    "element {} is {}, text was expected",
                    place + 1,
                    name_of(&items[place])
                )),
            }
        }
        (Type::List, _) => wrong("a list of texts"),
        (Type::Vector, Value::Array(items)) => check_vector(items, dimensions),
        (Type::Vector, _) => wrong("a list of numbers"),
        (Type::Uuid, Value::String(text))
            if is_uuid(text) && !text.contains(char::is_uppercase) =>
        {
            Ok(())
        }
        (Type::Uuid, _) => Err("it is not a UUID in lower case with hyphens".into()),
        (Type::Bytes, Value::Object(parts)) if parts.len() == 1 && is_hex(parts.get("hex")) => {
            Ok(())
        }
        (Type::Bytes, _) => {
            Err(r#"it is not bytes, written {"hex":"…"} in lower case, two digits a byte"#.into())
        }
    }
}

fn check_vector(items: &[Value], dimensions: Option<usize>) -> Result<(), String> {
    if let Some(dimensions) = dimensions.filter(|dimensions| *dimensions != items.len()) {
        return Err(format!(
            "it holds {} numbers, {dimensions} were expected",
            items.len()
        ));
    }
    let finite = |item: &Value| item.is_number() && item.as_f64().is_some_and(f64::is_finite);
    match items.iter().position(|item| !finite(item)) {
        None => Ok(()),
        Some(place) => Err(format!("element {} is not a finite number", place + 1)),
    }
}

/// Returns the type of a value whose column leaves it open (text, to a plan that says nothing).
pub(crate) fn own_type(value: &Value, kind: Type) -> Type {
    match (kind, value) {
        (Type::Text, Value::Number(_)) => Type::Decimal,
        (Type::Text, Value::Bool(_)) => Type::Boolean,
        (Type::Text, Value::Array(_) | Value::Object(_)) => Type::Json,
        _ => kind,
    }
}

/// Returns one text for all ways to write a value of this type, `None` for a value of another.
pub(crate) fn canonical(value: &Value, kind: Type) -> Option<String> {
    match (kind, value) {
        (Type::Integer | Type::Decimal, Value::Number(number)) => {
            Number::parse(&number.to_string()).map(|number| number.canonical())
        }
        (Type::Date, Value::String(text)) => date(text).map(|day| day.to_string()),
        (Type::Timestamp, Value::String(text)) => {
            moment(text).map(|moment| moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        }
        (Type::Text | Type::Uuid, Value::String(text)) => Some(text.clone()),
        (Type::Boolean, Value::Bool(_))
        | (Type::List | Type::Vector, Value::Array(_))
        | (Type::Bytes, Value::Object(_))
        | (Type::Json, _) => Some(value.to_string()),
        _ => None,
    }
}

/// Says which well-known form a text does not have.
///
/// # Errors
///
/// What was expected.
pub(crate) fn check_format(text: &str, format: Format) -> Result<(), &'static str> {
    let bare = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    match format {
        Format::Email => {
            let (name, domain) = text.split_once('@').unwrap_or_default();
            let inside = domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
            let good = bare && inside && !name.is_empty() && !domain.contains('@');
            if good {
                Ok(())
            } else {
                Err("it is not an e-mail address")
            }
        }
        Format::Url => {
            let rest = text
                .strip_prefix("https://")
                .or_else(|| text.strip_prefix("http://"));
            let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
            let good = bare && host.is_some_and(|host| !host.is_empty());
            if good {
                Ok(())
            } else {
                Err("it is not an http or https URL")
            }
        }
        Format::Uuid if is_uuid(text) => Ok(()),
        Format::Uuid => Err("it is not a UUID"),
    }
}

/// Reads a day, `YYYY-MM-DD`.
pub(crate) fn date(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    // chrono also takes `2024-1-5`; there is one way to write a day.
    (day.format("%Y-%m-%d").to_string() == text).then_some(day)
}

/// Reads an instant in UTC.
pub(crate) fn moment(text: &str) -> Option<DateTime<Utc>> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    // A second of 60 is kept by chrono as a nanosecond beyond the second; targets would shift it.
    let plain = text.as_bytes().get(10) == Some(&b'T') && text.ends_with('Z');
    (plain && moment.nanosecond() < 1_000_000_000).then_some(moment)
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hex(value: Option<&Value>) -> bool {
    value.and_then(Value::as_str).is_some_and(|text| {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.len().is_multiple_of(2) && text.bytes().all(digit)
    })
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(kind: Type, json: &str) -> bool {
        check_type(&serde_json::from_str(json).unwrap(), kind, Some(2)).is_ok()
    }

    #[test]
    fn each_type_takes_its_values_and_no_others() {
        #[rustfmt::skip] // a table: one type a line
        let table: [(Type, &[&str], &[&str]); 11] = [
            (Type::Text, &[r#""""#, r#""a""#, "null"], &["1", "true", "[]"]),
            (Type::Integer, &["0", "-7", "123456789012345678901234567890"], &["1.0", "1e3", r#""1""#, "true"]),
            (Type::Decimal, &["1", "-0.10", "12345678901234567890.10", "1e3"], &[r#""1.5""#, "[]"]),
            (Type::Boolean, &["true", "false"], &["0", r#""true""#]),
            (Type::Date, &[r#""2024-02-29""#], &[r#""2023-02-29""#, r#""2024-2-1""#, r#""2024-02-01T00:00:00Z""#, "20240201"]),
            (Type::Timestamp, &[r#""2024-01-15T08:00:00Z""#, r#""2024-01-15T08:00:00.123456Z""#],
                &[r#""2024-01-15T08:00:00+00:00""#, r#""2024-01-15 08:00:00Z""#, r#""2024-13-15T08:00:00Z""#, r#""2016-12-31T23:59:60Z""#]),
            (Type::Json, &["{}", "1", r#""x""#], &[]),
            (Type::List, &["[]", r#"["a","b"]"#], &[r#"["a",1]"#, r#""a""#, "[null]"]),
            (Type::Vector, &["[1,2.5]"], &["[1]", "[1,2,3]", r#"[1,"2"]"#, "[1,1e999]", "1"]),
            (Type::Uuid, &[r#""0190d6f0-0000-7000-8000-000000000000""#],
                &[r#""0190D6F0-0000-7000-8000-000000000000""#, r#""0190d6f0000070008000000000000000""#, "1"]),
            (Type::Bytes, &[r#"{"hex":""}"#, r#"{"hex":"00ff"}"#], &[r#""00ff""#, r#"{"hex":"0"}"#, r#"{"hex":"FF"}"#, r#"{"hex":"0ä"}"#, "{}", r#"{"hex":"00","a":1}"#]),
        ];
        for (kind, good, bad) in table {
            for json in good {
                assert!(fits(kind, json), "{kind:?} {json}");
            }
            for json in bad {
                assert!(!fits(kind, json), "{kind:?} {json}");
            }
        }
    }

    #[test]
    fn well_known_forms() {
        #[rustfmt::skip] // a table: one form a line
        let table: [(Format, &[&str], &[&str]); 3] = [
            (Format::Email, &["a@b.c", "ä.b+c@x.example"], &["", "a", "@b.c", "a@b", "a@.c", "a@b.", "a b@c.d", "a@b@c.d"]),
            (Format::Url, &["http://a", "https://a.b/c?d#e"], &["ftp://a", "http://", "http:///x", "https://a b", "a.b"]),
            (Format::Uuid, &["0190D6F0-0000-7000-8000-000000000000"], &["0190d6f0", "0190d6f0-0000-7000-8000-00000000000g"]),
        ];
        for (format, good, bad) in table {
            for text in good {
                assert!(check_format(text, format).is_ok(), "{format:?} {text}");
            }
            for text in bad {
                assert!(check_format(text, format).is_err(), "{format:?} {text}");
            }
        }
    }

    #[test]
    fn ways_to_write_a_value_are_one() {
        let one = |kind, json: &str| canonical(&serde_json::from_str(json).unwrap(), kind);
        assert_eq!(one(Type::Decimal, "1.50"), one(Type::Decimal, "1.5"));
        assert_eq!(
            one(Type::Timestamp, r#""2024-01-15T08:00:00.000Z""#),
            one(Type::Timestamp, r#""2024-01-15T08:00:00Z""#)
        );
        assert_ne!(one(Type::Text, r#""A""#), one(Type::Text, r#""a""#));
        assert_eq!(one(Type::Integer, r#""1""#), None);
    }
}
