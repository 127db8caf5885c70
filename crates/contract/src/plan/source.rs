//! Where an entity's records come from.

use schemars::JsonSchema;
use serde::Deserialize;

use super::markdown::MarkdownCut;
use super::values::{Key, Names};

/// The source of an entity.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The format of the files.
    pub format: Format,
    /// Paths or globs (`*`, `?`, `[…]`, `**`) relative to the plan's folder or `--root`. They are
    /// read in byte order of their path, each once, whatever the order here.
    pub files: Vec<String>,
    /// What identifies a record: a column, header aliases, or a composite, without white space
    /// around the parts. With `each` the element is appended unless the key names the column `each`
    /// or a part of it.
    pub key: Key,
    /// CSV: the delimiter (default `,`).
    pub delimiter: Option<char>,
    /// CSV: the encoding by its WHATWG label (`windows-1252`); without it, UTF-8 and nothing else.
    pub encoding: Option<String>,
    /// JSON: the dotted path of the array of items, where the document holds several.
    pub items: Option<String>,
    /// Markdown: how a file is cut into records.
    pub markdown: Option<MarkdownCut>,
    /// One record per element of a list.
    pub each: Option<Each>,
    /// Columns (of JSON: members of the item) that are never carried: no field, expression, reject or
    /// bundle gets them, and no source that has them is kept in the bundle.
    #[serde(default)]
    pub drop: Vec<String>,
    /// A CEL expression over `source` (a map of the item's columns): items for which it is false
    /// are left out, and counted as ignored with `where_reason`.
    #[serde(rename = "where")]
    pub only: Option<String>,
    /// Why items that fail `where` are left out. Required with it.
    pub where_reason: Option<String>,
    /// What to do when two items have the same key.
    #[serde(default)]
    pub repeats: Repeats,
    /// A file or glob that matches nothing is allowed (default: an error).
    #[serde(default)]
    pub allow_missing: bool,
    /// A file that yields no item is allowed (default: an error).
    #[serde(default)]
    pub allow_empty: bool,
}

impl Source {
    /// The source of a row that no source feeds.
    pub(super) fn none() -> Self {
        Self {
            format: Format::Csv,
            files: Vec::new(),
            key: Key::One(String::new()),
            delimiter: None,
            encoding: None,
            items: None,
            markdown: None,
            each: None,
            drop: Vec::new(),
            only: None,
            where_reason: None,
            repeats: Repeats::Reject,
            allow_missing: false,
            allow_empty: false,
        }
    }
}

/// The format of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RFC 4180, with a header row. White space around names in the header does not count. A row
    /// whose cells are all blank is no item.
    Csv,
    /// An array of objects, bare or wrapped in an object, or one object a line. An object alone in
    /// its file is a wrapper if it has an array, unless the file is named `.ndjson` or `.jsonl`.
    Json,
    /// `CommonMark`.
    Markdown,
}

/// One record per element of a list. The element is the column `each`, its 1-based place the
/// column `each_index`; of an object element the members are columns `each.NAME`. An item without
/// elements is counted as ignored; one with a wrong element is rejected whole.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// The column that holds the list, or its aliases.
    pub from: Names,
    /// Separators of a list that is text; elements are trimmed, empty ones dropped, repeated ones
    /// folded into the first. A JSON array needs none.
    #[serde(default)]
    pub split: Vec<String>,
}

/// What to do when two items of an entity have the same key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Repeats {
    /// Both go on; validate rejects the second, naming both places.
    #[default]
    Reject,
    /// Records that say the same are folded into one and counted as merged; others go on and are
    /// rejected by validate.
    Merge,
}
