//! Metadata lines: `Date: x`, `**Date:** x`, `**Date**: x`, also as list items or in quotes.

use std::ops::Range;

use regex::Regex;
use serde_json::{Map, Value};

use super::scan::Scan;

/// Recognises the metadata lines that a plan names.
#[derive(Debug)]
pub struct Names {
    line: Regex,
    label: Regex,
    quoted: bool,
}

/// What metadata lines a stretch of text has.
#[derive(Debug, Default, PartialEq)]
pub struct Meta {
    /// Name to value, in the order of the text.
    pub values: Map<String, Value>,
    /// Where the metadata lines that the stretch begins with end.
    pub lead: usize,
}

const START: &str = r"^[ \t]*(?:>[ \t]*)*(?:(?:[-*+]|\d+[.)])[ \t]+)?";

impl Names {
    /// Prepares the names of a plan; `None` when it names none.
    pub fn new(names: &[String], quoted: bool) -> Result<Option<Self>, regex::Error> {
        if names.is_empty() {
            return Ok(None);
        }
        let names: Vec<_> = names.iter().map(|name| regex::escape(name)).collect();
        let names = names.join("|");
        let line = format!(
            r"{START}(?:\*\*(?<outer>{names})\*\*[ \t]*:|\*\*(?<inner>{names})[ \t]*:[ \t]*\*\*|(?<bare>{names})[ \t]*:)(?:[ \t]+|$)(?<value>.*)$"
        );
        let label = format!(r"{START}\*\*[^*]+(?::\*\*|\*\*[ \t]*:)");
        Ok(Some(Self {
            line: Regex::new(&line)?,
            label: Regex::new(&label)?,
            quoted,
        }))
    }

    /// Reads the metadata lines in `range` of `text`.
    pub fn read(&self, text: &str, range: Range<usize>, scan: &Scan) -> Meta {
        let mut meta = Meta {
            values: Map::new(),
            lead: range.start,
        };
        let mut leading = true;
        let mut at = range.start;
        while let Some((here, line)) = next_line(text, at..range.end) {
            at = here.end;
            let hit = (scan.is_text(&here, self.quoted))
                .then(|| self.line.captures(line))
                .flatten();
            let Some(hit) = hit else {
                leading = leading && line.is_empty();
                continue;
            };
            let bold = hit.name("outer").or_else(|| hit.name("inner"));
            let mut value = hit["value"].trim().to_owned();
            if bold.is_some() {
                at = self.rest(text, at..range.end, scan, &mut value);
            }
            if leading {
                meta.lead = at;
            }
            if let Some(name) = bold.or_else(|| hit.name("bare")) {
                meta.values
                    .entry(name.as_str())
                    .or_insert_with(|| list_or_text(value));
            }
        }
        meta
    }

    /// Adds to a bold name's value what belongs to it after its line; returns where that ends.
    fn rest(&self, text: &str, range: Range<usize>, scan: &Scan, value: &mut String) -> usize {
        let mut at = range.start;
        while let Some((here, line)) = next_line(text, at..range.end) {
            let plain = !line.is_empty()
                && !line.starts_with(['-', '*', '+', '#', '>', '|'])
                && scan.is_text(&here, self.quoted)
                && !self.line.is_match(line);
            if !plain {
                break;
            }
            value.push('\n');
            value.push_str(line);
            at = here.end;
        }
        if !value.is_empty() {
            return at;
        }
        let start = at;
        while let Some((here, line)) = next_line(text, at..range.end) {
            if scan.is_text(&here, self.quoted)
                && (self.label.is_match(line) || self.line.is_match(line))
            {
                break;
            }
            at = here.end;
        }
        *value = text[start..at].trim().replace("\r\n", "\n");
        at
    }
}

/// The line at the start of `range`, and its text without the blanks around it.
fn next_line(text: &str, range: Range<usize>) -> Option<(Range<usize>, &str)> {
    let line = text[range.clone()].split_inclusive('\n').next()?;
    Some((range.start..range.start + line.len(), line.trim()))
}

