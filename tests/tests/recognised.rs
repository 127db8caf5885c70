//! Rows that a run made, and a later run of another system took for records of its own.

use tests::db::same;
use tests::{Case, Room};

tests::both!(
    a_row_that_another_system_recognised_stays_until_that_run_is_taken_back,
    a_row_that_the_other_system_no_longer_has_goes,
);

/// A plan of a system, by the name of its file.
fn plan(system: &str) -> String {
    format!(
        r#"
name = "{system}"
system = "{system}"
[[entity]]
name = "person"
source = {{ format = "csv", files = ["{system}.csv"], key = "id" }}
table = "person"
id = {{ column = "id", from = "uuid" }}
match = ["email"]
on_match = "update"
fields.email = {{ from = "email" }}
"#
    )
}

/// A room in which one system's run made two rows, and another's recognised one of them: the IDs of the runs.
fn recognised(case: Case) -> (Room, String, String, String) {
    let sources = [
        (
            "club.csv",
            "id,email\n1,ann@example.org\n2,bo@example.org\n",
        ),
        ("shop.csv", "id,email\n77,ann@example.org\n"),
    ];
    let schema = "CREATE TABLE person (id TEXT PRIMARY KEY, email TEXT UNIQUE)";
    let room = Room::with(case, &plan("club"), &sources, schema);
    let before = room.dump();
    room.bundle("B");
    let first = room.apply("B");
    room.write("migration.toml", plan("shop"));
    room.bundle("C");
    let second = room.on("apply", &["C"]).code(0);
    let second = second.says(&["0 created, 0 updated, 1 unchanged"]).id();
    (room, before, first, second)
}

fn a_row_that_another_system_recognised_stays_until_that_run_is_taken_back(case: Case) {
    let (room, before, first, second) = recognised(case);
    let says = format!("was touched by run {second} later");
    for args in [
        &[&first[..], "--check"][..],
        &[&first],
        &[&first, "--force"],
    ] {
        let _ = room.on("rollback", args).code(1).says(&[&says]);
    }
    assert_eq!(room.ask("SELECT count(*) FROM person"), "2");
    let _ = room.on("rollback", &[&second]).code(0);
    let _ = room.on("rollback", &[&first]).code(0);
    same(&room.dump(), &before, "both are taken back");
}

fn a_row_that_the_other_system_no_longer_has_goes(case: Case) {
    let (room, before, first, second) = recognised(case);
    let _ = room.on("rollback", &[&second]).code(0);
    let _ = room.on("rollback", &[&first]).code(0);
    same(&room.dump(), &before, "taken back");
}
