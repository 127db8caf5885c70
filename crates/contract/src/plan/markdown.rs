//! How a Markdown file is cut into records.

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

/// Ids such as `STORY-007`, then a title after `:`, ` - ` or a dash, then a date in parentheses.
const GROUP_PATTERN: &str = r"^(?<id>(?<prefix>[A-Z][A-Z0-9]+)-[0-9][\w-]*)(?:(?:\s*:|\s+-\s|\s*[–—])\s*(?<title>.*?))?(?:\s*\((?<date>\d{4}-\d{2}-\d{2})\))?$";

/// Names that a record has anyway, so that no capture may have them.
const TAKEN: [&str; 11] = [
    "heading", "level", "body", "sections", "marker", "ordinal", "meta", "group", "document",
    "front", "each",
];

/// How a Markdown file is cut into records. Headings, list items and metadata lines inside code
/// fences, quotes and comments never count.
///
/// A record has the columns `heading`, `level`, `body`, `ordinal` (1-based among the records under
/// the same heading of the same group), `sections.NAME` (the text under its own sub-headings, a
/// leading number dropped), `meta.NAME`, `marker` (of a list item), `group.heading`,
/// `group.meta.NAME`, `document.file`, `document.title`, `document.meta.NAME`, `front.NAME`, and
/// what the patterns capture: `NAME` and `group.NAME`. All text is handed on as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MarkdownCut {
    /// What one record is: `section` (a heading with all below it), `item` (a bullet or numbered
    /// item with all below it) or `file` (default `section`).
    pub record: MarkdownRecord,
    /// The level of the headings that begin a section, 1 to 6 (default: one below the group's
    /// level, or 2 where there are no groups). With groups, levels in between begin one too.
    pub level: Option<u8>,
    /// A regular expression that a section's heading must match (of a file: its first level-1
    /// heading), else it is outside. Its named captures become columns. Default: any heading.
    pub pattern: Option<String>,
    /// Headings above the sections that hold several of them together, such as a story with its
    /// categories. Without this a file is a plain list of sections.
    pub group: Option<MarkdownGroup>,
    /// The heading given to text that stands in a group before its first section (default `General`).
    pub general: String,
    /// What to do with text outside: under a heading that is neither a group nor in one, or that
    /// its pattern does not match, or before the first heading (default `skip`).
    pub outside: MarkdownOutside,
    /// Records whose body has fewer characters are skipped as too short (default 0: none is).
    pub min_chars: usize,
    /// Names of metadata lines to capture: `Date: x`, `**Date:** x`, `**Date**: x`, also as a list
    /// item. They count at the head of a group, section or document, and in a list item. A bare
    /// name's value ends with its line, a bold one's with its paragraph, or, where nothing follows
    /// it there, before the next bold name. Values in back-ticks (`` `a`, `b` ``) become a list;
    /// of two lines with one name the first counts.
    pub meta: Vec<String>,
    /// Metadata lines in quotes (`> **Status:** x`) count too (default false).
    pub quoted_meta: bool,
    /// A paragraph that is one line of bold text counts as a heading of this level, 1 to 6
    /// (default: it is text).
    pub bold_level: Option<u8>,
}

impl Default for MarkdownCut {
    fn default() -> Self {
        Self {
            record: MarkdownRecord::default(),
            level: None,
            pattern: None,
            group: None,
            general: "General".into(),
            outside: MarkdownOutside::default(),
            min_chars: 0,
            meta: Vec::new(),
            quoted_meta: false,
            bold_level: None,
        }
    }
}

/// What one record is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MarkdownRecord {
    /// A heading with all that stands below it.
    #[default]
    Section,
    /// A bullet or numbered item of the outermost list, with all that is nested in it.
    Item,
    /// The whole file.
    File,
}

/// What to do with text outside of groups and sections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MarkdownOutside {
    /// It is counted as skipped.
    #[default]
    Skip,
    /// It gives records too, without `group` and without captures.
    Emit,
}

/// Headings that hold several sections together.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MarkdownGroup {
    /// The level of their headings, 1 to 5 (default 2). Any other heading of this level or above
    /// ends a group.
    pub level: u8,
    /// A regular expression that their headings match. Its named captures become the columns
    /// `group.NAME`. The default matches `STORY-007: Title` and `KNOW-1 - Title (2026-01-25)` and
    /// captures `id`, `prefix`, `title` and `date`; `^(?<title>.+)$` takes any heading.
    pub pattern: String,
    /// The values of the capture `prefix` that are expected. A group with another one is taken
    /// too, and its heading is listed as `unknown-prefix`. Default: any.
    pub prefixes: Vec<String>,
}

impl Default for MarkdownGroup {
    fn default() -> Self {
        Self {
            level: 2,
            pattern: GROUP_PATTERN.into(),
            prefixes: Vec::new(),
        }
    }
}

impl MarkdownCut {
    /// Returns the level of the headings that begin a section, 1 to 6.
    #[must_use]
    pub fn section_level(&self) -> u8 {
        self.level.unwrap_or_else(|| {
            self.group
                .as_ref()
                .map_or(2, |group| group.level.saturating_add(1))
        })
    }

