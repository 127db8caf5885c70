//! YAML front matter.

use std::fmt;
use std::io::BufRead;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Spanned, UserMessageFormatter};

use super::text::Text;
use crate::SourceError;

/// Front matter is not looked for beyond this.
const LIMIT: usize = 1 << 20;

/// Reads the front matter at the start of `text`: its values, and the bytes it covers. Numbers and
/// dates keep their digits as written. A first line `---` with a blank line after it is a rule.
pub fn read<R: BufRead>(text: &mut Text<R>) -> Result<Option<(Value, usize)>, SourceError> {
    let mut goal = 4096;
    loop {
        text.fill(goal)?;
        let held = text.held();
        let mut lines = held.split_inclusive('\n');
        if lines.next().is_none_or(|line| line.trim_end() != "---")
            || lines.clone().next().is_none_or(is_blank)
        {
            return Ok(None);
        }
        let start = held.len() - lines.clone().map(str::len).sum::<usize>();
        let mut end = start;
        for line in lines {
            let whole = line.ends_with('\n') || text.ended();
            if whole && ["---", "..."].contains(&line.trim_end()) {
                let value = values(&held[start..end])
                    .map_err(|(line, message)| text.damaged(line, message))?;
                return Ok(Some((value, end + line.len())));
            }
            end += line.len();
        }
        if text.ended() || goal > LIMIT {
            return Ok(None);
        }
        goal *= 4;
    }
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// The values of the YAML text below the first line of a file, or the 1-based line of the file
/// where something is wrong, and what.
fn values(yaml: &str) -> Result<Value, (u64, String)> {
    // The empty line stands for `---`, so that the lines in messages are those of the file.
    let yaml = format!("\n{}", yaml.replace("\r\n", "\n"));
    let options = serde_saphyr::options! { with_snippet: false };
    let node: Spanned<Node> =
        serde_saphyr::from_str_with_options(&yaml, options).map_err(|err| {
            let line = err.location().map_or(2, |at| at.line().max(2));
            let said = err.render_with_formatter(&UserMessageFormatter);
            (line, format!("the front matter is not YAML: {said}"))
        })?;
    match written(node, &yaml) {
        Value::Object(map) => Ok(Value::Object(map)),
        Value::Null => Ok(Value::Object(Map::new())),
        _ => Err((2, NO_NAMES.into())),
    }
}

const NO_NAMES: &str = "the front matter has no names, expected lines `name: value`; \
                        a rule at the top of a file needs a blank line after it";

/// A YAML node that still knows where its scalars are.
enum Node {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

/// The JSON value of a node, numbers as they are written.
fn written(node: Spanned<Node>, yaml: &str) -> Value {
    let span = node.defined.span();
    match node.value {
        Node::Null => Value::Null,
        Node::Bool(value) => Value::Bool(value),
        Node::Text(text) => Value::String(text),
        Node::List(nodes) => nodes.into_iter().map(|node| written(node, yaml)).collect(),
        Node::Map(pairs) => Value::Object(
            pairs
                .into_iter()
                .map(|(name, node)| (name, written(node, yaml)))
                .collect(),
        ),
        Node::Number => {
            let at = |place: Option<u64>| {
                place
                    .and_then(|place| usize::try_from(place).ok())
                    .unwrap_or_default()
            };
            let start = at(span.byte_offset());
            let digits = yaml
                .get(start..start + at(span.byte_len()))
                .unwrap_or_default()
                .trim();
            // `007` and `0x1F` are numbers in YAML only: their text says more than their value.
            digits
                .parse::<Number>()
                .map_or_else(|_| Value::String(digits.to_owned()), Value::Number)
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyNode;
        impl<'de> Visitor<'de> for AnyNode {
            type Value = Node;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a YAML value")
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Bool(value))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Number)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Number)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
                Ok(Node::Number)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
                Ok(Node::Number)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Number)
            }
            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = list.next_element()? {
                    nodes.push(node);
                }
                Ok(Node::List(nodes))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Node::Map(pairs))
            }
        }
        deserializer.deserialize_any(AnyNode)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn front(source: &str) -> Result<Option<(Value, usize)>, String> {
        read(&mut Text::new("a.md", source.as_bytes())).map_err(|err| err.to_string())
    }

    #[test]
    fn values_keep_their_digits() {
        let source = "---\r\nid: ADR-006 # the sixth\r\ndecision-date: 2026-01-25\r\nprice: 1.10\r\ncode: 007\r\nbig: 123456789012345678901234567890\r\nok: true\r\nnone:\r\ntags: [a, \"1\", 2.50]\r\nnested:\r\n  - name: x\r\n---\r\n# Title\r\n";
        let (value, bytes) = front(source).unwrap().unwrap();
        let text = serde_json::to_string(&value).unwrap();
        assert_eq!(
            text,
            r#"{"id":"ADR-006","decision-date":"2026-01-25","price":1.10,"code":"007","big":123456789012345678901234567890,"ok":true,"none":null,"tags":["a","1",2.50],"nested":[{"name":"x"}]}"#
        );
        assert_eq!(&source[bytes..], "# Title\r\n");
    }

    #[test]
    fn digits_are_found_behind_other_letters() {
        assert_eq!(
            front("---\nä→: 1.50\n# ö\nx: -2.0\n---\n")
                .unwrap()
                .unwrap()
                .0
                .to_string(),
            r#"{"ä→":1.50,"x":-2.0}"#
        );
    }

    #[test]
    fn what_is_no_front_matter_is_left_alone() {
        for source in [
            "",
            "# A\n",
            "---\n\nText\n\n---\n",
            "---\na: 1\n",
            "----\na: 1\n---\n",
            "---",
            "text\n---\na: 1\n---\n",
        ] {
            assert_eq!(front(source).unwrap(), None, "{source}");
        }
    }

    #[test]
    fn empty_front_matter_is_an_empty_object() {
        assert_eq!(front("---\n---\nx").unwrap(), Some((json!({}), 8)));
        assert_eq!(
            front("---\n# only a comment\n...\nx").unwrap().unwrap().0,
            json!({})
        );
    }

    #[test]
    fn bad_yaml_is_named_with_its_line() {
        let said = front("---\na: 1\nb: [1, 2\nc: 3\n---\n").unwrap_err();
        assert!(
            said.starts_with("a.md:4: the front matter is not YAML: ") && said.contains("line 4"),
            "{said}"
        );
        let said = front("---\na: 1\na: 2\n---\n").unwrap_err();
        assert!(
            said.starts_with("a.md:3: the front matter is not YAML: ")
                && said.contains("duplicate"),
            "{said}"
        );
        assert!(!said.contains("Options"), "{said}");
        let said = front("---\njust text\n---\n").unwrap_err();
        assert!(
            said.starts_with("a.md:2: the front matter has no names"),
            "{said}"
        );
    }

    #[test]
    fn long_front_matter_is_read_whole() {
        let source = format!("---\n{}---\n", "# comment\n".repeat(5_000));
        let mut text = Text::new(
            "a.md",
            std::io::BufReader::with_capacity(100, source.as_bytes()),
        );
        assert_eq!(read(&mut text).unwrap().unwrap().1, source.len());
    }
}
