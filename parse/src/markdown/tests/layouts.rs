//! The layouts of lessons (L1 to L6) and decisions (A1 to A5), and the oddities in them.

use super::{cut, try_cut};

#[test]
fn stories_with_categories() {
    let source = "\
# Lessons

---

## STORY-013: Edit
Date: 2026-01-20

### Reuse Discoveries
- **DI**: reused

### Blockers Hit
- **None**: smooth

---

## STORY-009: Upload (draft)
Date: 2026-01-21

### Blockers Hit
- **None**: smooth
";
    let sections = cut("group = {}\nmeta = [\"Date\"]", source);
    assert_eq!(
        sections.list("group.id group.title group.meta.Date heading ordinal body"),
        [
            "STORY-013|Edit|2026-01-20|Reuse Discoveries|1|- **DI**: reused",
            "STORY-013|Edit|2026-01-20|Blockers Hit|1|- **None**: smooth",
            "STORY-009|Upload (draft)|2026-01-21|Blockers Hit|1|- **None**: smooth",
        ]
    );
    let stories = cut(
        "pattern = '^(?<id>[A-Z]+-\\d+): '\nmeta = [\"Date\"]",
        source,
    );
    assert_eq!(
        stories.list("id meta.Date"),
        ["STORY-013|2026-01-20", "STORY-009|2026-01-21"]
    );
    assert_eq!(
        stories.records[1].get("sections.Blockers Hit"),
        "- **None**: smooth"
    );
}

#[test]
fn one_story_with_numbered_items() {
    let source = "\
# Server - Lessons

## KNOW-001 - Package Setup (2026-01-25)

### Risks

1. **Port** - could conflict
   - Estimated effort: 2 points

### Debt

None identified.

---

## Meta Information

- **Story**: KNOW-001
";
    let cut = cut(
        "record = \"item\"\ngroup = {}\nmeta = [\"Estimated effort\"]",
        source,
    );
    assert_eq!(
        cut.list("group.id group.date group.title heading"),
        ["KNOW-001|2026-01-25|Package Setup|Risks"]
    );
    assert_eq!(cut.records[0].get("meta.Estimated effort"), "2 points");
    assert_eq!((cut.skips("prose"), cut.skips("out-of-scope")), (1, 1));
}

#[test]
fn plain_headings() {
    let source = "# A story\n\nAbout it.\n\n## Went Well\n\nThis.\n\n## Went Badly\n\nThat.\n### Deeper\nmore\n";
    let cut = cut("", source);
    assert_eq!(
        cut.list("document.title level heading body"),
        [
            "A story|2|Went Well|This.",
            "A story|2|Went Badly|That.\n### Deeper\nmore"
        ]
    );
    assert_eq!(cut.skips("banner"), 1);
}

#[test]
fn numbered_lessons_with_bold_lines() {
    let source = "\
# KB lessons

**Story:** KNOW-107
**Date:** 2026-02-16

## Lessons Learned

### 1. Cache the result

**Category:** performance
**Tags:** `cache`, `db`

**Problem:** it was slow,
every time
**Solution:**
- keep it
- drop it

**Example:**
```ts
// **Impact:** none
cache()
```

**Impact:** low

### 2. Other
text

## Summary
text
";
    let options = r#"
level = 3
pattern = '^\d+\. (?<title>.+)$'
meta = ["Story", "Date", "Category", "Tags", "Problem", "Solution", "Example", "Impact"]
"#;
    let cut = cut(options, source);
    assert_eq!(
        cut.list("document.meta.Story document.meta.Date title meta.Category meta.Tags meta.Problem meta.Solution meta.Example meta.Impact"),
        [
            "KNOW-107|2026-02-16|Cache the result|performance|[\"cache\",\"db\"]|it was slow,\nevery time|- keep it\n- drop it|```ts\n// **Impact:** none\ncache()\n```|low",
            "KNOW-107|2026-02-16|Other||||||",
        ]
    );
    assert!(
        cut.records[0]
            .get("body")
            .starts_with("**Category:** performance\n")
    );
    assert_eq!(cut.skips("out-of-scope"), 1);
}

#[test]
fn one_record_a_bullet() {
    let source = "<!-- lessons v1.0 -->\n\n# Lessons\n\n## Backend\n\n- first\n\n### Queries\n\n- second\n  goes on\n- third\n";
    let cut = cut(
        "record = \"item\"\ngroup = { pattern = '^(?<title>.+)$' }",
        source,
    );
    assert_eq!(
        cut.list("group.title heading body"),
        [
            "Backend|General|first",
            "Backend|Queries|second\n  goes on",
            "Backend|Queries|third"
        ]
    );
    assert_eq!(cut.skips("comment"), 1);
}

#[test]
fn bold_lines_as_headings() {
    let source = "**[KNOW-1] Blockers Hit**\n\n- a\n- b\n\n**[KNOW-1] Time Sinks**\n\n- **c**\n";
    let options = "bold_level = 2\npattern = '^\\[(?<id>[A-Z]+-\\d+)\\] (?<category>.+)$'";
    assert_eq!(
        cut(options, source).list("id category body"),
        ["KNOW-1|Blockers Hit|- a\n- b", "KNOW-1|Time Sinks|- **c**"]
    );
}

const LOG: &str = "\
# Decisions

