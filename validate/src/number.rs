//! Numbers compared digit by digit: no binary float, no limit of size.

use std::cmp::Ordering;

/// A decimal number: `0.DIGITS × 10^point`, without zeros at either end of the digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    digits: String,
    point: i64,
}

impl Number {
    /// Reads a number as JSON writes it; `None` for anything else, and for an exponent beyond 18
    /// digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) if exponent.len() <= 18 => {
                (mantissa, exponent.parse::<i64>().ok()?)
            }
            Some(_) => return None,
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0');
        let leading = i64::try_from(digits.len() - significant.len()).ok()?;
        let significant = significant.trim_end_matches('0');
        if significant.is_empty() {
            return Some(Self {
                negative: false,
                digits: String::new(),
                point: 0,
            });
        }
        let point = i64::try_from(whole.len()).ok()? - leading + exponent;
        Some(Self {
            negative,
            digits: significant.to_owned(),
            point,
        })
    }

    /// Returns one text for all ways to write the number.
    pub(crate) fn canonical(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}0.{}e{}", self.digits, self.point)
    }

    fn size(&self, other: &Self) -> Ordering {
        // Zero has no digits and is below all others whatever their point.
        (!self.digits.is_empty(), self.point, &self.digits).cmp(&(
            !other.digits.is_empty(),
            other.point,
            &other.digits,
        ))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.size(other),
            (true, true) => other.size(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_ordered_by_value_whatever_their_size() {
        let rising = [
            "-1e400",
            "-12345678901234567890.2",
            "-12345678901234567890.1",
            "-2",
            "-0.05",
            "0",
            "1e-400",
            "0.05",
            "0.1",
            "0.10000000000000000001",
            "1",
            "9",
            "10",
            "9007199254740992",
            "9007199254740993",
            "1e400",
        ];
        for (low, a) in rising.iter().enumerate() {
            for (high, b) in rising.iter().enumerate() {
                assert_eq!(number(a).cmp(&number(b)), low.cmp(&high), "{a} and {b}");
            }
        }
    }

    #[test]
    fn ways_to_write_a_number_are_one() {
        for same in ["1", "1.0", "1.000", "10e-1", "0.1e1", "0.1E+1", "001"] {
            assert_eq!(number(same).canonical(), number("1").canonical(), "{same}");
        }
        assert_eq!(number("-0.00"), number("0"));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for bad in [
            "",
            "-",
            "+1",
            "1.",
            ".1",
            "1e",
            "1 ",
            "0x1",
            "1e9999999999999999999",
        ] {
            assert_eq!(Number::parse(bad), None, "{bad:?}");
        }
    }
}
