//! What a snapshot holds beside `pg_dump`'s archive, in the same file: what the tables must be once they
//! are back, and the ledger's id map and what it said of runs. `FORMAT.md` says it in words.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::connect::Postgres;
use crate::ledger::LEDGER;
use crate::temporary::failed;
use crate::{Row, Sql as _, StoreError};

/// The end of the file: where the part begins (8 bytes, the highest first), and this.
const MARK: &[u8; 8] = b"SWBKPART";

/// The columns of the id map, in the order in which they are kept: a part's format is the version of the
/// ledger that it is of.
fn ids(format: i64) -> &'static str {
    match format {
        1 => "entity, source, claim, target, gone, digest, sums, run, seq",
        _ => "entity, source, claim, target, gone, digest, sums, run, seq, long, alias",
    }
}

const TABLES: &str = "SELECT c.oid::int8, format('%I.%I', n.nspname, c.relname), c.relkind = 'r', \
    (SELECT json_agg(quote_ident(a.attname) ORDER BY a.attnum)::text FROM pg_attribute a \
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
    AND n.nspname NOT IN ('switchback', 'pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' \
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
    ORDER BY 2";

const SEQUENCES: &str = "SELECT format('%I.%I', n.nspname, c.relname) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname <> 'switchback' \
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
    ORDER BY 1";

/// A table, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    /// Its name, as a statement spells it.
    pub(super) name: String,
    /// By which the archive's list names it.
    pub(super) oid: i64,
    /// Whether it holds rows itself: a partitioned table does not.
    pub(super) rows_own: bool,
    /// Columns that are not generated, spelled likewise.
    pub(super) columns: Vec<String>,
    /// How many rows.
    pub(super) rows: u64,
    /// The first 8 bytes of the SHA-256 of each row's text, added up.
    pub(super) sum: String,
}

/// A sequence, as it was: its name, its last value, and whether that was given out.
pub(super) type Counter = (String, i64, bool);

/// The part's first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Part {
    format: i64,
    /// Which database it is of; earlier builds did not say.
    #[serde(default)]
    pub(super) target: String,
    pub(super) tables: Vec<Content>,
    pub(super) sequences: Vec<Counter>,
    /// Of each run: number, status, last change.
    pub(super) runs: Vec<(i64, String, i64)>,
    /// Whether there was a ledger: then its `kept` and `ids` follow, as COPY writes them.
    pub(super) ledger: bool,
}

impl Postgres {
    /// Makes names and texts the same for everybody, and lets this wait for other programs.
    pub(super) fn settle_down(&self) -> Result<(), StoreError> {
        self.pin()?;
        self.as_nobody()?;
        self.batch(
            "SET LOCAL enable_seqscan = on; SET LOCAL statement_timeout = 0; \
             SET LOCAL idle_in_transaction_session_timeout = 0",
        )
    }

    /// Returns the tables of others, without their content.
    pub(super) fn layout(&self) -> Result<Vec<Content>, StoreError> {
        let table = |row: &Row| Content {
            name: text(row, 1),
            oid: row[0].int().unwrap_or_default(),
            rows_own: row[2].int() == Some(1),
            columns: serde_json::from_str(&text(row, 3)).unwrap_or_default(),
            rows: 0,
            sum: String::new(),
        };
        Ok(self.look(TABLES, &[])?.iter().map(table).collect())
    }

