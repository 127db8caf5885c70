//! Show 9: which row a record is, and who else may not have it.

use tests::db::same;
use tests::{Case, Room};

tests::both!(
    one_e_mail_on_two_records_is_an_error_that_names_both_places,
    one_e_mail_on_two_records_with_the_row_there_before,
    a_row_claimed_in_an_earlier_run_is_not_claimed_again,
    where_the_plan_says_unique_validate_names_both_places,
    an_e_mail_that_changed_updates_the_same_row,
    a_mapped_row_that_is_gone_fails_unless_the_plan_says_otherwise,
    a_mapped_row_that_is_gone_is_made_again,
    a_mapped_row_that_is_gone_is_skipped,
    two_systems_with_the_same_keys_are_different_records,
    a_row_found_by_match_fails_by_default_and_says_what_to_write,
    a_matched_row_that_is_skipped_stays_skipped,
    a_column_that_changed_on_both_sides_is_decided_by_the_plan,
    a_self_reference_and_a_cycle_between_two_entities_there_and_back,
    a_late_reference_to_nobody_is_named,
    a_deleted_row_comes_back_whole,
    a_delete_whose_children_the_run_does_not_deal_with_is_refused,
    a_late_reference_that_the_source_takes_back_becomes_null,
);

/// People matched by e-mail; `more` goes into the entity.
fn plan(system: &str, more: &str) -> String {
    format!(
        r#"
name = "people"
system = "{system}"
[limits]
reject_fail = 100
[[entity]]
name = "person"
source = {{ format = "csv", files = ["people.csv"], key = "id" }}
table = "person"
id = {{ column = "id", from = "uuid" }}
match = ["email"]
on_match = "update"
{more}
[entity.fields]
email = {{ from = "email", required = true }}
name = {{ from = "name", required = true }}
"#
    )
}

const SCHEMA: &str =
    "CREATE TABLE person (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL);";

const TWO: &str = "id,email,name\n1,ann@example.org,Ann\n2,bo@example.org,Bo\n";

fn people(case: Case, more: &str, csv: &str) -> Room {
    let room = Room::with(case, &plan("club", more), &[("people.csv", csv)], SCHEMA);
    room.bundle("B");
    room
}

const ROWS: &str = "SELECT string_agg(email || ' ' || name, ', ' ORDER BY email) FROM person";

fn one_e_mail_on_two_records_is_an_error_that_names_both_places(case: Case) {
    let room = people(
        case,
        "",
        "id,email,name\n1,ann@example.org,Ann\n2,bo@example.org,Bo\n3,ann@example.org,Anna\n",
    );
    room.on("apply", &["B"])
        .code(3)
        .says(&["people.csv:4", "people.csv:2", "person 3"]);
    assert_eq!(
        room.ask("SELECT count(*) FROM person"),
        "0",
        "the batch was undone whole"
    );
}

fn one_e_mail_on_two_records_with_the_row_there_before(case: Case) {
    let room = people(
        case,
        "",
        "id,email,name\n1,ann@example.org,Ann\n2,ann@example.org,Anna\n",
    );
    room.sql("INSERT INTO person VALUES ('x', 'ann@example.org', 'Annie')");
    room.on("apply", &["B"])
        .code(3)
        .says(&["people.csv:3", "people.csv:2"]);
    assert_eq!(room.ask(ROWS), "ann@example.org Annie");
}

fn a_row_claimed_in_an_earlier_run_is_not_claimed_again(case: Case) {
    let room = people(case, "", TWO);
    room.apply("B");
    room.write("people.csv", "id,email,name\n9,ann@example.org,Other\n");
    room.bundle("C");
    let before = room.dump();
    room.on("apply", &["C"])
        .code(3)
        .says(&["people.csv:2", "person 9", "\"1\""]);
    same(&room.dump(), &before, "nothing was written");
}

