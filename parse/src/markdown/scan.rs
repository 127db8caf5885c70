//! The outermost blocks of a Markdown text, as pulldown-cmark sees them.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag};

/// An outermost block, from the start of its first line to the end of its last one, blank lines
/// after it left out.
#[derive(Debug)]
pub struct Block {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a block is.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// A heading of a level (1 to 6) and its text as written, without `#` and underline.
    Heading(u8, String),
    /// The items of a list.
    List(Vec<ListItem>),
    /// A thematic break.
    Rule,
    /// HTML comments and nothing else.
    Comment,
    /// Anything else.
    Other,
}

/// An item of an outermost list.
#[derive(Debug, PartialEq)]
pub struct ListItem {
    /// Bytes of the text, in whole lines.
    pub range: Range<usize>,
    /// `-`, `*`, `+`, `1.` or `1)`, as written.
    pub marker: String,
    /// Where its text begins, after the marker.
    pub body: usize,
}

/// What a text holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// Its outermost blocks, in order. What stands between them is blank or a link definition.
    pub blocks: Vec<Block>,
    /// Code and HTML, at any depth, in order.
    opaque: Vec<Range<usize>>,
    /// Quotes, outermost ones only, in order.
    quotes: Vec<Range<usize>>,
}

impl Scan {
    /// Is the line that covers `line` text, not code or HTML, nor a quote unless `quoted`?
    pub fn is_text(&self, line: &Range<usize>, quoted: bool) -> bool {
        let free = |ranges: &[Range<usize>]| {
            let next = ranges.partition_point(|range| range.end <= line.start);
            ranges.get(next).is_none_or(|range| line.end <= range.start)
        };
        free(&self.opaque) && (quoted || free(&self.quotes))
    }
}

/// Scans a text. With `bold_level`, a paragraph that is one line of bold text is a heading.
pub fn scan(text: &str, bold_level: Option<u8>) -> Scan {
    let mut found = Scan::default();
    let mut open = Vec::new();
    let mut quote_depth = 0;
    let mut items = Vec::new();
    // The inline text of the block in hand, and whether it is one piece of bold text.
    let mut inline: Option<Range<usize>> = None;
    let mut bold: Option<Range<usize>> = None;
    for (event, range) in Parser::new_ext(text, Options::empty()).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                match &tag {
                    Tag::CodeBlock(_) | Tag::HtmlBlock => {
                        found.opaque.push(whole_lines(text, &range));
                    }
                    Tag::BlockQuote(_) => {
                        if quote_depth == 0 {
                            found.quotes.push(whole_lines(text, &range));
                        }
                        quote_depth += 1;
                    }
                    Tag::Item if open.len() == 1 => items.push(list_item(text, &range)),
                    _ => {}
                }
                if open.is_empty() {
                    (inline, bold) = (None, None);
                } else if open.len() == 1 {
                    bold = (tag == Tag::Strong && inline.is_none()).then(|| range.clone());
                    extend(&mut inline, &range);
                }
                open.push(tag);
            }
            Event::End(_) => {
                let Some(tag) = open.pop() else { continue };
                if matches!(tag, Tag::BlockQuote(_)) {
                    quote_depth -= 1;
                }
                if open.is_empty() {
                    let kind = match tag {
                        Tag::Heading { level, .. } => {
                            Kind::Heading(level as u8, one_line(text, inline.as_ref()))
                        }
                        Tag::Paragraph => match (bold_level, &bold) {
                            (Some(level), Some(bold)) if !text[bold.clone()].contains('\n') => {
                                let inner = bold.start + 2..bold.end - 2;
                                Kind::Heading(level, text[inner].trim().to_owned())
                            }
                            _ => Kind::Other,
                        },
                        Tag::List(_) => Kind::List(std::mem::take(&mut items)),
                        Tag::HtmlBlock if is_comment(&text[range.clone()]) => Kind::Comment,
                        _ => Kind::Other,
                    };
                    found.blocks.push(Block {
                        range: whole_lines(text, &range),
                        kind,
                    });
                }
            }
            Event::Rule if open.is_empty() => found.blocks.push(Block {
                range: whole_lines(text, &range),
                kind: Kind::Rule,
            }),
            _ if open.len() == 1 => {
                bold = None;
                extend(&mut inline, &range);
            }
            _ => {}
        }
    }
    found
}

fn extend(inline: &mut Option<Range<usize>>, by: &Range<usize>) {
    let start = inline.as_ref().map_or(by.start, |inline| inline.start);
    *inline = Some(start..by.end);
}

