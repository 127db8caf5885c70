//! The plan as TOML.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Writes a plan.
pub fn written(plan: &Map<String, Value>) -> String {
    let mut text = String::new();
    let is_table = |value: &Value| match value {
        Value::Object(_) => true,
        Value::Array(items) => items.first().is_some_and(Value::is_object),
        _ => false,
    };
    for (key, value) in plan.iter().filter(|(_, value)| !is_table(value)) {
        writeln!(text, "{} = {}", name(key), inline(value)).unwrap();
    }
    for (key, value) in plan.iter().filter(|(_, value)| is_table(value)) {
        tables(&mut text, &name(key), value);
    }
    text
}

/// Writes a table, or a list of them, under headers.
fn tables(text: &mut String, path: &str, value: &Value) {
    match value {
        Value::Array(items) => {
            for item in items {
                writeln!(text, "\n[[{path}]]").unwrap();
                for (key, value) in item.as_object().unwrap() {
                    writeln!(text, "{} = {}", name(key), inline(value)).unwrap();
                }
            }
        }
        // Of `add` and `map` each member is a table, or a list of them.
        Value::Object(members) if path == "add" || path == "map" => {
            for (key, value) in members {
                tables(text, &format!("{path}.{}", name(key)), value);
            }
        }
        Value::Object(members) => {
            writeln!(text, "\n[{path}]").unwrap();
            for (key, value) in members {
                writeln!(text, "{} = {}", name(key), inline(value)).unwrap();
            }
        }
        other => panic!("{other}"),
    }
}

fn name(key: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{} = {}", name(key), inline(value)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(inline).collect::<Vec<_>>().join(", ")
        ),
        // The escapes of JSON are escapes of TOML.
        other => other.to_string(),
    }
}
