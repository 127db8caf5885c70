//! Cells on the wire: under which type each goes, and what comes back.

use postgres::types::{FromSql, IsNull, ToSql, Type};

use super::moments;
use crate::Cell;

/// Returns the type under which a cell is sent to the ledger; the server finds NULL's by itself.
pub(super) fn type_of(cell: &Cell) -> Type {
    match cell {
        Cell::Null => Type::UNKNOWN,
        Cell::Int(_) => Type::INT8,
        Cell::Real(_) => Type::FLOAT8,
        Cell::Text(_) | Cell::Raw(_) => Type::TEXT,
        Cell::Blob(_) | Cell::Folded(_) => Type::BYTEA,
    }
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(
        ty: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *ty {
            Type::INT2 => Self::Int(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Self::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::FLOAT8 => match f64::from_sql(ty, raw)? {
                // Unlike itself as a float: as text it can be compared.
                number if number.is_nan() => "NaN".into(),
                number => Self::Real(number),
            },
            Type::BYTEA => Self::Blob(raw.to_vec()),
            Type::BOOL => Self::Int(bool::from_sql(ty, raw)?.into()),
            Type::DATE => Self::Text(moments::date(i32::from_be_bytes(raw.try_into()?))),
            Type::TIMESTAMP | Type::TIMESTAMPTZ => {
                let zone = if *ty == Type::TIMESTAMP { "" } else { "+00" };
                Self::Text(moments::instant(i64::from_be_bytes(raw.try_into()?), zone))
            }
            // Of a database without an encoding (SQL_ASCII) it may be anything.
            _ => match String::from_sql(ty, raw) {
                Ok(text) => Self::Text(text),
                Err(_) => Self::Raw(raw.to_vec()),
            },
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(
            *ty,
            Type::INT2
                | Type::INT4
                | Type::INT8
                | Type::FLOAT8
                | Type::BYTEA
                | Type::BOOL
                | Type::DATE
                | Type::TIMESTAMP
                | Type::TIMESTAMPTZ
        ) || <String as FromSql>::accepts(ty)
    }
}

impl ToSql for Cell {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql(ty, out),
            Self::Real(number) => number.to_sql(ty, out),
            Self::Text(text) => text.to_sql(ty, out),
            Self::Blob(bytes) => bytes.to_sql(ty, out),
            Self::Folded(_) => Err("a folded value can't be written".into()),
            Self::Raw(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}
