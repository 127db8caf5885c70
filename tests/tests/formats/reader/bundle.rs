//! Bundles (rules F9 to F12).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{hex, json, lines, sha256, stream};

/// A bundle, every byte of which was checked.
pub struct Bundle {
    pub id: String,
    pub plan: String,
    /// Record lines in the order of application.
    pub records: Vec<Value>,
}

/// Reads a bundle.
pub fn read(folder: &Path) -> Bundle {
    let files = files(folder, "");
    let bytes = |name: &str| {
        files
            .get(name)
            .unwrap_or_else(|| panic!("{name} is missing"))
    };
    let id = hex(&sha256(bytes("manifest.json")));
    let manifest = json(bytes("manifest.json"));
    let mut sums: BTreeMap<String, String> = BTreeMap::new();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    sums.insert("manifest.json".into(), id.clone());
    sums.insert("plan.toml".into(), text(&manifest["plan"]["sha256"]));
    let listed = manifest["records"].as_array().expect("records");
    for file in listed.iter().chain([&manifest["rejects"]]) {
        sums.insert(text(&file["file"]), text(&file["sha256"]));
        assert_eq!(file["bytes"], bytes(&text(&file["file"])).len());
    }
    if manifest["sources_kept"] == true {
        let none = Vec::new();
        let left_out = manifest["sources_left_out"].as_array().unwrap_or(&none);
        for source in manifest["sources"].as_array().expect("sources") {
            if left_out.contains(&source["file"]) {
                continue;
            }
            let name = format!("sources/{}", text(&source["file"]));
            assert_eq!(source["bytes"], bytes(&name).len());
            sums.insert(name, text(&source["sha256"]));
        }
    }
    let mut said = String::new();
    for (name, sum) in &sums {
        assert_eq!(hex(&sha256(bytes(name))), *sum, "{name}");
        writeln!(said, "{sum}  {name}").unwrap();
    }
    assert_eq!(*bytes("SHA256SUMS"), said.into_bytes());
    assert_eq!(files.len(), sums.len() + 1, "files that nothing names");
    let mut records = Vec::new();
    for file in listed {
        records.extend(segments(file, bytes(&text(&file["file"]))));
    }
    let seal = serde_json::json!({
        "rules": manifest["rules"], "accounts": manifest["accounts"], "records": records.len(),
    });
    stream::check(&seal);
    assert_eq!(manifest.get("edited").is_some(), manifest["format"] != 1);
    Bundle {
        id,
        plan: String::from_utf8(bytes("plan.toml").clone()).expect("UTF-8"),
        records,
    }
}

/// The pieces of a records file (rule F11).
fn segments(file: &Value, bytes: &[u8]) -> Vec<Value> {
    let (mut rest, mut records) = (bytes, Vec::new());
    let figure = |value: &Value| usize::try_from(value.as_u64().expect("a figure")).unwrap();
    for segment in file["segments"].as_array().expect("segments") {
        let (piece, behind) = rest.split_at(figure(&segment["bytes"]));
        assert_eq!(segment["sha256"], hex(&sha256(piece)));
        let found = lines(piece);
        assert_eq!(figure(&segment["records"]), found.len());
        records.extend(found.into_iter().map(json));
        rest = behind;
    }
    assert!(rest.is_empty());
    assert_eq!(figure(&file["records"]), records.len());
    for record in &records {
        assert_eq!(record["entity"], file["entity"]);
        assert_eq!(record["op"] == "delete", file["op"] == "delete");
    }
    records
}

fn files(folder: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path(), &format!("{name}/")));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}
