//! A stretch of a file that is complete: its text, its blocks, and where its lines are.

use std::collections::VecDeque;
use std::ops::Range;

use serde_json::{Map, Value};

use super::scan::{Block, Kind, Scan};
use super::text::newlines;
use crate::item::{Body, Item, Piece};

/// Text and blocks, and the pieces that were cut from them so far, in order.
pub struct Chunk<'a> {
    /// The text; blocks of `scan` may lie behind its end.
    pub text: &'a str,
    /// Its blocks.
    pub scan: &'a Scan,
    /// Where the pieces go.
    pub out: &'a mut VecDeque<Piece>,
    /// An offset and the 1-based line it is in: pieces come in order, so lines are counted once.
    place: (usize, u64),
}

impl<'a> Chunk<'a> {
    /// Starts at the 1-based `line` of the file.
    pub fn new(text: &'a str, scan: &'a Scan, out: &'a mut VecDeque<Piece>, line: u64) -> Self {
        Self {
            text,
            scan,
            out,
            place: (0, line),
        }
    }

    /// The blocks that lie in `range`.
    pub fn blocks(&self, range: &Range<usize>) -> &'a [Block] {
        let blocks = &self.scan.blocks;
        let start = blocks.partition_point(|block| block.range.start < range.start);
        let end = blocks.partition_point(|block| block.range.end <= range.end);
        &blocks[start..end.max(start)]
    }

    /// `range` without the blank lines, rules and comments at its ends.
    pub fn core(&self, range: Range<usize>) -> Range<usize> {
        let mut blocks = self.blocks(&range);
        let mut core = self.unblank(range);
        loop {
            match blocks {
                [first, rest @ ..] if first.is_edge() && first.range.start == core.start => {
                    core = self.unblank(first.range.end..core.end);
                    blocks = rest;
                }
                [rest @ .., last] if last.is_edge() && last.range.end == core.end => {
                    core = self.unblank(core.start..last.range.start);
                    blocks = rest;
                }
                _ => return core,
            }
        }
    }

    /// `range` in whole lines without the blank ones at its ends.
    fn unblank(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.text[range.clone()];
        let mut start = range.start;
        for line in text.split_inclusive('\n') {
            if !line.trim().is_empty() {
                break;
            }
            start += line.len();
        }
        let end = range.start + text.trim_end().len();
        if end <= start {
            return start..start;
        }
        let line = self.text[end..range.end].find('\n');
        start..line.map_or(range.end, |at| end + at + 1)
    }

    /// The text of a range with LF line ends, without the one at its end.
    pub fn value(&self, range: Range<usize>) -> String {
        let text = self.text[range].replace("\r\n", "\n");
        text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
    }

    /// Hands on an item made of the text of `range`.
    pub fn item(&mut self, range: Range<usize>, columns: Map<String, Value>) {
        let (line, last_line) = self.lines(&range);
        self.out.push_back(Piece::Item(Item {
            line,
            last_line,
            raw: self.text[range].to_owned(),
            body: Body::Tree(columns),
        }));
    }

    /// Counts `range` as skipped.
    pub fn skip(&mut self, range: Range<usize>, reason: &'static str) {
        if range.is_empty() {
            return;
        }
        let (line, last_line) = self.lines(&range);
        self.out.push_back(Piece::Skipped {
            line,
            last_line,
            bytes: u64::try_from(range.len()).unwrap_or(u64::MAX),
            reason,
        });
    }

    /// Counts `range` as skipped: headings, rules, comments and blank lines as what they are, the
    /// rest for `reason`.
    pub fn skip_text(&mut self, range: Range<usize>, reason: &'static str) {
        let mut at = range.start;
        for block in self.blocks(&range) {
            let kind = match block.kind {
                Kind::Heading(..) => "heading",
                Kind::Rule => "rule",
                Kind::Comment => "comment",
                _ => continue,
            };
            self.skip_plain(at..block.range.start, reason);
            self.skip(block.range.clone(), kind);
            at = block.range.end;
        }
        self.skip_plain(at..range.end, reason);
    }

    fn skip_plain(&mut self, range: Range<usize>, reason: &'static str) {
        let core = self.unblank(range.clone());
        self.skip(range.start..core.start, "blank");
        self.skip(core.clone(), reason);
        self.skip(core.end..range.end, "blank");
    }

    /// The first and last line of a range that is not before the last one asked for.
    fn lines(&mut self, range: &Range<usize>) -> (u64, u64) {
        let (at, line) = self.place;
        let first = line + newlines(&self.text[at..range.start]);
        let inner = newlines(&self.text[range.clone()]);
        self.place = (range.end, first + inner);
        let ended = self.text[range.clone()].ends_with('\n');
        (first, first + inner - u64::from(ended))
    }
}

impl Block {
    /// Is it something that is dropped where it stands at the edge of a record?
    fn is_edge(&self) -> bool {
        matches!(self.kind, Kind::Rule | Kind::Comment)
    }
}
