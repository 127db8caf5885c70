//! A file's text, read in blocks: UTF-8, without byte order mark, each line ended by LF or CRLF.

use std::io::{self, BufRead};

use crate::SourceError;

/// The part of a file that is in memory. Every byte of it is a byte of the source: CRLF stays as
/// it is, and a lone CR has become an LF.
pub struct Text<R> {
    file: String,
    reader: R,
    held: String,
    /// Bytes that are read but not decoded: the start of a character, or a CR that may be a CRLF.
    raw: Vec<u8>,
    /// Bytes of the source before `raw`.
    offset: u64,
    line: u64,
    mark: u64,
    ended: bool,
}

impl<R: BufRead> Text<R> {
    /// Starts at the first byte of `reader`. Nothing is read yet.
    pub fn new(file: &str, reader: R) -> Self {
        Self {
            file: file.to_owned(),
            reader,
            held: String::new(),
            raw: Vec::new(),
            offset: 0,
            line: 1,
            mark: 0,
            ended: false,
        }
    }

    /// Reads until at least `goal` bytes are held or the file ends.
    pub fn fill(&mut self, goal: usize) -> Result<(), SourceError> {
        while self.held.len() < goal && !self.ended {
            let block = match self.reader.fill_buf() {
                Ok(block) => block,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(SourceError::Io {
                        file: self.file.clone(),
                        source,
                    });
                }
            };
            self.ended = block.is_empty();
            self.raw.extend_from_slice(block);
            let read = block.len();
            self.reader.consume(read);
            self.decode()?;
        }
        Ok(())
    }

    /// The text that is held.
    pub fn held(&self) -> &str {
        &self.held
    }

    /// The 1-based line where the held text begins.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Is the rest of the file held?
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes of the byte order mark that was taken off: 0 or 3.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// Lets go of the first `bytes` of the held text.
    pub fn release(&mut self, bytes: usize) {
        self.line += newlines(&self.held[..bytes]);
        self.held.drain(..bytes);
    }

    /// An error at a 1-based line of the file.
    pub fn damaged(&self, line: u64, message: impl Into<String>) -> SourceError {
        SourceError::Damaged {
            file: self.file.clone(),
            line,
            message: message.into(),
        }
    }

    fn decode(&mut self) -> Result<(), SourceError> {
        let raw = std::mem::take(&mut self.raw);
        let (good, fault) = match std::str::from_utf8(&raw) {
            Ok(text) => (text, false),
            Err(err) => (
                std::str::from_utf8(&raw[..err.valid_up_to()]).unwrap_or_default(),
                err.error_len().is_some() || self.ended,
            ),
        };
        let good = if good.ends_with('\r') && !self.ended {
            &good[..good.len() - 1]
        } else {
            good
        };
        let nul = good.find('\0');
        let good = &good[..nul.unwrap_or(good.len())];
        let start = self.offset;
        self.offset += u64::try_from(good.len()).unwrap_or(u64::MAX);
        self.hold(good, start);
        if nul.is_some() || fault {
            let found = if nul.is_some() { "a NUL" } else { "no UTF-8" };
            let line = self.line + newlines(&self.held);
            return Err(self.damaged(
                line,
                format!("{found} at byte offset {}; expected UTF-8 text: convert the file, or correct that byte", self.offset),
            ));
        }
        self.raw = raw[good.len()..].to_vec();
        Ok(())
    }

    fn hold(&mut self, text: &str, start: u64) {
        let mut rest = text;
        if start == 0
            && let Some(after) = rest.strip_prefix('\u{feff}')
        {
            (rest, self.mark) = (after, 3);
        }
        while let Some(at) = rest.find('\r') {
            self.held.push_str(&rest[..at]);
            let pair = rest[at + 1..].starts_with('\n');
            self.held.push_str(if pair { "\r\n" } else { "\n" });
            rest = &rest[at + 1 + usize::from(pair)..];
        }
        self.held.push_str(rest);
    }
}

/// Counts the lines that end in `text`.
pub fn newlines(text: &str) -> u64 {
    text.bytes().map(|byte| u64::from(byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(bytes: &[u8], block: usize) -> Result<(String, u64), String> {
        let mut text = Text::new("a.md", BufReader::with_capacity(block, bytes));
        text.fill(usize::MAX).map_err(|err| err.to_string())?;
        Ok((text.held().to_owned(), text.mark()))
    }

    #[test]
    fn any_block_size_gives_the_same_text() {
        for block in 1..8 {
            let (text, mark) = read("\u{feff}ä\r\n→\rb\r".as_bytes(), block).unwrap();
            assert_eq!(
                (text.as_str(), mark),
                ("ä\r\n→\nb\n", 3),
                "blocks of {block}"
            );
        }
    }

    #[test]
    fn a_mark_counts_only_at_the_start() {
        assert_eq!(
            read("a\u{feff}".as_bytes(), 9).unwrap(),
            ("a\u{feff}".to_owned(), 0)
        );
    }

    #[test]
    fn invalid_utf8_is_refused_with_line_and_offset() {
        for block in [1, 3, 64] {
            let said = read(b"\xef\xbb\xbfone\r\ntwo\rth\xffree", block).unwrap_err();
            assert!(
                said.starts_with("a.md:3: no UTF-8 at byte offset 14;"),
                "{said}"
            );
            let said = read("a\nb→".as_bytes().split_last().unwrap().1, block).unwrap_err();
            assert!(
                said.starts_with("a.md:2: no UTF-8 at byte offset 3;"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_nul_is_refused_with_line_and_offset() {
        let said = read(b"a\n\0", 64).unwrap_err();
        assert!(
            said.starts_with("a.md:2: a NUL at byte offset 2;"),
            "{said}"
        );
    }

    #[test]
    fn released_text_moves_the_line() {
        let mut text = Text::new("a.md", &b"a\nb\r\nc"[..]);
        text.fill(1).unwrap();
        text.release(5);
        assert_eq!((text.held(), text.line(), text.ended()), ("c", 3, false));
    }
}
