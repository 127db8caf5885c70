//! The ledger of a target (rules F13 to F23).

use std::collections::BTreeMap;

use serde_json::Value;

use super::cell::{self, Cell};
use super::tables::{Row, Tables};
use super::{json, record, sha256};

/// How many of each thing were held against the rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    pub changes: usize,
    pub images: usize,
    pub rows: usize,
    pub entries: usize,
    pub derived: usize,
    pub audit: usize,
}

/// Reads a ledger and holds all that it says against the rules; `records` are those of the bundles that were
/// applied, `json` the columns that the plan calls json or list, by table and name; without them rows are not
/// compared with their changes.
pub fn check(tables: &Tables, records: &[Value], json: Option<&[(&str, &str)]>) -> Checked {
    let mut checked = Checked {
        audit: audit(&tables.ledger("audit")),
        ..Checked::default()
    };
    let names: BTreeMap<i64, (String, String)> = tables
        .ledger("names")
        .iter()
        .map(|row| {
            let text = |column: &str| row[column].text().to_owned();
            (row["id"].int(), (text("kind"), text("name")))
        })
        .collect();
    // Runs of version 1 have no format of their own.
    let formats: BTreeMap<i64, i64> = tables
        .ledger("runs")
        .iter()
        .map(|run| (run["seq"].int(), run.get("format").map_or(1, Cell::int)))
        .collect();
    for change in tables.ledger("changes") {
        assert_eq!(change["checksum"].int(), checksum(&change), "rule F15");
        checked.changes += 1;
        checked.images += images(&change);
        if let Some(json) = json {
            let format = formats[&change["run"].int()];
            checked.rows += usize::from(inserted(tables, &names, &change, format, json));
        }
    }
    for entry in tables.ledger("ids") {
        entry_of(&names, &entry, records, &mut checked);
    }
    checked
}

/// The chain of the audit trail (rule F22).
fn audit(entries: &[Row]) -> usize {
    let mut before: Vec<u8> = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        assert_eq!(entry["seq"].int(), i64::try_from(place).unwrap() + 1);
        let columns = ["seq", "at", "action", "run", "operator", "host", "detail"];
        let cells: Vec<Cell> = columns
            .iter()
            .map(|column| entry[*column].clone())
            .collect();
        before.extend(cell::all(&cells));
        let hash = sha256(&before);
        assert_eq!(entry["hash"].blob(), hash, "audit entry {}", place + 1);
        before = hash.to_vec();
    }
    entries.len()
}

/// The key of a row as its cells (rule F15).
fn key(target: &Cell) -> Vec<Cell> {
    match target {
        Cell::Bytes(bytes) => cell::decode(bytes),
        other => vec![other.clone()],
    }
}

/// The checksum of a change (rule F15).
fn checksum(change: &Row) -> i64 {
    let columns = [
        "seq", "batch", "shape", "action", "target", "entity", "source", "before", "after", "hash",
        "earlier", "later", "entry",
    ];
    let cells: Vec<Cell> = columns
        .iter()
        .map(|column| match *column {
            "target" => Cell::Bytes(cell::all(&key(&change["target"]))),
            "later" => Cell::Null,
            column => change[column].clone(),
        })
        .collect();
    Cell::Bytes(cell::all(&cells)).checksum().cast_signed()
}

/// The images of an update or a delete: each column at most once (rule F18). Returns how many cells they hold.
fn images(change: &Row) -> usize {
    if !matches!(change["action"].int(), 2 | 3) {
        return 0;
    }
    let mut cells = 0;
    for column in ["before", "after"] {
        let mut places: Vec<usize> = cell::image(change[column].blob())
            .into_iter()
            .map(|(place, _)| place)
            .collect();
        cells += places.len();
        places.sort_unstable();
        let count = places.len();
        places.dedup();
        assert_eq!(places.len(), count, "a column twice in an image");
    }
    cells
}

