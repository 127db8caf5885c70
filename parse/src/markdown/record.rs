//! What a record carries besides its own text: where it stands, and under which headings.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::chunk::Chunk;
use super::scan::Kind;

/// The group that the text in hand is in.
pub struct Group {
    /// What tells it from other groups: its id, or its heading.
    pub key: String,
    /// The columns `group.NAME`.
    pub columns: Map<String, Value>,
}

/// A heading that a record begins with, or that it stands under.
pub struct Heading {
    /// Its text as written.
    pub text: String,
    /// Its level, 1 to 6.
    pub level: u8,
    /// The record includes the heading's lines from here.
    pub start: Option<usize>,
    /// What the plan's pattern captures in it.
    pub captures: Map<String, Value>,
}

/// Where in a file the text in hand stands.
#[derive(Default)]
pub struct Origin {
    /// The group it is in.
    pub group: Option<Group>,
    /// The columns `document.NAME` but for the metadata.
    pub document: Map<String, Value>,
    /// The columns `document.meta.NAME`.
    pub document_meta: Map<String, Value>,
    /// The columns `front.NAME`.
    pub front: Option<Value>,
    /// Records so far by a digest of group and heading: 20 bytes each, however long the headings.
    ordinals: HashMap<[u8; 16], u32>,
}

impl Origin {
    /// The columns that every record has, with the next ordinal under its heading.
    pub fn columns(&mut self, heading: &Heading) -> Map<String, Value> {
        let mut digest = Sha256::new();
        if let Some(group) = &self.group {
            digest.update(&group.key);
            digest.update([0]);
        }
        digest.update(&heading.text);
        let mut key = [0; 16];
        key.copy_from_slice(&digest.finalize()[..16]);
        let ordinal = self.ordinals.entry(key).or_default();
        *ordinal += 1;
        let mut columns = heading.captures.clone();
        columns.insert("heading".into(), heading.text.clone().into());
        columns.insert("level".into(), heading.level.into());
        columns.insert("ordinal".into(), (*ordinal).into());
        if let Some(group) = &self.group {
            columns.insert("group".into(), group.columns.clone().into());
        }
        let mut document = self.document.clone();
        document.insert("meta".into(), self.document_meta.clone().into());
        columns.insert("document".into(), document.into());
        if let Some(front) = &self.front {
            columns.insert("front".into(), front.clone());
        }
        columns
    }
}

/// The text under each of the next headings below a record's own, by their text without a leading
/// number. Of two with one name the first counts.
pub fn sub_sections(chunk: &Chunk, core: Range<usize>, above: u8) -> Map<String, Value> {
    let headings = || {
        chunk
            .blocks(&core)
            .iter()
            .filter_map(|block| match &block.kind {
                Kind::Heading(level, text) if *level > above => Some((*level, text, &block.range)),
                _ => None,
            })
    };
    let mut sections = Map::new();
    let Some(next) = headings().map(|(level, ..)| level).min() else {
        return sections;
    };
    let mut siblings = headings().filter(|(level, ..)| *level == next).peekable();
    while let Some((_, text, lines)) = siblings.next() {
        let end = siblings.peek().map_or(core.end, |(.., lines)| lines.start);
        let number = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ')');
        let name = if number.starts_with(' ') && number.len() < text.len() {
            number.trim()
        } else {
            text
        };
        let body = chunk.core(lines.end..end);
        sections
            .entry(name)
            .or_insert_with(|| chunk.value(body).into());
    }
    sections
}
