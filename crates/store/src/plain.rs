//! Forms in which equal numbers and equal JSON are equal texts.

use serde_json::Value;

use crate::Cell;

/// The shortest decimal that reads back as the same float.
pub(crate) fn shortest(number: f64) -> String {
    format!("{number}")
}

/// A decimal without exponent, sign of zero, leading and trailing zeros: equal for equal values.
pub(crate) fn plain(digits: &str) -> String {
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (sign, mantissa) = mantissa
        .strip_prefix('-')
        .map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return "0".into();
    }
    let trailing = all.len() - all.trim_end_matches('0').len();
    let power = exponent - i64::try_from(fraction.len()).unwrap_or(0)
        + i64::try_from(trailing).unwrap_or(0);
    format!("{sign}{significant}e{power}")
}

/// Sorts the members of all objects: JSON objects have no order.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(members) => {
            let mut members: Vec<_> = members
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        other => other,
    }
}

/// JSON without layout, members sorted, equal numbers written alike; text that is none stays.
pub(crate) fn json(text: String) -> Cell {
    Cell::Text(match serde_json::from_str(&text) {
        Ok(value) => numbers(sorted(value)).to_string(),
        Err(_) => text,
    })
}

/// Writes equal numbers alike: jsonb keeps their value, not their digits.
pub(crate) fn numbers(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(numbers).collect()),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| (key, numbers(value)))
            .collect(),
        Value::Number(number) => {
            let text = plain(&number.to_string());
            serde_json::from_str(&text).unwrap_or(Value::Number(number))
        }
        other => other,
    }
}

/// Reads bytes of a record line, `{"hex":"…"}`.
pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    let hex = value.get("hex")?.as_str()?;
    let byte = |place| u8::from_str_radix(hex.get(place..place + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_compared_by_value() {
        for (a, b) in [
            ("12.50", "12.5"),
            ("-0.0", "0"),
            ("1e3", "1000"),
            ("0.001", "1e-3"),
            ("100", "1.00E2"),
        ] {
            assert_eq!(plain(a), plain(b), "{a} {b}");
        }
        assert_ne!(plain("12.5"), plain("-12.5"));
        assert_ne!(plain("100"), plain("10"));
    }
}
