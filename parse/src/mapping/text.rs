//! Changes to a text, and texts with placeholders.

use contract::Digest;
use contract::plan::{SourceFormat, Transform};
use serde_json::Value;

use super::column::{Column, View};
use crate::item::Found;
use crate::json::kind_of;

/// Applies the transforms of a field, in order.
pub(super) fn transform(text: String, steps: &[Transform]) -> String {
    steps.iter().fold(text, |text, step| match step {
        Transform::Trim => text.trim().to_owned(),
        Transform::Lower => text.to_lowercase(),
        Transform::Upper => text.to_uppercase(),
        Transform::Collapse => collapse(&text),
        Transform::Phone => phone(&text),
        Transform::Slug => slug(&text),
        Transform::Lines => text.replace("\r\n", "\n").replace('\r', "\n"),
        Transform::Sha256 => Digest::of(text.as_bytes()).to_string(),
    })
}

fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_whitespace() {
            true if out.ends_with(' ') => {}
            true => out.push(' '),
            false => out.push(c),
        }
    }
    out
}

fn phone(text: &str) -> String {
    let plus = if text.trim_start().starts_with('+') {
        "+"
    } else {
        ""
    };
    let digits = text.chars().filter(char::is_ascii_digit);
    plus.chars().chain(digits).collect()
}

fn slug(text: &str) -> String {
    let words = text.to_lowercase();
    let words = words.split_whitespace().collect::<Vec<_>>().join("-");
    words
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
        .collect()
}

/// Splits a list that is text: elements trimmed, empty ones dropped, repeated ones folded into the
/// first.
pub(super) fn split(text: &str, separators: &[String]) -> Vec<String> {
    let mut parts = vec![text];
    for separator in separators.iter().filter(|separator| !separator.is_empty()) {
        parts = parts
            .into_iter()
            .flat_map(|part| part.split(separator.as_str()))
            .collect();
    }
    let mut elements: Vec<String> = Vec::new();
    for part in parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        if !elements.iter().any(|element| element == part) {
            elements.push(part.to_owned());
        }
    }
    elements
}

/// Returns the text of a value that has one: a text, a number's digits, true or false.
///
/// # Errors
///
/// Names what stands there instead.
pub(super) fn plain(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => Err(format!("is {} where a text is expected", kind_of(other))),
    }
}

/// A text with placeholders.
#[derive(Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
    /// Escape what separates the parts of a composite key.
    key: bool,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Column(Column),
}

impl Template {
    /// Prepares a text. `key` says that it is the key of a record whose key is composite, so that
    /// each placeholder is one part of it.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a brace or a column.
    pub(super) fn new(
        text: &str,
        format: SourceFormat,
        each: bool,
        key: bool,
    ) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(place);
            plain.push_str(before);
            if after.starts_with("{{") || after.starts_with("}}") {
                plain.push_str(&after[..1]);
                rest = &after[2..];
                continue;
            }
            let column = after
                .strip_prefix('{')
                .and_then(|after| after.split_once('}'));
            let Some((name, after)) = column else {
                return Err(format!(
                    "a lone brace in the text {text:?}: write `{{{{` or `}}}}` for a brace"
                ));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Column(Column::new(&[name.to_owned()], format, each)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts, key })
    }

    /// Returns the names of the columns in a text, as far as it can be read.
    pub(super) fn names(text: &str) -> Vec<String> {
        Self::new(text, SourceFormat::Csv, false, false)
            .map(|template| {
                template
                    .columns()
                    .flat_map(Column::names)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Iterates over the columns that it names.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.parts.iter().filter_map(|part| match part {
            Part::Column(column) => Some(column),
            Part::Text(_) => None,
        })
    }

    /// Fills it in. An empty or null column stands for nothing.
    ///
    /// # Errors
    ///
    /// A column that the item lacks, or that has no plain text.
    pub(super) fn fill(&self, view: View) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Column(column) => match column.find(view)? {
                    Found::Absent => return Err(format!("the source has no {}", column.shown())),
                    Found::Text(text) => text.to_owned(),
                    Found::Value(value) if value.is_null() => String::new(),
                    Found::Value(value) => {
                        plain(&value).map_err(|error| format!("{} {error}", column.shown()))?
                    }
                },
            };
            if self.key {
                out.push_str(&text.trim().replace('\\', "\\\\").replace('|', "\\|"));
            } else {
                out.push_str(&text);
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Body;
    use serde_json::json;

    #[test]
    fn transforms() {
        for (step, text, expected) in [
            (Transform::Trim, " a b\t", "a b"),
            (Transform::Lower, "ÄB", "äb"),
            (Transform::Upper, "straße", "STRASSE"),
            (Transform::Collapse, "a \n\t b", "a b"),
            (Transform::Phone, " +1 (805) 555-01", "+180555501"),
            (Transform::Phone, "805+1", "8051"),
            (
                Transform::Slug,
                " Getting  Started: Ünit 1 ",
                "getting-started-nit-1",
            ),
            (Transform::Lines, "a\r\nb\rc\n", "a\nb\nc\n"),
        ] {
            assert_eq!(transform(text.into(), &[step]), expected, "{step:?}");
        }
        assert!(transform("a".into(), &[Transform::Sha256]).starts_with("ca978112ca1b"));
    }

    #[test]
    fn a_list_that_is_text_has_each_element_once() {
        let separators = [";".to_owned(), ",".to_owned()];
        assert_eq!(split("A; B,, A ;C ", &separators), ["A", "B", "C"]);
    }

    fn fill(text: &str, key: bool) -> Result<String, String> {
        let Value::Object(members) = json!({"a": "x|y", "b": {"c": 12.50}, "n": null, "l": []})
        else {
            panic!()
        };
        let body = Body::Tree(members);
        Template::new(text, SourceFormat::Json, false, key)?.fill(View {
            body: &body,
            each: None,
        })
    }

    #[test]
    fn placeholders_stand_for_columns_and_double_braces_for_braces() {
        assert_eq!(fill("{{{a}}} {b.c}{n}!", false).unwrap(), "{x|y} 12.5!");
        assert_eq!(fill("{a}|{b.c}", true).unwrap(), "x\\|y|12.5");
        assert_eq!(fill("{z}", false).unwrap_err(), "the source has no `z`");
        assert!(fill("{l}", false).unwrap_err().contains("a list"));
        assert!(fill("{a", false).unwrap_err().contains("lone brace"));
        assert!(fill("a}", false).unwrap_err().contains("lone brace"));
    }
}
