//! Text of an odd number of bytes in a file that keeps text in UTF-16: SQLite drops the last byte when it writes
//! such a text, so nothing is written where one is.

use std::fs;

use tests::{Case, Room};

mod sqlite {
    tests::on_target!(
        Sqlite,
        a_table_that_the_plan_writes_is_refused_by_name_before_the_first_write,
        a_table_in_which_records_are_looked_up_is_refused_by_name,
        what_comes_in_while_a_run_is_under_way_undoes_its_batch_and_is_named,
        what_came_in_after_the_run_is_named_by_rollback_and_stays
    );
}

const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "key" }
match = ["email"]
on_match = "update"
source = { format = "csv", files = ["a.csv"], key = "id" }
fields = { email = { from = "email" }, name = { from = "name" } }
"#;

const LINES: [&str; 2] = [
    r#"{"entity":"member","key":"1","fields":{"email":"ann@example.org","name":"Ann"}}"#,
    r#"{"entity":"member","key":"2","fields":{"email":"cy@example.org","name":"Cy"}}"#,
];

/// Two members; the note of the second is seven bytes, a BLOB.
const CLUB: &str = "PRAGMA encoding = 'UTF-16le';
    CREATE TABLE member (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, note);
    INSERT INTO member VALUES ('a', 'ann@example.org', 'old', NULL), ('c', 'cy@example.org', 'old', x'610062006300ff')";

/// Where the file says of what kind that note is. What it says comes last before the row's values.
fn kind_of_the_note(room: &Room) -> usize {
    let bytes = fs::read(room.db.file()).unwrap();
    let row = [26, b'c', 0, b'c', 0, b'y', 0];
    let mut places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&row));
    let place = places.next().unwrap();
    assert_eq!(places.next(), None);
    place
}

/// Makes text of that note: of seven bytes, as older versions of SQLite wrote it.
fn make_text(room: &Room) {
    let place = kind_of_the_note(room);
    let mut bytes = fs::read(room.db.file()).unwrap();
    bytes[place] += 1;
    fs::write(room.db.file(), bytes).unwrap();
    assert_eq!(
        room.ask("SELECT typeof(note), length(CAST(note AS BLOB)) FROM member WHERE id = 'c'"),
        "text|7"
    );
}

const CURE: &str = "UPDATE \"member\" SET \"note\" = CAST(\"note\" AS BLOB) \
                    WHERE typeof(\"note\") = 'text' AND length(CAST(\"note\" AS BLOB)) % 2 = 1";

fn a_table_that_the_plan_writes_is_refused_by_name_before_the_first_write(case: Case) {
    let room = Room::with(case, PLAN, &[], CLUB);
    make_text(&room);
    let bundle = room.seal(&LINES);
    let before = room.db.everything();
    // The row of the first record alone is written: the other one is refused all the same.
    for args in [
        &[&*bundle][..],
        &[&bundle, "--dry-run"],
        &[&room.seal(&LINES[..1])],
    ] {
        let _ = room.on("apply", args).code(4).says(&[
            "member.note holds text of an odd number of bytes in 1 row",
            "UTF-16",
            CURE,
        ]);
    }
    assert_eq!(room.db.everything(), before);
    room.sql(CURE);
    let before = room.dump();
    let run = room.apply(&bundle);
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.dump(), before);
}

fn a_table_in_which_records_are_looked_up_is_refused_by_name(case: Case) {
    let plan = PLAN
        .replace("table = \"member\"", "table = \"guest\"")
        .replace(
            "name = { from = \"name\" }",
            "name = { from = \"name\", lookup = { table = \"member\", by = \"email\" } }",
        );
    let club = format!(
        "{CLUB}; CREATE TABLE guest (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT)"
    );
    let room = Room::with(case, &plan, &[], &club);
    make_text(&room);
    let line = r#"{"entity":"member","key":"1","fields":{"email":"ann@example.org"}}"#;
    let _ = room
        .on("apply", &[&room.seal(&[line])])
        .code(4)
        .says(&["member.note holds text of an odd number of bytes"]);
    assert!(!room.db.has_ledger());
}

fn what_comes_in_while_a_run_is_under_way_undoes_its_batch_and_is_named(case: Case) {
    let room = Room::with(case, PLAN, &[], CLUB).with_own_plan();
    // Another program makes text of the note once the run has begun, and counts its change.
    let patch = |at: usize, bytes: &str| {
        format!("printf '{bytes}' | dd of=t.db bs=1 seek={at} conv=notrunc status=none")
    };
    let command = format!(
        "{}; {}",
        patch(kind_of_the_note(&room), "\\\\033"),
        patch(24, "\\\\177\\\\177\\\\177\\\\177")
    );
    let hook = format!("[[hook]]\non = [\"started\"]\ncommand = [\"sh\", \"-c\", \"{command}\"]\n");
    room.write("migration.toml", format!("{PLAN}{hook}"));
    let bundle = room.seal(&LINES);
    let done = room.on("apply", &[&bundle, "--batch-size=1"]).code(3);
    let run = done.id();
    let _ = done.says(&["a row of table member holds text of an odd number of bytes"]);
    assert_eq!(
        room.ask(
            "SELECT typeof(note), length(CAST(note AS BLOB)), name FROM member WHERE id = 'c'"
        ),
        "text|7|old"
    );
    room.sql(CURE);
    let resumed = room.on("apply", &[&bundle, "--resume"]).code(0);
    let _ = resumed.says(&["2 updated"]);
    let _ = room.on("verify", &[&run]).code(0);
}

fn what_came_in_after_the_run_is_named_by_rollback_and_stays(case: Case) {
    let room = Room::with(case, PLAN, &[], CLUB);
    let run = room.apply(&room.seal(&LINES));
    make_text(&room);
    let before = room.db.everything();
    let said = ["a row of table member holds text of an odd number of bytes"];
    let _ = room.on("rollback", &[&run]).code(4).says(&said);
    let _ = room.on("rollback", &[&run, "--check"]).code(4).says(&said);
    let _ = room.on("verify", &[&run]).says(&said);
    assert_eq!(room.db.everything(), before);
    // Its bytes are there, and may stay as a BLOB: an edit of a column that the run did not write.
    room.sql(CURE);
    let _ = room.on("rollback", &[&run]).code(0);
}
