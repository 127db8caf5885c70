//! JSON: an array of objects, one wrapped in an object, or objects one after the other (NDJSON).
//!
//! Which of them a file is shows in its first megabyte. An object alone in its file is a wrapper if
//! exactly one of its members is an array, else one item; a file named `.ndjson` or `.jsonl` is
//! never a wrapper.

mod scan;
pub(crate) mod strict;

use std::io::{BufRead, Chain, Cursor, Read};

use serde_json::Value;

use crate::SourceError;
use crate::item::{Body, Item, Piece, Pieces, newlines};
use scan::{Nesting, Place, Scanner};
use strict::Fault;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How much is looked at to tell the forms apart.
const LOOK: u64 = 1 << 20;

/// Opens a JSON file. `items` names the array of items, from the outermost object inwards.
pub(crate) fn open<R: BufRead>(
    file: &str,
    mut input: R,
    items: Option<Vec<String>>,
) -> Result<impl Pieces + use<R>, SourceError> {
    let mut start = Vec::new();
    (&mut input)
        .take(LOOK)
        .read_to_end(&mut start)
        .map_err(|source| SourceError::Io {
            file: file.to_owned(),
            source,
        })?;
    let lines = ["ndjson", "jsonl"]
        .iter()
        .any(|name| file.rsplit('.').next() == Some(name));
    let form = if items.is_some() {
        Form::Wrapped
    } else {
        form_of(&start, lines)
    };
    let marked = start.starts_with(BOM);
    let mut scanner = Scanner::new(file, Cursor::new(start).chain(input));
    if marked {
        scanner.skip(BOM.len())?;
    }
    Ok(Json {
        scanner,
        items,
        form,
        state: State::Start,
        depth: 0,
        found: None,
        raw: Vec::new(),
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Array,
    Wrapped,
    Values,
}

/// Tells the form by the file's first bytes.
fn form_of(start: &[u8], lines: bool) -> Form {
    let text = start.strip_prefix(BOM).unwrap_or(start).trim_ascii_start();
    match text.first() {
        Some(b'[') if !lines => return Form::Array,
        Some(b'{') if !lines => {}
        _ => return Form::Values,
    }
    let (end, ended) = Nesting::default().take(text);
    if !ended {
        return Form::Wrapped;
    }
    let alone = text[end..].trim_ascii().is_empty() && (start.len() as u64) < LOOK;
    let object: Option<serde_json::Map<String, Value>> = serde_json::from_slice(&text[..end]).ok();
    let arrays = object.map_or(1, |object| {
        object.values().filter(|value| value.is_array()).count()
    });
    if alone && arrays > 0 {
        Form::Wrapped
    } else {
        Form::Values
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Start,
    Elements { first: bool },
    Members { first: bool },
    Values,
    Trailer,
    Ended,
}

struct Json<R> {
    scanner: Scanner<Chain<Cursor<Vec<u8>>, R>>,
    items: Option<Vec<String>>,
    form: Form,
    state: State,
    /// Objects that are open around the place.
    depth: usize,
    /// The member whose array gives the items.
    found: Option<String>,
    raw: Vec<u8>,
}

impl<R: BufRead> Iterator for Json<R> {
    type Item = Result<Piece, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let piece = self.piece().transpose();
        if !matches!(piece, Some(Ok(_))) {
            self.state = State::Ended;
        }
        piece
    }
}

impl<R: BufRead> Json<R> {
    fn piece(&mut self) -> Result<Option<Piece>, SourceError> {
        loop {
            match self.state {
                State::Start => self.start()?,
                State::Elements { first } => {
                    if self.more(first, b']')? {
                        self.state = State::Elements { first: false };
                        return self.item().map(Some);
                    }
                    self.state = match self.depth {
                        0 => State::Trailer,
                        _ => State::Members { first: false },
                    };
                }
                State::Members { first } => {
                    if self.more(first, b'}')? {
                        self.state = State::Members { first: false };
                        if let Some(skipped) = self.member()? {
                            return Ok(Some(skipped));
                        }
                        continue;
                    }
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.state = State::Trailer;
                    }
                }
                State::Values => {
                    if self.scanner.peek()?.is_none() {
                        return Ok(None);
                    }
                    return self.item().map(Some);
                }
                State::Trailer => return self.trailer().map(|()| None),
                State::Ended => return Ok(None),
            }
        }
    }

    fn start(&mut self) -> Result<(), SourceError> {
        let first = self.scanner.peek()?;
        self.state = match (self.form, first) {
            (_, None) => State::Ended,
            (Form::Values, _) => State::Values,
            (Form::Array, Some(_)) => {
                self.scanner.skip(1)?;
                State::Elements { first: true }
            }
            (Form::Wrapped, Some(b'{')) => {
                self.scanner.skip(1)?;
                self.depth = 1;
                State::Members { first: true }
            }
            (Form::Wrapped, Some(_)) => {
                return Err(self.scanner.unexpected("an object with the plan's `items`"));
            }
        };
        Ok(())
    }

    /// Goes to the next element or member; false at the closing bracket, which is taken.
    fn more(&mut self, first: bool, close: u8) -> Result<bool, SourceError> {
        let next = self.scanner.peek()?;
        if next == Some(close) {
            self.scanner.skip(1)?;
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        if next != Some(b',') {
            let expected = format!("`,` or `{}`", char::from(close));
            return Err(self.scanner.unexpected(&expected));
        }
        self.scanner.skip(1)?;
        self.scanner.peek()?;
        Ok(true)
    }

    /// Reads a member of the wrapper: goes into the one that leads to the items, skips others.
    fn member(&mut self) -> Result<Option<Piece>, SourceError> {
        if self.scanner.peek()? != Some(b'"') {
            return Err(self.scanner.unexpected("a member's name"));
        }
        let from = self.scanner.value(&mut self.raw)?;
        let Value::String(name) = self.parsed(from)?.1? else {
            return Err(self.scanner.unexpected("a member's name"));
        };
        if self.scanner.peek()? != Some(b':') {
            return Err(self.scanner.unexpected("`:`"));
        }
        self.scanner.skip(1)?;
        let opens = self.scanner.peek()?;
        let (leads, last) = match &self.items {
            Some(path) => (
                path.get(self.depth - 1) == Some(&name),
                self.depth == path.len(),
            ),
            None => (opens == Some(b'['), true),
        };
        if !leads {
            let from = self.scanner.value(&mut self.raw)?;
            self.parsed(from)?.1?;
            let last_line = self.scanner.here().line;
            let bytes = self.scanner.here().offset - from.offset;
            return Ok(Some(Piece::Skipped {
                line: from.line,
                last_line,
                bytes,
                reason: "envelope",
            }));
        }
        if let Some(earlier) = &self.found {
            let message = format!(
                "the document has several arrays (`{earlier}`, `{name}`): name the one with the items in the plan, `items = \"{earlier}\"`"
            );
            return Err(self.scanner.damaged(from.line, message));
        }
        let bracket = if last { b'[' } else { b'{' };
        if opens != Some(bracket) {
            let expected = format!("`{}` of `items`", char::from(bracket));
            return Err(self.scanner.unexpected(&expected));
        }
        self.scanner.skip(1)?;
        self.state = if last {
            self.found = Some(name);
            State::Elements { first: true }
        } else {
            self.depth += 1;
            State::Members { first: true }
        };
        Ok(None)
    }

    /// Reads an element.
    fn item(&mut self) -> Result<Piece, SourceError> {
        let from = self.scanner.value(&mut self.raw)?;
        let (raw, parsed) = self.parsed(from)?;
        let (line, last_line) = (from.line, self.scanner.here().line);
        let message = match parsed {
            Ok(Value::Object(members)) => {
                return Ok(Piece::Item(Item {
                    line,
                    last_line,
                    raw,
                    body: Body::Tree(members),
                }));
            }
            Ok(other) => format!("{} where an object is expected", kind_of(&other)),
            Err(SourceError::Damaged { message, .. }) => message,
            Err(error) => return Err(error),
        };
        Ok(Piece::Bad { line, raw, message })
    }

    /// Parses what was read into `raw`. The outer error is damage to the file; the inner one is of
    /// a value that is whole but can't be taken.
    fn parsed(&self, from: Place) -> Result<(String, Result<Value, SourceError>), SourceError> {
        let text = std::str::from_utf8(&self.raw).map_err(|error| {
            let place = error.valid_up_to();
            self.broken(from, place, "the byte is not UTF-8")
        })?;
        match strict::parse(text) {
            Ok(value) => Ok((text.to_owned(), Ok(value))),
            Err(Fault::Syntax { offset, message }) => Err(self.broken(from, offset, &message)),
            Err(Fault::Meaning(message)) => Ok((
                text.to_owned(),
                Err(self.scanner.damaged(from.line, message)),
            )),
        }
    }

    fn broken(&self, from: Place, place: usize, message: &str) -> SourceError {
        let lines = newlines(&self.raw[..place]);
        let offset = from.offset + place as u64;
        let message = format!("it is not JSON at offset {offset}: {message}");
        self.scanner.damaged(from.line + lines, message)
    }

    fn trailer(&mut self) -> Result<(), SourceError> {
        if self.scanner.peek()?.is_some() {
            return Err(self.scanner.unexpected("the end of the file"));
        }
        if self.form == Form::Wrapped && self.found.is_none() {
            let what = match &self.items {
                Some(path) => format!(
                    "the document has no `{}`, which the plan's `items` names",
                    path.join(".")
                ),
                None => "the document has no array of items".to_owned(),
            };
            return Err(self.scanner.damaged(1, what));
        }
        Ok(())
    }
}

/// Names the kind of a value, for messages.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
