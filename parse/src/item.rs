//! What every source format gives: items, in the order and with the line numbers of the file.

use std::borrow::Cow;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

/// The columns of a tabular source: names as the header spells them, and where each one is.
#[derive(Debug, Default)]
pub struct Header {
    names: IndexMap<String, usize>,
}

impl Header {
    /// Takes the names in file order. The caller has refused duplicates; a column with an empty
    /// name can't be asked for.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let placed = names.into_iter().enumerate();
        Self {
            names: placed
                .filter(|(_, name)| !name.is_empty())
                .map(|(index, name)| (name, index))
                .collect(),
        }
    }

    /// Returns it without some columns; the others stay where they are.
    #[must_use]
    pub fn without(&self, names: &[String]) -> Self {
        let mut rest = self.names.clone();
        rest.retain(|name, _| !names.contains(name));
        Self { names: rest }
    }

    /// Returns the 0-based position of a column.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Iterates over the names in file order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }
}

/// What an item holds.
#[derive(Debug)]
pub enum Body {
    /// A row of text cells under a header (CSV), as many cells as the header has columns.
    Row(Arc<Header>, Vec<String>),
    /// Named values, nested (JSON) or captured (Markdown).
    Tree(serde_json::Map<String, Value>),
}

/// One row, object or section of a source.
#[derive(Debug)]
pub struct Item {
    /// 1-based physical line where it starts.
    pub line: u64,
    /// 1-based physical line where it ends.
    pub last_line: u64,
    /// The item's text as it stands in the source, for a reject (never parsed again by us).
    pub raw: String,
    /// Its columns.
    pub body: Body,
}

/// A value looked up in an item. A cell is text whose meaning the plan gives; a value has a type of
/// its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<'a> {
    /// The item has no such column.
    Absent,
    /// A cell of text.
    Text(&'a str),
    /// A typed value of a JSON source or a captured list.
    Value(Cow<'a, Value>),
}

/// Counts the line feeds in a text.
pub(crate) fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// What a reader hands on, in file order.
#[derive(Debug)]
pub enum Piece {
    /// An item to be mapped.
    Item(Item),
    /// An item that can't be one; it is counted and rejected, and reading goes on.
    Bad {
        /// 1-based physical line where it starts.
        line: u64,
        /// Its text as it stands in the source.
        raw: String,
        /// What was found, what was expected, what to do.
        message: String,
    },
    /// Bytes that are no item by the format's own rules (rule R9: nothing vanishes silently).
    Skipped {
        /// 1-based first line.
        line: u64,
        /// 1-based last line.
        last_line: u64,
        /// Bytes it covers in the source.
        bytes: u64,
        /// A short fixed word: `heading`, `blank`, `rule`, `banner`, `out-of-scope`, `too-short`, …
        reason: &'static str,
    },
}

/// A source format: an iterator of pieces over one open file.
///
/// An `Err` ends the file: it is damaged as a whole (invalid UTF-8, a header that can't be used),
/// and the stage stops with the error's message, which names line and byte offset.
pub trait Pieces: Iterator<Item = Result<Piece, crate::SourceError>> {}

impl<T: Iterator<Item = Result<Piece, crate::SourceError>>> Pieces for T {}
