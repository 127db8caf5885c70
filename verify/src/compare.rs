//! Does a cell hold the value of a record? Written apart from the code that writes rows.

use chrono::DateTime;
use contract::plan::{Field, ListOut, Type};
use serde_json::Value;
use store::Cell;

/// Tells whether a cell of a column that is declared so holds a value. `is_tag` tells list elements
/// that runs have added, in the column that gets them.
pub(crate) fn holds(
    field: &Field,
    declared: &str,
    value: &Value,
    cell: &Cell,
    is_tag: Option<&dyn Fn(&str) -> bool>,
) -> bool {
    if let Some(is_tag) = is_tag {
        return list_of(field, cell).is_some_and(|mut items| {
            items.retain(|item| !item.as_str().is_some_and(is_tag));
            // A tag makes a list of what was NULL.
            value.as_array().map_or(value.is_null(), |_| true)
                && same_items(value.as_array().map_or(&[][..], Vec::as_slice), &items)
        });
    }
    match (field.kind, value) {
        (_, Value::Null) => cell.is_null(),
        // SQLite keeps a number as one in a column that is declared as JSON.
        (Type::Json, Value::Number(number)) if cell.text().is_none() => {
            number_is(&number.to_string(), cell)
        }
        (Type::Json, value) => cell
            .text()
            .and_then(parsed)
            .is_some_and(|found| same_json(&found, value)),
        (Type::List, Value::Array(items)) => {
            !cell.is_null() && list_of(field, cell).is_some_and(|found| same_items(items, &found))
        }
        (Type::Vector, Value::Array(items)) => match cell.text().and_then(parsed) {
            Some(Value::Array(found)) => {
                found.len() == items.len()
                    && items.iter().zip(&found).all(|(item, found)| {
                        item.is_number()
                            && found.is_number()
                            && exact(&item.to_string()) == exact(&found.to_string())
                    })
            }
            _ => false,
        },
        (Type::Bytes, value) => {
            let hex = value["hex"].as_str().unwrap_or_default();
            let is = |(at, byte): (usize, &u8)| {
                hex.get(2 * at..2 * at + 2) == Some(format!("{byte:02x}").as_str())
            };
            matches!(cell, Cell::Blob(bytes)
                if hex.len() == 2 * bytes.len() && bytes.iter().enumerate().all(is))
        }
        (_, Value::Bool(value)) => {
            *cell == Cell::Int(i64::from(*value)) || cell.text() == Some(&value.to_string())
        }
        (_, Value::Number(number)) => {
            let digits = number.to_string();
            let same =
                |found: &str| exact(found).is_some_and(|found| Some(found) == exact(&digits));
            // PostgreSQL's numeric is text here, and keeps as many zeros as it is declared with; its
            // jsonb writes a number in its own way.
            let by_value = declared.starts_with("numeric") || declared.starts_with("json");
            number_is(&digits, cell) || (by_value && cell.text().is_some_and(same))
        }
        (Type::Uuid, Value::String(text)) => cell
            .text()
            .is_some_and(|found| found.eq_ignore_ascii_case(text)),
        (_, Value::String(text)) => {
            cell.text() == Some(text)
                || (declared.starts_with("timestamp")
                    && cell.text().is_some_and(|found| same_moment(text, found)))
        }
        _ => false,
    }
}

/// Tells whether PostgreSQL's text of a timestamp, which is in UTC here, is an instant.
fn same_moment(expected: &str, found: &str) -> bool {
    let zoned = found.strip_suffix("+00").unwrap_or(found);
    let found = DateTime::parse_from_rfc3339(&format!("{}Z", zoned.replacen(' ', "T", 1)));
    DateTime::parse_from_rfc3339(expected).is_ok_and(|expected| Ok(expected) == found)
}

/// Numbers in JSON are equal by value, members in any order.
fn same_json(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => exact(&a.to_string()) == exact(&b.to_string()),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| same_json(a, b)))
        }
        (a, b) => a == b,
    }
}

/// In a text column digits must be the same; in a numeric one the value.
fn number_is(digits: &str, cell: &Cell) -> bool {
    match cell {
        Cell::Text(text) => text == digits,
        Cell::Int(number) => exact(digits) == exact(&number.to_string()),
        // The shortest decimal that reads back as this float.
        Cell::Real(number) => exact(digits) == exact(&format!("{number}")),
        Cell::Null | Cell::Blob(_) | Cell::Raw(_) | Cell::Folded(_) => false,
    }
}

