//! Values of a record as the server writes them.

use chrono::{DateTime, SecondsFormat, Utc};
use contract::plan::{Field, ListOut, Type};
use serde_json::Value;

use super::arrays;
use super::connect::Postgres;
use super::values::{ColumnType, Kind};
use crate::catalogue::Column;
use crate::plain::{plain, shortest};
use crate::{Cell, Row, StoreError};

impl Postgres {
    /// Makes the cells for values, in the server's own text.
    pub(super) fn cells_of(
        &self,
        field: &Field,
        column: &Column,
        values: &[&Value],
    ) -> Result<Vec<Result<Cell, String>>, StoreError> {
        let kind = self.type_of(column);
        let mut cells = Vec::with_capacity(values.len());
        let (mut places, mut texts) = (Vec::new(), Vec::new());
        for (place, value) in values.iter().enumerate() {
            cells.push(match encode(kind.kind, field, column, value) {
                Ok(Encoded::Cell(cell)) => Ok(cell),
                Ok(Encoded::Text(text)) => {
                    places.push(place);
                    texts.push(text);
                    Ok(Cell::Null)
                }
                Err(message) => Err(message),
            });
        }
        let dated = matches!(kind.kind, Kind::Timestamp | Kind::Timestamptz | Kind::Date);
        if !texts.is_empty() && (kind.unsteady || dated) {
            self.pin()?;
        }
        for (place, text) in places.into_iter().zip(self.canonical_texts(&kind, &texts)?) {
            cells[place] = text.map(|text| kind.kind.received(Cell::Text(text)));
        }
        Ok(cells)
    }

    /// The server's own texts of values: all at once, or by halves where it refuses one.
    fn canonical_texts(
        &self,
        found: &ColumnType,
        texts: &[String],
    ) -> Result<Vec<Result<String, String>>, StoreError> {
        if texts.is_empty() || found.cast == "pg_catalog._text" {
            return Ok(texts.iter().cloned().map(Ok).collect());
        }
        match self.ask_texts_of(found, texts) {
            Ok(texts) => Ok(texts.into_iter().map(Ok).collect()),
            Err(StoreError::Constraint { message, .. } | StoreError::Statement { message, .. })
                if texts.len() == 1 =>
            {
                Ok(vec![Err(message)])
            }
            Err(StoreError::Constraint { .. } | StoreError::Statement { .. }) => {
                let (first, second) = texts.split_at(texts.len() / 2);
                let mut all = self.canonical_texts(found, first)?;
                all.extend(self.canonical_texts(found, second)?);
                Ok(all)
            }
            Err(error) => Err(error),
        }
    }

    /// The server's own text of one value, or what it has against it.
    pub(super) fn text_of(
        &self,
        found: &ColumnType,
        text: &str,
    ) -> Result<Result<String, String>, StoreError> {
        let text = self.canonical_texts(found, &[text.to_owned()])?.pop();
        text.ok_or_else(|| StoreError::damaged("a value has no text"))
    }

    fn ask_texts_of(
        &self,
        found: &ColumnType,
        texts: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let inside = self.open.get();
        if inside {
            self.batch("SAVEPOINT value")?;
        }
        let cells = texts.iter().map(|text| text.as_str().into()).collect();
        let answer = self
            .source(vec![(postgres::types::Type::TEXT, cells)])
            .and_then(|source| {
                let value = format!("k.c0::{}", found.cast);
                let text = match found.kind {
                    Kind::Named(named) => named.read(&value),
                    _ => format!("{value}::pg_catalog.text"),
                };
                let sql = format!("SELECT {text} FROM {} ORDER BY k.n", source.from);
                self.look(&sql, &source.params())
            });
        if inside {
            if answer.is_err() {
                self.batch("ROLLBACK TO value")?;
                self.broken.set(false);
            }
            self.batch("RELEASE value")?;
        }
        let text = |row: Row| {
            row.into_iter()
                .next()
                .and_then(|cell| cell.text().map(str::to_owned))
        };
        let texts = answer?
            .into_iter()
            .map(text)
            .collect::<Option<Vec<String>>>();
        texts.ok_or_else(|| StoreError::damaged("a value has no text"))
    }
}

/// A value on its way to its cell.
enum Encoded {
    Cell(Cell),
    /// A text of which the server has its own form.
    Text(String),
}

