//! The exit code of a rollback that leaves something of its run: 0 only where that was asked for and
//! something came back.

use serde_json::Value;
use tests::{Case, Room};

tests::both!(
    what_force_can_not_take_back_makes_it_exit_1,
    to_leave_rows_is_a_success_only_where_others_came_back,
    nothing_to_do_and_a_second_time_are_a_success,
);

const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["m.csv"], key = "id" }
fields = { name = { from = "name" } }
"#;

fn club(case: Case, csv: &str) -> (Room, String) {
    let schema = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT);
        CREATE TABLE audit (id INTEGER PRIMARY KEY, member TEXT NOT NULL REFERENCES member (id));
        INSERT INTO member VALUES ('a', 'Ann');";
    let room = Room::with(case, PLAN, &[("m.csv", csv)], schema);
    room.bundle("B");
    let run = room.apply("B");
    (room, run)
}

fn what_force_can_not_take_back_makes_it_exit_1(case: Case) {
    let (room, run) = club(case, "id,name\nb,Bob\n");
    room.sql("INSERT INTO audit VALUES (1, 'b')");
    room.on("rollback", &[&run, "--force", "--check"])
        .code(1)
        .says(&["1 of 1 row of run", "would stay as it is now"]);
    let done = room.on("rollback", &[&run, "--force", "--json"]).code(1);
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["kept"], &last["status"]),
        (&1.into(), &"rolled-back".into())
    );
    done.says(&[
        "Rolled back 0 entries",
        "taken back in part, which nobody asked for",
    ]);

    let (room, run) = club(case, "id,name\na,Anna\nb,Bob\n");
    room.sql("INSERT INTO audit VALUES (1, 'b'); UPDATE member SET name = 'Annie' WHERE id = 'a'");
    room.on("rollback", &[&run, "--force"]).code(1);
    assert_eq!(
        room.ask("SELECT string_agg(name, ',' ORDER BY id) FROM member"),
        "Ann,Bob"
    );
    // What it left can be asked for, and goes once nothing is in the way.
    room.on("rollback", &[&run, "--force", "--skip-conflicts"])
        .code(0);
    room.sql("DELETE FROM audit");
    room.on("rollback", &[&run]).code(0);
    assert_eq!(
        room.ask("SELECT string_agg(name, ',' ORDER BY id) FROM member"),
        "Ann"
    );
}

fn to_leave_rows_is_a_success_only_where_others_came_back(case: Case) {
    let (room, run) = club(case, "id,name\nb,Bob\n");
    room.sql("INSERT INTO audit VALUES (1, 'b')");
    let flags = [run.as_str(), "--skip-conflicts"];
    room.on("rollback", &[&flags[..], &["--check"]].concat())
        .code(1);
    room.on("rollback", &flags)
        .code(1)
        .says(&["Rolled back 0 entries"]);

    let (room, run) = club(case, "id,name\na,Anna\nb,Bob\n");
    room.sql("INSERT INTO audit VALUES (1, 'b')");
    let flags = [run.as_str(), "--skip-conflicts"];
    room.on("rollback", &[&flags[..], &["--check"]].concat())
        .code(0);
    room.on("rollback", &flags)
        .code(0)
        .says(&["Rolled back 1 entry"]);
    room.on("rollback", &flags).code(0);
}

fn nothing_to_do_and_a_second_time_are_a_success(case: Case) {
    let (room, run) = club(case, "id,name\na,Ann\n");
    room.on("rollback", &[&run, "--check"]).code(0);
    room.on("rollback", &[&run, "--force"]).code(0);
    room.on("rollback", &[&run, "--force"])
        .code(0)
        .says(&["already rolled back"]);
    let (room, run) = club(case, "id,name\nb,Bob\n");
    room.sql("DELETE FROM member WHERE id = 'b'");
    room.on("rollback", &[&run])
        .code(0)
        .says(&["1 gone already"]);
    room.on("rollback", &[&run]).code(0);
}
