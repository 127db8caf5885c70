//! Keys that are written as text, spelled as the server spells them.

use super::connect::Postgres;
use super::encode::bytes;
use super::values::Kind;
use crate::catalogue::Column;
use crate::plain::shortest;
use crate::{Cell, StoreError};

impl Postgres {
    /// Makes the cell of a key. The server would cast any text that it can read: it must be the text that
    /// it writes itself.
    pub(super) fn spelled(
        &self,
        column: &Column,
        text: &str,
    ) -> Result<Result<Cell, String>, StoreError> {
        let found = self.type_of(column);
        let wrong = |right: Option<String>| {
            let right = right.map_or_else(String::new, |right| format!(" ({right})"));
            let Column { name, declared, .. } = column;
            Ok(Err(format!(
                "{text:?} is not how column `{name}` ({declared}) writes it{right}"
            )))
        };
        if text.contains('\0') {
            return wrong(None);
        }
        let exactly = |cell: Cell, right: String| {
            if right == text {
                Ok(Ok(cell))
            } else {
                wrong(Some(right))
            }
        };
        match found.kind {
            Kind::Text => Ok(Ok(text.into())),
            Kind::Int => match text.trim().parse::<i64>() {
                Ok(number) => exactly(Cell::Int(number), number.to_string()),
                Err(_) => wrong(None),
            },
            Kind::Float4 | Kind::Float8 => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    let digits = [shortest(number), format!("{number:?}")];
                    if digits.iter().any(|digits| digits == text) {
                        return Ok(Ok(Cell::Real(number)));
                    }
                    wrong(digits.into_iter().next())
                }
                _ => wrong(None),
            },
            Kind::Bytes => match bytes(text) {
                Some(bytes) => Ok(Ok(Cell::Blob(bytes))),
                None => wrong(None),
            },
            kind => match self.text_of(&found, text)? {
                Ok(right) => exactly(kind.received(right.as_str().into()), right),
                Err(_) => wrong(None),
            },
        }
    }
}
