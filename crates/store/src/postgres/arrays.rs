//! Arrays: PostgreSQL's text of one, and the JSON list that stands for it in a cell.

use serde_json::Value;

/// Makes the JSON list of an array's text: its elements as the server writes them. `None` of an
/// array whose bounds are not the usual ones, and of what is no array.
pub(super) fn to_list(text: &str) -> Option<Value> {
    let mut rest = text;
    let list = list(&mut rest)?;
    rest.is_empty().then_some(list)
}

fn list(rest: &mut &str) -> Option<Value> {
    *rest = rest.strip_prefix('{')?;
    let mut items = Vec::new();
    if let Some(after) = rest.strip_prefix('}') {
        *rest = after;
        return Some(Value::Array(items));
    }
    loop {
        items.push(match rest.chars().next()? {
            '{' => list(rest)?,
            '"' => quoted(rest)?,
            _ => bare(rest)?,
        });
        let next = rest.chars().next()?;
        *rest = &rest[1..];
        match next {
            ',' => {}
            '}' => return Some(Value::Array(items)),
            _ => return None,
        }
    }
}

fn quoted(rest: &mut &str) -> Option<Value> {
    let mut text = String::new();
    let mut chars = rest[1..].char_indices();
    loop {
        match chars.next()? {
            (_, '\\') => text.push(chars.next()?.1),
            (at, '"') => {
                *rest = &rest[at + 2..];
                return Some(Value::String(text));
            }
            (_, c) => text.push(c),
        }
    }
}

fn bare(rest: &mut &str) -> Option<Value> {
    let end = rest.find([',', '}'])?;
    let (text, after) = rest.split_at(end);
    *rest = after;
    Some(if text == "NULL" {
        Value::Null
    } else {
        text.into()
    })
}

/// Makes an array's text of a JSON list.
pub(super) fn from_list(items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(element).collect();
    format!("{{{}}}", items.join(","))
}

fn element(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Array(items) => from_list(items),
        Value::String(text) => {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
        other => element(&Value::String(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_lists_stand_for_each_other() {
        for (array, list) in [
            ("{}", "[]"),
            (
                "{a,\"b c\",NULL,\"NULL\",\"\"}",
                r#"["a","b c",null,"NULL",""]"#,
            ),
            ("{\"q\\\"\\\\\",ü}", r#"["q\"\\","ü"]"#),
            ("{{1,2},{3,4}}", r#"[["1","2"],["3","4"]]"#),
        ] {
            let value = to_list(array).unwrap();
            assert_eq!(value.to_string(), list);
            let back = from_list(value.as_array().unwrap());
            assert_eq!(to_list(&back), Some(value), "{back}");
        }
        for other in ["[0:1]={1,2}", "{a", "a", "{a}b", "{\"a}", ""] {
            assert_eq!(to_list(other), None, "{other}");
        }
    }
}
