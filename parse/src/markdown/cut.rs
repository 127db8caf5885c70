//! Sections, items and groups: which text is a record, and what columns it has.

use std::collections::HashMap;
use std::ops::Range;

use contract::plan::markdown::{MarkdownCut, MarkdownOutside, MarkdownRecord};
use regex::Regex;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::chunk::Chunk;
use super::meta::{Meta, Names};
use super::scan::{Block, Kind};

/// A group's pattern, and the prefixes it is expected to capture.
struct GroupRule {
    level: u8,
    pattern: Regex,
    prefixes: Vec<String>,
}

/// The group that the text in hand is in.
struct Group {
    /// What tells it from other groups: its id, or its heading.
    key: String,
    columns: Map<String, Value>,
}

/// A heading that a record begins with, or that it stands under.
struct Heading {
    text: String,
    level: u8,
    /// The record includes the heading's lines from here.
    start: Option<usize>,
    captures: Map<String, Value>,
}

/// Cuts the chunks of one file, in order.
pub struct Cutter {
    record: MarkdownRecord,
    /// Headings down to this level cut; 0 for whole files.
    level: u8,
    pattern: Option<Regex>,
    group_rule: Option<GroupRule>,
    general: String,
    emit_outside: bool,
    min_chars: usize,
    names: Option<Names>,
    /// Before the first section of the file.
    at_head: bool,
    outside: bool,
    group: Option<Group>,
    document: Map<String, Value>,
    document_meta: Map<String, Value>,
    front: Option<Value>,
    /// Records so far by a digest of group and heading: 20 bytes each, however long the headings.
    ordinals: HashMap<[u8; 16], u32>,
}

impl Cutter {
    /// Prepares to cut `file` as the plan says. The options were checked.
    pub fn new(file: &str, options: &MarkdownCut) -> Result<Self, regex::Error> {
        let pattern = options.pattern.as_deref().map(Regex::new).transpose()?;
        let group_rule = match &options.group {
            None => None,
            Some(group) => Some(GroupRule {
                level: group.level,
                pattern: Regex::new(&group.pattern)?,
                prefixes: group.prefixes.clone(),
            }),
        };
        let whole = options.record == MarkdownRecord::File;
        Ok(Self {
            record: options.record,
            level: if whole { 0 } else { options.section_level() },
            pattern,
            outside: group_rule.is_some(),
            group_rule,
            general: options.general.clone(),
            emit_outside: options.outside == MarkdownOutside::Emit,
            min_chars: options.min_chars,
            names: Names::new(&options.meta, options.quoted_meta)?,
            at_head: true,
            group: None,
            document: Map::from_iter([("file".to_owned(), Value::from(file))]),
            document_meta: Map::new(),
            front: None,
            ordinals: HashMap::new(),
        })
    }

    /// Gives every record of the file the values of its front matter.
    pub fn set_front(&mut self, front: Value) {
        self.front = Some(front);
    }

    /// The offset up to which the sections are complete when more text may follow `blocks`; 0 if
    /// none is. The last block may still grow, so it says nothing.
    pub fn complete(&self, blocks: &[Block]) -> usize {
        let but_last = blocks.len().saturating_sub(1);
        let cut = blocks[..but_last]
            .iter()
            .rev()
            .find(|block| self.cuts(block));
        cut.map_or(0, |block| block.range.start)
    }

    fn cuts(&self, block: &Block) -> bool {
        matches!(block.kind, Kind::Heading(level, _) if level <= self.level)
    }

    /// Cuts a chunk that ends where a section ends.
    pub fn cut(&mut self, chunk: &mut Chunk) {
        let whole = 0..chunk.text.len();
        if self.record == MarkdownRecord::File {
            return self.file(chunk, whole);
        }
        let mut start = 0;
        let mut heading = None;
        for block in chunk.blocks(&whole) {
            if self.cuts(block) {
                self.section(chunk, heading, start..block.range.start);
                (start, heading) = (block.range.start, Some(block));
            }
        }
        self.section(chunk, heading, start..whole.end);
    }