fn where_the_plan_says_unique_validate_names_both_places(case: Case) {
    let room = people(case, "", TWO);
    room.mend(
        "migration.toml",
        "email = { from = \"email\", required = true }",
        "email = { from = \"email\", required = true, unique = \"fold\" }",
    );
    room.write(
        "people.csv",
        "id,email,name\n1,ann@example.org,Ann\n2,ANN@example.org,Anna\n",
    );
    let parse = room.run("parse", &[]).code(0);
    let done = room.feed("validate", &[], parse.out).code(0);
    done.says(&["people.csv:3", "people.csv:2", "email"]);
}

fn an_e_mail_that_changed_updates_the_same_row(case: Case) {
    let room = people(case, "", TWO);
    room.apply("B");
    let id = room.ask("SELECT id FROM person WHERE name = 'Ann'");
    room.mend("people.csv", "ann@example.org", "ann.new@example.org");
    room.bundle("C");
    let done = room
        .on("apply", &["C"])
        .code(0)
        .says(&["0 created, 1 updated, 1 unchanged"]);
    assert_eq!(
        room.ask("SELECT id || ' ' || email FROM person WHERE name = 'Ann'"),
        format!("{id} ann.new@example.org")
    );
    room.on("rollback", &[&done.id()]).code(0);
    assert_eq!(room.ask(ROWS), "ann@example.org Ann, bo@example.org Bo");
}

/// A mapped row that somebody deleted: returns the room and how the next apply ended.
fn deleted_by_hand(case: Case, more: &str) -> (Room, tests::Done) {
    let room = people(case, more, TWO);
    room.apply("B");
    room.sql("DELETE FROM person WHERE name = 'Ann'");
    let done = room.on("apply", &["B"]);
    (room, done)
}

fn a_mapped_row_that_is_gone_fails_unless_the_plan_says_otherwise(case: Case) {
    let (room, done) = deleted_by_hand(case, "");
    done.code(3).says(&["people.csv:2", "person 1", "on_gone"]);
    assert_eq!(room.ask(ROWS), "bo@example.org Bo");
}

fn a_mapped_row_that_is_gone_is_made_again(case: Case) {
    let (room, done) = deleted_by_hand(case, "on_gone = \"recreate\"");
    done.code(0).says(&["1 created, 0 updated, 1 unchanged"]);
    assert_eq!(room.ask(ROWS), "ann@example.org Ann, bo@example.org Bo");
}

fn a_mapped_row_that_is_gone_is_skipped(case: Case) {
    let (room, done) = deleted_by_hand(case, "on_gone = \"skip\"");
    done.code(0).says(&["1 unchanged, 1 skipped"]);
    assert_eq!(room.ask(ROWS), "bo@example.org Bo");
}

fn two_systems_with_the_same_keys_are_different_records(case: Case) {
    let room = people(case, "", TWO);
    room.apply("B");
    room.write("migration.toml", plan("school", ""));
    room.write(
        "people.csv",
        "id,email,name\n1,cy@example.org,Cy\n2,di@example.org,Di\n",
    );
    room.bundle("C");
    let done = room.on("apply", &["C"]).code(0).says(&["2 created"]);
    assert_eq!(
        room.ask("SELECT count(*) || ' ' || count(DISTINCT id) FROM person"),
        "4 4"
    );
    room.on("rollback", &[&done.id()]).code(0);
    assert_eq!(room.ask(ROWS), "ann@example.org Ann, bo@example.org Bo");
}

fn a_row_found_by_match_fails_by_default_and_says_what_to_write(case: Case) {
    let room = people(case, "", TWO);
    room.mend("migration.toml", "on_match = \"update\"\n", "");
    room.bundle("C");
    room.sql("INSERT INTO person VALUES ('x', 'ann@example.org', 'Annie')");
    room.on("apply", &["C"])
        .code(3)
        .says(&["people.csv:2", "on_match"]);
    assert_eq!(room.ask(ROWS), "ann@example.org Annie");
}

