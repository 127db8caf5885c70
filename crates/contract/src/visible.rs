//! Text of a source or a target where people read it: nothing in it moves the cursor, colours the
//! screen, or makes a line look like another one.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, Write};

/// Escapes what can't be seen, line feeds too: the text stays on its line.
#[must_use]
pub fn inline(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden, |shown, c| shown.extend(c.escape_default()))
}

/// Escapes what can't be seen in a JSON text as JSON does: it means the same.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    // Below the space a JSON text has white space alone: in strings all of that is escaped already.
    let hidden = |c| c >= ' ' && is_hidden(c);
    escaped(text, hidden, |shown, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // A String takes whatever is written to it.
            write!(shown, "\\u{unit:04x}").ok();
        }
    })
}

/// Returns a text without the passwords of the URLs in it: `postgres://ann:***@db/x`.
#[must_use]
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        let end = url
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'))
            .unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        shown.push_str(before);
        let login = url.rfind('@').and_then(|at| {
            let colon = url[..at].find(':')?;
            Some((&url[..=colon], &url[at..]))
        });
        let url = match login {
            Some((user, place)) => format!("{user}***{place}"),
            None => url.to_owned(),
        };
        match url.split_once("password=") {
            Some((head, value)) => {
                let tail = value.find('&').map_or("", |end| &value[end..]);
                shown.extend([head, "password=***", tail]);
            }
            None => shown.push_str(&url),
        }
        rest = after;
    }
    shown.push_str(rest);
    shown.into()
}

fn escaped(
    text: &str,
    hidden: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if !text.chars().any(&hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) {
            escape(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

/// Control characters, those that change the direction or the lines of text, and those that have no
/// shape: two names that look alike are alike.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'
                ..='\u{202e}'
                    | '\u{2060}'
                        ..='\u{2069}'
                            | '\u{feff}'
                            | '\u{fff9}'
                                ..='\u{fffb}'
                                    | '\u{e0000}'
                                        ..='\u{e007f}'
        )
}

/// A writer for people, or of JSON that people may look at. What one `writeln!` writes is one line: all
/// that can't be seen in it is escaped, line feeds too.
pub struct Visible<W> {
    out: W,
    escape: for<'a> fn(&'a str) -> Cow<'a, str>,
}

impl<W: Write> Visible<W> {
    /// Writes lines of text.
    pub fn lines(out: W) -> Self {
        Self {
            out,
            escape: inline,
        }
    }

    /// Writes lines of JSON.
    pub fn json(out: W) -> Self {
        Self { out, escape: json }
    }
}

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        self.out.write_all((self.escape)(line).as_bytes())?;
        self.out.write_all(end.as_bytes())?;
        Ok(bytes.len())
    }

    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        self.write_all(text.to_string().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_shown_and_the_rest_is_left() {
        let plain = "Łódź, 東京, a \"quote\" and a \\ backslash";
        assert!(matches!(inline(plain), Cow::Borrowed(text) if text == plain));
        assert_eq!(inline("a\u{1b}[2Jb\tc"), "a\\u{1b}[2Jb\\tc");
        assert_eq!(inline("a\nb\rc\u{7f}\u{9b}"), "a\\nb\\rc\\u{7f}\\u{9b}");
        assert_eq!(inline("\u{202e}drow"), "\\u{202e}drow");
        assert_eq!(inline("a\u{200b}\u{e0041}"), "a\\u{200b}\\u{e0041}");
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({"a\u{7f}": "\u{1b}[2J\u{9b}\u{202e}\u{e0041}\n"});
        let shown = json(&value.to_string()).into_owned();
        assert_eq!(
            shown,
            r#"{"a\u007f":"\u001b[2J\u009b\u202e\udb40\udc41\n"}"#
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
        assert!(matches!(json("{\n}"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_written_at_once_is_a_line() {
        let mut out = Visible::lines(Vec::new());
        let name = "\x1b]0;x\x07\nforged: yes";
        writeln!(out, "name: {name}").unwrap();
        writeln!(out, "next").unwrap();
        let expected = b"name: \\u{1b}]0;x\\u{7}\\nforged: yes\nnext\n";
        assert_eq!(out.out, expected);
    }

    #[test]
    fn the_passwords_of_urls_are_left_out() {
        for (text, shown) in [
            ("at postgres://u:p@h/d, 5", "at postgres://u:***@h/d, 5"),
            ("'sqlite://u:p/a:b@x' no", "'sqlite://u:***@x' no"),
            (
                "postgres://h/d?password=p&schema=x",
                "postgres://h/d?password=***&schema=x",
            ),
            (
                "a://u:p@h b://u:q@h?password=r",
                "a://u:***@h b://u:***@h?password=***",
            ),
            ("https://example.org:80/a", "https://example.org:80/a"),
            ("postgres://u@h/d", "postgres://u@h/d"),
            ("a: b@c", "a: b@c"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }
}
