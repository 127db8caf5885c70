//! The string literals of a Rust source.

use std::iter::Peekable;
use std::str::Chars;

/// Returns them, each with the line where it begins. Comments and characters hold none.
pub fn strings(text: &str) -> Vec<(usize, String)> {
    let mut reader = Reader {
        chars: text.chars().peekable(),
        line: 1,
    };
    let mut found = Vec::new();
    let mut before = ' ';
    while let Some(c) = reader.next() {
        match c {
            '/' if reader.chars.peek() == Some(&'/') => reader.skip_line(),
            '\'' => reader.skip_character(),
            'r' if !before.is_alphanumeric() && before != '_' => {
                let line = reader.line;
                found.extend(reader.raw().map(|text| (line, text)));
            }
            '"' => {
                let line = reader.line;
                found.push((line, reader.plain()));
            }
            _ => {}
        }
        before = c;
    }
    found
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.next();
        self.line += usize::from(c == Some('\n'));
        c
    }

    fn skip_line(&mut self) {
        while self.chars.peek().is_some_and(|c| *c != '\n') {
            self.next();
        }
    }

    /// Past the quote: a character, or a lifetime.
    fn skip_character(&mut self) {
        let mut ahead = self.chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('\\'), _) => {
                self.next();
                self.next();
                while self.next().is_some_and(|c| c != '\'') {}
            }
            (Some(_), Some('\'')) => {
                self.next();
                self.next();
            }
            _ => {}
        }
    }

    /// Past the `r`: a raw string, or a name that begins so.
    fn raw(&mut self) -> Option<String> {
        let mut ahead = self.chars.clone();
        let mut hashes = 0;
        while ahead.peek() == Some(&'#') {
            ahead.next();
            hashes += 1;
        }
        if ahead.next() != Some('"') {
            return None;
        }
        for _ in 0..=hashes {
            self.next();
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let mut text = String::new();
        while !text.ends_with(&end) {
            text.push(self.next()?);
        }
        text.truncate(text.len() - end.len());
        Some(text)
    }

    /// Past the quote: up to the next one.
    fn plain(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '"' => break,
                '\\' => match self.next() {
                    Some('\n') => {
                        while self.chars.peek().is_some_and(|c| c.is_whitespace()) {
                            self.next();
                        }
                    }
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some(other) => text.push(other),
                    None => break,
                },
                other => text.push(other),
            }
        }
        text
    }
}
