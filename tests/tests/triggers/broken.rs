//! Triggers of SQLite that name what is not there: no statement that fires them can be prepared.

use tests::db::same;
use tests::{Case, Room};

use super::{TOUCH, Trigger, room};

mod sqlite {
    tests::on_target!(
        Sqlite,
        a_trigger_that_names_a_missing_table_is_named_before_the_first_write,
        what_such_a_trigger_does_not_concern_is_taken_back,
        a_trigger_that_no_undo_can_fire_is_named_before_rollback_writes
    );
}

fn note(when: &str) -> Trigger<'_> {
    Trigger {
        name: "note_it",
        when,
        body: "INSERT INTO gone VALUES (1)",
    }
}

const NAMED: &[&str] = &["trigger `note_it` on item can't run: no such table: main.gone"];

fn refused(room: &Room, program: &str, args: &[&str]) {
    let before = room.dump();
    let done = room.on(program, args).code(4).says(NAMED);
    assert!(!done.err.contains("touch"), "{}", done.err);
    same(&room.dump(), &before, "nothing was written");
}

fn a_trigger_that_names_a_missing_table_is_named_before_the_first_write(case: Case) {
    for when in ["BEFORE INSERT", "AFTER UPDATE", "AFTER DELETE"] {
        let room = room(case, "", &[TOUCH, note(when)]);
        refused(&room, "apply", &["B", "--dry-run"]);
        refused(&room, "apply", &["B"]);
        assert!(!room.db.has_ledger(), "{when}");
        room.sql("DROP TRIGGER note_it");
        room.apply("B");
    }
}

fn what_such_a_trigger_does_not_concern_is_taken_back(case: Case) {
    let room = room(case, "", &[TOUCH]);
    let before = room.dump();
    let run = room.apply("B");
    note("AFTER INSERT").on(&room, case);
    refused(&room, "apply", &["B"]);
    let _ = room.on("rollback", &[&run]).code(0);
    room.sql("DROP TRIGGER note_it");
    same(&room.dump(), &before, "all is taken back");
}

fn a_trigger_that_no_undo_can_fire_is_named_before_rollback_writes(case: Case) {
    let room = room(case, "", &[TOUCH]);
    let before = room.dump();
    let run = room.apply("B");
    note("AFTER DELETE").on(&room, case);
    refused(&room, "rollback", &[&run, "--check"]);
    refused(&room, "rollback", &[&run]);
    room.sql("DROP TRIGGER note_it");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "all is taken back");
}
