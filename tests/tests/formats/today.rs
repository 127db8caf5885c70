//! The programs of today make the newest frozen files again, byte for byte: a change of bytes without a new
//! version fails here.
//!
//! For a new version: `NEW_FORMATS=1 cargo test -p tests --test formats today` makes its folder, which must not
//! be there yet.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::{Done, Room, Target};

use crate::frozen::{JSON, RUN, folder};
use crate::reader::cell::Cell;
use crate::reader::tables::{Row, Tables};
use crate::reader::{bundle, json, ledger, lines};

/// The newest version.
const NEWEST: &str = "v2/stages";

/// The tables of the ledger.
const TABLES: [&str; 9] = [
    "runs", "batches", "failures", "changes", "ids", "names", "kept", "hooks", "audit",
];

/// What depends on the machine, the place or the clock: left out of the comparison, in every table.
const ELSEWHERE: [&str; 5] = ["host", "bundle_path", "at", "ended", "tool"];

#[test]
fn the_programs_make_the_newest_frozen_files_again() {
    let room = made();
    let place = folder(NEWEST);
    if std::env::var_os("NEW_FORMATS").is_some() {
        freeze(&room, &place);
    }
    for name in ["parsed.ndjson", "validated.ndjson", "rejects.ndjson"] {
        same(&place, name, &fs::read(room.path(name)).unwrap());
    }
    for (name, bytes) in files(&room.path("bundle"), "bundle") {
        same(&place, &name, &bytes);
    }
    same(
        &place,
        "failures.ndjson",
        &fs::read(room.path(".migration-failures.json")).unwrap(),
    );
    let frozen = fs::read(place.join("decisions.ndjson")).unwrap();
    let now = fs::read(room.path("decisions.ndjson")).unwrap();
    let middle = |text: &[u8]| -> Vec<Value> {
        let lines = lines(text);
        lines[1..lines.len() - 1]
            .iter()
            .map(|line| json(line))
            .collect()
    };
    assert_eq!(middle(&now), middle(&frozen), "decisions.ndjson");
    assert_eq!(
        without_times(&fs::read(room.path(".migration-checkpoint.json")).unwrap()),
        without_times(&fs::read(place.join("checkpoint.json")).unwrap())
    );
}

#[test]
fn the_ledger_of_today_is_the_newest_frozen_one() {
    let room = made();
    let dump = fs::read_to_string(folder(NEWEST).join("ledger.sql")).unwrap();
    let (frozen, now) = (Tables::load(&dump), Tables::open(room.db.file()));
    for table in TABLES {
        let rows = |tables: &Tables| -> Vec<Row> {
            tables
                .ledger(table)
                .into_iter()
                .map(|row| kept(table, row))
                .collect()
        };
        assert_eq!(rows(&now), rows(&frozen), "table {table}");
    }
    let sealed = bundle::read(&room.path("bundle"));
    let checked = ledger::check(&now, &sealed.records, Some(&JSON));
    assert!(checked.changes > 0 && checked.audit > 0, "{checked:?}");
}

/// Runs the programs on the sources of the samples.
fn made() -> Room {
    let room = Room::new(Target::Sqlite);
    for (name, bytes) in files(&folder("source"), "") {
        room.write(&name, bytes);
    }
    room.sql(&room.read("schema.sql"));
    let parsed = room.run("parse", &[]).code(0);
    room.write("parsed.ndjson", &parsed.out);
    let args = ["--rejects", "rejects.ndjson"];
    let validated = room.feed("validate", &args, parsed.out.as_str()).code(0);
    room.write("validated.ndjson", &validated.out);
    let _ = room
        .feed("bundle", &["-o", "bundle"], validated.out.as_str())
        .code(0);
    let _: Done = room.on(
        "apply",
        &[
            "bundle",
            "--dry-run",
            "--on-error=record",
            "--save=decisions.ndjson",
            "--operator=op",
        ],
    );
    let run = format!("--run-id={RUN}");
    let _: Done = room.on(
        "apply",
        &[
            "bundle",
            &run,
            "--now=2024-06-01T00:00:00Z",
            "--on-error=record",
            "--continue-on-error",
            "--operator=op",
        ],
    );
    room
}

#[track_caller]
fn same(place: &Path, name: &str, now: &[u8]) {
    let frozen = fs::read(place.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (now, frozen) = (
        String::from_utf8_lossy(now),
        String::from_utf8_lossy(&frozen),
    );
    assert_eq!(
        now, frozen,
        "{name}: other bytes need a new version of the format"
    );
}

/// A row without what depends on the machine, the place or the clock.
fn kept(table: &str, mut row: Row) -> Row {
    let own = match table {
        "runs" => &["target"][..],
        "audit" => &["hash"][..],
        _ => &[][..],
    };
    row.retain(|column, _| {
        !ELSEWHERE.contains(&column.as_str()) && !own.contains(&column.as_str())
    });
    if let ("audit", Some(Cell::Text(text))) = (table, row.get_mut("detail")) {
        let Value::Object(mut detail) = json(text) else {
            panic!("no object")
        };
        // The digest of the batches covers the times at which they were committed.
        for key in ["bundle_path", "target", "tool", "batches"] {
            detail.shift_remove(key);
        }
        *text = Value::Object(detail).to_string().into_bytes();
    }
    row
}

fn without_times(text: &[u8]) -> BTreeMap<String, Value> {
    let Value::Object(object) = json(text) else {
        panic!("no object")
    };
    object
        .into_iter()
        .filter(|(key, _)| key != "last_checkpoint_at")
        .collect()
}

/// All files of a folder by name, in order.
fn files(folder: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let name = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path(), &name));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// Writes the files of a version that is not frozen yet.
fn freeze(room: &Room, place: &Path) {
    assert!(!place.exists(), "{} is frozen", place.display());
    fs::create_dir_all(place).unwrap();
    for (name, bytes) in files(&room.path("bundle"), "bundle") {
        fs::create_dir_all(place.join(&name).parent().unwrap()).unwrap();
        fs::write(place.join(&name), bytes).unwrap();
    }
    for (from, to) in [
        ("parsed.ndjson", "parsed.ndjson"),
        ("validated.ndjson", "validated.ndjson"),
        ("rejects.ndjson", "rejects.ndjson"),
        ("decisions.ndjson", "decisions.ndjson"),
        (".migration-failures.json", "failures.ndjson"),
        (".migration-checkpoint.json", "checkpoint.json"),
    ] {
        fs::write(place.join(to), fs::read(room.path(from)).unwrap()).unwrap();
    }
    let shell = std::process::Command::new("sqlite3")
        .arg(room.db.file())
        .arg(".dump")
        .output();
    fs::write(place.join("ledger.sql"), shell.unwrap().stdout).unwrap();
}
