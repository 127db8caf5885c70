//! Show 8: what people changed after the run is never overwritten in silence.

use serde_json::Value;
use tests::db::same;
use tests::{Case, Room};

tests::both!(
    an_edited_insert_stops_rollback_and_is_listed_with_both_values,
    an_edited_update_stops_rollback_and_force_restores_it_too,
    what_was_kept_is_kept_until_rollback_is_repeated,
    an_edit_in_a_column_that_the_run_did_not_change_survives_and_the_proof_says_so,
    a_row_that_others_depend_on_now_is_never_deleted_through_a_cascade,
    a_row_that_somebody_deleted_is_already_gone,
    a_later_run_that_touched_the_same_row_goes_first,
    batches_before_the_one_at_fault_stand_though_they_are_gathered_for_one_commit,
);

const PLAN: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
match = ["email"]
on_match = "update"
[entity.fields]
email = { from = "email", required = true }
name = { from = "name", required = true }
"#;

/// Two rows that are new, one (`there`) that is updated in its name alone.
fn applied(case: Case) -> (Room, String, String) {
    let sources = [(
        "people.csv",
        "id,email,name\n1,ann@example.org,Ann\n2,bo@example.org,Bo\n3,cy@example.org,Cy\n",
    )];
    let schema = "CREATE TABLE person (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, note TEXT);
                  CREATE TABLE card (no INTEGER PRIMARY KEY, person TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE);
                  CREATE INDEX card_person ON card (person);
                  INSERT INTO person VALUES ('there', 'cy@example.org', 'Cyrus', 'old note');";
    let room = Room::with(case, PLAN, &sources, schema);
    room.bundle("B");
    let before = room.dump();
    let done = room
        .on("apply", &["B"])
        .code(0)
        .says(&["2 created, 1 updated"]);
    (room, done.id(), before)
}

/// Checks that rollback stops before its first write, lists the conflict, and is told so by `--check` too.
fn stops(room: &Room, run: &str, parts: &[&str]) {
    let before = room.db.everything();
    room.on("rollback", &[run, "--check"]).code(1).says(parts);
    assert!(room.db.everything() == before, "--check writes nothing");
    let before = room.dump();
    room.on("rollback", &[run]).code(1).says(parts);
    same(
        &room.dump(),
        &before,
        "rollback stopped before its first write",
    );
}

fn an_edited_insert_stops_rollback_and_is_listed_with_both_values(case: Case) {
    let (room, run, _) = applied(case);
    room.sql("UPDATE person SET name = 'Annabel' WHERE id = '1'");
    stops(&room, &run, &["person", "name", "Annabel", "Ann"]);
    room.on("rollback", &[&run, "--skip-conflicts"])
        .code(0)
        .says(&["Annabel"]);
    assert_eq!(
        room.ask("SELECT string_agg(id || ' ' || name, ', ' ORDER BY id) FROM person"),
        "1 Annabel, there Cyrus"
    );
}

fn an_edited_update_stops_rollback_and_force_restores_it_too(case: Case) {
    let (room, run, before) = applied(case);
    room.sql("UPDATE person SET name = 'Cynthia' WHERE id = 'there'");
    stops(&room, &run, &["there", "name", "Cynthia", "Cy"]);
    let done = room.on("rollback", &[&run, "--force", "--json"]).code(0);
    same(&room.dump(), &before, "--force restores what was edited");
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["conflicts"], &last["forced"]),
        (&1.into(), &1.into())
    );
}

fn what_was_kept_is_kept_until_rollback_is_repeated(case: Case) {
    let (room, run, before) = applied(case);
    room.sql("UPDATE person SET name = 'Annabel' WHERE id = '1'");
    room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    assert_eq!(
        room.ask("SELECT status || ' ' || kept FROM switchback_runs"),
        "rolled-back 1"
    );
    room.sql("UPDATE person SET name = 'Ann' WHERE id = '1'");
    room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "the rest is reversed");
    assert_eq!(
        room.ask("SELECT status || ' ' || kept FROM switchback_runs"),
        "rolled-back 0"
    );
}

fn an_edit_in_a_column_that_the_run_did_not_change_survives_and_the_proof_says_so(case: Case) {
    let (room, run, _) = applied(case);
    room.sql("UPDATE person SET note = 'new note' WHERE id = 'there'");
    room.on("rollback", &[&run])
        .code(0)
        .says(&["edited elsewhere since", "there"]);
    assert_eq!(
        room.ask("SELECT id || ' ' || name || ' ' || note FROM person"),
        "there Cyrus new note"
    );
}

fn a_row_that_others_depend_on_now_is_never_deleted_through_a_cascade(case: Case) {
    let (room, run, _) = applied(case);
    room.sql("INSERT INTO card VALUES (7, '2')");
    stops(&room, &run, &["card", "person"]);
    room.on("rollback", &[&run, "--force"])
        .code(1)
        .says(&["card", "taken back in part, which nobody asked for"]);
    assert_eq!(
        room.ask("SELECT count(*) FROM card JOIN person ON person.id = card.person"),
        "1",
        "--force does not cascade either"
    );
    assert_eq!(
        room.ask("SELECT string_agg(id, ',' ORDER BY id) FROM person"),
        "2,there"
    );
}

fn a_row_that_somebody_deleted_is_already_gone(case: Case) {
    let (room, run, before) = applied(case);
    room.sql("DELETE FROM person WHERE id = '1'");
    room.on("rollback", &[&run]).code(0).says(&["gone"]);
    same(&room.dump(), &before, "nothing of the run is left");
}

fn a_later_run_that_touched_the_same_row_goes_first(case: Case) {
    let (room, first, before) = applied(case);
    room.mend("people.csv", "Cy\n", "Cyd\n");
    room.bundle("C");
    let second = room.apply("C");
    stops(&room, &first, &[&second]);
    room.on("rollback", &[&second]).code(0);
    room.on("rollback", &[&first]).code(0);
    same(&room.dump(), &before, "both are undone");
}

fn batches_before_the_one_at_fault_stand_though_they_are_gathered_for_one_commit(case: Case) {
    let (room, _, _) = applied(case);
    let mut people = String::from("id,email,name\n");
    for n in 10..1210 {
        people.push_str(&format!("{n},p{n}@example.org,P\n"));
    }
    room.write("people.csv", people);
    room.bundle("C");
    let before = room.dump();
    let run = room.apply("C");
    room.db
        .refuse("DELETE", "person", "OLD.id = '20'", "p20 stays");
    let _ = room.untried(&[&run]).code(3).says(&[
        "p20 stays",
        "1 row can't be reversed as it is now; the batches before it are committed",
    ]);
    assert_eq!(
        room.ask("SELECT count(*) FROM person WHERE name = 'P'"),
        "200",
        "two batches of 500 are undone"
    );
    room.db.allow("person");
    let _ = room.on("rollback", &[&run, "--resume"]).code(0);
    same(&room.dump(), &before, "the rest follows");
}
