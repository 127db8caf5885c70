//! What a plan says about cutting, ready for use.

use std::ops::Range;

use contract::plan::markdown::{MarkdownCut, MarkdownOutside, MarkdownRecord};
use regex::Regex;
use serde_json::{Map, Value};

use super::chunk::Chunk;
use super::meta::{Meta, Names};

/// The options with their patterns compiled.
pub struct Rules {
    /// What one record is.
    pub record: MarkdownRecord,
    /// Headings down to this level cut; 0 for whole files.
    pub level: u8,
    /// What the heading of a section or file must match.
    pub pattern: Option<Regex>,
    /// What makes a group.
    pub group: Option<GroupRule>,
    /// The heading of text before the first section of a group.
    pub general: String,
    /// Does text outside give records?
    pub emit_outside: bool,
    min_chars: usize,
    names: Option<Names>,
}

/// A group's pattern, and the prefixes it is expected to capture.
pub struct GroupRule {
    /// The level of its headings.
    pub level: u8,
    /// What they match.
    pub pattern: Regex,
    prefixes: Vec<String>,
}

impl Rules {
    /// Compiles the options. They were checked.
    pub fn new(options: &MarkdownCut) -> Result<Self, regex::Error> {
        let group = options.group.as_ref().map(|group| {
            Ok(GroupRule {
                level: group.level,
                pattern: Regex::new(&group.pattern)?,
                prefixes: group.prefixes.clone(),
            })
        });
        let whole = options.record == MarkdownRecord::File;
        Ok(Self {
            record: options.record,
            level: if whole { 0 } else { options.section_level() },
            pattern: options.pattern.as_deref().map(Regex::new).transpose()?,
            group: group.transpose()?,
            general: options.general.clone(),
            emit_outside: options.outside == MarkdownOutside::Emit,
            min_chars: options.min_chars,
            names: Names::new(&options.meta, options.quoted_meta)?,
        })
    }

    /// Is a text too short for a record?
    pub fn is_short(&self, text: &str) -> bool {
        self.min_chars > 0 && text.trim().chars().count() < self.min_chars
    }

    /// The metadata lines in `range` of a chunk.
    pub fn meta(&self, chunk: &Chunk, range: Range<usize>) -> Meta {
        match &self.names {
            Some(names) => names.read(chunk.text, range, chunk.scan),
            None => Meta {
                lead: range.start,
                ..Meta::default()
            },
        }
    }
}

impl GroupRule {
    /// Does the plan expect the prefix of these captures?
    pub fn expects(&self, captures: &Map<String, Value>) -> bool {
        let found = captures.get("prefix");
        let known = |prefix: &String| found.is_some_and(|found| found == prefix);
        self.prefixes.is_empty() || self.prefixes.iter().any(known)
    }
}

/// The named captures of a heading's text; `None` where the pattern does not match.
pub fn captures(pattern: Option<&Regex>, text: &str) -> Option<Map<String, Value>> {
    let Some(pattern) = pattern else {
        return Some(Map::new());
    };
    let hit = pattern.captures(text)?;
    let named = pattern.capture_names().flatten();
    let pairs = named.filter_map(|name| Some((name.to_owned(), hit.name(name)?.as_str().into())));
    Some(pairs.collect())
}