/// A decimal as sign, digits without zeros at either end, and power of ten: equal for equal values.
/// `None` for what is no decimal.
fn exact(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let kept = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - kept.len()).ok()?;
    let kept = kept.trim_start_matches('0');
    if kept.is_empty() {
        return Some((false, String::new(), 0));
    }
    Some((
        negative,
        kept.to_owned(),
        power + dropped - i64::try_from(fraction.len()).ok()?,
    ))
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// The elements of a list as the plan stores it; none of a NULL; `None` of what is no list.
fn list_of(field: &Field, cell: &Cell) -> Option<Vec<Value>> {
    let text = match cell {
        Cell::Null => return Some(Vec::new()),
        Cell::Text(text) => text,
        _ => return None,
    };
    match &field.store {
        Some(ListOut::Separated(_)) if text.is_empty() => Some(Vec::new()),
        Some(ListOut::Separated(separator)) => Some(
            text.split(separator.as_str())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        ),
        _ => match parsed(text) {
            Some(Value::Array(items)) => Some(items),
            _ => None,
        },
    }
}

fn same_items(expected: &[Value], found: &[Value]) -> bool {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    expected.len() == found.len()
        && expected
            .iter()
            .zip(found)
            .all(|(expected, found)| text(expected) == text(found))
}

/// Tells whether a list cell holds a text among its elements.
pub(crate) fn has_item(field: Option<&Field>, cell: &Cell, text: &str) -> bool {
    let plain = Field::default();
    let items = list_of(field.unwrap_or(&plain), cell).unwrap_or_default();
    items.iter().any(|item| item.as_str() == Some(text))
}

