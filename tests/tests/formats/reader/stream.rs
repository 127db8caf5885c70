//! Streams: record and reject lines, ended by a seal (rules F1, F2 and F6 to F8).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{json, lines, sha256};

/// A stream, read to its seal.
pub struct Stream {
    pub records: Vec<Value>,
    pub rejects: Vec<Value>,
    pub seal: Value,
}

/// Reads a stream and checks it against its seal. `kept` says whether the lines before the seal are the
/// stage's records; a file of rejects holds what the stage rejected instead.
pub fn read(text: &[u8], kept: bool) -> Stream {
    let (mut records, mut rejects, mut seal, mut sum) = (Vec::new(), Vec::new(), None, 0u128);
    for line in lines(text) {
        assert!(seal.is_none(), "a line behind the seal");
        let value = json(line);
        let first = value.as_object().and_then(|object| object.keys().next());
        match first.map(String::as_str) {
            Some("end") => seal = Some(value["end"].clone()),
            Some("reject") => rejects.push(value["reject"].clone()),
            _ => {
                let mut hash = [0; 16];
                hash.copy_from_slice(&sha256(line)[..16]);
                sum = sum.wrapping_add(u128::from_be_bytes(hash));
                records.push(value);
            }
        }
    }
    let seal = seal.expect("a seal");
    check(&seal);
    if kept {
        count(&seal, &records);
        match seal["rules"].as_u64() {
            Some(1) => assert!(seal.get("lines").is_none()),
            _ => assert_eq!(seal["lines"], format!("{sum:032x}"), "rule F8"),
        }
    }
    Stream {
        records,
        rejects,
        seal,
    }
}

/// The accounts add up (rule F7).
pub fn check(seal: &Value) {
    let version_1 = seal["rules"] == 1;
    let mut records = 0;
    for account in seal["accounts"].as_array().expect("accounts") {
        let figure = |name: &str| account[name].as_u64().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(
            figure("items"),
            figure("used") + figure("ignored") + figure("rejected")
        );
        assert_eq!(account.get("dropped").is_some(), version_1);
        let dropped = if version_1 { figure("dropped") } else { 0 };
        assert_eq!(
            figure("used") + figure("extra"),
            figure("merged") + figure("records") + figure("refused") + figure("filtered") + dropped
        );
        records += figure("records");
    }
    assert_eq!(seal["records"], records);
}

fn count(seal: &Value, records: &[Value]) {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for record in records {
        let text = |value: &'_ Value| value.as_str().expect("a text").to_owned();
        let (entity, file) = (text(&record["entity"]), text(&record["at"]["file"]));
        let account = seal["accounts"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|account| {
                account["entity"] == entity.as_str() && account["file"] == file.as_str()
            });
        let account = account.expect("an account of the record");
        let name = |key: &str| account[key].as_str().expect("a text");
        *counts.entry((name("entity"), name("file"))).or_default() += 1;
    }
    for account in seal["accounts"].as_array().into_iter().flatten() {
        let name = |key: &str| account[key].as_str().expect("a text");
        let found = counts.get(&(name("entity"), name("file"))).copied();
        assert_eq!(account["records"], found.unwrap_or(0));
    }
}