    /// Cuts the text from one heading to the next, or before the first one.
    fn section(&mut self, chunk: &mut Chunk, heading: Option<&Block>, range: Range<usize>) {
        let Some(Block {
            range: lines,
            kind: Kind::Heading(level, text),
        }) = heading
        else {
            return self.head(chunk, None, range);
        };
        let (level, body) = (*level, lines.end..range.end);
        let heading = |captures| Heading {
            text: text.clone(),
            level,
            start: Some(lines.start),
            captures,
        };
        if level == 1 {
            self.document
                .entry("title")
                .or_insert_with(|| text.clone().into());
        }
        let top = match &self.group_rule {
            Some(rule) if rule.level == level && rule.pattern.is_match(text) => {
                return self.open_group(chunk, text, lines.clone(), body);
            }
            Some(rule) => rule.level,
            None => self.level - 1,
        };
        if level <= top {
            self.group = None;
            self.outside = self.group_rule.is_some();
            if self.at_head && level == 1 {
                return self.head(chunk, Some(heading(Map::new())), range);
            }
        }
        self.at_head = false;
        match captures(self.pattern.as_ref(), text) {
            Some(captures) if level > top && !self.outside => {
                self.records(chunk, &heading(captures), body);
            }
            _ => self.outside(chunk, &heading(Map::new()), range, "out-of-scope"),
        }
    }

    /// The head of the document: what stands before its first section.
    fn head(&mut self, chunk: &mut Chunk, heading: Option<Heading>, range: Range<usize>) {
        let title = heading.as_ref().and_then(|_| chunk.blocks(&range).first());
        let start = title.map_or(range.start, |title| title.range.end);
        let meta = self.meta(chunk, start..range.end);
        for (name, value) in meta.values {
            self.document_meta.entry(name).or_insert(value);
        }
        chunk.skip_text(range.start..start, "heading");
        chunk.skip_text(start..meta.lead, "meta");
        let heading = Heading {
            text: heading.map_or_else(|| self.general.clone(), |heading| heading.text),
            level: 1,
            start: None,
            captures: Map::new(),
        };
        self.outside(chunk, &heading, meta.lead..range.end, "banner");
    }

    /// Text in no group and no section.
    fn outside(
        &mut self,
        chunk: &mut Chunk,
        heading: &Heading,
        range: Range<usize>,
        reason: &'static str,
    ) {
        if !self.emit_outside {
            return chunk.skip_text(range, reason);
        }
        let body = match heading.start {
            Some(_) => chunk.blocks(&range)[0].range.end..range.end,
            None => range,
        };
        let group = self.group.take();
        self.records(chunk, heading, body);
        self.group = group;
    }

    fn open_group(
        &mut self,
        chunk: &mut Chunk,
        text: &str,
        lines: Range<usize>,
        body: Range<usize>,
    ) {
        let Some(rule) = &self.group_rule else { return };
        let mut columns = captures(Some(&rule.pattern), text).unwrap_or_default();
        let known = rule.prefixes.is_empty()
            || rule
                .prefixes
                .iter()
                .any(|prefix| columns.get("prefix").is_some_and(|found| found == prefix));
        let level = rule.level;
        let meta = self.meta(chunk, body.clone());
        chunk.skip(lines, if known { "heading" } else { "unknown-prefix" });
        chunk.skip_text(body.start..meta.lead, "meta");
        let id = columns.get("id").and_then(Value::as_str).unwrap_or(text);
        let key = id.to_owned();
        columns.insert("heading".into(), text.into());
        columns.insert("meta".into(), meta.values.into());
        self.group = Some(Group { key, columns });
        (self.at_head, self.outside) = (false, false);
        let general = Heading {
            text: self.general.clone(),
            level,
            start: None,
            captures: Map::new(),
        };
        self.records(chunk, &general, meta.lead..body.end);
    }

    fn file(&mut self, chunk: &mut Chunk, range: Range<usize>) {
        let core = chunk.core(range.clone());
        let title = chunk
            .blocks(&range)
            .iter()
            .find_map(|block| match &block.kind {
                Kind::Heading(1, text) => Some((&block.range, text)),
                _ => None,
            });
        let text = title.map_or("", |(_, text)| text);
        self.document.insert("title".into(), text.into());
        let lines = title.map_or(core.start..core.start, |(lines, _)| lines.clone());
        let first = lines.start == core.start;
        let found = captures(self.pattern.as_ref(), text);
        if found.is_none() && !self.emit_outside {
            return chunk.skip_text(range, "out-of-scope");
        }
        let heading = Heading {
            text: text.to_owned(),
            level: 1,
            start: (first && !lines.is_empty()).then_some(lines.start),
            captures: found.unwrap_or_default(),
        };
        chunk.skip_text(range.start..core.start, "blank");
        let start = if first { lines.end } else { core.start };
        self.records(chunk, &heading, start..range.end);
    }

