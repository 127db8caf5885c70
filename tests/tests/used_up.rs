//! A table of SQLite whose ids are used up: SQLite says of that what it says of a full volume.

use tests::{Case, Room};

mod sqlite {
    tests::on_target!(Sqlite, ids_that_are_used_up_are_no_full_volume);
}

const PLAN: &str = r#"
name = "m"
system = "s"
[[entity]]
name = "m"
table = "m"
id = { column = "id", from = "target" }
source = { format = "csv", files = ["m.csv"], key = "k" }
fields.a = { from = "a" }
"#;

fn ids_that_are_used_up_are_no_full_volume(case: Case) {
    let schema = "CREATE TABLE m (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT);
         INSERT INTO m VALUES (9223372036854775806, 'old')";
    let room = Room::with(case, PLAN, &[("m.csv", "k,a\n1,x\n2,y\n")], schema);
    room.bundle("B");
    let done = room
        .on("apply", &["B", "--batch-size=1", "--commit-every=0"])
        .code(3);
    assert!(!done.err.contains("volume"), "{}", done.err);
    let _ = done.says(&[
        "m.csv:3",
        "m has no further id: AUTOINCREMENT has come to the highest, 9223372036854775807",
    ]);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "2");
}
