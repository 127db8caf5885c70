//! Values of a record as PostgreSQL keeps them.

use chrono::{DateTime, SecondsFormat, Utc};
use contract::plan::{Field, ListOut, Type};
use serde_json::Value;

use super::arrays;
use super::connect::Postgres;
use crate::catalogue::Column;
use crate::plain::{json, plain, shortest};
use crate::{Cell, Row, StoreError};

/// What a column's type means to a cell. A domain is what its base is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Float4,
    Float8,
    Numeric,
    Bool,
    Bytes,
    Text,
    Timestamp,
    Timestamptz,
    Uuid,
    Json,
    Array,
    /// Text that the server alone can judge.
    Other,
}

/// The type of a column.
#[derive(Debug, Clone)]
pub(super) struct ColumnType {
    pub kind: Kind,
    /// What a text is cast to: the type without length or precision, by which a cast would cut in
    /// silence what an assignment refuses.
    pub cast: String,
}

impl Kind {
    /// Reads name, category and class of a type as `pg_type` has them.
    pub fn of(name: &str, category: &str, class: &str) -> Self {
        match (name, category, class) {
            ("int2" | "int4" | "int8", ..) => Self::Int,
            ("float4", ..) => Self::Float4,
            ("float8", ..) => Self::Float8,
            ("numeric", ..) => Self::Numeric,
            ("bool", ..) => Self::Bool,
            ("bytea", ..) => Self::Bytes,
            ("timestamp", ..) => Self::Timestamp,
            ("timestamptz", ..) => Self::Timestamptz,
            ("uuid", ..) => Self::Uuid,
            ("json" | "jsonb", ..) => Self::Json,
            ("text" | "varchar" | "bpchar" | "citext" | "name" | "date", ..) | (.., "e") => {
                Self::Text
            }
            (_, "A", _) => Self::Array,
            _ => Self::Other,
        }
    }

    /// How a column is read.
    pub fn read(self, column: &str) -> String {
        match self {
            Self::Int => format!("{column}::int8"),
            // By its shortest decimal: 0.1 stays 0.1.
            Self::Float4 => format!("{column}::text::float8"),
            Self::Float8 => format!("{column}::float8"),
            Self::Bytes => format!("{column}::bytea"),
            _ => format!("{column}::text"),
        }
    }

    /// The text of a cell that the server reads.
    pub fn sent(self, cell: &Cell) -> Option<String> {
        match cell {
            Cell::Null => None,
            Cell::Int(number) => Some(number.to_string()),
            Cell::Real(number) => Some(format!("{number:?}")),
            Cell::Blob(bytes) => {
                let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
                Some(format!("\\x{}", digits.collect::<String>()))
            }
            Cell::Text(text) if self == Self::Array => match serde_json::from_str(text) {
                Ok(Value::Array(items)) => Some(arrays::from_list(&items)),
                _ => Some(text.clone()),
            },
            Cell::Text(text) => Some(text.clone()),
        }
    }

    /// The cell of what was read.
    pub fn received(self, cell: Cell) -> Cell {
        match cell {
            Cell::Text(text) if self == Self::Array => list_cell(text),
            cell => cell,
        }
    }
}

fn list_cell(text: String) -> Cell {
    Cell::Text(arrays::to_list(&text).map_or(text, |list| list.to_string()))
}

impl Postgres {
    /// The type of a column of a table that was read.
    pub(super) fn type_of(&self, column: &Column) -> ColumnType {
        self.types
            .get(&column.declared)
            .cloned()
            .unwrap_or_else(|| ColumnType {
                kind: Kind::Other,
                cast: column.declared.clone(),
            })
    }