    /// Returns how many rows a table holds, and their sum.
    pub(super) fn content(&self, table: &Content) -> Result<(u64, String), StoreError> {
        let sql = format!(
            "SELECT count(*), COALESCE(sum(('x' || encode(substr(sha256(convert_to(ROW({})::text, '{}')), 1, 8), 'hex')) \
             ::bit(64)::int8::numeric), 0)::text FROM ONLY {}",
            table.columns.join(", "),
            self.encoding(),
            table.name
        );
        self.pin()?;
        let rows = self.look(&sql, &[])?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::damaged("no count"))?;
        Ok((row[0].int().unwrap_or(0).unsigned_abs(), text(row, 1)))
    }

    pub(super) fn counters(&self) -> Result<Vec<Counter>, StoreError> {
        let one = |row: &Row| {
            let name = text(row, 0);
            let rows = self.look(&format!("SELECT last_value, is_called FROM {name}"), &[])?;
            let row = rows
                .first()
                .ok_or_else(|| StoreError::damaged("no value"))?;
            Ok((name, row[0].int().unwrap_or(0), row[1].int() == Some(1)))
        };
        self.look(SEQUENCES, &[])?.iter().map(one).collect()
    }

    /// Reads all that the part holds in the transaction at hand and writes it behind the archive.
    pub(super) fn add_part(&mut self, file: &Path) -> Result<Part, StoreError> {
        let mut tables = self.layout()?;
        for table in tables.iter_mut().filter(|table| table.rows_own) {
            (table.rows, table.sum) = self.content(table)?;
        }
        let version = self.ledger_version()?;
        let ledger = version.is_some();
        let runs = if ledger {
            self.look(
                "SELECT seq, status, last_seq FROM switchback.runs ORDER BY seq",
                &[],
            )?
        } else {
            vec![]
        };
        let run = |row: &Row| {
            (
                row[0].int().unwrap_or(0),
                text(row, 1),
                row[2].int().unwrap_or(0),
            )
        };
        let part = Part {
            format: version.unwrap_or(LEDGER),
            target: self.describe(),
            tables,
            sequences: self.counters()?,
            runs: runs.iter().map(run).collect(),
            ledger,
        };
        let opened = File::options().append(true).open(file);
        let mut out = opened.map_err(failed(file))?;
        let begins = out.seek(SeekFrom::End(0)).map_err(failed(file))?;
        let mut out = io::BufWriter::new(out);
        let json = serde_json::to_string(&part).unwrap_or_default();
        writeln!(out, "{json}").map_err(failed(file))?;
        if ledger {
            let kept = "COPY (SELECT run, seq, reason, detail FROM switchback.kept ORDER BY 1, 2) TO STDOUT";
            let ids = ids(part.format);
            let ids = format!("COPY (SELECT {ids} FROM switchback.ids ORDER BY 1, 2) TO STDOUT");
            for sql in [kept, &ids] {
                self.copy_to(sql, &mut out).map_err(failed(file))?;
                out.write_all(b"\\.\n").map_err(failed(file))?;
            }
        }
        let end = || {
            out.write_all(&begins.to_be_bytes())?;
            out.write_all(MARK)?;
            out.flush()
        };
        let mut end = end;
        end().map_err(failed(file))?;
        Ok(part)
    }

    fn copy_to(&self, sql: &str, out: &mut dyn Write) -> io::Result<()> {
        let copied = self.with(|client| {
            let mut rows = client.copy_out(sql)?;
            Ok(io::copy(&mut rows, out))
        });
        copied.map_err(io::Error::other)?.map(|_| ())
    }

    /// Puts the id map of the snapshot in the place of the present one, and what had been kept into
    /// `then_kept`.
    pub(super) fn take_part(&mut self, file: &Path) -> Result<(), StoreError> {
        self.batch(
            "DELETE FROM switchback.ids; CREATE TEMPORARY TABLE then_kept (LIKE switchback.kept) ON COMMIT DROP",
        )?;
        let (part, mut lines) = Part::open(file)?;
        if part.ledger {
            self.copy_lines(
                "COPY then_kept (run, seq, reason, detail) FROM STDIN",
                &mut lines,
            )?;
            self.copy_lines(
                &format!("COPY switchback.ids ({}) FROM STDIN", ids(part.format)),
                &mut lines,
            )?;
        }
        Ok(())
    }

    /// Sends lines until the one that ends them.
    pub(super) fn copy_lines(&self, sql: &str, lines: &mut dyn BufRead) -> Result<(), StoreError> {
        self.copy(sql, |out| {
            let mut line = Vec::new();
            loop {
                line.clear();
                if lines.read_until(b'\n', &mut line)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if line == b"\\.\n" {
                    return Ok(());
                }
                out.write_all(&line)?;
            }
        })
        .map(|_| ())
    }
}

impl Part {
    /// Reads the first line, and leaves the reader behind it.
    pub(super) fn open(file: &Path) -> Result<(Self, BufReader<File>), StoreError> {
        let read = || {
            let mut from = File::open(file)?;
            from.seek(SeekFrom::End(-16))?;
            let (mut begins, mut mark) = ([0; 8], [0; 8]);
            from.read_exact(&mut begins)?;
            from.read_exact(&mut mark)?;
            if mark != *MARK {
                return Err(io::Error::other(
                    "it is no snapshot: what apply adds to the archive is missing",
                ));
            }
            from.seek(SeekFrom::Start(u64::from_be_bytes(begins)))?;
            let mut lines = BufReader::new(from);
            let mut line = String::new();
            lines.read_line(&mut line)?;
            let part: Self = serde_json::from_str(&line)?;
            if !(1..=LEDGER).contains(&part.format) {
                let message = format!(
                    "its format is {}, this build knows 1 to {LEDGER}",
                    part.format
                );
                return Err(io::Error::other(message));
            }
            Ok((part, lines))
        };
        read()
            .map_err(|error: io::Error| StoreError::refused(format!("{}: {error}", file.display())))
    }
}

fn text(row: &Row, place: usize) -> String {
    row[place].text().unwrap_or_default().to_owned()
}
