//! CSV as RFC 4180 has it, with LF or CRLF, read a record at a time.
//!
//! What the RFC leaves no meaning to (text after a closing quote, a quote that never closes, a lone
//! carriage return) is refused: guessing would shift cells.

use std::io::{BufRead, Read};
use std::ops::Range;
use std::sync::Arc;

use contract::LINE_LIMIT;
use encoding_rs::Encoding;

use crate::SourceError;
use crate::decode::{BadBytes, Decoded};
use crate::item::{Body, Header, Item, Piece, Pieces, newlines};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Opens a CSV file. Without an encoding it is UTF-8.
pub(crate) fn open<'a, R: BufRead + 'a>(
    file: &str,
    input: R,
    delimiter: char,
    encoding: Option<&'static Encoding>,
) -> impl Pieces + use<'a, R> {
    let input: Box<dyn BufRead + 'a> = match encoding {
        Some(encoding) => Box::new(Decoded::new(input, encoding)),
        None => Box::new(input),
    };
    Csv {
        file: file.to_owned(),
        input,
        delimiter: u8::try_from(delimiter).unwrap_or(b','),
        raw: Vec::new(),
        cells: Vec::new(),
        start: Place { line: 1, offset: 0 },
        next: Place { line: 1, offset: 0 },
        header: None,
        width: 0,
        nameless: Vec::new(),
        ended: false,
    }
}

/// Where in the file: 1-based physical line, 0-based byte.
#[derive(Clone, Copy)]
struct Place {
    line: u64,
    offset: u64,
}

/// One cell in `raw`: its text without the outer quotes, and whether quotes in it are doubled.
struct Cell {
    range: Range<usize>,
    doubled: bool,
}

/// Where the splitting of a record stands.
#[derive(Clone, Copy, PartialEq)]
enum State {
    CellStart,
    Bare,
    Quoted,
    /// After a quote in a quoted cell: the cell is over, or the quote is the first of two.
    Quote,
    RecordEnd,
}

struct Csv<'a> {
    file: String,
    input: Box<dyn BufRead + 'a>,
    delimiter: u8,
    raw: Vec<u8>,
    cells: Vec<Cell>,
    start: Place,
    next: Place,
    header: Option<Arc<Header>>,
    width: usize,
    nameless: Vec<usize>,
    ended: bool,
}

impl Iterator for Csv<'_> {
    type Item = Result<Piece, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let piece = self.piece().transpose();
        self.ended = !matches!(piece, Some(Ok(_)));
        piece
    }
}

