//! Rules, layouts and oddities, each on a text of its own.

mod layouts;
mod rules;

use serde_json::Value;

use super::{Markdown, MarkdownCut, open};
use crate::item::{Body, Piece};

/// A record as a test looks at it.
struct Record {
    lines: (u64, u64),
    raw: String,
    columns: Value,
}

impl Record {
    /// The text of a column by its path; empty when there is none.
    fn get(&self, path: &str) -> String {
        match self
            .columns
            .pointer(&format!("/{}", path.replace('.', "/")))
        {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        }
    }
}

/// What a text gave.
struct Cut {
    records: Vec<Record>,
    /// First line, last line, reason.
    skipped: Vec<(u64, u64, &'static str)>,
}

impl Cut {
    /// One line a record: the columns of `paths`, joined by `|`.
    fn list(&self, paths: &str) -> Vec<String> {
        let line = |record: &Record| {
            let columns = paths.split(' ').map(|path| record.get(path));
            columns.collect::<Vec<_>>().join("|")
        };
        self.records.iter().map(line).collect()
    }

    /// How many pieces were skipped for a reason.
    fn skips(&self, reason: &str) -> usize {
        self.skipped
            .iter()
            .filter(|(.., why)| *why == reason)
            .count()
    }
}

fn pieces(options: &MarkdownCut, source: &[u8], stretch: usize) -> Result<Vec<Piece>, String> {
    let reader = std::io::BufReader::with_capacity(stretch, source);
    let pieces =
        Markdown::open("dir/a.md", reader, options, stretch).map_err(|err| err.to_string())?;
    pieces
        .collect::<Result<_, _>>()
        .map_err(|err| err.to_string())
}

fn try_cut(options: &str, source: &str) -> Result<Cut, String> {
    let options: MarkdownCut = toml::from_str(options).unwrap();
    let whole = pieces(&options, source.as_bytes(), 1 << 16)?;
    // However the text comes in, the pieces are the same.
    for stretch in [1, 7, 100] {
        assert_eq!(
            format!("{whole:?}"),
            format!(
                "{:?}",
                pieces(&options, source.as_bytes(), stretch).unwrap()
            )
        );
    }
    let (mut bytes, mut next) = (0, 1);
    let mut cut = Cut {
        records: Vec::new(),
        skipped: Vec::new(),
    };
    for piece in whole {
        let lines = match piece {
            Piece::Item(item) => {
                bytes += item.raw.len();
                let Body::Tree(columns) = item.body else {
                    panic!("a row")
                };
                let lines = (item.line, item.last_line);
                cut.records.push(Record {
                    lines,
                    raw: item.raw,
                    columns: columns.into(),
                });
                lines
            }
            Piece::Skipped {
                line,
                last_line,
                bytes: skipped,
                reason,
            } => {
                assert!(skipped > 0 && !reason.is_empty());
                bytes += usize::try_from(skipped).unwrap();
                cut.skipped.push((line, last_line, reason));
                if reason == "byte-order-mark" {
                    (1, 0)
                } else {
                    (line, last_line)
                }
            }
            Piece::Bad { message, .. } => panic!("{message}"),
        };
        // R9: pieces follow each other line by line and leave nothing out.
        assert_eq!(lines.0, next, "{source}");
        next = lines.1 + 1;
    }
    assert_eq!(bytes, source.len(), "{source}");
    Ok(cut)
}

/// Cuts a text, checks R9 on it, and that CRLF changes nothing but the bytes.
fn cut(options: &str, source: &str) -> Cut {
    let cut = try_cut(options, source).unwrap();
    if !source.contains('\r') {
        for end in ["\r\n", "\r"] {
            let other = try_cut(options, &source.replace('\n', end)).unwrap();
            assert_eq!(cut.skipped, other.skipped);
            for (one, other) in cut.records.iter().zip(&other.records) {
                assert_eq!((&one.columns, one.lines), (&other.columns, other.lines));
            }
            assert_eq!(cut.records.len(), other.records.len());
        }
    }
    cut
}

#[test]
fn a_long_file_needs_memory_for_a_stretch_only() {
    /// Makes the file as it is read, so that the test itself needs no memory for it.
    struct Stories {
        next: u32,
        line: Vec<u8>,
    }
    impl std::io::Read for Stories {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            if self.line.is_empty() && self.next < 20_000 {
                let n = self.next;
                self.next += 1;
                self.line = format!("## STORY-{n}: Title\nDate: 2026-01-19\n\n### Time Sinks\n- one\n- two\n\n```sh\n# three\n```\n\n---\n\n").into_bytes();
            }
            let bytes = self.line.len().min(out.len());
            out[..bytes].copy_from_slice(&self.line[..bytes]);
            self.line.drain(..bytes);
            Ok(bytes)
        }
    }
    let options: MarkdownCut = toml::from_str("group = {}\nmeta = [\"Date\"]").unwrap();
    let reader = std::io::BufReader::new(Stories {
        next: 0,
        line: Vec::new(),
    });
    let mut pieces = Markdown::open("a.md", reader, &options, super::STRETCH).unwrap();
    let (mut records, mut held) = (0, 0);
    while let Some(piece) = pieces.next() {
        records += usize::from(matches!(piece.unwrap(), Piece::Item(_)));
        held = held.max(pieces.text.held().len());
    }
    assert_eq!(records, 20_000);
    assert!(held <= super::STRETCH + 16_384, "{held} bytes held");
}

#[test]
fn a_section_without_end_is_refused() {
    let options = MarkdownCut::default();
    let source = format!("# A\n\n## B\n```\n{}", "# open fence\n".repeat(700_000));
    let mut pieces = open("a.md", source.as_bytes(), &options).unwrap();
    let said = pieces.find_map(Result::err).unwrap().to_string();
    assert!(
        said.starts_with("a.md:3: no heading that ends this section within 8 MiB"),
        "{said}"
    );
    assert!(pieces.next().is_none());
}
