//! The row that describes a run is part of what is tried: a trigger that keeps it from being marked, or from
//! going, is named before anything is committed.

use tests::db::same;
use tests::{Case, Room, Target};

use super::{ITEMS, PLAN, TABLES};

tests::both!(
    a_description_that_could_not_be_marked_is_named_before_anything_is_written,
    a_description_that_could_not_go_is_named_before_anything_is_written,
    a_trigger_that_unmarks_the_description_is_named_too,
    a_run_that_adds_no_description_is_not_stopped_for_it,
    a_description_that_can_not_be_marked_is_in_the_way_of_a_rollback_and_can_be_left,
    without_a_trial_the_rollback_stops_at_the_mark_and_goes_on_once_it_may,
);

const METADATA: &str = r#"
[metadata]
table = "imports"
id = { column = "id", from = "uuid" }
on_rollback = "keep"
status = "note"
fields = { note = { run = "json" } }
"#;

fn club(case: Case, top: &str) -> Room {
    let plan = format!("{top}\n{PLAN}\n{METADATA}");
    let sql = format!("{TABLES} CREATE TABLE imports (id TEXT PRIMARY KEY, note TEXT);");
    let room = Room::with(case, &plan, &[("items.csv", ITEMS)], &sql);
    room.bundle("B");
    room
}

fn deleted(room: &Room) {
    room.mend("migration.toml", "\"keep\"", "\"delete\"");
    room.bundle("D");
}

/// Makes the database refuse what is done to the rows that describe runs.
fn forbid(room: &Room, event: &str) {
    room.db
        .refuse(event, "imports", "OLD.id <> ''", "read only");
}

#[track_caller]
fn refused(room: &Room, bundle: &str, parts: &[&str]) {
    let before = room.dump();
    let dry = room.on("apply", &[bundle, "--dry-run"]);
    let _ = dry.code(4).says(parts);
    let _ = room.on("apply", &[bundle]).code(4).says(parts);
    same(&room.dump(), &before, "nothing was written");
    let run = "SELECT status, last_seq FROM switchback_runs";
    assert_eq!(room.ask(run), "failed|0");
}

fn a_description_that_could_not_be_marked_is_named_before_anything_is_written(case: Case) {
    let room = club(case, "");
    forbid(&room, "UPDATE");
    let parts = [
        "imports",
        "read only",
        "`refuse`",
        "accept_no_undo = [\"imports\"]",
    ];
    refused(&room, "B", &parts);
    // One that goes with the rollback is not marked.
    deleted(&room);
    let _ = room.on("apply", &["D"]).code(0);
}

fn a_description_that_could_not_go_is_named_before_anything_is_written(case: Case) {
    let room = club(case, "");
    forbid(&room, "DELETE");
    deleted(&room);
    let parts = [
        "imports",
        "read only",
        "`refuse`",
        "accept_no_undo = [\"imports\"]",
    ];
    refused(&room, "D", &parts);
    let _ = room.on("apply", &["B"]).code(0);
}

fn a_trigger_that_unmarks_the_description_is_named_too(case: Case) {
    let room = club(case, "");
    room.sql(case.either(
        "CREATE TRIGGER faithful AFTER UPDATE ON imports WHEN NEW.note <> OLD.note BEGIN UPDATE imports SET note = OLD.note WHERE id = NEW.id; END",
        "CREATE FUNCTION faithful() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := OLD.note; RETURN NEW; END $$;
         CREATE TRIGGER faithful BEFORE UPDATE ON imports FOR EACH ROW EXECUTE FUNCTION faithful()",
    ));
    refused(
        &room,
        "B",
        &["imports", "does not stay marked", "`faithful`"],
    );
}

fn a_run_that_adds_no_description_is_not_stopped_for_it(case: Case) {
    let room = club(case, "");
    room.apply("B");
    forbid(&room, "UPDATE");
    let _ = room
        .on("apply", &["B"])
        .code(0)
        .says(&["0 created, 0 updated"]);
    assert_eq!(room.ask("SELECT count(*) FROM imports"), "1");
}

fn a_description_that_can_not_be_marked_is_in_the_way_of_a_rollback_and_can_be_left(case: Case) {
    let room = club(case, "accept_no_undo = [\"imports\"]");
    let before = room.dump();
    forbid(&room, "UPDATE");
    let run = room.apply("B");
    let after = room.dump();
    let parts = ["imports", "read only", "`refuse`", "nothing was written"];
    let _ = room.on("rollback", &[&run]).code(1).says(&parts);
    let _ = room
        .on("rollback", &[&run, "--dry-run"])
        .code(1)
        .says(&parts);
    same(&room.dump(), &after, "nothing was written");
    let left = room.on("rollback", &[&run, "--skip-conflicts"]);
    let _ = left.code(0).says(&["1 change kept in place"]);
    assert_eq!(room.ask("SELECT count(*) FROM item"), "3");
    let status = "SELECT note ->> 'status' FROM imports";
    assert_eq!(room.ask(status), "completed");
    let _ = room
        .on("verify", &[&run])
        .code(0)
        .prints(&["kept by rollback: failed"]);
    room.db.allow("imports");
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask(status), "rolled-back");
    let _ = room.on("verify", &[&run]).code(0);
    room.sql("DELETE FROM imports");
    same(&room.dump(), &before, "all is taken back");
}

fn without_a_trial_the_rollback_stops_at_the_mark_and_goes_on_once_it_may(case: Case) {
    let room = club(case, "");
    let run = room.apply("B");
    forbid(&room, "UPDATE");
    let parts = ["which describes the run", "read only", "`refuse`"];
    let _ = room.untried(&[&run]).code(3).says(&parts);
    let status = "SELECT status FROM switchback_runs";
    assert_eq!(room.ask(status), "rollback-failed");
    room.db.allow("imports");
    let _ = room.on("rollback", &[&run, "--resume"]).code(0);
    assert_eq!(room.ask(status), "rolled-back");
    let _ = room.on("verify", &[&run]).code(0);
}

#[test]
fn a_mark_that_ends_the_whole_transaction_is_left_out_as_well() {
    let case = Case::new(Target::Sqlite, "");
    let room = club(case, "");
    let give_up = "CREATE TRIGGER give_up BEFORE UPDATE ON imports BEGIN SELECT RAISE(ROLLBACK, 'no more'); END";
    room.sql(give_up);
    refused(
        &room,
        "B",
        &[
            "imports",
            "no more",
            "`give_up`",
            "ends the whole transaction",
        ],
    );
    let room = club(case, "accept_no_undo = [\"imports\"]");
    room.sql(give_up);
    let run = room.apply("B");
    let after = room.dump();
    let parts = ["imports", "no more", "`give_up`", "nothing was written"];
    let _ = room.on("rollback", &[&run]).code(1).says(&parts);
    same(&room.dump(), &after, "nothing was written");
    let _ = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM item"), "3");
    let _ = room.on("verify", &[&run]).code(0);
}
