//! Numbers from text, digits kept: no binary float anywhere.

use serde_json::{Number, Value};

/// How numbers are written in the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notation {
    pub(super) decimal: char,
    pub(super) thousands: Option<char>,
}

/// The greatest exponent that is written out: a number beyond it is surely no amount.
const EXPONENT_LIMIT: i32 = 100;

/// Reads a whole number of any size.
///
/// # Errors
///
/// Says why it is none, to stand after the value.
pub(super) fn integer(text: &str, notation: Notation) -> Result<Value, String> {
    let (sign, digits) = signed(text);
    let digits = ungrouped(digits, notation.thousands)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is no whole number: expected digits only".into());
    }
    number(sign, &digits, "")
}

/// Reads a decimal number.
///
/// # Errors
///
/// Says why it is none, to stand after the value.
pub(super) fn decimal(text: &str, notation: Notation) -> Result<Value, String> {
    let (sign, digits) = signed(text);
    let (whole, fraction) = match digits.split_once(notation.decimal) {
        Some((_, "")) => return Err("ends with its decimal separator".into()),
        Some((whole, fraction)) => (whole, fraction),
        None => (digits, ""),
    };
    let whole = if whole.is_empty() && !fraction.is_empty() {
        "0".to_owned()
    } else {
        ungrouped(whole, notation.thousands)?
    };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(&whole) || !plain(fraction) {
        return Err(format!(
            "is no decimal number: expected digits, with `{}` before a fraction",
            notation.decimal
        ));
    }
    number(sign, &whole, fraction)
}

/// Takes a number of a JSON source as a whole number.
///
/// # Errors
///
/// Says why it is none, to stand after the value.
pub(super) fn json_integer(number: &Number) -> Result<Value, String> {
    integer(&number.to_string(), PLAIN)
}

/// Takes a number of a JSON source as a decimal. An exponent is written out.
///
/// # Errors
///
/// Says why it can't be taken, to stand after the value.
pub(super) fn json_decimal(number: &Number) -> Result<Value, String> {
    let text = number.to_string();
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return decimal(&text, PLAIN);
    };
    let exponent: i32 = exponent
        .parse()
        .ok()
        .filter(|exponent: &i32| exponent.abs() <= EXPONENT_LIMIT)
        .ok_or("has an exponent beyond 100")?;
    let (sign, digits) = signed(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let shift = usize::try_from(exponent.unsigned_abs()).unwrap_or_default();
    let (whole, fraction) = if exponent >= 0 {
        let padded = format!("{fraction:0<shift$}");
        let (up, rest) = padded.split_at(shift);
        (format!("{whole}{up}"), rest.to_owned())
    } else {
        let padded = format!("{whole:0>shift$}");
        let (rest, down) = padded.split_at(padded.len() - shift);
        (rest.to_owned(), format!("{down}{fraction}"))
    };
    let whole = whole.trim_start_matches('0');
    self::number(sign, if whole.is_empty() { "0" } else { whole }, &fraction)
}

/// How JSON writes numbers.
const PLAIN: Notation = Notation {
    decimal: '.',
    thousands: None,
};

fn signed(text: &str) -> (&'static str, &str) {
    match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    }
}

/// Takes out the thousands separators, which must stand before every three digits.
fn ungrouped(digits: &str, thousands: Option<char>) -> Result<String, String> {
    let Some(separator) = thousands.filter(|separator| digits.contains(*separator)) else {
        return Ok(digits.to_owned());
    };
    let mut groups = digits.split(separator);
    let first = groups.next().unwrap_or_default();
    if !(1..=3).contains(&first.len()) || groups.any(|group| group.len() != 3) {
        return Err(format!("has `{separator}` where no thousands end"));
    }
    Ok(digits.replace(separator, ""))
}

fn number(sign: &str, whole: &str, fraction: &str) -> Result<Value, String> {
    if whole.len() > 1 && whole.starts_with('0') {
        return Err("has leading zeros, which a number can't keep: is it a text?".into());
    }
    let zero = [whole, fraction]
        .iter()
        .all(|part| part.bytes().all(|byte| byte == b'0'));
    if sign == "-" && zero {
        return Err("is minus zero, which no target keeps".into());
    }
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{dot}{fraction}")
        .parse::<Number>()
        .map(Value::Number)
        .map_err(|error| format!("is no number: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: Result<Value, String>) -> String {
        match result {
            Ok(value) => value.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn whole_numbers_are_digits_and_nothing_else() {
        for (text, expected) in [
            ("30", "30"),
            ("+7", "7"),
            ("-12", "-12"),
            ("0", "0"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            ("1,200", "error: is no whole number: expected digits only"),
            (
                "30 people",
                "error: is no whole number: expected digits only",
            ),
            ("12.9", "error: is no whole number: expected digits only"),
            (" 1", "error: is no whole number: expected digits only"),
            ("", "error: is no whole number: expected digits only"),
            ("٣", "error: is no whole number: expected digits only"),
            (
                "007",
                "error: has leading zeros, which a number can't keep: is it a text?",
            ),
            ("-0", "error: is minus zero, which no target keeps"),
        ] {
            assert_eq!(said(integer(text, PLAIN)), expected, "{text}");
        }
    }

    #[test]
    fn separators_count_only_where_the_plan_declares_them() {
        let german = Notation {
            decimal: ',',
            thousands: Some('.'),
        };
        for (text, expected) in [
            ("1.234.567,50", "1234567.50"),
            ("0,10", "0.10"),
            (",5", "0.5"),
            ("1.23,4", "error: has `.` where no thousands end"),
            ("1234.567", "error: has `.` where no thousands end"),
            (
                "1,2,3",
                "error: is no decimal number: expected digits, with `,` before a fraction",
            ),
            ("5,", "error: ends with its decimal separator"),
            (
                "NaN",
                "error: is no decimal number: expected digits, with `,` before a fraction",
            ),
        ] {
            assert_eq!(said(decimal(text, german)), expected, "{text}");
        }
        assert_eq!(
            said(integer(
                "1,200",
                Notation {
                    decimal: '.',
                    thousands: Some(',')
                }
            )),
            "1200"
        );
        assert_eq!(said(decimal("12.50", PLAIN)), "12.50");
        assert!(decimal("12,50", PLAIN).is_err() && decimal("1e5", PLAIN).is_err());
    }

    #[test]
    fn numbers_of_json_keep_their_value_exactly() {
        let number = |text: &str| text.parse::<Number>().unwrap();
        for (text, expected) in [
            ("0.0000", "0.0000"),
            ("9007199254740993.10", "9007199254740993.10"),
            ("1.5e3", "1500"),
            ("12.345E1", "123.45"),
            ("1e-7", "0.0000001"),
            ("-120e-1", "-12.0"),
            ("1e400", "error: has an exponent beyond 100"),
        ] {
            assert_eq!(said(json_decimal(&number(text))), expected, "{text}");
        }
        assert!(json_integer(&number("12.0")).is_err() && json_integer(&number("1e3")).is_err());
    }
}
