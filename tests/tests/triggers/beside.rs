//! Rows that a trigger writes beside those that are sent: the plan accepts them by the trigger's name, or
//! nothing is written.

use tests::db::same;
use tests::{Case, Room};

use super::{LOG, MAKE_ROOM, TOUCH, Trigger, room};

tests::both!(
    a_trigger_that_moves_other_rows_of_its_table_is_named_and_nothing_is_written,
    a_trigger_that_counts_in_another_row_is_named,
    what_stands_already_can_be_taken_back_when_a_later_batch_moves_other_rows,
    a_trigger_that_writes_another_table_is_named_with_it,
    a_trigger_that_changes_its_own_row_needs_no_word,
    a_trigger_that_only_looks_or_sets_a_column_needs_no_word,
    an_accepted_trigger_writes_beside_one_that_needs_no_word,
);

fn refused(room: &Room, parts: &[&str]) {
    let before = room.dump();
    let _ = room.on("apply", &["B", "--dry-run"]).code(4).says(parts);
    let _ = room.on("apply", &["B"]).code(4).says(parts);
    same(&room.dump(), &before, "nothing was written");
}

fn there_and_back(room: &Room) {
    let before = room.dump();
    let run = room.apply("B");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "all is taken back");
}

const ROWS: &str = "SELECT string_agg(concat_ws(' ', id, pos), ', ' ORDER BY id) FROM item";

fn a_trigger_that_moves_other_rows_of_its_table_is_named_and_nothing_is_written(case: Case) {
    let plain = room(case, "", &[MAKE_ROOM]);
    refused(&plain, &["`make_room`", "of item, when", "accept_triggers"]);
    assert_eq!(plain.ask("SELECT status FROM switchback_runs"), "failed");
    let accepted = room(case, "accept_triggers = [\"make_room\"]", &[MAKE_ROOM]);
    accepted.apply("B");
    assert_eq!(accepted.ask(ROWS), "a1 1, a2 3, b1 7, b2 2, x 2");
}

fn a_trigger_that_counts_in_another_row_is_named(case: Case) {
    let count = Trigger {
        name: "count_up",
        when: "AFTER INSERT",
        body: "UPDATE item SET \"begin\" = 1 WHERE id = 'a1' AND NEW.list IS NOT NULL",
    };
    refused(&room(case, "", &[count]), &["`count_up`", "other row"]);
}

fn what_stands_already_can_be_taken_back_when_a_later_batch_moves_other_rows(case: Case) {
    let room = room(case, "", &[MAKE_ROOM]);
    let before = room.dump();
    let args = ["B", "--batch-size=1", "--commit-every=0"];
    let run = room
        .on("apply", &args)
        .code(3)
        .says(&["`make_room` wrote 1 other row of item"])
        .id();
    assert_eq!(room.ask(ROWS), "a1 1, a2 2, b1 1, b2 2");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "the batch that stood is taken back");
}

fn a_trigger_that_writes_another_table_is_named_with_it(case: Case) {
    refused(&room(case, "", &[LOG]), &["`keep_log`", " of log"]);
}

fn a_trigger_that_changes_its_own_row_needs_no_word(case: Case) {
    let more = Trigger {
        name: "touch_new",
        when: "AFTER INSERT",
        body: "UPDATE item SET \"begin\" = 5 WHERE id = NEW.id AND list = NEW.list",
    };
    there_and_back(&room(case, "", &[TOUCH, more]));
}

fn a_trigger_that_only_looks_or_sets_a_column_needs_no_word(case: Case) {
    let look = Trigger {
        name: "look",
        when: case.either("AFTER INSERT", "AFTER INSERT OR UPDATE OR DELETE"),
        body: case.either(
            "SELECT RAISE(ABORT, 'no list') WHERE NEW.list IS NULL",
            "PERFORM pg_notify('items', TG_OP)",
        ),
    };
    let set = Trigger {
        name: "set_it",
        when: case.either("AFTER UPDATE", "BEFORE INSERT OR UPDATE"),
        body: case.either(
            "UPDATE item SET touched = 'set' WHERE id = NEW.id",
            "NEW.touched := 'set'",
        ),
    };
    there_and_back(&room(case, "", &[look, set]));
}

fn an_accepted_trigger_writes_beside_one_that_needs_no_word(case: Case) {
    let stamp = Trigger {
        name: "stamp",
        when: case.either("AFTER UPDATE", "BEFORE UPDATE"),
        body: case.either(
            "UPDATE item SET touched = 'now' WHERE id = NEW.id",
            "NEW.touched := 'now'",
        ),
    };
    let room = room(case, "accept_triggers = [\"keep_log\"]", &[LOG, stamp]);
    let run = room.apply("B");
    assert_eq!(room.ask("SELECT count(*) FROM log"), "2");
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT touched FROM item WHERE id = 'b1'"), "NULL");
}
