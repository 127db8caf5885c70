//! Rules R1 to R9.

use super::{cut, try_cut};

const STORIES: &str = "group = {}\nmeta = [\"Date\"]\n";
const ITEMS: &str = "record = \"item\"\ngroup = {}\nmeta = [\"Date\"]\n";

#[test]
fn line_ends_and_mark_are_taken_off_and_bytes_stay_counted() {
    let source =
        "\u{feff}## KNOW-1: Ä\r\nDate: 2026-01-25\r\n\r\n### Hits\r\n- é → ✓\r\n  more\r\n";
    let cut = cut(STORIES, source);
    assert_eq!(
        cut.list("group.id group.title group.meta.Date heading body"),
        ["KNOW-1|Ä|2026-01-25|Hits|- é → ✓\n  more"]
    );
    assert_eq!(cut.records[0].raw, "### Hits\r\n- é → ✓\r\n  more\r\n");
    assert_eq!(cut.skipped[0], (1, 1, "byte-order-mark"));
}

#[test]
fn damage_ends_the_file_after_what_came_before() {
    let options = toml::from_str("").unwrap();
    let source = b"## A\na\n## B\n\xff\n";
    let mut pieces = super::Markdown::open("a.md", &source[..], &options, 1).unwrap();
    let said = pieces.find_map(Result::err).unwrap().to_string();
    assert!(
        said.starts_with("a.md:4: no UTF-8 at byte offset 12;"),
        "{said}"
    );
    assert!(pieces.next().is_none());
}

#[test]
fn fences_hold_no_headings_bullets_dates_or_rules() {
    let source = "\
> **NOTE** what a story looks like
> ```md
> ## STORY-9: not a story
> Date: 1999-01-01
> ```

## STORY-1: Real
```
Date: 1999-01-01
```
### Notes
~~~sh
# not a title
- not an item
## STORY-2: not a story
---
~~~

   ```
### no
- no
   ```

- an item
  ```
  - no
  ```
";
    let sections = cut(STORIES, source);
    assert_eq!(
        sections.list("group.id heading ordinal"),
        ["STORY-1|General|1", "STORY-1|Notes|1"]
    );
    assert!(sections.list("group.meta.Date").concat().is_empty());
    assert!(
        sections.records[1]
            .get("body")
            .starts_with("~~~sh\n# not a title\n")
    );
    assert_eq!(
        cut(ITEMS, source).list("body"),
        ["an item\n  ```\n  - no\n  ```"]
    );
}

#[test]
fn unknown_prefixes_are_taken_and_noted() {
    let options = "group = { prefixes = [\"STORY\"] }";
    let cut = cut(
        options,
        "## STORY-1: A\n### H\na\n## WISH-2004 — B\n### H\nb\n## WRKF-3\n### H\nc\n",
    );
    assert_eq!(
        cut.list("group.prefix group.id group.title body"),
        ["STORY|STORY-1|A|a", "WISH|WISH-2004|B|b", "WRKF|WRKF-3||c"]
    );
    assert_eq!(cut.skips("unknown-prefix"), 2);
    assert_eq!(cut.skips("heading"), 1);
}

#[test]
fn other_headings_close_the_story() {
    let source = "# Log\n\nIntro.\n\n## Usage\n\n### Table\n1. x\n\n---\n\n## STORY-1: A\n### H\na\n\n## Meta Information\n- b\n### H\nc\n";
    let skip = cut(STORIES, source);
    assert_eq!(skip.list("group.id heading body"), ["STORY-1|H|a"]);
    assert_eq!(skip.skips("banner"), 1);
    assert_eq!(skip.skips("out-of-scope"), 3);
    let emit = cut(&format!("outside = \"emit\"\n{STORIES}"), source);
    assert_eq!(
        emit.list("group.id level heading ordinal body"),
        [
            "|1|Log|1|Intro.",
            "|2|Usage|1|",
            "|3|Table|1|1. x",
            "STORY-1|3|H|1|a",
            "|2|Meta Information|1|- b",
            "|3|H|1|c"
        ]
    );
}

