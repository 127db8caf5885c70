//! The undo trial of apply: what rollback could not take back is named before it is committed.

use tests::db::same;
use tests::{Case, Room};

use super::{TABLES, Trigger, room};

tests::both!(
    a_table_that_forbids_deletes_is_named_before_anything_is_written,
    what_the_plan_accepts_is_said_by_apply_and_by_rollback_and_stays_whole,
    a_trigger_that_turns_a_delete_into_an_update_is_named,
    a_trigger_that_puts_a_deleted_row_back_is_named,
    a_trigger_that_moves_other_rows_when_one_goes_is_named,
    what_stands_can_be_taken_back_when_a_later_batch_could_not,
    an_index_over_an_expression_is_tried_and_lets_a_run_pass,
);

fn forbids(case: Case) -> Trigger<'static> {
    Trigger {
        name: "append_only",
        when: "BEFORE DELETE",
        body: case.either(
            "SELECT RAISE(ABORT, 'no row goes')",
            "RAISE EXCEPTION 'no row goes'",
        ),
    }
}

#[track_caller]
fn refused(room: &Room, parts: &[&str]) {
    let before = room.dump();
    let dry = room.on("apply", &["B", "--dry-run"]);
    let _ = dry.code(4).says(parts);
    let _ = room.on("apply", &["B"]).code(4).says(parts);
    same(&room.dump(), &before, "nothing was written");
    let run = "SELECT status, last_seq FROM switchback_runs";
    assert_eq!(room.ask(run), "failed|0");
}

fn a_table_that_forbids_deletes_is_named_before_anything_is_written(case: Case) {
    let room = room(case, "", &[forbids(case)]);
    let parts = [
        "item b2: no row goes",
        "trigger `append_only`",
        "accept_no_undo = [\"item\"]",
    ];
    refused(&room, &parts);
}

fn what_the_plan_accepts_is_said_by_apply_and_by_rollback_and_stays_whole(case: Case) {
    let room = room(case, "accept_no_undo = [\"item\"]", &[forbids(case)]);
    let accepts = ["accepts", "item", "accept_no_undo"];
    let run = room.on("apply", &["B"]).code(0).says(&accepts).id();
    let after = room.dump();
    let check = room.on("rollback", &[&run, "--check"]);
    let _ = check.code(case.either(1, 0)).says(&["append_only"]);
    let stops = [
        "item x",
        "no row goes",
        "`append_only`",
        "nothing was written",
    ];
    let _ = room.on("rollback", &[&run]).code(1).says(&stops);
    let _ = room.on("rollback", &[&run, "--dry-run"]).code(1);
    same(&room.dump(), &after, "nothing was written");
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "completed");
    let _ = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM item"), "5");
    assert_eq!(room.ask("SELECT pos FROM item WHERE id = 'b1'"), "1");
    // The word at the entity is the same, and a table that nobody writes is no table.
    let entity = "accept_no_undo = [\"item\"]\ntable = \"item\"";
    room.write(
        "migration.toml",
        super::PLAN.replace("table = \"item\"", entity),
    );
    room.bundle("C");
    room.mend("migration.toml", "[\"item\"]", "[\"items\"]");
    let [parse, ..] = room.pipeline("D");
    let _ = parse.code(2).says(&["no entity writes to a table `items`"]);
}

fn a_trigger_that_turns_a_delete_into_an_update_is_named(case: Case) {
    let soft = Trigger {
        name: "soft",
        when: "BEFORE DELETE",
        body: case.either(
            "UPDATE item SET touched = 'gone' WHERE id = OLD.id; SELECT RAISE(IGNORE)",
            "UPDATE item SET touched = 'gone' WHERE id = OLD.id; RETURN NULL",
        ),
    };
    refused(&room(case, "", &[soft]), &["item", "`soft`"]);
}

fn a_trigger_that_puts_a_deleted_row_back_is_named(case: Case) {
    let back = Trigger {
        name: "put_back",
        when: "AFTER DELETE",
        body: "INSERT INTO item (id, list, pos) VALUES (OLD.id, OLD.list, OLD.pos)",
    };
    refused(&room(case, "", &[back]), &["item", "`put_back`"]);
}

fn a_trigger_that_moves_other_rows_when_one_goes_is_named(case: Case) {
    let close = Trigger {
        name: "close_gap",
        when: "AFTER DELETE",
        body: "UPDATE item SET pos = pos - 1 WHERE list = OLD.list AND pos >= OLD.pos",
    };
    refused(
        &room(case, "", &[close]),
        &["`close_gap` wrote 1 other row of item"],
    );
}

fn what_stands_can_be_taken_back_when_a_later_batch_could_not(case: Case) {
    let only_up = Trigger {
        name: "only_up",
        when: case.either(
            "BEFORE UPDATE ON item WHEN NEW.pos < OLD.pos BEGIN SELECT 1; END; \
             CREATE TRIGGER only_up_too BEFORE UPDATE",
            "BEFORE UPDATE",
        ),
        body: case.either(
            "SELECT RAISE(ABORT, 'never down') WHERE NEW.pos < OLD.pos",
            "IF NEW.pos < OLD.pos THEN RAISE EXCEPTION 'never down'; END IF",
        ),
    };
    let room = room(case, "", &[only_up]);
    let before = room.dump();
    let args = ["B", "--batch-size=1", "--commit-every=0"];
    let run = room
        .on("apply", &args)
        .code(3)
        .says(&["item b1: never down", "only_up", "takes it back"])
        .id();
    assert_eq!(room.ask("SELECT count(*) FROM item"), "5");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "what stood is taken back");
}

fn an_index_over_an_expression_is_tried_and_lets_a_run_pass(case: Case) {
    let room = room(case, "", &[]);
    room.sql("CREATE UNIQUE INDEX firsts ON item (lower(list)) WHERE pos = 1");
    let before = room.dump();
    let run = room.apply("B");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "all is taken back");
    assert!(TABLES.contains("pos INTEGER"));
}