impl Csv<'_> {
    fn piece(&mut self) -> Result<Option<Piece>, SourceError> {
        loop {
            if !self.record()? {
                return Ok(None);
            }
            let text = self.text()?;
            let cells = self.split(&text);
            let (line, last_line) = (self.start.line, self.next.line - 1);
            if cells.iter().all(|cell| cell.trim().is_empty()) {
                let bytes = self.next.offset - self.start.offset;
                return Ok(Some(Piece::Skipped {
                    line,
                    last_line,
                    bytes,
                    reason: "blank",
                }));
            }
            let Some(header) = &self.header else {
                self.take_header(&cells)?;
                continue;
            };
            if cells.len() != self.width {
                let message = format!(
                    "{} {} found, {} expected, as the header has",
                    cells.len(),
                    if cells.len() == 1 { "cell" } else { "cells" },
                    self.width
                );
                return Ok(Some(Piece::Bad {
                    line,
                    raw: text,
                    message,
                }));
            }
            if let Some(column) = self
                .nameless
                .iter()
                .find(|column| !cells[**column].is_empty())
            {
                let message = format!(
                    "column {} has data here but no name in the header: name it",
                    column + 1
                );
                return Err(self.damaged(line, message));
            }
            let body = Body::Row(Arc::clone(header), cells);
            return Ok(Some(Piece::Item(Item {
                line,
                last_line,
                raw: text,
                body,
            })));
        }
    }

    /// Takes the names, without white space around them. Empty ones are remembered: they are only
    /// wrong over data.
    fn take_header(&mut self, cells: &[String]) -> Result<(), SourceError> {
        let names: Vec<String> = cells.iter().map(|cell| cell.trim().to_owned()).collect();
        for (second, name) in names
            .iter()
            .enumerate()
            .filter(|(_, name)| !name.is_empty())
        {
            let first = names
                .iter()
                .position(|other| other == name)
                .unwrap_or(second);
            if first != second {
                let message = format!(
                    "columns {} and {} are both named `{name}`: rename one",
                    first + 1,
                    second + 1
                );
                return Err(self.damaged(self.start.line, message));
            }
        }
        self.width = names.len();
        self.nameless = (0..names.len())
            .filter(|place| names[*place].is_empty())
            .collect();
        self.header = Some(Arc::new(Header::new(names)));
        Ok(())
    }

    /// Reads one record into `raw` and finds its cells; false at the end of the file.
    fn record(&mut self) -> Result<bool, SourceError> {
        self.raw.clear();
        self.cells.clear();
        self.start = self.next;
        let mut state = State::CellStart;
        let mut cell = Cell {
            range: 0..0,
            doubled: false,
        };
        while state != State::RecordEnd {
            let from = self.raw.len();
            if !self.line(state)? {
                match state {
                    State::CellStart if from == 0 => return Ok(false),
                    State::Quoted => {
                        let line = self.line_of(cell.range.start);
                        let message = "a quote opens on this line and never closes: the file was cut short, or a quote is missing";
                        return Err(self.damaged(line, message));
                    }
                    _ => {
                        // The last line has no line end.
                        cell.range.end = from - usize::from(state == State::Quote);
                        self.cells.push(cell);
                        return Ok(true);
                    }
                }
            }
            state = self.scan(from, state, &mut cell)?;
        }
        Ok(true)
    }

    /// Adds the next physical line to `raw`; false at the end of the file.
    fn line(&mut self, state: State) -> Result<bool, SourceError> {
        let from = self.raw.len();
        let left = LINE_LIMIT + 1 - from as u64;
        let read = (&mut self.input)
            .take(left)
            .read_until(b'\n', &mut self.raw);
        let mut count = match read {
            Ok(count) => count,
            Err(error) => return Err(self.unreadable(error)),
        };
        if self.raw.len() as u64 > LINE_LIMIT {
            let hint = if state == State::Quoted {
                ": a quote that opens here may never close"
            } else {
                ""
            };
            let message = format!("record over limit: it is longer than {LINE_LIMIT} bytes{hint}");
            return Err(self.damaged(self.start.line, message));
        }
        if self.next.offset == 0 && self.raw.starts_with(BOM) {
            self.raw.drain(..BOM.len());
            self.next.offset = BOM.len() as u64;
            self.start = self.next;
            count -= BOM.len();
        }
        if let Some(place) = self.raw[from..].iter().position(|byte| *byte == 0) {
            let offset = self.next.offset + place as u64;
            let message = format!(
                "a NUL byte at offset {offset}: this is no text, or in another encoding than the plan says"
            );
            return Err(self.damaged(self.next.line, message));
        }
        if let Err(error) = std::str::from_utf8(&self.raw[from..]) {
            let offset = self.next.offset + error.valid_up_to() as u64;
            let message = format!(
                "the byte at offset {offset} is not UTF-8: correct it, or name the file's `encoding` in the plan"
            );
            return Err(self.damaged(self.next.line, message));
        }
        self.next.offset += count as u64;
        self.next.line += u64::from(count > 0);
        Ok(count > 0)
    }

    /// Finds the cells in `raw[from..]`, a whole line.
    fn scan(&mut self, from: usize, state: State, cell: &mut Cell) -> Result<State, SourceError> {
        let mut state = state;
        let mut index = from;
        while index < self.raw.len() {
            let byte = self.raw[index];
            if state == State::Quoted {
                if byte == b'"' {
                    state = State::Quote;
                }
                index += 1;
                continue;
            }
            let ends_line = match byte {
                b'\n' => 1,
                b'\r' if self.raw.get(index + 1) == Some(&b'\n') => 2,
                _ => 0,
            };
            if byte == self.delimiter || ends_line > 0 {
                cell.range.end = index - usize::from(state == State::Quote);
                let next = index + ends_line.max(1);
                let done = std::mem::replace(
                    cell,
                    Cell {
                        range: next..next,
                        doubled: false,
                    },
                );
                self.cells.push(done);
                state = if ends_line > 0 {
                    State::RecordEnd
                } else {
                    State::CellStart
                };
                index = next;
                continue;
            }
            state = match (state, byte) {
                (_, b'\r') => {
                    let message = format!(
                        "a carriage return without a line feed at offset {}: expected LF or CRLF, or quotes around the cell",
                        self.offset_of(index)
                    );
                    return Err(self.damaged(self.line_of(index), message));
                }
                (State::CellStart, b'"') => {
                    cell.range.start = index + 1;
                    State::Quoted
                }
                (State::Quote, b'"') => {
                    cell.doubled = true;
                    State::Quoted
                }
                (State::Quote, _) => {
                    let message = format!(
                        "text after a closing quote at offset {}: a quote inside a quoted cell must be doubled",
                        self.offset_of(index)
                    );
                    return Err(self.damaged(self.line_of(index), message));
                }
                _ => State::Bare,
            };
            index += 1;
        }
        Ok(state)
    }

    fn split(&self, text: &str) -> Vec<String> {
        let texts = self.cells.iter().map(|cell| {
            let content = text.get(cell.range.clone()).unwrap_or_default();
            if cell.doubled {
                content.replace("\"\"", "\"")
            } else {
                content.to_owned()
            }
        });
        texts.collect()
    }

    /// Returns the record's text without its line end.
    fn text(&self) -> Result<String, SourceError> {
        let end = self.raw.strip_suffix(b"\n").unwrap_or(&self.raw);
        let end = end.strip_suffix(b"\r").unwrap_or(end);
        String::from_utf8(end.to_vec())
            .map_err(|_| self.damaged(self.start.line, "it is not UTF-8"))
    }

    fn offset_of(&self, index: usize) -> u64 {
        self.start.offset + index as u64
    }

    fn line_of(&self, index: usize) -> u64 {
        self.start.line + newlines(&self.raw[..index])
    }

    fn unreadable(&self, error: std::io::Error) -> SourceError {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<BadBytes>())
        {
            Some(bad) => self.damaged(bad.line, bad.to_string()),
            None => SourceError::Io {
                file: self.file.clone(),
                source: error,
            },
        }
    }

    fn damaged(&self, line: u64, message: impl Into<String>) -> SourceError {
        SourceError::Damaged {
            file: self.file.clone(),
            line,
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests;
