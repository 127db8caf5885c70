//! The trial of a whole rollback: a trigger or an index that is in the way is found before its first
//! write, and a dry run says what the rollback would.

use serde_json::Value;
use tests::db::same;
use tests::{Case, Room};

use super::{TOUCH, Trigger, room};

tests::both!(
    a_trigger_that_fires_on_some_later_row_stops_it_before_the_first_write,
    a_place_that_was_taken_in_a_partial_index_over_an_expression_stops_it_likewise,
    a_trigger_that_would_leave_a_row_otherwise_stops_it_likewise,
    a_dry_run_says_what_the_rollback_says_and_writes_nothing,
);

/// Made once the run is over.
fn forbids_x(room: &Room, case: Case) {
    let trigger = Trigger {
        name: "keep_x",
        when: "BEFORE DELETE",
        body: case.either(
            "SELECT RAISE(ABORT, 'x stays') WHERE OLD.id = 'x'",
            "IF OLD.id = 'x' THEN RAISE EXCEPTION 'x stays'; END IF",
        ),
    };
    trigger.on(room, case);
}

#[track_caller]
fn stops(room: &Room, run: &str, parts: &[&str]) {
    let after = room.dump();
    let args = [run, "--batch-size=1"];
    let _ = room.on("rollback", &args).code(1).says(parts);
    let _ = room.on("rollback", &[run, "--dry-run"]).code(1).says(parts);
    same(&room.dump(), &after, "nothing was written");
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "completed");
}

fn a_trigger_that_fires_on_some_later_row_stops_it_before_the_first_write(case: Case) {
    let room = room(case, "", &[]);
    let run = room.apply("B");
    forbids_x(&room, case);
    stops(
        &room,
        &run,
        &["item x", "x stays", "`keep_x`", "nothing was written"],
    );
    let check = room.on("rollback", &[&run, "--check", "--json"]);
    if case.either(true, false) {
        let _ = check.code(1).says(&["`keep_x`"]);
    } else {
        let check = check.code(0).says(&["`keep_x`", "--dry-run"]);
        let said: Value = serde_json::from_str(check.out.lines().last().unwrap()).unwrap();
        assert_eq!(said["untried"], serde_json::json!(["item"]));
    }
    let _ = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    let left = "SELECT string_agg(id, ',' ORDER BY id) FROM item";
    assert_eq!(room.ask(left), "a1,a2,b1,x");
}

fn a_place_that_was_taken_in_a_partial_index_over_an_expression_stops_it_likewise(case: Case) {
    let room = room(case, "", &[]);
    room.sql("CREATE UNIQUE INDEX firsts ON item (lower(list)) WHERE pos = 1");
    let run = room.apply("B");
    room.sql("INSERT INTO item (id, list, pos) VALUES ('z', 'B', 1)");
    stops(&room, &run, &["item b1", "firsts", "nothing was written"]);
    room.sql("DELETE FROM item WHERE id = 'z'");
    let _ = room.on("rollback", &[&run]).code(0);
}

fn a_trigger_that_would_leave_a_row_otherwise_stops_it_likewise(case: Case) {
    let room = room(case, "", &[]);
    let run = room.apply("B");
    let back = Trigger {
        name: "put_back",
        when: "AFTER DELETE",
        body: "INSERT INTO item (id, list) VALUES (OLD.id, 'back')",
    };
    back.on(&room, case);
    stops(&room, &run, &["nothing was written"]);
}

fn a_dry_run_says_what_the_rollback_says_and_writes_nothing(case: Case) {
    let room = room(case, "", &[TOUCH]);
    let before = room.dump();
    let run = room.apply("B");
    let everything = room.db.everything();
    let said = |more: &[&str]| {
        let args: Vec<&str> = [&run, "--json"]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        let done = room.on("rollback", &args).code(0);
        let line = done.out.lines().last().unwrap().to_owned();
        let mut said: Value = serde_json::from_str(&line).unwrap();
        for part in ["totalTime", "steps", "dry_run"] {
            said.as_object_mut().unwrap().remove(part);
        }
        (said, done.err)
    };
    let (dry, err) = said(&["--dry-run"]);
    assert!(
        err.contains("dry run, nothing written: Rolled back 3 entries"),
        "{err}"
    );
    if case.either(true, false) {
        assert_eq!(room.db.everything(), everything, "not a byte changed");
    }
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "completed");
    let (live, err) = said(&[]);
    assert!(err.contains("Rolled back 3 entries"), "{err}");
    assert_eq!(dry, live);
    same(&room.dump(), &before, "all is taken back");
}