fn a_matched_row_that_is_skipped_stays_skipped(case: Case) {
    let room = people(case, "", TWO);
    room.mend(
        "migration.toml",
        "on_match = \"update\"",
        "on_match = \"skip\"",
    );
    room.bundle("C");
    room.sql("INSERT INTO person VALUES ('x', 'ann@example.org', 'Annie')");
    for _ in 0..2 {
        room.on("apply", &["C"]).code(0);
        assert_eq!(room.ask(ROWS), "ann@example.org Annie, bo@example.org Bo");
    }
}

fn a_column_that_changed_on_both_sides_is_decided_by_the_plan(case: Case) {
    for (word, code, name) in [
        ("fail", 3, "Edited"),
        ("keep", 0, "Edited"),
        ("overwrite", 0, "Source"),
    ] {
        let room = people(case, &format!("on_drift = \"{word}\""), TWO);
        room.apply("B");
        room.sql("UPDATE person SET name = 'Edited' WHERE email = 'ann@example.org'");
        room.mend("people.csv", "Ann\n", "Source\n");
        room.bundle("C");
        room.on("apply", &["C"])
            .code(code)
            .says(&["people.csv:2", "name"]);
        assert_eq!(
            room.ask("SELECT name FROM person WHERE email = 'ann@example.org'"),
            name,
            "{word}"
        );
    }
}

const CYCLE: &str = r#"
name = "cycle"
system = "club"
[[entity]]
name = "team"
source = { format = "csv", files = ["teams.csv"], key = "id" }
table = "team"
id = { column = "id", from = "key" }
[entity.fields]
name = { from = "name", required = true }
captain = { from = "captain", ref = "player", late = true }
[[entity]]
name = "player"
source = { format = "csv", files = ["players.csv"], key = "id" }
table = "player"
id = { column = "id", from = "uuid" }
[entity.fields]
team = { from = "team", ref = "team", required = true }
mentor = { from = "mentor", ref = "player", late = true }
"#;

/// Teams and players, each of which refers to the other.
fn teams(case: Case) -> String {
    let (inside, after) = case.either(
        (" REFERENCES player (id)", ""),
        (
            "",
            "ALTER TABLE team ADD FOREIGN KEY (captain) REFERENCES player (id);",
        ),
    );
    format!(
        "CREATE TABLE team (id TEXT PRIMARY KEY, name TEXT NOT NULL, captain TEXT{inside});
CREATE TABLE player (id TEXT PRIMARY KEY, team TEXT NOT NULL REFERENCES team (id), mentor TEXT REFERENCES player (id));
{after}
CREATE INDEX team_captain ON team (captain); CREATE INDEX player_team ON player (team); CREATE INDEX player_mentor ON player (mentor);"
    )
}

fn a_self_reference_and_a_cycle_between_two_entities_there_and_back(case: Case) {
    let sources = [
        ("teams.csv", "id,name,captain\nred,Red,p2\nblue,Blue,\n"),
        (
            "players.csv",
            "id,team,mentor\np1,red,p2\np2,red,p1\np3,blue,p3\n",
        ),
    ];
    let room = Room::with(case, CYCLE, &sources, &teams(case));
    room.bundle("B");
    let before = room.dump();
    let done = room
        .on("apply", &["B"])
        .code(0)
        .says(&["late references written"]);
    assert_eq!(room.ask("SELECT count(*) FROM player p JOIN player m ON m.id = p.mentor JOIN player back ON back.id = m.mentor WHERE back.id = p.id"), "3");
    assert_eq!(
        room.ask("SELECT count(*) FROM team t JOIN player p ON p.id = t.captain AND p.team = t.id"),
        "1"
    );
    room.on("verify", &[&done.id()]).code(0);
    room.on("apply", &["B"])
        .code(0)
        .says(&["5 records: 0 created, 0 updated, 5 unchanged"]);
    room.on("rollback", &[&done.id()]).code(0);
    same(&room.dump(), &before, "rollback takes the cycle apart");
}