/// The text of a heading as written; one over several lines becomes one.
fn one_line(text: &str, inline: Option<&Range<usize>>) -> String {
    let text = inline.map_or("", |range| &text[range.clone()]);
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Widens a range to the start of its first line and the end of its last line that is not blank.
fn whole_lines(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let end = start + text[start..range.end].trim_end().len();
    start..text[end..].find('\n').map_or(text.len(), |at| end + at + 1)
}

fn list_item(text: &str, range: &Range<usize>) -> ListItem {
    let item = &text[range.clone()];
    let indent = item.len() - item.trim_start().len();
    let digits = item[indent..]
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    let marker = &item[indent..=indent + digits];
    let after = &item[indent + marker.len()..];
    let blanks = after.len() - after.trim_start().len();
    ListItem {
        range: whole_lines(text, range),
        marker: marker.to_owned(),
        body: range.start + indent + marker.len() + blanks,
    }
}

fn is_comment(html: &str) -> bool {
    let mut rest = html.trim();
    while let Some((_, after)) = rest
        .strip_prefix("<!--")
        .and_then(|open| open.split_once("-->"))
    {
        rest = after.trim_start();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<String> {
        scan(text, Some(4))
            .blocks
            .iter()
            .map(|block| match &block.kind {
                Kind::Heading(level, title) => format!("h{level} {title}"),
                Kind::List(items) => items
                    .iter()
                    .flat_map(|item| [&item.marker, "[", &text[item.body..item.range.end], "]"])
                    .collect(),
                Kind::Rule => "rule".into(),
                Kind::Comment => "comment".into(),
                Kind::Other => format!("other {}", &text[block.range.clone()]),
            })
            .collect()
    }

    #[test]
    fn headings_keep_their_text_as_written() {
        let text = "# A **b** `c` ##\n\n  ## Indented\r\n\nTwo\nlines\n---\n#\n#no\n";
        assert_eq!(
            kinds(text),
            [
                "h1 A **b** `c`",
                "h2 Indented",
                "h2 Two lines",
                "h1 ",
                "other #no\n"
            ]
        );
    }

    #[test]
    fn nothing_inside_fences_quotes_and_comments_counts() {
        for text in [
            "```sh\n# no\n- no\n---\n```\n",
            "~~~~\n```\n# no\n~~~\n# no\n~~~~\n",
            "   ```\n# no\n```\n",
            "> ```\n> # no\n> - no\n> ```\n",
            "> # no\n> - no\n",
            "    # no\n    - no\n",
        ] {
            assert_eq!(kinds(text), [format!("other {text}")]);
        }
        assert_eq!(
            kinds("<!-- a\n\n# no\n\n- no\n--> <!-- b -->\n"),
            ["comment"]
        );
        assert_eq!(
            kinds("<!-- never closed\n\n# no\n"),
            ["other <!-- never closed\n\n# no\n"]
        );
    }

    #[test]
    fn a_heading_ends_a_fence_in_a_quote_or_list() {
        assert_eq!(kinds("> ```\n# yes\n")[1], "h1 yes");
        assert_eq!(kinds("- a\n  ```\n# yes\n")[1], "h1 yes");
    }

    #[test]
    fn lists_keep_nested_and_loose_items_together() {
        assert_eq!(
            kinds("1. **a**\n   - b\n   - c\n\n2) x\n"),
            ["1.[**a**\n   - b\n   - c\n]", "2)[x\n]"]
        );
        assert_eq!(
            kinds("- a\n\n- b\n\n  more\n\n\n* c\n"),
            ["-[a\n]-[b\n\n  more\n]", "*[c\n]"]
        );
        assert_eq!(kinds("10. a\n-\n- b"), ["10.[a\n]", "-[]-[b]"]);
        assert_eq!(kinds("- - a\n  - b\n"), ["-[- a\n  - b\n]"]);
    }

    #[test]
    fn a_line_of_bold_is_a_heading_on_demand() {
        assert_eq!(
            kinds("**[KNOW-1] Hits**\n\n- a\n"),
            ["h4 [KNOW-1] Hits", "-[a\n]"]
        );
        for text in ["**a** b\n", "**a**\n**b**\n", "b **a**\n", "***a** b*\n"] {
            assert_eq!(kinds(text), [format!("other {text}")]);
        }
        assert_eq!(scan("**a**\n", None).blocks[0].kind, Kind::Other);
    }

    #[test]
    fn code_and_quotes_are_no_text() {
        let text =
            "a\n\n    code\n\n> q\n> ```\n> c\n> ```\n\n- b\n  ```\n  c\n  ```\n\n<p>\nd\n</p>\n";
        let scan = scan(text, None);
        let mut start = 0;
        let seen: Vec<(&str, bool, bool)> = text
            .split_inclusive('\n')
            .map(|line| {
                let range = start..start + line.len();
                start = range.end;
                (
                    line.trim(),
                    scan.is_text(&range, false),
                    scan.is_text(&range, true),
                )
            })
            .filter(|(line, ..)| ["a", "code", "> q", "> c", "- b", "c", "d"].contains(line))
            .collect();
        assert_eq!(
            seen,
            [
                ("a", true, true),
                ("code", false, false),
                ("> q", false, true),
                ("> c", false, false),
                ("- b", true, true),
                ("c", false, false),
                ("d", false, false)
            ]
        );
    }
}
