//! Record lines and their digests (rules F3 and F4).

use serde_json::Value;

use super::sha256;

/// Returns the digest of a record: what the ledger keeps of it (rule F4).
pub fn digest(record: &Value) -> [u8; 16] {
    let mut columns: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    let mut parts = |part: &str, content: &dyn Fn(&Value) -> Vec<Vec<u8>>| {
        for (column, value) in record[part].as_object().into_iter().flatten() {
            columns.push((column.clone(), content(value)));
        }
    };
    parts("fields", &|value| vec![format!("v{value}").into_bytes()]);
    let text = |value: &Value| value.as_str().expect("a text").as_bytes().to_vec();
    parts("refs", &|to| {
        vec![b"r".to_vec(), text(&to["entity"]), text(&to["key"])]
    });
    parts("lookups", &|code| vec![b"l".to_vec(), text(code)]);
    columns.sort();
    let operation = match record["op"].as_str() {
        None | Some("put") => 0,
        Some("delete") => 1,
        Some("remap") => 2,
        Some(other) => panic!("no operation of these versions: {other}"),
    };
    let mut bytes = vec![operation];
    let mut sized = |part: &[u8]| {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    };
    for (column, content) in &columns {
        sized(column.as_bytes());
        for part in content {
            sized(part);
        }
    }
    short(&bytes)
}

/// Returns the digest that a record with late references has until they are written (rule F5).
pub fn late_digest(record: &Value) -> [u8; 16] {
    short(&[b"late".as_slice(), &digest(record)].concat())
}

fn short(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&sha256(bytes)[..16]);
    short
}
