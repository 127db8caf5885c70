//! Which column refuses its value, asked of the server.

use postgres::types::{ToSql, Type};

use super::connect::Postgres;
use crate::catalogue::Table;
use crate::{Cell, Sql, StoreError};

/// Columns of a constraint, or of an index, by its name.
const COLUMNS: &str = "SELECT DISTINCT a.attname::text FROM ( \
    SELECT conrelid AS relation, unnest(conkey) AS number FROM pg_constraint \
      WHERE conrelid = $1::text::regclass AND conname = $2 \
    UNION SELECT i.indrelid, unnest(i.indkey::int2[]) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
      WHERE i.indrelid = $1::text::regclass AND c.relname = $2) k \
    JOIN pg_attribute a ON a.attrelid = k.relation AND a.attnum = k.number";

impl Postgres {
    pub(super) fn constrained(
        &self,
        table: &Table,
        constraint: &str,
    ) -> Result<Vec<usize>, StoreError> {
        let spelled = self.quoted(&table.name);
        let params: [(&(dyn ToSql + Sync), Type); 2] =
            [(&spelled, Type::TEXT), (&constraint, Type::TEXT)];
        let rows = self.look(COLUMNS, &params)?;
        let place = |row: &crate::Row| table.position(row[0].text()?);
        Ok(rows.iter().filter_map(place).collect())
    }

    /// Asks for the value of each column by itself, in the column's own type. The transaction is left
    /// as a failed statement leaves it, once one is refused.
    pub(super) fn refused(
        &self,
        table: &Table,
        cells: &[(usize, Cell)],
    ) -> Result<Option<usize>, StoreError> {
        for (place, cell) in cells {
            let column = &table.columns[*place];
            let found = self.type_of(column);
            let text = found.kind.sent(cell);
            let cast = &found.cast;
            // A cast cuts in silence what an assignment refuses as too long.
            let sql = format!(
                "SELECT $1::text::{cast}::{}::text, $1::text::{cast}::text",
                found.full
            );
            match self.look(&sql, &[(&text, Type::TEXT)]) {
                Ok(rows) => {
                    let cut = |row: &crate::Row| match (row[0].text(), row[1].text()) {
                        (Some(kept), Some(sent)) => {
                            let (kept, sent) = (kept.trim_end(), sent.trim_end());
                            kept.len() < sent.len() && sent.starts_with(kept)
                        }
                        _ => false,
                    };
                    // Digits that a number would lose are found when it is read back.
                    if found.cut && rows.iter().any(cut) {
                        return Ok(Some(*place));
                    }
                }
                Err(StoreError::Constraint { .. } | StoreError::Statement { .. }) => {
                    return Ok(Some(*place));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