/// An insert: the hash of its row, and four bytes of the checksum of each column (rules F19 and F16).
/// Returns whether the row could be held against it: it is there, and nothing changed it since.
fn inserted(
    tables: &Tables,
    names: &BTreeMap<i64, (String, String)>,
    change: &Row,
    format: i64,
    json_columns: &[(&str, &str)],
) -> bool {
    if change["action"].int() != 1 || change["later"] != Cell::Null {
        return false;
    }
    let shape = json(names[&change["shape"].int()].1.as_bytes());
    let [column] = &shape["key"].as_array().expect("a key")[..] else {
        return false;
    };
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let target = &key(&change["target"])[0];
    let Some(row) = tables.row(&text(&shape["table"]), &text(column), target) else {
        return false;
    };
    assert_eq!(change["hash"].blob(), row_hash(&row, format), "rule F19");
    let columns = shape["columns"].as_array().expect("columns");
    let mut sums: Vec<u8> = Vec::new();
    for (cell, column) in row.iter().zip(columns) {
        let is_json = json_columns
            .iter()
            .any(|(table, name)| shape["table"] == *table && column == name);
        let sum = if is_json {
            cell.comparable_json().checksum()
        } else {
            cell.checksum()
        };
        sums.extend(&sum.to_be_bytes()[..4]);
    }
    assert_eq!(change["after"].blob(), sums, "rule F16");
    true
}

/// The hash of a row (rule F19): from version 2 on a wide cell is in it by its own hash.
fn row_hash(row: &[Cell], format: i64) -> Vec<u8> {
    let part = |cell: &Cell| {
        let bytes = cell.bytes();
        if format == 1 || bytes.len() <= 1024 {
            return bytes;
        }
        [&b"h"[..], &sha256(&bytes)].concat()
    };
    sha256(&row.iter().flat_map(part).collect::<Vec<u8>>())[..16].to_vec()
}

/// An entry of the id map: the digest of its record, and its derived id (rules F4, F5 and F23).
fn entry_of(
    names: &BTreeMap<i64, (String, String)>,
    entry: &Row,
    records: &[Value],
    checked: &mut Checked,
) {
    let (kind, name) = &names[&entry["entity"].int()];
    assert_eq!(kind, "entity");
    let (system, entity) = entity_name(name);
    let source = match entry.get("long") {
        Some(long @ Cell::Text(_)) => long.text(),
        _ => entry["source"].text(),
    };
    checked.entries += 1;
    // The row that describes a run is no record.
    if entity == "metadata" {
        return;
    }
    let digest = entry["digest"].blob();
    let mine = |record: &&Value| record["entity"] == entity.as_str() && record["key"] == source;
    let known = records
        .iter()
        .filter(mine)
        .any(|record| record::digest(record) == digest || record::late_digest(record) == digest);
    assert!(known, "{entity} {source}: no record has its digest");
    let derived = uuid_of(&[&system, &entity, source]);
    checked.derived += usize::from(key(&entry["target"]) == [Cell::Text(derived.into_bytes())]);
}

/// System and entity of a name (rule F13).
fn entity_name(name: &str) -> (String, String) {
    if let Some((system, entity)) = name.split_once('/').filter(|_| !name.starts_with('{')) {
        return (system.to_owned(), entity.to_owned());
    }
    let name = json(name.as_bytes());
    let text = |key: &str| name[key].as_str().expect("a text").to_owned();
    (text("system"), text("entity"))
}

/// The derived id of a record (rule F23).
fn uuid_of(parts: &[&str]) -> String {
    let escaped = |part: &&str| part.replace('\\', "\\\\").replace('|', "\\|");
    let name = parts.iter().map(escaped).collect::<Vec<_>>().join("|");
    let namespace = uuid::Uuid::parse_str("6f0a3c1e-7f0b-5d0e-9a53-1f8f5c7e2b41").unwrap();
    uuid::Uuid::new_v5(&namespace, name.as_bytes()).to_string()
}