#[test]
fn text_before_the_first_category_is_general() {
    let source = "## WISH-2004: A\nDate: 2026-01-19\n\n> **Note**: quoted\n\n---\n\n### H\na\n## WISH-2: B\nshort\n### H\nb\n## WISH-3: C\n\n### H\nc\n";
    assert_eq!(
        cut(STORIES, source).list("group.id heading level body"),
        [
            "WISH-2004|General|2|> **Note**: quoted",
            "WISH-2004|H|3|a",
            "WISH-2|General|2|short",
            "WISH-2|H|3|b",
            "WISH-3|H|3|c"
        ]
    );
    let over_ten = cut(
        &format!("min_chars = 11\ngeneral = \"Note\"\n{STORIES}"),
        source,
    );
    assert_eq!(over_ten.list("heading"), ["Note"]);
    assert_eq!(over_ten.skips("too-short"), 4);
}

#[test]
fn dates_come_from_lines_headings_and_the_document_as_written() {
    let options = "group = {}\nmeta = [\"Date\", \"Completion Date\"]";
    let source = "\
# Lessons

**Completion Date:** 2026-02-16

## KNOW-1 - A (2026-01-25)
### H
a
## KNOW-2: B
**Date**: 2026-13-45
### H
Date: in the body
b
";
    let cut = cut(options, source);
    assert_eq!(
        cut.list("group.meta.Date group.date meta.Date document.meta/Completion~1Date"),
        ["|2026-01-25||", "2026-13-45||in the body|"]
    );
    assert_eq!(
        cut.records[0].columns["document"]["meta"]["Completion Date"],
        "2026-02-16"
    );
    assert_eq!(cut.records[0].get("document.title"), "Lessons");
    assert_eq!(cut.skips("meta"), 2);
}

#[test]
fn lines_are_those_of_the_source() {
    let source = "---\ntitle: x\n---\n# T\n\n## STORY-1: A\n\n### One\n\na\n\nb\n\n\n### Two\nc";
    let cut = cut(STORIES, source);
    let lines: Vec<_> = cut.records.iter().map(|record| record.lines).collect();
    assert_eq!(lines, [(8, 12), (15, 16)]);
    assert_eq!(cut.records[0].raw, "### One\n\na\n\nb\n");
    assert_eq!(cut.list("front.title document.file"), ["x|dir/a.md"; 2]);
}

#[test]
fn items_are_bullets_and_numbers_with_what_is_nested() {
    let source = "\
## KNOW-1: A
### What went well

1. **One** - x
   - nested

2. **Two**

   still two

prose

* three
- four
#### Below
+ five
";
    let cut = cut(ITEMS, source);
    assert_eq!(
        cut.list("ordinal marker heading body"),
        [
            "1|1.|What went well|**One** - x\n   - nested",
            "2|2.|What went well|**Two**\n\n   still two",
            "3|*|What went well|three",
            "4|-|What went well|four",
            "5|+|What went well|five",
        ]
    );
    assert_eq!(cut.records[1].lines, (7, 9));
    assert_eq!((cut.skips("prose"), cut.skips("heading")), (1, 3));
}

#[test]
fn everything_left_out_has_a_reason() {
    let source = "\
---
a: 1
---
<!-- format 1.0 -->

# Title
banner

---
## STORY-1: A
Date: 2026-01-19


### Empty
### Short
x
### Long enough
[link]: https://example.org
long text [link]

---

<!-- end -->
## Other
text
";
    let cut = cut(&format!("min_chars = 5\n{STORIES}"), source);
    assert_eq!(cut.list("heading front.a"), ["Long enough|1"]);
    assert_eq!(
        cut.skipped,
        [
            (1, 3, "front-matter"),
            (4, 4, "comment"),
            (5, 5, "blank"),
            (6, 6, "heading"),
            (7, 7, "banner"),
            (8, 8, "blank"),
            (9, 9, "rule"),
            (10, 10, "heading"),
            (11, 11, "meta"),
            (12, 13, "blank"),
            (14, 14, "heading"),
            (15, 15, "heading"),
            (16, 16, "too-short"),
            (20, 20, "blank"),
            (21, 21, "rule"),
            (22, 22, "blank"),
            (23, 23, "comment"),
            (24, 24, "heading"),
            (25, 25, "out-of-scope"),
        ]
    );
}

