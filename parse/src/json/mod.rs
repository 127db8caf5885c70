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
use crate::item::{Body, Item, Piece, Pieces};
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
        .map_err(|source| SourceError::Io { file: file.to_owned(), source })?;
    let lines = ["ndjson", "jsonl"].iter().any(|name| file.rsplit('.').next() == Some(name));
    let form = if items.is_some() { Form::Wrapped } else { form_of(&start, lines) };
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
    let arrays = object.map_or(1, |object| object.values().filter(|value| value.is_array()).count());
    if alone && arrays > 0 { Form::Wrapped } else { Form::Values }
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
            Some(path) => (path.get(self.depth - 1) == Some(&name), self.depth == path.len()),
            None => (opens == Some(b'['), true),
        };
        if !leads {
            let from = self.scanner.value(&mut self.raw)?;
            self.parsed(from)?.1?;
            let last_line = self.scanner.here().line;
            let bytes = self.scanner.here().offset - from.offset;
            return Ok(Some(Piece::Skipped { line: from.line, last_line, bytes, reason: "envelope" }));
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
                return Ok(Piece::Item(Item { line, last_line, raw, body: Body::Tree(members) }));
            }
            Ok(other) => format!("{} where an object is expected", kind_of(&other)),
            Err(SourceError::Damaged { message, .. }) => message,
            Err(error) => return Err(error),
        };
        Ok(Piece::Bad { line, raw, message })
    }

    /// Parses what was read into `raw`. The outer error is damage to the file; the inner one is of
    /// a value that is whole but can't be taken.
    #[expect(clippy::type_complexity, reason = "two ways to fail, told apart by one caller")]
    fn parsed(&self, from: Place) -> Result<(String, Result<Value, SourceError>), SourceError> {
        let text = std::str::from_utf8(&self.raw).map_err(|error| {
            let place = error.valid_up_to();
            self.broken(from, place, "the byte is not UTF-8")
        })?;
        match strict::parse(text) {
            Ok(value) => Ok((text.to_owned(), Ok(value))),
            Err(Fault::Syntax { offset, message }) => Err(self.broken(from, offset, &message)),
            Err(Fault::Meaning(message)) => {
                Ok((text.to_owned(), Err(self.scanner.damaged(from.line, message))))
            }
        }
    }

    fn broken(&self, from: Place, place: usize, message: &str) -> SourceError {
        let lines = self.raw[..place].iter().filter(|byte| **byte == b'\n').count();
        let offset = from.offset + place as u64;
        let message = format!("it is not JSON at offset {offset}: {message}");
        self.scanner.damaged(from.line + lines as u64, message)
    }

    fn trailer(&mut self) -> Result<(), SourceError> {
        if self.scanner.peek()?.is_some() {
            return Err(self.scanner.unexpected("the end of the file"));
        }
        if self.form == Form::Wrapped && self.found.is_none() {
            let what = match &self.items {
                Some(path) => format!("the document has no `{}`, which the plan's `items` names", path.join(".")),
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
mod tests {
    use super::*;

    fn read(file: &str, text: &[u8], items: Option<&[&str]>) -> Result<Vec<Piece>, String> {
        let items = items.map(|path| path.iter().map(|key| (*key).to_owned()).collect());
        open(file, std::io::BufReader::with_capacity(7, text), items)
            .map_err(|error| error.to_string())?
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }

    fn items(file: &str, text: &str, path: Option<&[&str]>) -> Vec<(u64, String)> {
        let pieces = read(file, text.as_bytes(), path).unwrap();
        let item = |piece| match piece {
            Piece::Item(item) => Some((item.line, item.raw)),
            _ => None,
        };
        pieces.into_iter().filter_map(item).collect()
    }

    #[test]
    fn every_envelope_gives_the_same_items() {
        let expected = vec![(1, r#"{"a":[{"b":"]}"}]}"#.to_owned()), (2, r#"{"a":2}"#.to_owned())];
        for text in [
            "[{\"a\":[{\"b\":\"]}\"}]},\n{\"a\":2}]",
            "\u{feff} [ {\"a\":[{\"b\":\"]}\"}]} \r\n, {\"a\":2} ]\n",
            "{\"n\":1,\"Contacts\":[{\"a\":[{\"b\":\"]}\"}]},\n{\"a\":2}],\"next\":{\"x\":[1]}}\n",
            "{\"a\":[{\"b\":\"]}\"}]}\n{\"a\":2}\n",
            "{\"a\":[{\"b\":\"]}\"}]}\n{\"a\":2}",
        ] {
            assert_eq!(items("f.json", text, None), expected, "{text}");
        }
        assert_eq!(items("f.ndjson", "{\"a\":[{}]}\n", None).len(), 1);
        assert_eq!(items("f.json", "{\n\"a\":1\n}\n", None), [(1, "{\n\"a\":1\n}".to_owned())]);
        assert_eq!(items("f.json", " \n", None), []);
    }

    #[test]
    fn a_path_names_one_array_of_several() {
        let text = "{\"x\":[1],\"a\":{\"y\":0,\n\"b.c\":[{\"k\":1}],\"z\":[]},\"w\":[2]}";
        assert_eq!(items("f.json", text, Some(&["a", "b.c"])), [(2, "{\"k\":1}".to_owned())]);
        let error = read("f.json", text.as_bytes(), None).unwrap_err();
        assert!(error.contains("several arrays (`x`, `w`)"), "{error}");
        let error = read("f.json", text.as_bytes(), Some(&["q"])).unwrap_err();
        assert!(error.contains("no `q`"), "{error}");
    }

    #[test]
    fn the_rest_of_an_envelope_is_counted() {
        let pieces = read("f.json", b"{\"Total\": 12, \"Contacts\":[]}", None).unwrap();
        assert!(matches!(pieces.as_slice(), [Piece::Skipped { line: 1, bytes: 2, reason: "envelope", .. }]));
    }

    #[test]
    fn elements_that_are_no_object_or_name_a_member_twice_are_bad() {
        let pieces = read("f.json", b"[1,\n{\"a\":1,\"a\":2},{\"a\":1}]", None).unwrap();
        let [Piece::Bad { message, .. }, Piece::Bad { line: 2, message: twice, .. }, Piece::Item(_)] =
            pieces.as_slice() else { panic!("{pieces:?}") };
        assert_eq!(message, "a number where an object is expected");
        assert_eq!(twice, "the member `a` is there twice");
    }

    #[test]
    fn damage_is_named_with_line_and_offset() {
        for (text, said) in [
            (&b"[{\"a\":1},\n{\"a\":"[..], "f:2: the file ends at offset 15 inside a value that starts on line 2: it was cut short"),
            (b"[{\"a\":1}\n", "f:2: the file ends at offset 9 where `,` or `]` is expected"),
            (b"[{\"a\":1},]", "f:1: `]` stands at offset 9 where a value is expected"),
            (b"[{\"a\":1}] x", "f:1: `x` stands at offset 10 where the end of the file is expected"),
            (b"[{\"a\":1}\n{\"a\":2}]", "f:2: `{` stands at offset 9 where `,` or `]` is expected"),
            (b"{\"a\":1}\n{\"a\" 2}\n", "f:2: it is not JSON at offset 13"),
            (b"{\"a\":1}\nxyz\n", "f:2: it is not JSON at offset 8"),
            (b"[{\"a\":\"\xe9\"}]", "f:1: it is not JSON at offset 7: the byte is not UTF-8"),
            (b"[{\"a\":\"x\0\"}]", "f:1: it is not JSON at offset 8"),
            (b"{\"a\":1,\"C\":[{}]", "f:1: the file ends at offset 15 where `,` or `}` is expected"),
        ] {
            let error = read("f", text, None).unwrap_err();
            assert!(error.starts_with(said), "{error}\nexpected {said}");
        }
    }

    #[test]
    fn a_document_longer_than_the_look_streams() {
        let text = format!("{{\"Contacts\":[{}{{\"id\":1}}]}}", "{\"id\":0},\n".repeat(200_000));
        assert_eq!(items("f.json", &text, None).last(), Some(&(200_001, "{\"id\":1}".to_owned())));
    }

    #[test]
    fn an_endless_value_is_refused() {
        let endless = std::io::BufReader::new(b"[{\"a\":\""[..].chain(std::io::repeat(b'x')));
        let error = open("f", endless, None).unwrap().find_map(Result::err).unwrap();
        assert!(error.to_string().starts_with("f:1: record over limit"), "{error}");
    }
}
