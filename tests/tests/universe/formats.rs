//! CSV, JSON and Markdown.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// An item: names and texts.
pub type Item = Vec<(String, String)>;

/// Writes lines of CSV; a cell is quoted where it must be.
pub fn csv(delimiter: char, lines: impl Iterator<Item = Vec<String>>) -> String {
    let cell = |text: &String| {
        if text.contains([delimiter, '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.clone()
        }
    };
    lines.fold(String::new(), |text, line| {
        let cells: Vec<String> = line.iter().map(cell).collect();
        text + &cells.join(&delimiter.to_string()) + "\r\n"
    })
}

/// Windows-1252, as far as the samples go.
pub fn western_bytes(text: &str) -> Vec<u8> {
    let byte = |letter: char| match letter {
        '€' => 0x80,
        letter => u8::try_from(u32::from(letter)).unwrap(),
    };
    text.chars().map(byte).collect()
}

/// Writes JSON: an array, bare or wrapped, or an object a line.
pub fn json_text(
    items: &[Item],
    is_json: impl Fn(&str) -> bool,
    wrapped: bool,
    lines: bool,
) -> String {
    let object = |item: &Item| {
        let members = item.iter().map(|(name, text)| {
            if is_json(name) && !text.is_empty() {
                return (name.clone(), serde_json::from_str(text).unwrap());
            }
            // Numbers as numbers, where that says the same.
            let number = text
                .parse::<i64>()
                .ok()
                .filter(|number| number.to_string() == *text && name != "key");
            (
                name.clone(),
                number.map_or_else(|| json!(text), |number| json!(number)),
            )
        });
        Value::Object(members.collect::<Map<_, _>>())
    };
    let objects: Vec<Value> = items.iter().map(object).collect();
    match (wrapped, lines) {
        (true, _) => json!({"data": {"items": objects, "other": [1]}}).to_string(),
        (_, true) => objects
            .iter()
            .fold(String::new(), |text, object| format!("{text}{object}\n")),
        _ => Value::Array(objects).to_string(),
    }
}

/// Writes sections, each with its lines `Name: text`.
pub fn markdown(items: &[Item]) -> String {
    let mut text = "# All of them\n\nNot one of them.\n".to_owned();
    for item in items {
        write!(text, "\n## {}\n\n", item[0].1).unwrap();
        for (name, value) in item[1..].iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(text, "{name}: {value}").unwrap();
        }
        text.push_str("\nMore of it.\n");
    }
    text
}
