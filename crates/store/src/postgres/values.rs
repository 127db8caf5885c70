//! Values of a record as PostgreSQL keeps them.

use std::borrow::Cow;

use contract::plan::{Field, ListOut, Type};
use serde_json::Value;

use super::arrays;
use super::connect::Postgres;
use super::named::Named;
use crate::Cell;
use crate::catalogue::Column;
use crate::plain::{json, plain, shortest};

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
    Date,
    Timestamp,
    Timestamptz,
    Uuid,
    Json,
    Array,
    /// What names an object of the database.
    Named(Named),
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
    /// The type as it is declared, as it is called where no name leads to a schema of users.
    pub full: String,
    /// The operators of the type's own operator class for equality and order, with their schema.
    pub equal: String,
    pub greater: String,
    /// Whether it is text of some length, or bits: a cast cuts them.
    pub cut: bool,
    /// Whether the server's text of a value depends on `TimeZone` or `DateStyle`.
    pub unsteady: bool,
    /// Whether it is a list or a row that holds values as [`Named`] reads them, which no expression reads.
    pub names: bool,
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
            ("date", ..) => Self::Date,
            ("timestamp", ..) => Self::Timestamp,
            ("timestamptz", ..) => Self::Timestamptz,
            ("uuid", ..) => Self::Uuid,
            ("json" | "jsonb", ..) => Self::Json,
            ("text" | "varchar" | "bpchar" | "citext" | "name", ..) | (.., "e") => Self::Text,
            (_, "A", _) => Self::Array,
            _ => Named::of(name).map_or(Self::Other, Self::Named),
        }
    }

    /// How a column is read.
    pub fn read(self, column: &str) -> String {
        match self {
            Self::Int => format!("{column}::pg_catalog.int8"),
            // By its shortest decimal: 0.1 stays 0.1.
            Self::Float4 => format!("{column}::pg_catalog.text::pg_catalog.float8"),
            Self::Float8 => format!("{column}::pg_catalog.float8"),
            Self::Bytes => format!("{column}::pg_catalog.bytea"),
            // In binary: no setting changes that.
            Self::Date => format!("{column}::pg_catalog.date"),
            Self::Timestamp => format!("{column}::pg_catalog.timestamp"),
            Self::Timestamptz => format!("{column}::pg_catalog.timestamptz"),
            Self::Named(named) => named.read(column),
            _ => format!("{column}::pg_catalog.text"),
        }
    }

    /// The text of a cell that the server reads, or NULL.
    pub fn sent(self, cell: &Cell) -> Cell {
        Cell::Text(match cell {
            Cell::Null | Cell::Raw(_) | Cell::Folded(_) => return cell.clone(),
            Cell::Int(number) => number.to_string(),
            Cell::Real(number) => format!("{number:?}"),
            Cell::Blob(bytes) => {
                let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
                format!("\\x{}", digits.collect::<String>())
            }
            Cell::Text(text) if self == Self::Array => match serde_json::from_str(text) {
                Ok(Value::Array(items)) => arrays::from_list(&items),
                _ => text.clone(),
            },
            Cell::Text(text) => text.clone(),
        })
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
                full: column.declared.clone(),
                equal: "pg_catalog.=".into(),
                greater: "pg_catalog.>".into(),
                cut: false,
                unsteady: true,
                names: false,
            })
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
            Type::Bytes if kind != Kind::Bytes => Some(format!(
                "column `{name}` is {declared}, which is no place for bytes"
            )),
            Type::Json
                if matches!(
                    kind,
                    Kind::Timestamp | Kind::Timestamptz | Kind::Uuid | Kind::Bytes
                ) =>
            {
                Some(format!(
                    "column `{name}` is {declared}, which is no place for json"
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
pub(super) fn canonical<'a>(field: Option<&Field>, cell: &'a Cell) -> Cow<'a, Cell> {
    let number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
    Cow::Owned(match (field.map(|field| field.kind), cell) {
        (Some(Type::Json | Type::List | Type::Vector), Cell::Text(text)) => json(text.clone()),
        (Some(Type::Decimal), Cell::Real(number)) => Cell::Text(plain(&shortest(*number))),
        (Some(Type::Decimal), Cell::Int(number)) => Cell::Text(plain(&number.to_string())),
        (Some(Type::Decimal | Type::Integer), Cell::Text(text)) if number(text) => {
            Cell::Text(plain(text))
        }
        (Some(Type::Uuid), Cell::Text(text)) => Cell::Text(text.to_ascii_lowercase()),
        _ => return Cow::Borrowed(cell),
    })
}

/// Makes the cell for a key that is written as text: as the server would write it.
pub(super) fn key_cell(kind: Kind, text: &str) -> Cell {
    match (kind, text.parse::<i64>()) {
        (Kind::Int, Ok(number)) if number.to_string() == text => Cell::Int(number),
        (Kind::Uuid, _) => Cell::Text(text.to_ascii_lowercase()),
        _ => Cell::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
