//! The columns that a plan names, looked up in an item: a header's name, or a path.

use std::borrow::Cow;

use contract::plan::SourceFormat;
use serde_json::{Map, Value};

use crate::item::{Body, Found};

/// An item, or one element of a list in it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) body: &'a Body,
    pub(crate) each: Option<Element<'a>>,
}

/// The element in hand.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) value: &'a Value,
    /// 1-based.
    pub(crate) index: usize,
}

/// A column of the source, by any of its names.
#[derive(Debug)]
pub(crate) struct Column {
    names: Vec<Name>,
}

#[derive(Debug)]
struct Name {
    text: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Cell,
    Path(Vec<Step>),
    Element(Vec<Step>),
    ElementIndex,
}

#[derive(Debug, PartialEq)]
enum Step {
    /// A member.
    Name(String),
    /// An element, 0-based.
    Index(usize),
    /// The one element whose member has this text.
    Having(String, String),
    /// All elements: the rest of the path gives a list.
    All,
}

impl Column {
    /// Prepares the names of a column. With `each`, `each…` names the element in hand.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a path.
    pub(crate) fn new(names: &[String], format: SourceFormat, each: bool) -> Result<Self, String> {
        let place = |text: &String| -> Result<Place, String> {
            let path = match format {
                SourceFormat::Csv if !(each && text.starts_with("each")) => return Ok(Place::Cell),
                _ => steps(text)?,
            };
            Ok(match path.first() {
                Some(Step::Name(first)) if each && first == "each_index" => Place::ElementIndex,
                Some(Step::Name(first)) if each && first == "each" => {
                    Place::Element(path.into_iter().skip(1).collect())
                }
                _ if format == SourceFormat::Csv => Place::Cell,
                _ => Place::Path(path),
            })
        };
        let names = names
            .iter()
            .map(|text| {
                Ok(Name {
                    text: text.clone(),
                    place: place(text)?,
                })
            })
            .collect::<Result<Vec<_>, String>>()?;
        Ok(Self { names })
    }

    /// Looks the column up: the first of its names that the item has.
    ///
    /// # Errors
    ///
    /// Several elements where the path wants one.
    pub(crate) fn find<'a>(&self, view: View<'a>) -> Result<Found<'a>, String> {
        for name in &self.names {
            let found = match (&name.place, view.body, view.each) {
                (Place::Cell, Body::Row(header, cells), _) => header
                    .position(&name.text)
                    .map(|place| Found::Text(&cells[place])),
                (Place::Path(path), Body::Tree(members), _) => {
                    walk_members(members, path)?.map(Found::Value)
                }
                (Place::ElementIndex, _, Some(element)) => {
                    Some(Found::Value(Cow::Owned(Value::from(element.index))))
                }
                (Place::Element(path), _, Some(element)) => {
                    walk(element.value, path)?.map(|found| match (view.body, found) {
                        (Body::Row(..), Cow::Borrowed(Value::String(text))) => Found::Text(text),
                        (_, found) => Found::Value(found),
                    })
                }
                _ => None,
            };
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Ok(Found::Absent)
    }

    /// Tells whether rows with these columns have it.
    pub(crate) fn is_in(&self, header: &crate::item::Header) -> bool {
        self.names.iter().any(|name| match name.place {
            Place::Cell => header.position(&name.text).is_some(),
            _ => true,
        })
    }

    /// Tells whether it is the element in hand, or a part of it.
    pub(crate) fn is_element(&self) -> bool {
        self.names
            .iter()
            .any(|name| matches!(name.place, Place::Element(_) | Place::ElementIndex))
    }

    /// Iterates over its names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| name.text.as_str())
    }

    /// Names it, for messages.
    pub(crate) fn shown(&self) -> String {
        let names: Vec<_> = self.names().map(|name| format!("`{name}`")).collect();
        names.join(" or ")
    }
}

fn walk_members<'a>(
    members: &'a Map<String, Value>,
    path: &[Step],
) -> Result<Option<Cow<'a, Value>>, String> {
    match path.split_first() {
        Some((Step::Name(name), rest)) => match members.get(name) {
            Some(value) => walk(value, rest),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn walk<'a>(value: &'a Value, path: &[Step]) -> Result<Option<Cow<'a, Value>>, String> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(Some(Cow::Borrowed(value)));
    };
    match (step, value) {
        (_, Value::Object(members)) => walk_members(members, path),
        (Step::Index(index), Value::Array(items)) => {
            items.get(*index).map_or(Ok(None), |item| walk(item, rest))
        }
        (Step::Having(key, text), Value::Array(items)) => {
            let mut fitting = items.iter().filter(|item| match item.get(key) {
                Some(Value::String(found)) => found == text,
                Some(Value::Number(found)) => found.to_string() == *text,
                _ => false,
            });
            match (fitting.next(), fitting.next()) {
                (None, _) => Ok(None),
                (Some(item), None) => walk(item, rest),
                (Some(_), Some(_)) => Err(format!("several elements have `{key}` = \"{text}\"")),
            }
        }
        (Step::All, Value::Array(items)) => {
            let mut all = Vec::new();
            for item in items {
                if let Some(found) = walk(item, rest)? {
                    all.push(found.into_owned());
                }
            }
            Ok(Some(Cow::Owned(Value::Array(all))))
        }
        _ => Ok(None),
    }
}