fn a_late_reference_to_nobody_is_named(case: Case) {
    let sources = [
        ("teams.csv", "id,name,captain\nred,Red,p9\n"),
        ("players.csv", "id,team,mentor\np1,red,\n"),
    ];
    let room = Room::with(
        case,
        &format!("[limits]\nreject_fail = 100\n{CYCLE}")
            .replacen("[limits]\nreject_fail = 100\n", "", 1)
            .replace(
                "system = \"club\"",
                "system = \"club\"\nlimits = { reject_fail = 100 }",
            ),
        &sources,
        &teams(case),
    );
    let parse = room.run("parse", &[]).code(0);
    room.feed("validate", &[], parse.out)
        .code(0)
        .says(&["teams.csv:2", "p9"]);
}

/// A plan that deletes rows of `parent` by their key, with children that it says nothing about.
const DELETE: &str = r#"
name = "leavers"
system = "club"
[[entity]]
name = "leaver"
source = { format = "csv", files = ["leavers.csv"], key = "id" }
table = "parent"
id = { column = "id", from = "key" }
op = "delete"
target = "id"
"#;

fn delete(case: Case, children: &str) -> Room {
    let schema = format!(
        "CREATE TABLE parent (id TEXT PRIMARY KEY, name TEXT, size REAL, photo BLOB);
         INSERT INTO parent VALUES ('a', 'A', 1.5, x'00ff'), ('b', 'B', NULL, NULL);
         CREATE TABLE child (id INTEGER PRIMARY KEY, parent TEXT REFERENCES parent (id) {children});
         CREATE INDEX child_parent ON child (parent);
         INSERT INTO child VALUES (1, 'b');"
    );
    let room = Room::with(case, DELETE, &[("leavers.csv", "id\na\n")], &schema);
    room.bundle("B");
    room
}

fn a_deleted_row_comes_back_whole(case: Case) {
    let room = delete(case, "ON DELETE CASCADE");
    let before = room.dump();
    let done = room.on("apply", &["B"]).code(0).says(&["1 deleted"]);
    assert_eq!(room.ask("SELECT string_agg(id, ',') FROM parent"), "b");
    room.on("rollback", &[&done.id()]).code(0);
    same(&room.dump(), &before, "rollback brings it back");
}

fn a_delete_whose_children_the_run_does_not_deal_with_is_refused(case: Case) {
    for action in [
        "ON DELETE CASCADE",
        "ON DELETE SET NULL",
        "ON DELETE RESTRICT",
        "",
    ] {
        let room = delete(case, action);
        room.sql("INSERT INTO child VALUES (2, 'a')");
        let before = room.dump();
        let done = room.on("apply", &["B", "--dry-run"]).code(1);
        done.says(&["leavers.csv:2", "1 row of child"]);
        let done = room.on("apply", &["B"]).code(3);
        done.says(&[
            "leavers.csv:2",
            "leaver a",
            "1 row of child depends on it by parent",
        ]);
        same(&room.dump(), &before, action);
    }
}

fn a_late_reference_that_the_source_takes_back_becomes_null(case: Case) {
    let plan = "name = \"n\"\nsystem = \"s\"\n[[entity]]\nname = \"e\"\ntable = \"t\"\nid = { column = \"id\", from = \"key\" }\n\
                source = { format = \"json\", files = [\"a.ndjson\"], key = \"k\" }\nfields.of = { from = \"of\", ref = \"e\", late = true }\n";
    let sources = [("a.ndjson", "{\"k\":\"a\",\"of\":\"b\"}\n{\"k\":\"b\"}\n")];
    let sql = "CREATE TABLE t (id TEXT PRIMARY KEY, of TEXT REFERENCES t (id))";
    let room = Room::with(case, plan, &sources, sql);
    room.bundle("B");
    room.apply("B");
    assert_eq!(room.ask("SELECT string_agg(id || of, ',') FROM t"), "ab");
    let before = room.dump();
    room.mend("a.ndjson", "\"b\"}\n{", "null}\n{");
    room.bundle("C");
    let run = room.apply("C");
    assert_eq!(room.ask("SELECT count(of) FROM t"), "0");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.dump(), before);
}
