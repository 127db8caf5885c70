//! The inverse of a run as record lines goes back through `validate | bundle | apply`.

use tests::db::same;
use tests::{Bulk, Done, Room, Target};

/// Makes a bundle of the inverse of a run and applies it.
fn taken_back_by_lines(room: &Room, run: &str) -> Done {
    let lines = room
        .on(
            "rollback",
            &[run, "--export", "--save-plan", "inverse.toml"],
        )
        .code(0)
        .out;
    let good = room
        .feed("validate", &["--plan", "inverse.toml"], lines)
        .code(0)
        .out;
    let _ = room
        .feed("bundle", &["--plan", "inverse.toml", "-o", "inverse"], good)
        .code(0);
    room.on("apply", &["inverse"])
}

const PLAN: &str = r#"
name = "stock"
system = "shop"
accept_triggers = ["item_log"]

[[entity]]
name = "shelf"
source = { format = "csv", files = ["shelves.csv"], key = "no" }
table = "shelf"
id = { column = "no", from = "key" }
[entity.fields]
place = { from = "place" }

[[entity]]
name = "item"
source = { format = "csv", files = ["items.csv"], key = "code" }
table = "item"
id = { column = "id", from = "uuid" }
match = ["code"]
on_match = "update"
[entity.fields]
code = { from = "code", required = true }
shelf = { from = "shelf", ref = "shelf", required = true }
name = { from = "name", empty = "null" }
note = { from = "note", empty = "text" }
price = { from = "price", type = "decimal", exact = false }
stamp = { run = "started_at" }

[[entity]]
name = "gone"
source = { format = "csv", files = ["gone.csv"], key = "no" }
table = "old"
id = { column = "no", from = "key" }
op = "delete"
target = "no"
"#;

const SCHEMA: &str = "
CREATE TABLE shelf (no INTEGER PRIMARY KEY, place TEXT);
CREATE TABLE item (id TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE, shelf INTEGER NOT NULL REFERENCES shelf (no),
  name TEXT, note TEXT, price REAL, photo BLOB, stamp TEXT, loud TEXT AS (upper(name)));
CREATE INDEX item_shelf ON item (shelf);
CREATE TRIGGER item_touch AFTER UPDATE ON item WHEN NEW.stamp IS OLD.stamp BEGIN
  UPDATE item SET stamp = 'touched' WHERE id = NEW.id; END;
CREATE TABLE log (what TEXT);
CREATE TRIGGER item_log AFTER UPDATE OF note ON item WHEN NEW.note = 'never' BEGIN
  INSERT INTO log VALUES (NEW.id); END;
CREATE TABLE old (no INTEGER PRIMARY KEY, text TEXT, amount REAL, photo BLOB, empty TEXT, big INTEGER,
  next INTEGER REFERENCES old (no), half AS (amount / 2));
CREATE INDEX old_next ON old (next);
INSERT INTO shelf VALUES (9, NULL);
INSERT INTO item VALUES ('a', 'A', 9, NULL, '', 0.1, x'00ff', '2020-01-01T00:00:00.123456Z'),
  ('b', 'B', 9, '', NULL, 3, NULL, NULL), ('c', 'C', 9, 'Same', 'x', 12.5, x'', '');
INSERT INTO old VALUES (1, 'it''s \"1\"\n', 0.1, x'00ff7f', '', 9223372036854775807, NULL),
  (2, NULL, -3, x'', NULL, -1, 1), (3, 'ü', 1e300, NULL, NULL, 0, 2);";

fn stock() -> Room {
    let sources = [
        ("shelves.csv", "no,place\n1,left\n2,\n"),
        (
            "items.csv",
            "code,shelf,name,note,price\nA,1,Apple,fresh,0.30\nB,2,Pear,,7\nC,1,Same,x,12.5\nD,2,New,,1\n",
        ),
        ("gone.csv", "no\n3\n2\n1\n"),
    ];
    let room = Room::with(Target::Sqlite, PLAN, &sources, SCHEMA);
    room.bundle("B");
    room
}

#[test]
fn the_inverse_of_inserts_updates_and_deletes_is_a_bundle_that_ends_where_the_run_began() {
    let room = stock();
    let before = room.dump();
    let run = room.apply("B");
    assert_eq!(room.ask("SELECT count(*) FROM item"), "4");
    assert_eq!(room.ask("SELECT count(*) FROM old"), "0");
    let applied = room.dump();
    let done = taken_back_by_lines(&room, &run).code(0);
    same(&room.dump(), &before, "value for value");
    // It is a run like any other.
    let inverse = done.id();
    let _ = room.on("verify", &[&inverse]).code(0);
    let _ = room
        .on("apply", &["inverse"])
        .code(0)
        .says(&["0 created, 0 updated"]);
    let _ = room.on("rollback", &[&inverse]).code(0);
    same(&room.dump(), &applied, "and back again");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "by its ID too");
}

#[test]
fn the_inverse_of_the_members_ends_where_they_began() {
    let room = Room::example(Target::Sqlite, "members");
    let before = room.dump();
    room.bundle("B");
    let run = room.apply("B");
    let _ = taken_back_by_lines(&room, &run).code(0);
    same(&room.dump(), &before, "value for value");
}

#[test]
fn what_a_bundle_can_not_take_back_is_said() {
    let room = Bulk::room(30);
    room.bundle("B");
    let run = room.apply("B");
    let _ = room
        .on(
            "rollback",
            &[&run, "--export", "--save-plan", "inverse.toml"],
        )
        .code(0)
        .says(&[
            "warning: 15 rows that the run inserted got late references",
            &format!("rollback {run} does"),
        ]);
    let plan = room.read("inverse.toml");
    let _ = room
        .on(
            "rollback",
            &[&run, "--export", "--save-plan", "inverse.toml"],
        )
        .code(0);
    assert_eq!(room.read("inverse.toml"), plan, "the same bytes");
}

#[test]
fn what_people_changed_since_is_not_overwritten_by_the_inverse() {
    let room = stock();
    let run = room.apply("B");
    room.sql("UPDATE item SET name = 'Mine' WHERE id = 'a'; INSERT INTO old (no, text) VALUES (2, 'mine')");
    let _ = taken_back_by_lines(&room, &run).code(3).says(&[
        &format!("run-{run}:"),
        "item A",
        "changed in the source",
    ]);
    assert_eq!(room.ask("SELECT name FROM item WHERE id = 'a'"), "Mine");
}
