//! Sections, items and groups: which text is a record.

use std::ops::Range;

use contract::plan::markdown::{MarkdownCut, MarkdownRecord};
use serde_json::{Map, Value};

use super::chunk::Chunk;
use super::record::{Group, Heading, Origin, sub_sections};
use super::rules::{Rules, captures};
use super::scan::{Block, Kind};

/// Cuts the chunks of one file, in order.
pub struct Cutter {
    rules: Rules,
    origin: Origin,
    /// Before the first section of the file.
    at_head: bool,
    /// Under a heading that is no group, where there are groups.
    outside: bool,
}

impl Cutter {
    /// Prepares to cut `file` as the plan says. The options were checked.
    pub fn new(file: &str, options: &MarkdownCut) -> Result<Self, regex::Error> {
        let mut origin = Origin::default();
        origin.document.insert("file".into(), file.into());
        Ok(Self {
            rules: Rules::new(options)?,
            origin,
            at_head: true,
            outside: options.group.is_some(),
        })
    }

    /// Gives every record of the file the values of its front matter.
    pub fn set_front(&mut self, front: Value) {
        self.origin.front = Some(front);
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
        matches!(block.kind, Kind::Heading(level, _) if level <= self.rules.level)
    }

    /// Cuts a chunk that ends where a section ends.
    pub fn cut(&mut self, chunk: &mut Chunk) {
        let whole = 0..chunk.text.len();
        if self.rules.record == MarkdownRecord::File {
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
            self.origin
                .document
                .entry("title")
                .or_insert_with(|| text.clone().into());
        }
        let top = match &self.rules.group {
            Some(rule) if rule.level == level && rule.pattern.is_match(text) => {
                return self.open_group(chunk, text, lines.clone(), body);
            }
            Some(rule) => rule.level,
            None => self.rules.level - 1,
        };
        if level <= top {
            self.origin.group = None;
            self.outside = self.rules.group.is_some();
            if self.at_head && level == 1 {
                return self.head(chunk, Some(heading(Map::new())), range);
            }
        }
        self.at_head = false;
        match captures(self.rules.pattern.as_ref(), text) {
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
        let meta = self.rules.meta(chunk, start..range.end);
        for (name, value) in meta.values {
            self.origin.document_meta.entry(name).or_insert(value);
        }
        chunk.skip_text(range.start..start, "heading");
        chunk.skip_text(start..meta.lead, "meta");
        let heading = Heading {
            text: heading.map_or_else(|| self.rules.general.clone(), |heading| heading.text),
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
        if !self.rules.emit_outside {
            return chunk.skip_text(range, reason);
        }
        let body = match heading.start {
            Some(_) => chunk.blocks(&range)[0].range.end..range.end,
            None => range,
        };
        let group = self.origin.group.take();
        self.records(chunk, heading, body);
        self.origin.group = group;
    }

    fn open_group(
        &mut self,
        chunk: &mut Chunk,
        text: &str,
        lines: Range<usize>,
        body: Range<usize>,
    ) {
        let Some(rule) = &self.rules.group else {
            return;
        };
        let mut columns = captures(Some(&rule.pattern), text).unwrap_or_default();
        let known = rule.expects(&columns);
        let level = rule.level;
        let meta = self.rules.meta(chunk, body.clone());
        chunk.skip(lines, if known { "heading" } else { "unknown-prefix" });
        chunk.skip_text(body.start..meta.lead, "meta");
        let id = columns.get("id").and_then(Value::as_str).unwrap_or(text);
        let key = id.to_owned();
        columns.insert("heading".into(), text.into());
        columns.insert("meta".into(), meta.values.into());
        self.origin.group = Some(Group { key, columns });
        (self.at_head, self.outside) = (false, false);
        let general = Heading {
            text: self.rules.general.clone(),
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
        self.origin.document.insert("title".into(), text.into());
        let lines = title.map_or(core.start..core.start, |(lines, _)| lines.clone());
        let first = lines.start == core.start;
        let found = captures(self.rules.pattern.as_ref(), text);
        if found.is_none() && !self.rules.emit_outside {
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
        if self.rules.record == MarkdownRecord::Item {
            return self.items(chunk, heading, body);
        }
        let core = chunk.core(body.clone());
        if core.is_empty() && heading.start.is_none() {
            return chunk.skip_text(body, "blank");
        }
        let start = heading.start.unwrap_or(core.start);
        let before = heading.start.unwrap_or(body.start)..start;
        chunk.skip_text(before, "blank");
        if self.rules.is_short(&chunk.text[core.clone()]) {
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
        let mut columns = self.origin.columns(heading);
        columns.insert("body".into(), chunk.value(core.clone()).into());
        columns.insert(
            "meta".into(),
            self.rules.meta(chunk, core.start..head).values.into(),
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
                if self.rules.is_short(&chunk.text[text.clone()]) {
                    chunk.skip(item.range.clone(), "too-short");
                    continue;
                }
                let mut columns = self.origin.columns(heading);
                columns.insert("marker".into(), item.marker.clone().into());
                columns.insert("body".into(), chunk.value(text).into());
                let meta = self.rules.meta(chunk, item.range.clone());
                columns.insert("meta".into(), meta.values.into());
                chunk.item(item.range.clone(), columns);
            }
        }
        chunk.skip_text(at..body.end, "prose");
    }
}
