//! What comes from the sources: what is missing, rejected or altered never gets far.

use std::io::Read as _;
use std::process::Command;

use serde_json::Value;
use tests::{Case, Room, Target};

use super::{PLAN, SCHEMA, entries, room, summary};

tests::both!(
    a_rejected_record_never_reaches_the_target,
    the_order_of_arguments_and_folders_is_none_and_a_flipped_byte_is_found,
    the_bundle_names_its_version_and_sources_and_an_unknown_version_is_refused,
);

fn a_rejected_record_never_reaches_the_target(case: Case) {
    let room = room(case, 0);
    let text = entries(1, 200, 0).replace("\nk7,7\n", "\nk7,seven\n");
    room.write("a.csv", text);
    let [parse, _, bundle] = room.pipeline("C");
    let _ = (parse.code(0), bundle.code(0));
    room.apply("C");
    assert_eq!(
        room.ask("SELECT count(*), count(*) FILTER (WHERE code = 'k7') FROM entry"),
        "199|0"
    );
    let rejects = room.read("C/rejects.ndjson");
    assert!(
        rejects.contains("\"line\":8") && rejects.contains("seven"),
        "{rejects}"
    );
    // More than a tenth: validate ends with 1, and no bundle is made.
    room.write("a.csv", entries(1, 200, 0).replace("k1", "k1,x"));
    let [_, validate, bundle] = room.pipeline("D");
    assert_ne!((validate.code, bundle.code), (0, 0));
    assert!(!room.path("D").exists());
}

#[test]
fn parse_counts_by_file_and_a_file_that_gives_nothing_is_told() {
    let sources = [
        ("a.csv", "id,size\nk1,1\nk2,x\n"),
        ("b.csv", "id,size\nk3,3\n"),
    ];
    let room = Room::with(Target::Sqlite, PLAN, &sources, SCHEMA);
    let done = room.run("parse", &[]).code(0);
    done.clone()
        .says(&["2 records of 3 items in 2 files", "1 rejected"]);
    let end = summary(&done);
    let account = |file: &str| {
        let accounts = end["end"]["accounts"].as_array().unwrap();
        accounts
            .iter()
            .find(|account| account["source"] == file || account["file"] == file)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&account("a.csv")["items"], &account("a.csv")["rejected"]),
        (&2.into(), &1.into())
    );
    assert_eq!(account("b.csv")["items"], 1);
    assert!(
        done.out.contains("\"line\":3"),
        "the rejected item names its line: {}",
        done.out
    );
    for nothing in ["", "id,size"] {
        room.write("b.csv", nothing);
        room.run("parse", &[])
            .code(4)
            .says(&["b.csv holds no item for `entry`"]);
    }
    room.mend(
        "migration.toml",
        "key = \"id\" }",
        "key = \"id\", allow_empty = true }",
    );
    room.run("parse", &[]).code(0);
}

#[test]
fn a_missing_source_is_a_failure() {
    let room = Room::with(
        Target::Sqlite,
        &PLAN.replace("*.csv", "gone.csv"),
        &[],
        SCHEMA,
    );
    let done = room.run("parse", &[]).code(5).says(&["gone.csv"]);
    assert!(!done.out.contains("\"end\""), "no seal: {}", done.out);
}

#[test]
fn what_fails_in_each_file_adds_up_to_the_sum() {
    let sources = [
        ("a.csv", "id,size\nk1,x\nk2,x\nk3,3\n"),
        ("b.csv", "id,size\nk4,x\nk5,5\n"),
    ];
    let room = Room::with(Target::Sqlite, PLAN, &sources, SCHEMA);
    let end = summary(&room.run("parse", &[]).code(0));
    let accounts = end["end"]["accounts"].as_array().unwrap();
    let rejected: Vec<u64> = accounts
        .iter()
        .map(|account| account["rejected"].as_u64().unwrap())
        .collect();
    assert_eq!(rejected, [2, 1]);
    assert_eq!(end["end"]["rejected"], 3);
}

fn the_order_of_arguments_and_folders_is_none_and_a_flipped_byte_is_found(case: Case) {
    let names = ["a.csv", "b.csv", "c.csv"];
    let texts: Vec<String> = (0..3)
        .map(|n| entries(n * 10 + 1, n * 10 + 10, 0))
        .collect();
    let mut ids = Vec::new();
    for order in [[0, 1, 2], [2, 0, 1]] {
        let room = Room::with(case, PLAN, &[], SCHEMA);
        for n in order {
            room.write(names[n], &texts[n]);
        }
        let files: Vec<&str> = order.iter().map(|n| names[*n]).collect();
        let parsed = room.run("parse", &files).code(0);
        let checked = room.feed("validate", &[], parsed.out).code(0);
        ids.push(room.feed("bundle", &["-o", "B"], checked.out).code(0).id());
        if ids.len() == 2 {
            let records = "B/records/01-entry.ndjson";
            let mut bytes = std::fs::read(room.path(records)).unwrap();
            let place = bytes.len() / 2;
            bytes[place] ^= 1;
            room.write(records, bytes);
            let before = room.db.everything();
            room.on("apply", &["B"]).code(4).says(&["01-entry.ndjson"]);
            assert!(room.db.everything() == before);
        }
    }
    assert_eq!(ids[0], ids[1]);
}

fn the_bundle_names_its_version_and_sources_and_an_unknown_version_is_refused(case: Case) {
    let room = room(case, 0);
    let manifest: Value = serde_json::from_str(&room.read("B/manifest.json")).unwrap();
    assert_eq!(
        (&manifest["format"], &manifest["rules"]),
        (&2.into(), &contract::RULES.into())
    );
    let mut sum = Command::new("sha256sum")
        .arg(room.path("a.csv"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    sum.stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    sum.wait().unwrap();
    assert_eq!(manifest["sources"][0]["sha256"], text[..64]);
    room.mend("B/manifest.json", "\"format\": 2", "\"format\": 3");
    room.on("apply", &["B"])
        .code(4)
        .says(&["manifest.json", "3"]);
    assert_eq!(room.ask("SELECT count(*) FROM entry"), "0");
}