#[test]
fn holds_for_odd_texts() {
    let odd = [
        "",
        "\n",
        "\n\n  \n",
        "x",
        "#",
        "##",
        "---",
        "---\n---",
        "---\n\n---\n",
        "\u{feff}",
        "\u{feff}\n# A",
        "## A\n\t\n## A\n   ",
        "## STORY-1: A\n- a\n-\n- \n\n\n- b\n   \n",
        "## STORY-1: A\n### H\n- a\n---\n- b\n<!-- c -->\n",
        "## STORY-1: A\nDate: x\nlazy\n===\n### H\n[a]: b\n",
        "## STORY-1: A\n### H\n```\nopen",
        "## STORY-1: A\n### H\n<!-- open\n## no\n",
        "Setext\nheading\n---\n   ### indented\n    ### code\n",
        "> # a\nlazy\n\n- b\n lazy\n### c\n",
        "**bold**\n\n- a\n\n**bold**\ntext\n",
        "## A\r\n\r\n- a\r\n\r\n  b\r\n",
        "1. a\n\n\n1. b\n# c\n\n\n# d\n***\n___\n",
        "|a|b|\n|-|-|\n|# c|d|\n",
        "<div>\n# in html\n\n# out of html\n</div>\n",
        "## \u{2028}A\n\u{a0}\n- \u{3000}\n",
    ];
    for source in odd {
        for options in [
            "",
            "level = 1",
            "record = \"file\"",
            "record = \"file\"\npattern = \"x\"",
            "record = \"item\"\noutside = \"emit\"",
            "outside = \"emit\"\nbold_level = 3\nmin_chars = 2",
            "group = {}\noutside = \"emit\"\nmeta = [\"Date\"]",
            "record = \"item\"\ngroup = { pattern = \".\" }\nbold_level = 2\nmin_chars = 2",
        ] {
            try_cut(options, source).unwrap();
        }
    }
}

/// Lines that mean different things in different company.
const LINES: [&str; 34] = [
    "",
    "",
    "# T",
    "## AB-1: A",
    "## AB-2 - B (2026-01-01)",
    "### H",
    "#### D",
    "  ## I",
    "text",
    "Date: 2026-01-01",
    "**Date:** 1",
    "- a",
    "- **Date**: 2",
    "  - b",
    "   more",
    "1. c",
    "10) d",
    "---",
    "===",
    "***",
    "```",
    "~~~",
    "   ```",
    "    code",
    "> q",
    "> ```",
    "> ## Q",
    "<!-- c -->",
    "<!--",
    "-->",
    "<div>",
    "**bold**",
    "[l]: x",
    "\t- t",
];

#[test]
fn holds_for_any_mix_of_lines() {
    let mut seed = 1_u64;
    let mut draw = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let options = [
        "",
        "record = \"file\"\nmeta = [\"Date\"]",
        "record = \"item\"\noutside = \"emit\"",
        "group = {}\noutside = \"emit\"\nbold_level = 3\nmeta = [\"Date\"]",
        "record = \"item\"\ngroup = {}\nmeta = [\"Date\"]\nmin_chars = 2",
    ];
    for round in 0..150 {
        let lines: Vec<_> = (0..=draw(20)).map(|_| LINES[draw(LINES.len())]).collect();
        cut(
            options[round % options.len()],
            &format!("\n{}", lines.join("\n")),
        );
    }
}
