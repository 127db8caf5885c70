//! Columns that never conflict: what others wrote there since goes with the rollback, and is told.

use serde_json::Value;
use tests::{Case, Room};

tests::both!(
    what_others_wrote_to_a_volatile_column_that_the_run_left_alone_is_told_and_goes,
    what_others_wrote_over_the_run_in_such_a_column_is_told_and_goes,
    what_others_wrote_to_such_a_column_of_a_new_row_is_told,
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
volatile = ["seen", "rank"]
source = { format = "csv", files = ["m.csv"], key = "id" }
[entity.fields]
name = { from = "name" }
rank = { from = "rank" }
stamp = { run = "id" }
"#;

const RUN: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

fn applied(case: Case) -> Room {
    let schema =
        "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, rank TEXT, seen TEXT, stamp TEXT);
        INSERT INTO member VALUES ('a', 'Ann', 'low', 'monday', 'nobody');";
    let csv = "id,name,rank\na,Anna,high\nb,Bob,high\n";
    let room = Room::with(case, PLAN, &[("m.csv", csv)], schema);
    room.bundle("B");
    room.on("apply", &["B", "--run-id", RUN]).code(0);
    room
}

fn row(room: &Room, id: &str) -> String {
    let sql = format!("SELECT name, rank, seen, stamp FROM member WHERE id = '{id}'");
    room.ask(&sql)
}

fn what_others_wrote_to_a_volatile_column_that_the_run_left_alone_is_told_and_goes(case: Case) {
    let room = applied(case);
    room.sql("UPDATE member SET seen = 'friday' WHERE id = 'a'");
    let done = room.on("rollback", &[RUN, "--json"]).code(0);
    assert_eq!(row(&room, "a"), "Ann|low|monday|nobody");
    assert!(done.out.contains("\"proved\":true"), "{}", done.out);
    done.says(&["seen: the run left \"monday\", now it is \"friday\""]);
    room.on("verify", &[RUN]).code(0);
}

fn what_others_wrote_over_the_run_in_such_a_column_is_told_and_goes(case: Case) {
    let room = applied(case);
    room.sql("UPDATE member SET rank = 'theirs', stamp = 'theirs too' WHERE id = 'a'");
    let says = [
        "what others wrote since to columns that never conflict goes",
        "rank: the run left \"high\", now it is \"theirs\"",
        "now it is \"theirs too\"",
    ];
    room.on("rollback", &[RUN, "--check"]).code(0).says(&says);
    let done = room.on("rollback", &[RUN, "--json"]).code(0);
    let line = done.out.lines().find(|line| line.contains("theirs"));
    let line: Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(line["verdict"], "reversible");
    let columns = line["overwritten"].as_array().unwrap();
    let names: Vec<&Value> = columns.iter().map(|column| &column["column"]).collect();
    assert_eq!(names, ["rank", "stamp"]);
    done.says(&says);
    assert_eq!(row(&room, "a"), "Ann|low|monday|nobody");
}

fn what_others_wrote_to_such_a_column_of_a_new_row_is_told(case: Case) {
    let room = applied(case);
    room.sql("UPDATE member SET seen = 'friday' WHERE id = 'b'");
    room.on("rollback", &[RUN])
        .code(0)
        .says(&["member b", "seen", "now it is \"friday\""]);
    assert_eq!(room.ask("SELECT count(*) FROM member"), "1");
}