/// A line all in back-ticks is a list, any other value is text.
fn list_or_text(value: String) -> Value {
    if value.contains('\n') || value.contains("``") {
        return Value::String(value);
    }
    let parts = || value.split('`');
    let codes = parts().count() / 2;
    let quoted = codes > 0
        && parts().count() % 2 == 1
        && parts()
            .step_by(2)
            .all(|between| between.chars().all(|c| c == ',' || c.is_whitespace()));
    if !quoted {
        return Value::String(value);
    }
    parts().skip(1).step_by(2).map(Value::from).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::markdown::scan::scan;

    fn read(names: &[&str], quoted: bool, text: &str) -> (Value, String) {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let names = Names::new(&names, quoted).unwrap().unwrap();
        let meta = names.read(text, 0..text.len(), &scan(text, None));
        (Value::Object(meta.values), text[meta.lead..].to_owned())
    }

    #[test]
    fn every_spelling_counts() {
        for text in [
            "Date: 2026-01-19\n",
            "**Date:** 2026-01-19\r\n",
            "**Date**: 2026-01-19  \n",
            "- **Date**: 2026-01-19\n",
            "* Date : 2026-01-19",
        ] {
            assert_eq!(
                read(&["Date"], false, text),
                (json!({"Date": "2026-01-19"}), String::new()),
                "{text}"
            );
        }
        for text in [
            "date: x\n",
            "Update: x\n",
            "Date:x\n",
            "The Date: x\n",
            "Dates: x\n",
        ] {
            assert_eq!(read(&["Date"], false, text), (json!({}), text.into()));
        }
    }

    #[test]
    fn dates_in_fences_quotes_and_comments_are_none() {
        let text = "```\nDate: 1\n```\n> Date: 2\n\n    Date: 3\n\n<!--\nDate: 4\n-->\n- a\n  ~~~\n  Date: 5\n  ~~~\n";
        assert_eq!(read(&["Date"], false, text), (json!({}), text.into()));
        assert_eq!(read(&["Date"], true, text).0, json!({"Date": "2"}));
        let text = "> **Status:** Draft\n> ```\n> Date: 1\n> ```\n> **Date**: 2\n";
        assert_eq!(
            read(&["Date", "Status"], true, text).0,
            json!({"Status": "Draft", "Date": "2"})
        );
    }

    #[test]
    fn bare_values_end_with_their_line_and_bold_ones_with_their_paragraph() {
        let text = "Date: 1\nmore\n\n**Problem:** it was\nslow\n**Solution:** cache\n\nText\n";
        let (values, rest) = read(&["Date", "Problem", "Solution"], false, text);
        assert_eq!(
            values,
            json!({"Date": "1", "Problem": "it was\nslow", "Solution": "cache"})
        );
        assert_eq!(rest, text["Date: 1\n".len()..]);
    }

    #[test]
    fn an_empty_bold_value_goes_up_to_the_next_bold_name() {
        let text = "**Example:**\n\n```ts\n**Impact:** no\n```\n\nText\n\n**Other**: x\n**Steps:**\n- a\n- b\n\n**Impact:** low\n";
        let (values, _) = read(&["Example", "Steps", "Impact"], false, text);
        assert_eq!(
            values,
            json!({"Example": "```ts\n**Impact:** no\n```\n\nText", "Steps": "- a\n- b", "Impact": "low"})
        );
    }

    #[test]
    fn back_ticked_values_are_lists_and_the_first_of_a_name_counts() {
        let text = "**Tags:** `a`, `b c`\nOne: `x`\nCode: `x` or `y`\nOdd: `x\nTags: z\n";
        let (values, rest) = read(&["Tags", "One", "Code", "Odd"], false, text);
        assert_eq!(
            values,
            json!({"Tags": ["a", "b c"], "One": ["x"], "Code": "`x` or `y`", "Odd": "`x"})
        );
        assert_eq!(rest, "");
    }
}
