//! Keys that are written as text, spelled as SQLite spells them.

use super::values::{Affinity, affinity};
use crate::Cell;
use crate::catalogue::Column;
use crate::plain::shortest;

/// Makes the cell of a key. SQLite would make a number of a text that looks like one where the column's
/// affinity says so: such a text must be that number's own.
pub(super) fn spelled(column: &Column, text: &str) -> Result<Cell, String> {
    let Column { name, declared, .. } = column;
    let affinity = affinity(declared);
    if matches!(affinity, Affinity::Text | Affinity::Blob) || !looks_like_number(text) {
        return Ok(Cell::Text(text.to_owned()));
    }
    let right = match (
        affinity,
        text.trim().parse::<i64>(),
        text.trim().parse::<f64>(),
    ) {
        (Affinity::Real, _, Ok(number)) => {
            let written = format!("{number:?}");
            if [&written, &shortest(number)].contains(&&text.to_owned()) {
                return Ok(Cell::Real(number));
            }
            Some(written)
        }
        (_, Ok(number), _) => {
            if number.to_string() == text {
                return Ok(Cell::Int(number));
            }
            Some(number.to_string())
        }
        (_, _, Ok(number)) if number.fract() != 0.0 => {
            if shortest(number) == text {
                return Ok(Cell::Real(number));
            }
            Some(shortest(number))
        }
        _ => None,
    };
    let right = right.map_or_else(String::new, |right| format!(" ({right})"));
    Err(format!(
        "{text:?} is not how column `{name}` ({declared}) writes a number{right}"
    ))
}

/// Tells whether SQLite reads a text as a number where it wants one: blanks around it do no harm to it.
fn looks_like_number(text: &str) -> bool {
    let text = text.trim();
    text.contains(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.eE".contains(c))
        && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_it_says_and_not_what_it_would_be_read_as() {
        let column = |declared: &str| Column {
            name: "id".into(),
            declared: declared.into(),
            not_null: true,
            has_default: false,
            generated: false,
        };
        let key = |declared, text| spelled(&column(declared), text);
        assert_eq!(key("INTEGER", "7"), Ok(Cell::Int(7)));
        assert_eq!(key("INTEGER", "-7"), Ok(Cell::Int(-7)));
        assert_eq!(key("INT", "x7"), Ok("x7".into()));
        assert_eq!(key("TEXT", "007"), Ok("007".into()));
        assert_eq!(key("DECIMAL(4,2)", "1.5"), Ok(Cell::Real(1.5)));
        assert_eq!(key("REAL", "7.0"), Ok(Cell::Real(7.0)));
        for text in [
            "007",
            " 7",
            "7 ",
            "+7",
            "7.0",
            "7e0",
            "-0",
            "99999999999999999999",
        ] {
            assert!(key("INTEGER", text).is_err(), "{text}");
        }
        assert!(key("DECIMAL(4,2)", "1.50").is_err());
        assert!(key("REAL", "07").is_err());
    }
}