    /// Checks what the types can't say.
    ///
    /// # Errors
    /// Says what is wrong with a level, a pattern or a combination, and what was expected.
    pub fn check(&self) -> Result<(), String> {
        for (key, level) in [("level", self.level), ("bold_level", self.bold_level)] {
            if level.is_some_and(|level| !(1..=6).contains(&level)) {
                return Err(format!("`{key}` must be a heading level, 1 to 6"));
            }
        }
        if let Some(group) = &self.group {
            if !(1..=5).contains(&group.level) || self.section_level() <= group.level {
                return Err("`group.level` must be a heading level, 1 to 5, above `level`".into());
            }
            if self.record == MarkdownRecord::File {
                return Err(
                    "`record = \"file\"` makes one record of a file, so it has no `group`".into(),
                );
            }
            let names = captures("group.pattern", &group.pattern)?;
            if !group.prefixes.is_empty() && !names.iter().any(|name| name == "prefix") {
                return Err(
                    "`group.prefixes` needs a capture `(?<prefix>…)` in `group.pattern`".into(),
                );
            }
            if let Some(name) = names
                .iter()
                .find(|name| ["heading", "meta"].contains(&name.as_str()))
            {
                return Err(format!(
                    "`group.pattern` captures `{name}`, which a group has anyway; choose another name"
                ));
            }
        }
        if let Some(pattern) = &self.pattern
            && let Some(name) = captures("pattern", pattern)?
                .iter()
                .find(|name| TAKEN.contains(&name.as_str()))
        {
            return Err(format!(
                "`pattern` captures `{name}`, which a record has anyway; choose another name"
            ));
        }
        if self.meta.iter().any(|name| name.trim().is_empty()) {
            return Err("`meta` holds an empty name".into());
        }
        Ok(())
    }
}

fn captures(key: &str, pattern: &str) -> Result<Vec<String>, String> {
    let regex =
        Regex::new(pattern).map_err(|err| format!("`{key}` is not a regular expression: {err}"))?;
    Ok(regex
        .capture_names()
        .flatten()
        .map(ToOwned::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(toml: &str) -> MarkdownCut {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn group_pattern_takes_every_separator() {
        let regex = Regex::new(GROUP_PATTERN).unwrap();
        let of = |text: &str| {
            regex.captures(text).map(|hit| {
                let name = |name: &str| hit.name(name).map_or("", |hit| hit.as_str()).to_owned();
                [name("prefix"), name("id"), name("title"), name("date")].join("|")
            })
        };
        assert_eq!(
            of("STORY-007: Read - images").as_deref(),
            Some("STORY|STORY-007|Read - images|")
        );
        assert_eq!(
            of("KNOW-001 - Set-up (2026-01-25)").as_deref(),
            Some("KNOW|KNOW-001|Set-up|2026-01-25")
        );
        assert_eq!(
            of("WISH-20-a – Title (draft)").as_deref(),
            Some("WISH|WISH-20-a|Title (draft)|")
        );
        assert_eq!(
            of("WRKF-1000—Title").as_deref(),
            Some("WRKF|WRKF-1000|Title|")
        );
        assert_eq!(of("A2B-9").as_deref(), Some("A2B|A2B-9||"));
        assert_eq!(
            of("KNOW-001 (2026-01-25)").as_deref(),
            Some("KNOW|KNOW-001||2026-01-25")
        );
        for other in [
            "Token Usage",
            "A-1: short prefix",
            "Story-1: x",
            "STORY-x: y",
            "STORY-1 and more",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn levels_default_to_below_the_group() {
        assert_eq!(cut("").section_level(), 2);
        assert_eq!(cut("group = {}").section_level(), 3);
        assert_eq!(cut("group = { level = 1 }").section_level(), 2);
        assert_eq!(cut("level = 1").section_level(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (toml, said) in [
            ("level = 7", "`level` must be"),
            ("bold_level = 0", "`bold_level` must be"),
            ("level = 2\ngroup = {}", "above `level`"),
            ("group = { level = 0 }", "above `level`"),
            ("record = \"file\"\ngroup = {}", "no `group`"),
            ("pattern = \"(\"", "not a regular expression"),
            ("pattern = \"(?<body>.)\"", "captures `body`"),
            ("group = { pattern = \"(?<meta>.)\" }", "captures `meta`"),
            (
                "group = { pattern = \".\", prefixes = [\"A\"] }",
                "needs a capture",
            ),
            ("meta = [\" \"]", "empty name"),
        ] {
            let found = cut(toml).check().unwrap_err();
            assert!(found.contains(said), "{toml}: {found}");
        }
        assert!(
            toml::from_str::<MarkdownCut>("levels = 2")
                .unwrap_err()
                .to_string()
                .contains("levels")
        );
        cut("group = { prefixes = [\"STORY\"] }\nmeta = [\"Date\"]")
            .check()
            .unwrap();
    }
}