    /// Makes records of the text under a heading.
    fn records(&mut self, chunk: &mut Chunk, heading: &Heading, body: Range<usize>) {
        if self.record == MarkdownRecord::Item {
            return self.items(chunk, heading, body);
        }
        let core = chunk.core(body.clone());
        if core.is_empty() && heading.start.is_none() {
            return chunk.skip_text(body, "blank");
        }
        let start = heading.start.unwrap_or(core.start);
        let before = heading.start.unwrap_or(body.start)..start;
        chunk.skip_text(before, "blank");
        if self.is_short(chunk, core.clone()) {
            return chunk.skip_text(start..body.end, "too-short");
        }
        let end = if core.is_empty() {
            body.start
        } else {
            core.end
        };
        let subs = chunk
            .blocks(&core)
            .iter()
            .position(|block| matches!(block.kind, Kind::Heading(..)));
        let head = subs.map_or(core.end, |at| chunk.blocks(&core)[at].range.start);
        let mut columns = self.columns(heading);
        columns.insert("body".into(), chunk.value(core.clone()).into());
        columns.insert(
            "meta".into(),
            self.meta(chunk, core.start..head).values.into(),
        );
        columns.insert(
            "sections".into(),
            sub_sections(chunk, core, heading.level).into(),
        );
        chunk.item(start..end, columns);
        chunk.skip_text(end..body.end, "blank");
    }

    /// Makes a record of every item of the outermost lists.
    fn items(&mut self, chunk: &mut Chunk, heading: &Heading, body: Range<usize>) {
        let mut at = body.start;
        chunk.skip_text(heading.start.unwrap_or(at)..at, "heading");
        for block in chunk.blocks(&body) {
            let Kind::List(items) = &block.kind else {
                continue;
            };
            for item in items {
                chunk.skip_text(at..item.range.start, "prose");
                at = item.range.end;
                let text = item.body.min(at)..at;
                if self.is_short(chunk, text.clone()) {
                    chunk.skip(item.range.clone(), "too-short");
                    continue;
                }
                let mut columns = self.columns(heading);
                columns.insert("marker".into(), item.marker.clone().into());
                columns.insert("body".into(), chunk.value(text).into());
                let meta = self.meta(chunk, item.range.clone());
                columns.insert("meta".into(), meta.values.into());
                chunk.item(item.range.clone(), columns);
            }
        }
        chunk.skip_text(at..body.end, "prose");
    }

    fn is_short(&self, chunk: &Chunk, text: Range<usize>) -> bool {
        self.min_chars > 0 && chunk.text[text].trim().chars().count() < self.min_chars
    }

    fn meta(&self, chunk: &Chunk, range: Range<usize>) -> Meta {
        match &self.names {
            Some(names) => names.read(chunk.text, range, chunk.scan),
            None => Meta {
                lead: range.start,
                ..Meta::default()
            },
        }
    }

    /// The columns that every record has, with the next ordinal under its heading.
    fn columns(&mut self, heading: &Heading) -> Map<String, Value> {
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

/// The named captures of a heading's text; `None` where the pattern does not match.
fn captures(pattern: Option<&Regex>, text: &str) -> Option<Map<String, Value>> {
    let Some(pattern) = pattern else {
        return Some(Map::new());
    };
    let hit = pattern.captures(text)?;
    let named = pattern.capture_names().flatten();
    let pairs = named.filter_map(|name| Some((name.to_owned(), hit.name(name)?.as_str().into())));
    Some(pairs.collect())
}

/// The text under each of the next headings below a record's own, by their text without a leading
/// number. Of two with one name the first counts.
fn sub_sections(chunk: &Chunk, core: Range<usize>, above: u8) -> Map<String, Value> {
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
