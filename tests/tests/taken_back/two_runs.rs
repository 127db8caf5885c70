//! Two runs over the same rows, of which the later one was taken back in part; and rows that hold one another.

use serde_json::Value;
use tests::{Case, Room};

tests::both!(
    what_a_later_run_left_in_place_goes_before_what_an_earlier_one_wrote,
    a_second_rollback_of_the_later_run_knows_what_was_taken_back_further,
    a_row_that_another_one_of_the_run_holds_goes_after_it,
    a_row_that_is_gone_is_named,
    null_is_called_null,
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

const TABLE: &str = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, friend TEXT);
    INSERT INTO member VALUES ('a', 'Ann'), ('b', 'Bob');";

/// Two runs that both update two members, of which a person has edited the first since.
fn two_runs(case: Case) -> (Room, String, String) {
    let schema = TABLE
        .replace("'Ann')", "'Ann', NULL)")
        .replace("'Bob')", "'Bob', NULL)");
    let room = Room::with(
        case,
        PLAN,
        &[("m.csv", "id,name\na,Ann 1\nb,Bob 1\n")],
        &schema,
    );
    room.bundle("one");
    let first = room.apply("one");
    room.write("m.csv", "id,name\na,Ann 2\nb,Bob 2\n");
    room.bundle("two");
    let second = room.apply("two");
    room.sql("UPDATE member SET name = 'Annie' WHERE id = 'a'");
    (room, first, second)
}

fn names(room: &Room) -> String {
    let rows = room.db.rows("SELECT name FROM member ORDER BY id");
    rows.concat().join(", ")
}

fn what_a_later_run_left_in_place_goes_before_what_an_earlier_one_wrote(case: Case) {
    let (room, first, second) = two_runs(case);
    let _ = room.on("rollback", &[&second, "--skip-conflicts"]).code(0);
    // What the earlier run put in the row lies below what the later one did: not even --force takes it first.
    let done = room.on("rollback", &[&first, "--force"]).code(1);
    let why = format!("what run {second} wrote to it later, which its rollback left in place");
    let _ = done.says(&["member a (m.csv:2): can't go before these", &why]);
    assert_eq!(names(&room), "Annie, Bob");
    let _ = room.on("rollback", &[&second, "--force"]).code(0);
    assert_eq!(names(&room), "Ann 1, Bob");
    let _ = room.on("rollback", &[&first]).code(0);
    assert_eq!(names(&room), "Ann, Bob");
    for run in [&first, &second] {
        let _ = room
            .on("verify", &[run])
            .code(0)
            .prints(&["0 failed, 0 with warnings"]);
    }
}

fn a_second_rollback_of_the_later_run_knows_what_was_taken_back_further(case: Case) {
    let (room, first, second) = two_runs(case);
    let _ = room.on("rollback", &[&second, "--skip-conflicts"]).code(0);
    let _ = room.on("rollback", &[&first, "--skip-conflicts"]).code(0);
    assert_eq!(names(&room), "Annie, Bob");
    // Bob is further back by now than the later run alone had put him.
    let done = room.on("rollback", &[&second, "--force", "--json"]).code(0);
    let done =
        done.says(&["1 of 2 rows are what they were, 1 taken back further with an earlier run"]);
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["proved"], &last["tables"][0]["further"]),
        (&true.into(), &1.into())
    );
    let _ = room
        .on("verify", &[&second])
        .code(0)
        .prints(&["0 failed, 0 with warnings"]);
    let _ = room.on("rollback", &[&first]).code(0);
    assert_eq!(names(&room), "Ann, Bob");
}

fn a_row_that_another_one_of_the_run_holds_goes_after_it(case: Case) {
    let schema =
        "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, friend TEXT REFERENCES member (id))";
    let room = Room::with(
        case,
        PLAN,
        &[("m.csv", "id,name\na,Ann\nb,Bob\nc,Cy\n")],
        schema,
    );
    room.bundle("B");
    let run = room.apply("B");
    // The run's first rows refer to its last one, which goes first.
    room.sql("UPDATE member SET friend = 'c' WHERE id <> 'c'");
    room.sql("UPDATE member SET name = 'Annie' WHERE id = 'a'");
    let done = room
        .on("rollback", &[&run, "--force", "--batch-size=1"])
        .code(0);
    let _ = done.says(&["3 of 3 rows are what they were"]);
    assert_eq!(room.ask("SELECT count(*) FROM member"), "0");
}

fn a_row_that_is_gone_is_named(case: Case) {
    let (room, _, second) = two_runs(case);
    room.sql("DELETE FROM member WHERE id = 'a'");
    let done = room.on("rollback", &[&second]).code(0);
    let _ = done.says(&[
        "member: 1 of 2 rows are what they were, 1 gone already",
        "member: a is gone: what the run changed in it is not put back",
    ]);
}

fn null_is_called_null(case: Case) {
    let room = Room::with(
        case,
        PLAN,
        &[("m.csv", "id,name\nc,\n")],
        "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT)",
    );
    room.bundle("B");
    let run = room.apply("B");
    room.sql("UPDATE member SET name = 'Cy'");
    let _ = std::fs::remove_dir_all(room.path("B"));
    let done = room.on("rollback", &[&run, "--check"]).code(1);
    let _ = done.says(&["name: the run wrote NULL, now it is \"Cy\""]);
}
