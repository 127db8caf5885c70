//! SQLite's rowids: a row that a run deleted comes back under its own.

use tests::db::same;
use tests::{Room, Target};

const PLAN: &str = r#"
name = "club"
system = "old"
accept_triggers = ["note_out", "note_in"]

[[entity]]
name = "left"
table = "note"
id = { column = "id", from = "key" }
op = "delete"
target = "id"
source = { format = "csv", files = ["l.csv"], key = "id" }
"#;

/// Notes with rowids 1, 3, 7 and 40, and one after another deleted.
fn room(table: &str, columns: &str, rowid: &str) -> Room {
    let sql = format!(
        "CREATE TABLE note ({columns}) {table};
         INSERT INTO note ({rowid}id, body) VALUES ({}'a', 'one'), ({}'b', 'two'), ({}'c', 'three'), ({}'d', 'four');",
        number(rowid, 1),
        number(rowid, 3),
        number(rowid, 7),
        number(rowid, 40),
    );
    let room = Room::with(Target::Sqlite, PLAN, &[("l.csv", "id\nb\nc\nd\n")], &sql);
    room.bundle("B");
    room
}

fn number(rowid: &str, number: i64) -> String {
    if rowid.is_empty() {
        String::new()
    } else {
        format!("{number}, ")
    }
}

fn rowids(room: &Room, name: &str) -> String {
    room.ask(&format!(
        "SELECT group_concat(id || ' ' || {name}, ', ') FROM (SELECT id, {name} FROM note ORDER BY id)"
    ))
}

#[test]
fn deleted_rows_come_back_under_their_old_rowids() {
    for (columns, name) in [
        ("id TEXT PRIMARY KEY, body TEXT", "rowid"),
        ("id TEXT PRIMARY KEY, body TEXT, rowid TEXT", "oid"),
        (
            "id TEXT PRIMARY KEY, body TEXT, \"RowId\" TEXT, oid TEXT",
            "_rowid_",
        ),
        ("body TEXT, id TEXT NOT NULL UNIQUE", "rowid"),
    ] {
        let room = room("", columns, &format!("{name}, "));
        let (before, numbers) = (room.dump(), rowids(&room, name));
        assert_eq!(numbers, "a 1, b 3, c 7, d 40");
        let run = room.apply("B");
        assert_eq!(rowids(&room, name), "a 1");
        let done = room.on("rollback", &[&run, "--json"]).code(0);
        assert!(done.out.contains("\"moved\":[]"), "{}", done.out);
        assert_eq!(rowids(&room, name), numbers, "{columns}");
        same(&room.dump(), &before, columns);
        room.on("verify", &[&run]).code(0);
    }
}

#[test]
fn tables_without_a_rowid_of_their_own_come_back_as_they_were() {
    for (table, columns) in [
        ("WITHOUT  ROWID", "id TEXT PRIMARY KEY, body TEXT"),
        ("", "id TEXT PRIMARY KEY, body TEXT, rowid, oid, _rowid_"),
        ("STRICT", "id TEXT PRIMARY KEY, body TEXT, n INTEGER"),
    ] {
        let room = room(table, columns, "");
        let before = room.dump();
        let run = room.apply("B");
        room.on("rollback", &[&run]).code(0);
        same(&room.dump(), &before, columns);
    }
}

#[test]
fn a_rowid_that_is_taken_is_said_and_the_row_comes_back_under_another() {
    let room = room("", "id TEXT PRIMARY KEY, body TEXT", "rowid, ");
    let run = room.apply("B");
    room.sql("INSERT INTO note (rowid, id, body) VALUES (3, 'x', 'theirs')");
    let done = room.on("rollback", &[&run, "--json"]).code(0);
    assert!(
        done.out
            .contains("\"moved\":[{\"table\":\"note\",\"key\":\"b\",\"rowid\":3}]"),
        "{}",
        done.out
    );
    done.says(&["note b: its rowid was 3, which was taken: it is back under another"]);
    assert_eq!(rowids(&room, "rowid"), "a 1, b 41, c 7, d 40, x 3");
    room.on("verify", &[&run]).code(0);
}

#[test]
fn a_full_text_index_by_rowid_is_sound_after_a_rollback() {
    let room = room("", "id TEXT PRIMARY KEY, body TEXT", "rowid, ");
    room.sql(
        "CREATE VIRTUAL TABLE found USING fts5(body, content = 'note', content_rowid = 'rowid');
         INSERT INTO found (found) VALUES ('rebuild');
         CREATE TRIGGER note_out AFTER DELETE ON note BEGIN
           INSERT INTO found (found, rowid, body) VALUES ('delete', old.rowid, old.body); END;
         CREATE TRIGGER note_in AFTER INSERT ON note BEGIN
           INSERT INTO found (rowid, body) VALUES (new.rowid, new.body); END;",
    );
    let search = "SELECT group_concat(note.id) FROM found JOIN note ON note.rowid = found.rowid WHERE found MATCH 'three'";
    assert_eq!(room.ask(search), "c");
    let run = room.apply("B");
    room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask(search), "c");
    assert_eq!(rowids(&room, "rowid"), "a 1, b 3, c 7, d 40");
    room.sql("INSERT INTO found (found) VALUES ('integrity-check')");
}

#[test]
fn what_moved_is_said_by_the_rollback_that_ends_also_where_one_before_it_stopped() {
    let room = room("", "id TEXT PRIMARY KEY, body TEXT", "rowid, ");
    let run = room.apply("B");
    room.sql("INSERT INTO note (rowid, id, body) VALUES (40, 'x', 'theirs')");
    room.db.refuse("INSERT", "note", "NEW.id = 'b'", "not yet");
    let stops = room.untried(&[&run, "--batch-size=1"]);
    let _ = stops.code(3).says(&["note b", "not yet"]);
    assert_eq!(rowids(&room, "rowid"), "a 1, c 7, d 41, x 40");
    room.db.allow("note");
    let done = room.on("rollback", &[&run, "--resume", "--json"]).code(0);
    assert!(
        done.out
            .contains("\"moved\":[{\"table\":\"note\",\"key\":\"d\",\"rowid\":40}]"),
        "{}",
        done.out
    );
    done.says(&["note d: its rowid was 40, which was taken"]);
}