    /// Makes the cell for a value, in the server's own text.
    pub(super) fn cell_of(
        &self,
        field: &Field,
        column: &Column,
        value: &Value,
    ) -> Result<Cell, String> {
        let ColumnType { kind, cast } = self.type_of(column);
        let unfit = || {
            Err(format!(
                "{value} is no value for column {} of type {}",
                column.name, column.declared
            ))
        };
        if matches!(value, Value::String(text) if text.contains('\0')) {
            return Err("PostgreSQL can't hold the character U+0000".into());
        }
        Ok(match (kind, value) {
            (_, Value::Null) => Cell::Null,
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
                    Ok,
                );
            }
            (Kind::Numeric | Kind::Text, Value::Number(number)) => Cell::Text(number.to_string()),
            (Kind::Bool | Kind::Text, Value::Bool(value)) => Cell::Text(value.to_string()),
            (Kind::Json, value) => Cell::Text(value.to_string()),
            (Kind::Text, Value::Array(items)) => separated(field, items, value)?,
            (Kind::Text, Value::Object(_)) => Cell::Text(value.to_string()),
            (Kind::Text, Value::String(text)) => Cell::Text(text.clone()),
            (Kind::Uuid, Value::String(text)) => Cell::Text(text.to_ascii_lowercase()),
            (Kind::Timestamp | Kind::Timestamptz, Value::String(text)) => {
                match moment(text, kind) {
                    Some(text) => Cell::Text(text),
                    None => Cell::Text(self.canonical_text(&cast, text)?),
                }
            }
            (Kind::Bytes, Value::String(text)) => match bytes(text) {
                Some(bytes) => Cell::Blob(bytes),
                None => {
                    return Err(format!(
                        "{value} is no text of bytes: write \\x and hexadecimal digits"
                    ));
                }
            },
            (Kind::Array, Value::Array(items)) => {
                list_cell(self.canonical_text(&cast, &arrays::from_list(items))?)
            }
            (Kind::Other, Value::String(text)) => Cell::Text(self.canonical_text(&cast, text)?),
            (Kind::Other, Value::Array(_) | Value::Number(_)) => {
                Cell::Text(self.canonical_text(&cast, &value.to_string())?)
            }
            _ => return unfit(),
        })
    }

    /// The server's own text of a value, each asked for once.
    fn canonical_text(&self, cast: &str, text: &str) -> Result<String, String> {
        /// Beyond this many the answers are forgotten: memory does not grow with the data.
        const KEPT: usize = 10_000;
        if cast == "text[]" {
            return Ok(text.to_owned());
        }
        let key = (cast.to_owned(), text.to_owned());
        if let Some(known) = self.texts.borrow().get(&key) {
            return known.clone();
        }
        let answer = match self.ask_text(cast, text) {
            Ok(text) => Ok(text),
            Err(StoreError::Constraint { message }) => Err(message),
            // Not for good: the next question may be answered.
            Err(error) => return Err(error.to_string()),
        };
        let mut texts = self.texts.borrow_mut();
        if texts.len() >= KEPT {
            texts.clear();
        }
        texts.insert(key, answer.clone());
        answer
    }

    fn ask_text(&self, cast: &str, text: &str) -> Result<String, StoreError> {
        let sql = format!("SELECT $1::text::{cast}::text");
        let params: [(&(dyn postgres::types::ToSql + Sync), _); 1] =
            [(&text, postgres::types::Type::TEXT)];
        let inside = self.open.get();
        if inside {
            self.batch("SAVEPOINT value")?;
        }
        let answer = self.ask(&sql, &params);
        if inside {
            if answer.is_err() {
                self.batch("ROLLBACK TO value")?;
                self.broken.set(false);
            }
            self.batch("RELEASE value")?;
        }
        let row: Option<Row> = answer?.pop();
        let text = row.and_then(|row| row[0].text().map(str::to_owned));
        text.ok_or_else(|| StoreError::damaged("a value has no text"))
    }

    /// Says why a column is no place for what a field holds.
    pub(super) fn unfit(&self, field: &Field, column: &Column) -> Option<String> {
        let Column { name, declared, .. } = column;
        let kind = self.type_of(column).kind;
        let number = matches!(
            kind,
            Kind::Int | Kind::Float4 | Kind::Float8 | Kind::Numeric
        );
        let float = matches!(kind, Kind::Float4 | Kind::Float8);
        let free = field.map.is_some()
            || field.value.is_some()
            || field.expr.is_some()
            || field.run.is_some();
        match field.kind {
            Type::Decimal if float && field.exact != Some(false) => Some(format!(
                "column `{name}` is {declared}: it would keep a decimal as a binary float; make it numeric, \
                 or say `exact = false` to take values that read back equal"
            )),
            Type::Text if (number || kind == Kind::Bool) && !free => Some(format!(
                "column `{name}` is {declared}, the field is text: say `type = \"integer\"` or what it is"
            )),
            Type::List if field.store == Some(ListOut::Array) && kind != Kind::Array => {
                Some(format!("column `{name}` is {declared}, which is no array"))
            }
            Type::List
                if kind == Kind::Array && !matches!(field.store, None | Some(ListOut::Array)) =>
            {
                Some(format!(
                    "column `{name}` is {declared}: say `store = \"array\"`"
                ))
            }
            Type::Boolean if !matches!(kind, Kind::Bool | Kind::Text | Kind::Json) => Some(
                format!("column `{name}` is {declared}, which is no place for a boolean"),
            ),
            Type::Date if matches!(kind, Kind::Timestamp | Kind::Timestamptz) => Some(format!(
                "column `{name}` is {declared}, the field is a date: say `type = \"timestamp\"`"
            )),
            Type::Integer | Type::Decimal
                if !number && kind != Kind::Text && kind != Kind::Json =>
            {
                Some(format!(
                    "column `{name}` is {declared}, which is no place for a number"
                ))
            }
            Type::Json | Type::List | Type::Vector | Type::Uuid | Type::Date | Type::Timestamp
                if number || kind == Kind::Bool =>
            {
                Some(
                    format!(
                        "column `{name}` is {declared}, which is no place for {:?}",
                        field.kind
                    )
                    .to_lowercase(),
                )
            }
            _ => None,
        }
    }
}