/// Reads a dotted path of members only, such as the plan's `items`.
///
/// # Errors
///
/// Says what is wrong with it.
pub(crate) fn members_only(path: &str) -> Result<Vec<String>, String> {
    let names = steps(path)?.into_iter().map(|step| match step {
        Step::Name(name) => Ok(name),
        _ => Err(format!("`{path}` may hold names and dots only")),
    });
    names.collect()
}

/// Reads a path: `a.b`, `a[0]`, `a[*].b`, `a[Key=value].b`, `"a.b".c`.
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let wrong = |what: &str| format!("the path `{path}` {what}");
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let (inner, after) = quoted
                .split_once('"')
                .ok_or_else(|| wrong("has a quote that never closes"))?;
            (name, rest) = (inner, after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            (name, rest) = rest.split_at(end);
        }
        if name.is_empty() {
            return Err(wrong("has an empty name"));
        }
        steps.push(Step::Name(name.to_owned()));
        while let Some(inner) = rest.strip_prefix('[') {
            let (inner, after) = inner
                .split_once(']')
                .ok_or_else(|| wrong("has a `[` without `]`"))?;
            steps.push(match (inner, inner.split_once('=')) {
                ("*", _) => Step::All,
                (_, Some((key, text))) => Step::Having(
                    key.trim().to_owned(),
                    text.trim().trim_matches('"').to_owned(),
                ),
                _ => Step::Index(inner.parse().map_err(|_| {
                    wrong(&format!(
                        "has `[{inner}]`: expected a number, `*` or `Key=value`"
                    ))
                })?),
            });
            rest = after;
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(steps),
            None => return Err(wrong("lacks a dot after a quote or bracket")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Header;
    use serde_json::json;
    use std::sync::Arc;

    fn in_tree(names: &[&str], value: Value) -> Result<Option<Value>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let column = Column::new(&names, SourceFormat::Json, false)?;
        let Value::Object(members) = value else {
            panic!()
        };
        let body = Body::Tree(members);
        Ok(
            match column.find(View {
                body: &body,
                each: None,
            })? {
                Found::Value(value) => Some(value.into_owned()),
                _ => None,
            },
        )
    }

    #[test]
    fn paths_lead_into_nested_values() {
        let contact = json!({"Id": 1, "Level": {"Name": "A"}, "a.b": {"c": 2}, "FieldValues": [
            {"SystemCode": "MemberSince", "Value": "2020"},
            {"SystemCode": "Groups", "Value": [{"Id": 1, "Label": "x"}, {"Id": 2, "Label": "y"}]},
        ]});
        for (path, expected) in [
            ("Level.Name", Some(json!("A"))),
            ("\"a.b\".c", Some(json!(2))),
            (
                "FieldValues[SystemCode=MemberSince].Value",
                Some(json!("2020")),
            ),
            (
                "FieldValues[SystemCode=Groups].Value[*].Label",
                Some(json!(["x", "y"])),
            ),
            ("FieldValues[1].Value[0].Id", Some(json!(1))),
            ("FieldValues[SystemCode=Email].Value", None),
            ("Level[0]", None),
            ("Id.x", None),
        ] {
            assert_eq!(in_tree(&[path], contact.clone()), Ok(expected), "{path}");
        }
        assert_eq!(in_tree(&["No", "Id"], contact), Ok(Some(json!(1))));
    }

    #[test]
    fn several_elements_where_one_is_wanted_are_an_error() {
        let twice = json!({"F": [{"K": "a", "V": 1}, {"K": "a", "V": 2}]});
        assert!(
            in_tree(&["F[K=a].V"], twice)
                .unwrap_err()
                .contains("several elements")
        );
    }

    #[test]
    fn paths_that_make_no_sense_are_refused() {
        for path in ["", "a.", "a[", "a[x]", "\"a", "a[0]b", ".a"] {
            assert!(steps(path).is_err(), "{path}");
        }
    }

    #[test]
    fn rows_have_cells_by_name_whatever_it_holds() {
        let header = Arc::new(Header::new(["a.b[0]".to_owned(), "each".to_owned()]));
        let body = Body::Row(header, vec!["1".into(), "2".into()]);
        let find =
            |name: &str, each| Column::new(&[name.to_owned()], SourceFormat::Csv, each).unwrap();
        let element = Value::from("x");
        let view = View {
            body: &body,
            each: Some(Element {
                value: &element,
                index: 3,
            }),
        };
        assert_eq!(find("a.b[0]", true).find(view), Ok(Found::Text("1")));
        assert_eq!(find("each", true).find(view), Ok(Found::Text("x")));
        assert_eq!(
            find("each_index", true).find(view),
            Ok(Found::Value(Cow::Owned(3.into())))
        );
        assert_eq!(find("each", false).find(view), Ok(Found::Text("2")));
    }
}