## Contents
- [ADR-001](#a)

---

## ADR-001: Use SQLite
**Date:** 2026-01-01
**Status:** Accepted
**Context:** we need
a store

### Decision
Use it.

### 2. Consequences
None.
#### Detail
x

---

## Template for New ADRs
```markdown
## ADR-002: Fake
**Date:** 1999-01-01
### Problem
fake
```
";

#[test]
fn log_with_a_template_in_a_fence() {
    let options =
        "pattern = '^(?<id>ADR-\\d+): (?<title>.+)$'\nmeta = [\"Date\", \"Status\", \"Context\"]";
    let cut = cut(options, LOG);
    assert_eq!(
        cut.list(
            "id title meta.Date meta.Status meta.Context sections.Decision sections.Consequences"
        ),
        ["ADR-001|Use SQLite|2026-01-01|Accepted|we need\na store|Use it.|None.\n#### Detail\nx"]
    );
    assert_eq!(cut.records[0].lines, (8, 20));
}

#[test]
fn one_file_with_front_matter() {
    let source = "---\nid: ADR-006 # comment\ndecision-date: 2026-01-20\ntags:\n  - db # why\n---\n\n# ADR-006: Title\n\n## Status\n\nActive\n\n## 1. Context\n\nWhy.\n### 1.1 More\ny\n\n## 2) Decision\nDo.\n";
    let cut = cut(
        "record = \"file\"\npattern = '^(?<id>ADR-\\d+): (?<title>.+)$'",
        source,
    );
    assert_eq!(
        cut.list("id title heading front.id front.decision-date front.tags sections.Status sections.Context sections.Decision"),
        ["ADR-006|Title|ADR-006: Title|ADR-006|2026-01-20|[\"db\"]|Active|Why.\n### 1.1 More\ny|Do."]
    );
    assert!(cut.records[0].get("body").starts_with("## Status\n"));
    assert_eq!(cut.records[0].lines, (8, 21));
}

#[test]
fn title_without_number_and_colon_inside_bold() {
    let source = "# ADR: Title\n\n**Status:** Proposed\n\n## Decision\nDo.\n";
    let cut = cut(
        "record = \"file\"\npattern = '^ADR: (?<title>.+)$'\nmeta = [\"Status\"]",
        source,
    );
    assert_eq!(
        cut.list("title meta.Status sections.Decision"),
        ["Title|Proposed|Do."]
    );
}

#[test]
fn several_decisions_in_a_file() {
    let source =
        "# Decisions\n\n## Background\nx\n\n## Decision 1: One\na\n\n## Decision 2: Two\nb\n";
    assert_eq!(
        cut("pattern = '^Decision (?<nr>\\d+): (?<title>.+)$'", source).list("nr title body"),
        ["1|One|a", "2|Two|b"]
    );
}

#[test]
fn metadata_in_a_quote() {
    let source = "# ADR-XXXX: Title\n\n> **Status:** Draft\n> **Date**: 2026-01-01\n> ```\n> Date: no\n> ```\n\n## Decision\nDo.\n";
    let options = "record = \"file\"\nmeta = [\"Status\", \"Date\"]\n";
    assert_eq!(cut(options, source).list("meta"), ["{}"]);
    assert_eq!(
        cut(&format!("quoted_meta = true\n{options}"), source)
            .list("meta.Status meta.Date sections.Decision"),
        ["Draft|2026-01-01|Do."]
    );
}

#[test]
fn prose_about_decisions_gives_no_record() {
    let source = "# How we decide\n\n```md\n## ADR-001: x\n```\n\n## Rules\ntext\n";
    let cut = cut("pattern = '^(?<id>ADR-\\d+): '", source);
    assert!(cut.records.is_empty());
    assert!(
        self::cut("record = \"file\"\npattern = '^ADR'", source)
            .records
            .is_empty()
    );
}

#[test]
fn a_file_without_a_title_is_a_record_too() {
    let cut = cut(
        "record = \"file\"",
        "<!-- c -->\n\nStack: Rust\n\n## Why\nFast.\n",
    );
    assert_eq!(
        cut.list("heading body sections.Why"),
        ["|Stack: Rust\n\n## Why\nFast.|Fast."]
    );
}

#[test]
fn equal_bullets_and_repeated_headings_stay_apart_by_ordinal() {
    let source = "## S-1: x\n\n## AB-1: A\n### H\n- a\n- a\n## AB-2: B\n### H\n- a\n## AB-1: A\n### H\n- a\n";
    let cut = cut("record = \"item\"\ngroup = {}", source);
    assert_eq!(
        cut.list("group.id heading ordinal"),
        ["AB-1|H|1", "AB-1|H|2", "AB-2|H|1", "AB-1|H|3"]
    );
}

#[test]
fn levels_between_group_and_section_are_sections_of_the_group() {
    let source = "## AB-1: A\n### Part\np\n#### One\n1\n## Other\n#### Two\n2\n";
    let cut = cut("level = 4\ngroup = {}", source);
    assert_eq!(
        cut.list("group.id level heading body"),
        ["AB-1|3|Part|p", "AB-1|4|One|1"]
    );
}

#[test]
fn damage_is_named() {
    let said = |options: &str, source: &str| try_cut(options, source).err().unwrap_or_default();
    assert!(said("", "---\na: [1\n---\n").starts_with("dir/a.md:"));
    assert!(said("", "a\0").contains("a NUL at byte offset 1"));
    assert!(said("pattern = \"(\"", "").contains("the plan's markdown options: `pattern`"));
}