/// The form in which two cells of a column are compared.
pub(super) fn canonical(field: Option<&Field>, cell: &Cell) -> Cell {
    let number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
    match (field.map(|field| field.kind), cell) {
        (Some(Type::Json | Type::List | Type::Vector), Cell::Text(text)) => json(text.clone()),
        (Some(Type::Decimal), Cell::Real(number)) => Cell::Text(plain(&shortest(*number))),
        (Some(Type::Decimal), Cell::Int(number)) => Cell::Text(plain(&number.to_string())),
        (Some(Type::Decimal | Type::Integer), Cell::Text(text)) if number(text) => {
            Cell::Text(plain(text))
        }
        (Some(Type::Uuid), Cell::Text(text)) => Cell::Text(text.to_ascii_lowercase()),
        _ => cell.clone(),
    }
}

/// Makes the cell for a key that is written as text: as the server would write it.
pub(super) fn key_cell(kind: Kind, text: &str) -> Cell {
    match (kind, text.parse::<i64>()) {
        (Kind::Int, Ok(number)) if number.to_string() == text => Cell::Int(number),
        (Kind::Uuid, _) => Cell::Text(text.to_ascii_lowercase()),
        _ => Cell::Text(text.to_owned()),
    }
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

fn bytes(text: &str) -> Option<Vec<u8>> {
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
    fn json_is_compared_by_content() {
        let field = Field {
            kind: Type::Json,
            ..Field::default()
        };
        let same = |a: &str, b: &str| {
            assert_eq!(
                canonical(Some(&field), &a.into()),
                canonical(Some(&field), &b.into())
            );
        };
        same(r#"{"b": 1.50, "a": [1e3]}"#, r#"{"a":[1000],"b":1.5}"#);
        same(
            r#"{"n": 12345678901234567890.10}"#,
            r#"{"n": 12345678901234567890.1}"#,
        );
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
