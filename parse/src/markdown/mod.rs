//! Markdown: sections, list items or whole files as items.
//!
//! pulldown-cmark alone decides what is a heading, a list or a fence. It builds a tree several
//! times the size of its input, so the text goes through it in stretches that end at a heading.

mod chunk;
mod cut;
mod front;
mod meta;
mod record;
mod rules;
mod scan;
#[cfg(test)]
mod tests;
mod text;

use std::collections::VecDeque;
use std::io::BufRead;

use contract::plan::markdown::{MarkdownCut, MarkdownRecord};

use crate::SourceError;
use crate::item::{Piece, Pieces};
use chunk::Chunk;
use cut::Cutter;
use scan::scan;
use text::Text;

/// Bytes that are read before a stretch is cut.
const STRETCH: usize = 64 << 10;

/// The longest section, in bytes: what bounds memory.
const LONGEST: usize = 8 << 20;

/// Opens a Markdown file and cuts it as the plan says. The `raw` of its items is the source's own
/// text (a lone CR as LF), so that item and skipped bytes add up to the file.
///
/// # Errors
/// The plan's options make no sense, or, while iterating: the file can't be read, is not UTF-8,
/// holds a NUL, has front matter that is not YAML, or a section of more than 8 MiB.
pub fn open<R: BufRead>(
    file: &str,
    reader: R,
    options: &MarkdownCut,
) -> Result<impl Pieces + use<R>, SourceError> {
    Markdown::open(file, reader, options, STRETCH)
}

enum State {
    Start,
    Inside,
    Done,
}

struct Markdown<R> {
    whole: bool,
    stretch: usize,
    bold_level: Option<u8>,
    text: Text<R>,
    cutter: Cutter,
    ready: VecDeque<Piece>,
    state: State,
}

impl<R: BufRead> Iterator for Markdown<R> {
    type Item = Result<Piece, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            let step = match self.state {
                State::Start => self.front(),
                State::Inside => self.stretch(),
                State::Done => return None,
            };
            match step {
                Ok(state) => self.state = state,
                Err(err) => {
                    self.state = State::Done;
                    return Some(Err(err));
                }
            }
        }
    }
}

impl<R: BufRead> Markdown<R> {
    fn open(
        file: &str,
        reader: R,
        options: &MarkdownCut,
        stretch: usize,
    ) -> Result<Self, SourceError> {
        let text = Text::new(file, reader);
        let refused =
            |message: String| text.damaged(1, format!("the plan's markdown options: {message}"));
        options.check().map_err(refused)?;
        let cutter = Cutter::new(file, options).map_err(|err| refused(err.to_string()))?;
        Ok(Self {
            whole: options.record == MarkdownRecord::File,
            stretch,
            bold_level: options.bold_level,
            text,
            cutter,
            ready: VecDeque::new(),
            state: State::Start,
        })
    }

    /// Takes the byte order mark and the front matter off.
    fn front(&mut self) -> Result<State, SourceError> {
        let front = front::read(&mut self.text)?;
        if self.text.mark() > 0 {
            self.ready.push_back(Piece::Skipped {
                line: 1,
                last_line: 1,
                bytes: self.text.mark(),
                reason: "byte-order-mark",
            });
        }
        if let Some((values, bytes)) = front {
            let none = scan::Scan::default();
            Chunk::new(&self.text.held()[..bytes], &none, &mut self.ready, 1)
                .skip(0..bytes, "front-matter");
            self.cutter.set_front(values);
            self.text.release(bytes);
        }
        Ok(State::Inside)
    }

    /// Cuts the next stretch of complete sections.
    fn stretch(&mut self) -> Result<State, SourceError> {
        let mut goal = if self.whole { LONGEST } else { self.stretch };
        loop {
            self.text.fill(goal)?;
            let ended = self.text.ended();
            let held = self.text.held();
            let lines = if ended {
                held.len()
            } else {
                held.rfind('\n').map_or(0, |at| at + 1)
            };
            let (scan, end) = if self.whole && !ended {
                (scan::Scan::default(), 0)
            } else {
                let scan = scan(&held[..lines], self.bold_level);
                let end = if ended {
                    lines
                } else {
                    self.cutter.complete(&scan.blocks)
                };
                (scan, end)
            };
            if end > 0 || ended {
                self.cutter.cut(&mut Chunk::new(
                    &held[..end],
                    &scan,
                    &mut self.ready,
                    self.text.line(),
                ));
                self.text.release(end);
                return Ok(if ended { State::Done } else { State::Inside });
            }
            if held.len() >= LONGEST {
                return Err(self.text.damaged(
                    self.text.line(),
                    "no heading that ends this section within 8 MiB; is a code fence or comment left open?",
                ));
            }
            goal = held.len() * 2;
        }
    }
}
