//! Rows on their way to the server: arrays in the statement itself, or a table of their own.

use std::io::{self, Write};

use postgres::types::{ToSql, Type};

use super::connect::Postgres;
use super::sql::Param;
use crate::{Cell, Row, StoreError};

/// More rows than these go by COPY into a temporary table: up to about a thousand, arrays in the
/// statement are faster, since a table costs a few milliseconds to make.
const ARRAYS: usize = 1000;

/// More rows of the ledger than these go there by COPY, without a table between.
const STRAIGHT: usize = 250;

/// More bytes than these, too: the client holds parameters twice more, and keeps the room.
const WIDE: usize = 1024 * 1024;

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

    /// Tells whether rows of the ledger are sent by COPY: where there are many, or where their images have many bytes.
    pub(super) fn copies(&self, count: usize, bytes: usize) -> bool {
        (count > STRAIGHT || bytes > WIDE) && self.stages()
    }

    /// Tells whether there may be tables of ours: who only reads makes none.
    fn stages(&self) -> bool {
        self.writes && self.open.get()
    }

    /// Sends rows for a COPY. Memory: one row, and 64 KiB.
    pub(super) fn copy_rows(
        &self,
        sql: &str,
        mut rows: impl Iterator<Item = Row>,
    ) -> Result<u64, StoreError> {
        self.copy(sql, |out| {
            let mut lines = Lines::new(out);
            rows.try_for_each(|row| {
                row.iter().try_for_each(|cell| lines.field(cell))?;
                lines.end()
            })?;
            lines.flush()
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
            let mut lines = Lines::new(out);
            for (row, place) in (0..count).zip(1..) {
                let mut cells = columns.iter().map(|(_, cells)| &cells[row]);
                cells.try_for_each(|cell| lines.field(cell))?;
                lines.field(&Cell::Int(place))?;
                lines.end()?;
            }
            lines.flush()
        })?;
        Ok(Source {
            from: format!("{name} AS k"),
            arrays: vec![],
        })
    }
}

/// Lines are sent on once this many bytes of them are gathered.
const GATHER: usize = 64 * 1024;

/// Lines of COPY's text format, sent on piece by piece: a wide value is never held a second time.
struct Lines<'a> {
    out: &'a mut dyn Write,
    bytes: Vec<u8>,
    /// Whether the line has a field.
    begun: bool,
}

impl<'a> Lines<'a> {
    fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            bytes: Vec::new(),
            begun: false,
        }
    }

    fn field(&mut self, cell: &Cell) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            self.bytes.push(b'\t');
        }
        match cell {
            Cell::Null => self.bytes.extend(b"\\N"),
            Cell::Int(number) => write!(self.bytes, "{number}")?,
            Cell::Real(number) => write!(self.bytes, "{number:?}")?,
            Cell::Blob(bytes) => {
                self.bytes.extend(b"\\\\x");
                return self.pieces(bytes, write_hex);
            }
            Cell::Folded(digest) => write!(self.bytes, "{digest}")?,
            Cell::Text(text) => return self.pieces(text.as_bytes(), write_text),
            Cell::Raw(bytes) => return self.pieces(bytes, write_text),
        }
        Ok(())
    }

    fn pieces(&mut self, bytes: &[u8], write: fn(&mut Vec<u8>, &[u8])) -> io::Result<()> {
        for piece in bytes.chunks(GATHER) {
            write(&mut self.bytes, piece);
            if self.bytes.len() >= GATHER {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.begun = false;
        self.bytes.push(b'\n');
        if self.bytes.len() >= GATHER {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.push(b"0123456789abcdef"[usize::from(byte >> 4)]);
        out.push(b"0123456789abcdef"[usize::from(byte & 15)]);
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
        let written = |cells: &[Cell]| {
            let mut out = Vec::new();
            let mut lines = Lines::new(&mut out);
            cells.iter().try_for_each(|cell| lines.field(cell)).unwrap();
            lines.end().unwrap();
            lines.flush().unwrap();
            out
        };
        assert_eq!(written(&[Cell::Null, "\\N".into()]), b"\\N\t\\\\N\n");
        let text = Cell::from("a\tb\nc\r\\.ü");
        assert_eq!(written(&[text]), "a\\tb\\nc\\r\\\\.ü\n".as_bytes());
        let blob = Cell::Blob(vec![0, 255]);
        assert_eq!(written(&[blob, Cell::Int(-5)]), b"\\\\x00ff\t-5\n");
        assert_eq!(written(&[Cell::Raw(b"\xe9\\".to_vec())]), b"\xe9\\\\\n");
        let wide = "ü".repeat(GATHER);
        let expected = format!("1\t{wide}\t\\N\n");
        let cells = [Cell::Int(1), wide.as_str().into(), Cell::Null];
        assert_eq!(written(&cells), expected.as_bytes());
    }
}
