//! Text of a source or a target where people read it: nothing in it moves the cursor, colours the
//! screen, or makes a line look like another one.

use std::borrow::Cow;
use std::io::{self, Write};

/// Escapes what can't be seen, but for line feeds: `\u{1b}`, `\t`, `\u{202e}`.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_hidden(c))
}

/// Escapes what can't be seen, line feeds too: the text stays on its line.
#[must_use]
pub fn inline(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

fn escaped(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

/// Control characters, and those that change the direction or the lines of text.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A writer of lines for people: each text that is written to it is made [`visible`].
pub struct Visible<W>(pub W);

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(visible(text).as_bytes())?,
            Err(_) => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_shown_and_the_rest_is_left() {
        let plain = "Łódź, 東京, a \"quote\" and a \\ backslash";
        assert!(matches!(visible(plain), Cow::Borrowed(text) if text == plain));
        assert_eq!(visible("a\u{1b}[2Jb\nc\td"), "a\\u{1b}[2Jb\nc\\td");
        assert_eq!(inline("a\nb\rc\u{7f}\u{9b}"), "a\\nb\\rc\\u{7f}\\u{9b}");
        assert_eq!(inline("\u{202e}drow"), "\\u{202e}drow");
    }

    #[test]
    fn a_writer_makes_what_passes_visible() {
        let mut out = Visible(Vec::new());
        out.write_all(b"name: \x1b]0;x\x07\n").unwrap();
        assert_eq!(out.0, b"name: \\u{1b}]0;x\\u{7}\n");
    }
}
