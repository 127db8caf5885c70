//! Rows on their way to the server: arrays in the statement itself, or a table of their own.

use std::io::Write;

use postgres::types::{ToSql, Type};

use super::connect::Postgres;
use super::sql::Param;
use crate::{Cell, Row, StoreError};

/// More rows than these go by COPY into a temporary table: up to about a thousand, arrays in the
/// statement are faster, since a table costs a few milliseconds to make.
const ARRAYS: usize = 1000;

/// More rows of the ledger than these go there by COPY, without a table between.
const STRAIGHT: usize = 250;

/// Keys alone are so short that a table is never worth its while.
const KEYS: usize = 10 * ARRAYS;

/// Columns of cells, each sent under one type.
pub(super) type Columns = Vec<(Type, Vec<Cell>)>;

/// Where a statement finds rows: they are called `k`, their columns `c0`, `c1`, … and their place,
/// from 1, `n`.
pub(super) struct Source {
    pub from: String,
    arrays: Columns,
}

impl Source {
    /// The parameters of a statement that uses it: `$1` to as many as there are columns, if any.
    pub fn params(&self) -> Vec<Param<'_>> {
        self.arrays
            .iter()
            .map(|(kind, cells)| array_of(kind, cells))
            .collect()
    }
}

fn array_of<'a>(kind: &Type, cells: &'a Vec<Cell>) -> Param<'a> {
    let array = match *kind {
        Type::INT8 => Type::INT8_ARRAY,
        Type::BYTEA => Type::BYTEA_ARRAY,
        _ => Type::TEXT_ARRAY,
    };
    (cells as &(dyn ToSql + Sync), array)
}

impl Postgres {
    /// Takes rows to the server. Their table, if they get one, goes with the transaction.
    pub(super) fn source(&self, columns: Columns) -> Result<Source, StoreError> {
        let count = columns.first().map_or(0, |(_, cells)| cells.len());
        let keys = columns.len() == 1 && count <= KEYS;
        if count > ARRAYS && self.stages() && !keys {
            return self.staged(&columns, count);
        }
        let places: Vec<String> = (1..)
            .zip(&columns)
            .map(|(place, (kind, _))| {
                format!("pg_catalog.unnest(${place}::pg_catalog.{}[])", kind.name())
            })
            .collect();
        let names: Vec<String> = (0..columns.len())
            .map(|place| format!("c{place}"))
            .collect();
        Ok(Source {
            from: format!(
                "ROWS FROM ({}) WITH ORDINALITY AS k ({}, n)",
                places.join(", "),
                names.join(", ")
            ),
            arrays: columns,
        })
    }

    /// Tells whether so many rows of the ledger go there by COPY.
    pub(super) fn copies(&self, count: usize) -> bool {
        count > STRAIGHT && self.stages()
    }

    /// Tells whether there may be tables of ours: who only reads makes none.
    fn stages(&self) -> bool {
        self.writes && self.open.get()
    }

    /// Sends rows for a COPY.
    pub(super) fn copy_rows(
        &self,
        sql: &str,
        mut rows: impl Iterator<Item = Row>,
    ) -> Result<u64, StoreError> {
        self.copy(sql, |out| {
            let mut line = Vec::new();
            rows.try_for_each(|row| {
                line.clear();
                for cell in &row {
                    write_field(&mut line, cell);
                    line.push(b'\t');
                }
                line.pop();
                line.push(b'\n');
                out.write_all(&line)
            })
        })
    }

    fn staged(&self, columns: &Columns, count: usize) -> Result<Source, StoreError> {
        // A name of its own: an earlier one of the transaction may still be there.
        let name = format!(
            "pg_temp.switchback_{}",
            self.stages.replace(self.stages.get() + 1)
        );
        let typed: Vec<String> = (0..)
            .zip(columns)
            .map(|(place, (kind, _))| format!("c{place} pg_catalog.{}", kind.name()))
            .collect();
        self.batch(&format!(
            "CREATE TEMPORARY TABLE {name} ({}, n pg_catalog.int8) ON COMMIT DROP",
            typed.join(", ")
        ))?;
        self.copy(&format!("COPY {name} FROM STDIN"), |out| {
            let mut line = Vec::new();
            for row in 0..count {
                line.clear();
                for (_, cells) in columns {
                    write_field(&mut line, &cells[row]);
                    line.push(b'\t');
                }
                writeln!(line, "{}", row + 1)?;
                out.write_all(&line)?;
            }
            Ok(())
        })?;
        Ok(Source {
            from: format!("{name} AS k"),
            arrays: vec![],
        })
    }
}

/// Writes a field as COPY's text format has it.
fn write_field(out: &mut Vec<u8>, cell: &Cell) {
    match cell {
        Cell::Null => out.extend(b"\\N"),
        Cell::Int(number) => out.extend(number.to_string().bytes()),
        Cell::Real(number) => out.extend(format!("{number:?}").bytes()),
        Cell::Blob(bytes) => {
            out.extend(b"\\\\x");
            for byte in bytes {
                out.push(b"0123456789abcdef"[usize::from(byte >> 4)]);
                out.push(b"0123456789abcdef"[usize::from(byte & 15)]);
            }
        }
        Cell::Folded(digest) => out.extend(digest.to_string().bytes()),
        Cell::Text(text) => write_text(out, text.as_bytes()),
        Cell::Raw(bytes) => write_text(out, bytes),
    }
}

fn write_text(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            other => out.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_copy_reads_them() {
        let written = |cell: Cell| {
            let mut out = Vec::new();
            write_field(&mut out, &cell);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(Cell::Null), "\\N");
        assert_eq!(written("\\N".into()), "\\\\N");
        assert_eq!(written("a\tb\nc\r\\.ü".into()), "a\\tb\\nc\\r\\\\.ü");
        assert_eq!(written(Cell::Blob(vec![0, 255])), "\\\\x00ff");
        assert_eq!(written(Cell::Int(-5)), "-5");
        let mut out = Vec::new();
        write_field(&mut out, &Cell::Raw(b"\xe9\\".to_vec()));
        assert_eq!(out, b"\xe9\\\\");
    }
}
