//! A trigger that ends the whole transaction (SQLite's `RAISE(ROLLBACK)`): the record that fires it is named,
//! and the others are written where that is asked for.

use tests::{Case, Room};

mod sqlite {
    tests::on_target!(
        Sqlite,
        each_record_that_ends_the_transaction_is_named_and_the_others_are_written,
        a_batch_that_fails_as_a_whole_names_them_and_those_before_it_are_kept,
        a_delete_that_ends_the_transaction_is_named,
        a_dry_run_names_the_record_and_leaves_everything
    );
}

const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["a.csv"], key = "id" }
fields = { name = { from = "name" } }

[[entity]]
name = "gone"
table = "member"
id = { column = "id", from = "key" }
op = "delete"
source = { format = "csv", files = ["b.csv"], key = "id" }
"#;

const CLUB: &str =
    "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT NOT NULL CHECK (name <> 'checked'));
    INSERT INTO member VALUES ('2', 'old'), ('kept', 'old'), ('k', 'old');
    CREATE TRIGGER no_insert BEFORE INSERT ON member WHEN NEW.name = 'bad'
      BEGIN SELECT RAISE(ROLLBACK, 'no such member here'); END;
    CREATE TRIGGER no_update BEFORE UPDATE ON member WHEN NEW.name = 'worse'
      BEGIN SELECT RAISE(ROLLBACK, 'no such name here'); END;
    CREATE TRIGGER no_delete BEFORE DELETE ON member WHEN OLD.id = 'kept'
      BEGIN SELECT RAISE(ROLLBACK, 'this one stays'); END";

fn put(key: &str, name: &str) -> String {
    format!(r#"{{"entity":"member","key":"{key}","fields":{{"name":"{name}"}}}}"#)
}

fn seal(room: &Room, lines: &[String]) -> String {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    room.seal(&lines)
}

/// Six members: the second ends the transaction as an update, the fourth as an insert, the fifth is refused by a
/// check.
fn six() -> Vec<String> {
    ["ann", "worse", "cy", "bad", "checked", "fay"]
        .iter()
        .zip(1..)
        .map(|(name, key)| put(&key.to_string(), name))
        .collect()
}

fn names(room: &Room) -> String {
    let rows = room.db.rows("SELECT name FROM member ORDER BY id");
    rows.concat().join(" ")
}

fn each_record_that_ends_the_transaction_is_named_and_the_others_are_written(case: Case) {
    for size in ["--batch-size=2", "--batch-size=50"] {
        let room = Room::with(case, PLAN, &[], CLUB);
        let before = room.dump();
        let bundle = seal(&room, &six());
        let done = room
            .on(
                "apply",
                &[
                    &bundle,
                    "--on-error=record",
                    "--max-failed-percent=100",
                    size,
                ],
            )
            .code(3);
        let run = done.id();
        assert_eq!(names(&room), "ann old cy fay old old", "{size}");
        let failures = room.db.rows(
            "SELECT line ->> '$.key', line ->> '$.errors[0].message' FROM switchback_failures ORDER BY 1",
        );
        let said: Vec<String> = failures.iter().map(|row| row.join(": ")).collect();
        assert!(said[0].starts_with("2: no such name here"), "{said:?}");
        assert!(said[1].starts_with("4: no such member here"), "{said:?}");
        assert!(said[2].starts_with("5: CHECK constraint"), "{said:?}");
        assert_eq!(said.len(), 3);
        let _ = room
            .on("verify", &[&run])
            .code(1)
            .prints(&["no such member here"]);
        let _ = room.on("rollback", &[&run]).code(0);
        assert_eq!(room.dump(), before, "{size}");
    }
}

fn a_batch_that_fails_as_a_whole_names_them_and_those_before_it_are_kept(case: Case) {
    let room = Room::with(case, PLAN, &[], CLUB);
    let bundle = seal(&room, &six());
    let done = room.on("apply", &[&bundle, "--batch-size=3"]).code(3);
    let _ = done.says(&["no such name here"]);
    // Nothing of the first batch, and the run stops there.
    assert_eq!(names(&room), "old old old");
    let mut lines = six();
    lines.swap(1, 5);
    let bundle = seal(&room, &lines);
    let done = room
        .on("apply", &[&bundle, "--batch-size=3", "--take-over"])
        .code(3);
    let _ = done.says(&["no such member here"]);
    assert_eq!(names(&room), "ann old cy fay old old");
    let failures = "SELECT line ->> '$.key' FROM switchback_failures WHERE run = 2 ORDER BY 1";
    assert_eq!(room.db.rows(failures).concat().join(" "), "2 4 5");
}

fn a_delete_that_ends_the_transaction_is_named(case: Case) {
    let room = Room::with(case, PLAN, &[], CLUB);
    let gone =
        |key: &str| format!(r#"{{"entity":"gone","key":"{key}","op":"delete","target":"{key}"}}"#);
    let bundle = seal(&room, &[gone("2"), gone("kept"), gone("k")]);
    let done = room
        .on(
            "apply",
            &[&bundle, "--on-error=record", "--max-failed-percent=100"],
        )
        .code(3);
    let _ = done.says(&["this one stays"]);
    assert_eq!(room.db.rows("SELECT id FROM member").concat(), ["kept"]);
}

fn a_dry_run_names_the_record_and_leaves_everything(case: Case) {
    let room = Room::with(case, PLAN, &[], CLUB);
    let bundle = seal(&room, &six());
    let before = room.db.everything();
    let done = room.on("apply", &[&bundle, "--dry-run"]).code(4);
    let _ = done.says(&[
        "source.csv:3",
        "no such name here",
        "ends the whole transaction",
    ]);
    assert_eq!(room.db.everything(), before);
}
