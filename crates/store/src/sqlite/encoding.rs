//! Text as a SQLite file keeps it: in UTF-8, or in UTF-16 of either order of bytes. SQLite converts between
//! them and puts other characters in the place of what it does not like; so the text of users' tables is
//! read and written in the file's own bytes where these are not UTF-8.

use rusqlite::Connection;

use super::connect::{Sqlite, quoted};
use crate::{Cell, Row, StoreError, Table};

/// Why text of an odd number of bytes is refused.
const HALF: &str =
    "the database keeps text in UTF-16, and SQLite would drop the last byte when it writes it back";

/// The encoding of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    pub(super) fn of(conn: &Connection) -> rusqlite::Result<Self> {
        let name: String = conn.pragma_query_value(None, "encoding", |row| row.get(0))?;
        Ok(match name.as_str() {
            "UTF-16le" => Self::Utf16Le,
            "UTF-16be" => Self::Utf16Be,
            _ => Self::Utf8,
        })
    }

    /// Tells whether SQLite hands out text in other bytes than it keeps.
    pub(super) fn is_wide(self) -> bool {
        self != Self::Utf8
    }

    /// The bytes of a text.
    fn bytes(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Self::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }

    /// The text of bytes; `None` where there are half characters, which SQLite would not write back.
    fn cell(self, bytes: &[u8]) -> Option<Cell> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        let unit = |pair: &[u8; 2]| match self {
            Self::Utf16Be => u16::from_be_bytes(*pair),
            _ => u16::from_le_bytes(*pair),
        };
        let text: Result<String, _> = char::decode_utf16(pairs.iter().map(unit)).collect();
        Some(text.map_or_else(|_| Cell::Raw(bytes.to_vec()), Cell::Text))
    }
}

impl Sqlite {
    /// What a statement reads of columns that are spelled so: each takes two places where text is read
    /// as bytes.
    pub(super) fn reads(&self, columns: impl Iterator<Item = String>) -> String {
        let read = |column: String| {
            if self.encoding.is_wide() {
                format!(
                    "CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END, \
                     typeof({column}) = 'text'"
                )
            } else {
                column
            }
        };
        columns.map(read).collect::<Vec<_>>().join(", ")
    }

    /// Where a statement takes a cell from: its place, and there is none that changes it on the way.
    pub(super) fn slot(&self, place: usize, cell: &Cell) -> String {
        let bytes = match cell {
            _ if !self.encoding.is_wide() => None,
            Cell::Raw(bytes) => Some(bytes.clone()),
            // What SQLite takes for no characters on the way from UTF-8.
            Cell::Text(text) if text.contains(['\u{fffe}', '\u{ffff}']) => {
                Some(self.encoding.bytes(text))
            }
            _ => None,
        };
        let Some(bytes) = bytes else {
            return format!("?{place}");
        };
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let digits = digits.concat();
        // The bytes of a literal are in the file's encoding, those of a parameter are not. The
        // parameter is counted all the same.
        format!("iif(?{place} IS NULL, NULL, CAST(x'{digits}' AS TEXT))")
    }

    /// The places of cells, the first being `first`.
    pub(super) fn slots(&self, first: usize, cells: &[Cell]) -> Vec<String> {
        let slot = |(at, cell): (usize, &Cell)| self.slot(first + at, cell);
        cells.iter().enumerate().map(slot).collect()
    }

    /// Runs a statement whose result is columns of a table as [`Sqlite::reads`] spells them.
    pub(super) fn read(
        &self,
        table: &Table,
        sql: &str,
        params: &[Cell],
    ) -> Result<Vec<Row>, StoreError> {
        self.rows_as(sql, params, |row| self.narrow(&table.name, row))
    }

    /// The same of whole rows: wide values of some columns are folded as they come.
    pub(super) fn read_whole(
        &self,
        table: &Table,
        sql: &str,
        params: &[Cell],
    ) -> Result<Vec<Row>, StoreError> {
        self.rows_as(sql, params, |row| {
            let mut row = self.narrow(&table.name, row)?;
            table.fold(&mut row);
            Ok(row)
        })
    }

    /// Makes one cell of the two that were read of each column, where that is so.
    pub(super) fn narrow(&self, table: &str, row: Row) -> Result<Row, StoreError> {
        if !self.encoding.is_wide() {
            return Ok(row);
        }
        let mut cells = Vec::with_capacity(row.len() / 2);
        let mut row = row.into_iter();
        while let (Some(cell), Some(text)) = (row.next(), row.next()) {
            cells.push(match cell {
                Cell::Blob(bytes) if text == Cell::Int(1) => {
                    self.encoding.cell(&bytes).ok_or_else(|| {
                        StoreError::refused(format!(
                            "a row of table {table} holds text of an odd number of bytes: {HALF}"
                        ))
                    })?
                }
                other => other,
            });
        }
        Ok(cells)
    }

    /// Says which columns of a table hold text that SQLite would not write back, and how that is put right.
    /// It reads the whole table, where the file is one in UTF-16.
    pub(super) fn odd_text(&self, table: &Table) -> Result<Vec<String>, StoreError> {
        if !self.encoding.is_wide() {
            return Ok(vec![]);
        }
        let odd = |column: &str| {
            format!("typeof({column}) = 'text' AND length(CAST({column} AS BLOB)) % 2 = 1")
        };
        let names = table.columns.iter().map(|column| quoted(&column.name));
        let names: Vec<String> = names.collect();
        let counts: Vec<String> = names
            .iter()
            .map(|name| format!("SUM({})", odd(name)))
            .collect();
        let name = quoted(&table.name);
        let counts = self.rows(&format!("SELECT {} FROM {name}", counts.join(", ")), &[])?;
        let Some(counts) = counts.first() else {
            return Ok(vec![]);
        };
        let found = table.columns.iter().zip(&names).zip(counts);
        let found = found.filter_map(|((column, quoted), count)| {
            let count = count.int().filter(|count| *count > 0)?;
            Some(format!(
                "{}.{} holds text of an odd number of bytes in {count} {}: {HALF}; correct the text, or keep its bytes \
                 as a BLOB: UPDATE {name} SET {quoted} = CAST({quoted} AS BLOB) WHERE {}",
                table.name,
                column.name,
                if count == 1 { "row" } else { "rows" },
                odd(quoted)
            ))
        });
        Ok(found.collect())
    }
}