/// Takes the tags of runs out of a list cell, in the form that the id map's checksums are made
/// of: an empty list is NULL.
pub(crate) fn without_tags(
    field: Option<&Field>,
    cell: &Cell,
    is_tag: &dyn Fn(&str) -> bool,
) -> Cell {
    let plain = Field::default();
    let field = field.unwrap_or(&plain);
    let Some(mut items) = list_of(field, cell) else {
        return cell.clone();
    };
    items.retain(|item| !item.as_str().is_some_and(is_tag));
    match &field.store {
        _ if items.is_empty() => Cell::Null,
        Some(ListOut::Separated(separator)) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            Cell::Text(texts.join(separator))
        }
        _ => Cell::Text(Value::Array(items).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: Type) -> Field {
        Field {
            kind,
            ..Field::default()
        }
    }

    fn is(kind: Type, json: &str, cell: &Cell) -> bool {
        holds(
            &field(kind),
            "",
            &serde_json::from_str(json).unwrap(),
            cell,
            None,
        )
    }

    #[test]
    fn numbers_compare_by_value_and_as_text_by_digits() {
        assert!(is(Type::Decimal, "12.50", &Cell::Real(12.5)));
        assert!(is(Type::Decimal, "1e3", &Cell::Int(1000)));
        assert!(is(Type::Decimal, "0.10", &"0.10".into()));
        assert!(!is(Type::Decimal, "0.10", &"0.1".into()));
        assert!(!is(
            Type::Decimal,
            "12345678901234567.89",
            &Cell::Real(12_345_678_901_234_567.89)
        ));
        assert!(!is(Type::Decimal, "-5", &Cell::Int(5)));
        assert!(is(Type::Decimal, "-0.0", &Cell::Int(0)));
        assert!(is(
            Type::Integer,
            "9007199254740993",
            &Cell::Int(9_007_199_254_740_993)
        ));
        assert!(!is(
            Type::Integer,
            "9007199254740993",
            &Cell::Real(9_007_199_254_740_992.0)
        ));
    }

    #[test]
    fn what_postgresql_writes_its_own_way_is_compared_by_value() {
        let holds = |kind, declared: &str, json: &str, text: &str| {
            let value = serde_json::from_str(json).unwrap();
            super::holds(&field(kind), declared, &value, &text.into(), None)
        };
        let at = r#""2024-01-15T08:00:00.120Z""#;
        for (declared, text, same) in [
            (
                "timestamp(3) without time zone",
                "2024-01-15 08:00:00.12",
                true,
            ),
            (
                "timestamp with time zone",
                "2024-01-15 08:00:00.12+00",
                true,
            ),
            (
                "timestamp with time zone",
                "2024-01-15 09:00:00.12+00",
                false,
            ),
            ("timestamp without time zone", "2024-01-15 08:00:00", false),
            ("text", "2024-01-15 08:00:00.12", false),
        ] {
            assert_eq!(holds(Type::Timestamp, declared, at, text), same, "{text}");
        }
        assert!(holds(Type::Decimal, "numeric(10,2)", "12.5", "12.50"));
        assert!(!holds(Type::Decimal, "numeric(10,2)", "12.5", "12.51"));
        assert!(!holds(Type::Decimal, "numeric", "12.5", "NaN"));
        assert!(holds(Type::Boolean, "boolean", "true", "true"));
        assert!(!holds(Type::Boolean, "boolean", "true", "false"));
        assert!(holds(
            Type::Json,
            "jsonb",
            r#"{"a":[1e3],"b":1.50}"#,
            r#"{"b": 1.5, "a": [1000]}"#
        ));
    }

    #[test]
    fn null_empty_text_and_zero_are_three_things() {
        assert!(is(Type::Text, "null", &Cell::Null));
        assert!(!is(Type::Text, "\"\"", &Cell::Null));
        assert!(!is(Type::Text, "null", &"".into()));
        assert!(!is(Type::Boolean, "false", &Cell::Null));
        assert!(is(Type::Boolean, "false", &Cell::Int(0)));
        assert!(!is(Type::Boolean, "true", &Cell::Int(0)));
    }

    #[test]
    fn json_compares_by_content_and_text_byte_for_byte() {
        assert!(is(
            Type::Json,
            r#"{"a":1,"b":[2]}"#,
            &r#"{ "b": [2], "a": 1 }"#.into()
        ));
        assert!(!is(Type::Json, r#"{"a":1}"#, &r#"{"a":2}"#.into()));
        assert!(!is(Type::Text, r#""a b""#, &"a  b".into()));
        assert!(!is(Type::Text, r#""a""#, &"A".into()));
        assert!(is(Type::Uuid, r#""ab""#, &"AB".into()));
        assert!(is(
            Type::Bytes,
            r#"{"hex":"00ff"}"#,
            &Cell::Blob(vec![0, 255])
        ));
        assert!(!is(Type::Bytes, r#"{"hex":"00ff"}"#, &Cell::Blob(vec![0])));
        assert!(!is(Type::Bytes, r#"{"hex":""}"#, &Cell::Null));
    }

    #[test]
    fn a_list_is_compared_in_its_encoding_and_a_tag_does_not_count() {
        let separated = Field {
            kind: Type::List,
            store: Some(ListOut::Separated(";".into())),
            ..Field::default()
        };
        let value: Value = serde_json::from_str(r#"["x","y"]"#).unwrap();
        assert!(holds(&separated, "", &value, &"x;y".into(), None));
        assert!(!holds(&separated, "", &value, &"y;x".into(), None));
        let is_tag = |item: &str| item.starts_with("run:");
        let list = field(Type::List);
        assert!(holds(
            &list,
            "",
            &value,
            &r#"["x","run:1","y"]"#.into(),
            Some(&is_tag)
        ));
        assert!(!holds(
            &list,
            "",
            &value,
            &r#"["x","run:1"]"#.into(),
            Some(&is_tag)
        ));
        assert!(holds(
            &list,
            "",
            &Value::Null,
            &r#"["run:1"]"#.into(),
            Some(&is_tag)
        ));
        assert!(!holds(
            &list,
            "",
            &value,
            &r#"["x","run:1","y"]"#.into(),
            None
        ));
        assert_eq!(
            without_tags(None, &r#"["run:1"]"#.into(), &is_tag),
            Cell::Null
        );
    }

    #[test]
    fn a_vector_compares_number_by_number() {
        assert!(is(Type::Vector, "[1.0,0.5]", &"[1, 5e-1]".into()));
        assert!(!is(Type::Vector, "[1.0,0.5]", &"[1.0]".into()));
    }
}
