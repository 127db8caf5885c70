//! A SQLite table that its owner renamed: the plan says what it was called.

use tests::{Room, Target};

const PLAN: &str = r#"
name = "club"
system = "s"
[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "target" }
match = ["name"]
on_match = "update"
source = { format = "csv", files = ["members.csv"], key = "key" }
[entity.fields]
name = { from = "name" }
size = { from = "size", type = "integer" }
"#;

fn room() -> (Room, String) {
    let sql = "CREATE TABLE member (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, size INTEGER); \
               INSERT INTO member (name, size) VALUES ('a', 1)";
    let csv = "key,name,size\n1,a,5\n2,b,2\n";
    let room = Room::with(Target::Sqlite, PLAN, &[("members.csv", csv)], sql);
    room.bundle("B");
    let run = room.apply("B");
    room.sql("ALTER TABLE member RENAME TO person");
    (room, run)
}

#[test]
fn what_the_plan_says_that_a_table_was_called_is_followed() {
    let (room, run) = room();
    // Nobody has said yet where the table went.
    let _ = room
        .on("rollback", &[&run])
        .code(4)
        .says(&["table member is missing since the run"]);
    room.mend(
        "migration.toml",
        "table = \"member\"",
        "table = \"person\"\nformerly = \"member\"",
    );
    room.write("members.csv", "key,name,size\n1,a,5\n2,b,3\n");
    room.bundle("C");
    let said = "table main.member is called main.person now";
    let _ = room
        .on("apply", &["C", "--dry-run"])
        .code(0)
        .says(&[said, "0 created, 1 updated, 1 unchanged"]);
    let next = room
        .on("apply", &["C"])
        .code(0)
        .says(&[said, "0 created, 1 updated, 1 unchanged"])
        .id();
    let audit = "SELECT detail FROM switchback_audit WHERE action = 'migration:table:renamed'";
    assert_eq!(
        room.ask(audit),
        r#"{"from":"main.member","to":"main.person"}"#
    );
    for run in [&run, &next] {
        let _ = room.on("verify", &[run]).code(0);
    }
    let _ = room.on("rollback", &[&next]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    let rows = "SELECT string_agg(concat_ws(' ', id, name, size), ', ') FROM person";
    assert_eq!(room.ask(rows), "1 a 1");
    // The counter went back, under the new name.
    assert_eq!(
        room.ask("SELECT seq FROM sqlite_sequence WHERE name = 'person'"),
        "1"
    );
    let _ = room.on("verify", &[&run]).code(0);
}

#[test]
fn without_a_word_of_the_plan_a_new_name_is_a_new_table() {
    let (room, _) = room();
    room.mend("migration.toml", "table = \"member\"", "table = \"person\"");
    room.bundle("C");
    let _ = room
        .on("apply", &["C"])
        .code(0)
        .says(&["0 created, 0 updated, 2 unchanged"]);
    let names = "SELECT count(*) FROM switchback_names WHERE kind = 'entity'";
    assert_eq!(room.ask(names), "2");
}

#[test]
fn a_former_name_that_another_table_has_is_refused() {
    let (room, _) = room();
    room.sql("CREATE TABLE member (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size INTEGER)");
    room.mend(
        "migration.toml",
        "table = \"member\"",
        "table = \"person\"\nformerly = \"member\"",
    );
    room.bundle("C");
    let before = room.dump();
    let _ = room
        .on("apply", &["C"])
        .code(4)
        .says(&["was formerly main.member, and a table main.member is there"]);
    assert_eq!(room.dump(), before);
}

#[test]
fn the_old_name_may_not_be_the_name_of_a_table_of_the_plan() {
    let (room, _) = room();
    room.mend(
        "migration.toml",
        "table = \"member\"",
        "table = \"member\"\nformerly = \"Member\"",
    );
    let _ = room
        .run("parse", &[])
        .code(2)
        .says(&["`formerly` is the table's old name, and `Member` is its name"]);
}