/// Makes the cell for a value, or the text that the server is to be asked about.
fn encode(kind: Kind, field: &Field, column: &Column, value: &Value) -> Result<Encoded, String> {
    let unfit = || {
        Err(format!(
            "{value} is no value for column {} of type {}",
            column.name, column.declared
        ))
    };
    // JSON text escapes it; whether its type takes that, the server says.
    let json = field.kind == Type::Json;
    if matches!(value, Value::String(text) if text.contains('\0') && !json) {
        return Err("PostgreSQL can't hold the character U+0000".into());
    }
    Ok(Encoded::Cell(match (kind, value) {
        (_, Value::Null) => Cell::Null,
        // JSON is JSON text wherever it is kept: a string keeps its quotes.
        (Kind::Text, value) if json => Cell::Text(value.to_string()),
        (Kind::Other | Kind::Named(_), value) if json => {
            return Ok(Encoded::Text(value.to_string()));
        }
        (Kind::Int, Value::Number(number)) => match number.to_string().parse() {
            Ok(number) => Cell::Int(number),
            Err(_) => return unfit(),
        },
        (Kind::Float4 | Kind::Float8, Value::Number(number)) => {
            return float(&number.to_string(), kind, field).map_or_else(
                || {
                    Err(format!(
                        "{number} does not fit column {} of type {}: it would lose digits",
                        column.name, column.declared
                    ))
                },
                |cell| Ok(Encoded::Cell(cell)),
            );
        }
        (Kind::Numeric | Kind::Text, Value::Number(number)) => Cell::Text(number.to_string()),
        (Kind::Bool | Kind::Text, Value::Bool(value)) => Cell::Text(value.to_string()),
        (Kind::Json, value) => Cell::Text(value.to_string()),
        (Kind::Text, Value::Array(items)) => separated(field, items, value)?,
        (Kind::Text, Value::Object(_)) => Cell::Text(value.to_string()),
        (Kind::Text | Kind::Date, Value::String(text)) => Cell::Text(text.clone()),
        (Kind::Uuid, Value::String(text)) => Cell::Text(text.to_ascii_lowercase()),
        (Kind::Timestamp | Kind::Timestamptz, Value::String(text)) => match moment(text, kind) {
            Some(text) => Cell::Text(text),
            None => return Ok(Encoded::Text(text.clone())),
        },
        (Kind::Bytes, Value::String(text)) => match bytes(text) {
            Some(bytes) => Cell::Blob(bytes),
            None => {
                return Err(format!(
                    "{value} is no text of bytes: write \\x and hexadecimal digits"
                ));
            }
        },
        (Kind::Bytes, value) => match crate::plain::bytes(value) {
            Some(bytes) => Cell::Blob(bytes),
            None => return unfit(),
        },
        (Kind::Array, Value::Array(items)) => {
            return Ok(Encoded::Text(arrays::from_list(items)));
        }
        (Kind::Other | Kind::Named(_), Value::String(text)) => {
            return Ok(Encoded::Text(text.clone()));
        }
        (Kind::Other, Value::Array(_) | Value::Number(_)) => {
            return Ok(Encoded::Text(value.to_string()));
        }
        _ => return unfit(),
    }))
}

fn float(digits: &str, kind: Kind, field: &Field) -> Option<Cell> {
    let short = if kind == Kind::Float4 {
        digits.parse::<f32>().ok()?.to_string()
    } else {
        shortest(digits.parse().ok()?)
    };
    let number: f64 = short.parse().ok()?;
    let same = number.is_finite() && (plain(&short) == plain(digits) || field.kind == Type::Vector);
    same.then_some(Cell::Real(number))
}

fn separated(field: &Field, items: &[Value], value: &Value) -> Result<Cell, String> {
    let Some(ListOut::Separated(separator)) = &field.store else {
        return Ok(Cell::Text(value.to_string()));
    };
    let text = |item: &Value| {
        item.as_str()
            .map_or_else(|| item.to_string(), str::to_owned)
    };
    let texts: Vec<String> = items.iter().map(text).collect();
    match texts.iter().find(|text| text.contains(separator.as_str())) {
        Some(text) => Err(format!(
            "the element {text:?} holds the separator {separator:?}"
        )),
        None => Ok(Cell::Text(texts.join(separator))),
    }
}

/// An instant as the server writes it, in UTC. More than microseconds it would round.
fn moment(text: &str, kind: Kind) -> Option<String> {
    let moment: DateTime<Utc> = DateTime::parse_from_rfc3339(text).ok()?.into();
    let nanos = moment.to_rfc3339_opts(SecondsFormat::Nanos, false);
    let (date, rest) = nanos.split_once('T')?;
    let (time, _) = rest.split_once('+')?;
    let time = time.trim_end_matches('0');
    let time = time.strip_suffix('.').unwrap_or(time);
    let zone = if kind == Kind::Timestamptz { "+00" } else { "" };
    Some(format!("{date} {time}{zone}"))
}

/// Reads `\x` and two digits a byte.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .strip_prefix("\\x")
        .filter(|digits| digits.len() % 2 == 0 && digits.is_ascii())?;
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_the_server_writes_it() {
        let both = |text: &str| {
            (
                moment(text, Kind::Timestamp),
                moment(text, Kind::Timestamptz),
            )
        };
        let pair = |a: &str, b: &str| (Some(a.to_owned()), Some(b.to_owned()));
        assert_eq!(
            both("2024-01-15T08:00:00Z"),
            pair("2024-01-15 08:00:00", "2024-01-15 08:00:00+00")
        );
        assert_eq!(
            both("2024-01-15T08:00:00.120+02:00"),
            pair("2024-01-15 06:00:00.12", "2024-01-15 06:00:00.12+00")
        );
        assert_eq!(both("soon"), (None, None));
    }

    #[test]
    fn bytes_and_floats_are_read_exactly_or_not_at_all() {
        assert_eq!(bytes("\\x00ff"), Some(vec![0, 255]));
        assert_eq!(bytes("\\x0"), None);
        assert_eq!(bytes("00ff"), None);
        let field = Field {
            kind: Type::Decimal,
            ..Field::default()
        };
        assert_eq!(float("0.1", Kind::Float4, &field), Some(Cell::Real(0.1)));
        assert_eq!(float("0.123456789", Kind::Float4, &field), None);
        assert_eq!(float("1e400", Kind::Float8, &field), None);
    }
}
