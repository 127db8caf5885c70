//! Finds where JSON values end without reading the whole document.

use std::io::{self, BufRead};

use contract::LINE_LIMIT;

use crate::SourceError;
use crate::item::newlines;

/// Where in the file.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// 1-based physical line.
    pub(super) line: u64,
    /// 0-based byte.
    pub(super) offset: u64,
}

/// A reader that knows where it is.
pub(super) struct Scanner<R> {
    file: String,
    input: R,
    here: Place,
}

/// How the bytes of a value nest.
#[derive(Default)]
pub(super) struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Takes bytes up to the end of the value; says how many, and whether it ended.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (index, byte) in bytes.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_string = false;
                        if self.depth == 0 {
                            return (index + 1, true);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' | b']' if self.depth == 1 => {
                    self.depth = 0;
                    return (index + 1, true);
                }
                b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => {
                    return (index, true);
                }
                _ => {}
            }
        }
        (bytes.len(), false)
    }

    fn open(&self) -> bool {
        self.depth > 0 || self.in_string
    }
}

impl<R: BufRead> Scanner<R> {
    pub(super) fn new(file: &str, input: R) -> Self {
        Self {
            file: file.to_owned(),
            input,
            here: Place { line: 1, offset: 0 },
        }
    }

    pub(super) fn here(&self) -> Place {
        self.here
    }

    /// Returns the next byte that is no white space, and leaves it there.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, SourceError> {
        loop {
            let chunk = self.chunk()?;
            let Some(first) = chunk.first().copied() else {
                return Ok(None);
            };
            let blanks = chunk
                .iter()
                .position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
                .unwrap_or(chunk.len());
            if blanks == 0 {
                return Ok(Some(first));
            }
            self.skip(blanks)?;
        }
    }

    /// Goes on by `count` bytes of what was peeked at.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), SourceError> {
        let chunk = self.chunk()?;
        let taken = &chunk[..count.min(chunk.len())];
        let (count, lines) = (taken.len(), newlines(taken));
        self.advance(count, lines);
        Ok(())
    }

    /// Reads one value into `raw` and returns where it starts. White space before it was skipped.
    pub(super) fn value(&mut self, raw: &mut Vec<u8>) -> Result<Place, SourceError> {
        raw.clear();
        let start = self.here;
        let mut nesting = Nesting::default();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                if nesting.open() {
                    let message = format!(
                        "the file ends at offset {} inside a value that starts on line {}: it was cut short",
                        self.here.offset, start.line
                    );
                    return Err(self.damaged(self.here.line, message));
                }
                break;
            }
            let (count, ended) = nesting.take(chunk);
            raw.extend_from_slice(&chunk[..count]);
            let lines = newlines(&chunk[..count]);
            self.advance(count, lines);
            if raw.len() as u64 > LINE_LIMIT {
                let message = format!("record over limit: it is longer than {LINE_LIMIT} bytes");
                return Err(self.damaged(start.line, message));
            }
            if ended {
                break;
            }
        }
        if raw.is_empty() {
            return Err(self.unexpected("a value"));
        }
        Ok(start)
    }

    /// Says what stands here instead of what was expected.
    pub(super) fn unexpected(&mut self, expected: &str) -> SourceError {
        let found = match self.chunk() {
            Ok([]) => "the file ends".to_owned(),
            Ok([byte, ..]) => format!("`{}` stands", byte.escape_ascii()),
            Err(error) => return error,
        };
        let Place { line, offset } = self.here;
        self.damaged(
            line,
            format!("{found} at offset {offset} where {expected} is expected"),
        )
    }

    pub(super) fn damaged(&self, line: u64, message: impl Into<String>) -> SourceError {
        SourceError::Damaged {
            file: self.file.clone(),
            line,
            message: message.into(),
        }
    }

    fn chunk(&mut self) -> Result<&[u8], SourceError> {
        loop {
            // Asked twice, since a borrow that is returned can't be dropped in a loop.
            match self.input.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(SourceError::Io {
                        file: self.file.clone(),
                        source,
                    });
                }
            }
        }
        self.input.fill_buf().map_err(|source| SourceError::Io {
            file: self.file.clone(),
            source,
        })
    }

    fn advance(&mut self, count: usize, lines: u64) {
        self.input.consume(count);
        self.here.offset += count as u64;
        self.here.line += lines;
    }
}
