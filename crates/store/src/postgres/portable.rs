//! Cells in the form that every target shares.

use chrono::{NaiveDateTime, SecondsFormat};

use super::values::Kind;
use crate::Cell;
use crate::plain::json;

/// A boolean is 0 or 1, an instant RFC 3339 in UTC, json without layout; all else is the same already.
pub(super) fn portable(kind: Kind, cell: Cell) -> Cell {
    match (kind, cell) {
        (Kind::Bool, Cell::Text(text)) => Cell::Int(i64::from(text == "true")),
        (Kind::Timestamp | Kind::Timestamptz, Cell::Text(text)) => {
            Cell::Text(instant(&text).unwrap_or(text))
        }
        (Kind::Json, Cell::Text(text)) => json(text),
        (_, cell) => cell,
    }
}

/// `None` of what has no such form: `infinity`, years before Christ.
fn instant(text: &str) -> Option<String> {
    let text = text.strip_suffix("+00").unwrap_or(text);
    let moment = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(
        moment
            .and_utc()
            .to_rfc3339_opts(SecondsFormat::AutoSi, true),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_rfc_3339_and_what_is_none_stays() {
        for (at, portable) in [
            ("2024-01-15 08:00:00", "2024-01-15T08:00:00Z"),
            ("2024-01-15 08:00:00.12+00", "2024-01-15T08:00:00.120Z"),
            (
                "2024-01-15 08:00:00.000001+00",
                "2024-01-15T08:00:00.000001Z",
            ),
            ("infinity", "infinity"),
            ("0044-03-15 00:00:00 BC", "0044-03-15 00:00:00 BC"),
        ] {
            assert_eq!(
                super::portable(Kind::Timestamptz, at.into()),
                portable.into()
            );
        }
    }
}
