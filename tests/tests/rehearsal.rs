//! `apply --rehearse`: apply, verify and roll back on a copy; the target is only read.

use std::fs;

use serde_json::Value;
use tests::{Room, Target};

/// Every file of a folder with its bytes.
fn files(room: &Room) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(room.path("")).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn certificate(room: &Room, code: i32) -> Value {
    let before = files(room);
    let done = room.on("apply", &["B", "--rehearse", "--json"]).code(code);
    assert!(files(room) == before, "a file of the folder changed");
    serde_json::from_str(&done.out).unwrap()
}

#[test]
fn the_certificate_holds_and_the_target_is_only_read() {
    let room = Room::example(Target::Sqlite, "members");
    let id = room.bundle("B");
    let said = certificate(&room, 0);
    assert_eq!(said["holds"], true);
    assert_eq!(said["bundle"], id);
    assert_eq!(said["target"], room.url());
    let steps = said["steps"].as_array().unwrap();
    let steps: Vec<_> = steps
        .iter()
        .map(|step| (step["program"].as_str().unwrap(), &step["exit"]))
        .collect();
    assert_eq!(
        steps,
        [
            ("apply", &Value::from(0)),
            ("verify", &0.into()),
            ("rollback", &0.into())
        ]
    );
    let tables = said["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 7);
    for table in tables {
        assert_eq!(table["before"], table["after"], "{table}");
    }
    let member = tables
        .iter()
        .find(|table| table["table"] == "Member")
        .unwrap();
    assert!(
        member["before"].as_str().unwrap().ends_with(", 6 rows"),
        "{member}"
    );
    // For people: the same in lines.
    let text = room.on("apply", &["B", "--rehearse"]).code(0).out;
    assert!(
        text.starts_with("Rehearsal: every table is as it was\n"),
        "{text}"
    );
    assert!(
        text.contains(&id) && text.contains("rollback exit 0"),
        "{text}"
    );
}

#[test]
fn a_rehearsal_that_fails_says_so_and_leaves_the_target_alone() {
    let room = Room::example(Target::Sqlite, "members");
    room.bundle("B");
    room.sql(
        "CREATE TRIGGER never BEFORE INSERT ON EventRegistration WHEN NEW.status = 'CANCELLED' \
         BEGIN SELECT RAISE(ABORT, 'closed'); END",
    );
    let said = certificate(&room, 1);
    assert_eq!(said["holds"], false);
    assert_eq!(said["steps"][0]["exit"], 3);
    assert_eq!(
        said["steps"][1]["program"], "rollback",
        "what was applied was taken back all the same"
    );
    for table in said["tables"].as_array().unwrap() {
        assert_eq!(table["before"], table["after"], "{table}");
    }
}

#[test]
fn what_others_committed_to_a_wal_is_in_the_copy() {
    let room = Room::example(Target::Sqlite, "members");
    room.bundle("B");
    let other = rusqlite::Connection::open(room.path("t.db")).unwrap();
    other
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; DELETE FROM PaymentIntent; BEGIN; DELETE FROM Event WHERE 0")
        .unwrap();
    let done = room.on("apply", &["B", "--rehearse", "--json"]).code(0);
    let said: Value = serde_json::from_str(&done.out).unwrap();
    let tables = said["tables"].as_array().unwrap();
    let payments = tables
        .iter()
        .find(|table| table["table"] == "PaymentIntent")
        .unwrap();
    assert!(
        payments["before"].as_str().unwrap().ends_with(", 0 rows"),
        "{payments}"
    );
}

#[test]
fn the_hot_journal_of_another_crash_is_refused_by_name() {
    let room = Room::example(Target::Sqlite, "members");
    room.bundle("B");
    let writer = rusqlite::Connection::open(room.path("t.db")).unwrap();
    writer
        .execute_batch(
            "PRAGMA cache_size = 1; BEGIN; CREATE TABLE filler (a); \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) \
             INSERT INTO filler SELECT randomblob(2000) FROM n; UPDATE Member SET phone = '1'",
        )
        .unwrap();
    // What a crash would leave at this moment.
    fs::create_dir(room.path("crashed")).unwrap();
    for file in ["t.db", "t.db-journal"] {
        fs::copy(room.path(file), room.path("crashed").join(file)).unwrap();
    }
    let read =
        || ["t.db", "t.db-journal"].map(|file| fs::read(room.path("crashed").join(file)).unwrap());
    let before = read();
    room.run("apply", &["B", "--rehearse", "--to", "sqlite:crashed/t.db"])
        .code(4)
        .says(&["crashed/t.db-journal is the hot journal of another program's crash"]);
    assert!(read() == before, "the crashed files were touched");
}
