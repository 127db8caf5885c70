//! Repairs go through the same door: merging duplicates and correcting a mapping are bundles with a
//! run ID, verified and taken back like any other.

use tests::db::same;
use tests::{Case, Done, Room};

tests::both!(
    a_mapping_is_corrected_logged_with_old_and_new_and_taken_back,
    a_mapping_to_a_row_that_is_not_there_is_refused,
    duplicates_are_merged_by_a_bundle_and_parted_again_by_its_rollback,
    a_duplicate_that_others_still_belong_to_is_not_deleted,
);

const PEOPLE: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "uuid" }
[entity.fields]
name = { from = "name", required = true }
"#;

const MAPPING: &str = r#"
name = "people-mapping"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["moved.csv"], key = "id" }
table = "person"
id = { column = "id", from = "uuid" }
op = "remap"
to = "to"
"#;

const MERGE: &str = r#"
name = "people-merge"
system = "club"
[[entity]]
name = "visit"
source = { format = "csv", files = ["visits.csv"], key = "no" }
table = "visit"
match = ["no"]
on_match = "update"
[entity.fields]
no = { from = "no", type = "integer", required = true }
person = { from = "person", required = true }
[[entity]]
name = "duplicate"
source = { format = "csv", files = ["duplicates.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
op = "delete"
target = "id"
"#;

const SCHEMA: &str = "
CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT NOT NULL, photo BLOB);
CREATE TABLE visit (no INTEGER PRIMARY KEY, person TEXT NOT NULL REFERENCES person (id));
CREATE INDEX visit_person ON visit (person);
INSERT INTO person VALUES ('right', 'Ann', x'00ff'), ('double', 'Ann', NULL);
INSERT INTO visit VALUES (1, 'right'), (2, 'double');";

/// A room with a run applied, and another plan put in its place.
fn room(case: Case, plan: &str, sources: &[(&str, &str)]) -> Room {
    let people = ("people.csv", "id,name\n1,Anne\n");
    let room = Room::with(case, PEOPLE, &[people], SCHEMA);
    room.bundle("B");
    room.apply("B");
    room.write("migration.toml", plan);
    for (name, text) in sources {
        room.write(name, text);
    }
    room.bundle("C");
    room
}

/// The id map, whole.
fn mapped(room: &Room) -> Vec<Vec<String>> {
    room.db
        .rows("SELECT source, target, digest, sums FROM switchback_ids ORDER BY source")
}

fn apply(room: &Room) -> Done {
    let _ = room.on("apply", &["C", "--dry-run"]).code(0);
    room.on("apply", &["C", "--reason", "repair"]).code(0)
}

fn a_mapping_is_corrected_logged_with_old_and_new_and_taken_back(case: Case) {
    let room = room(case, MAPPING, &[("moved.csv", "id,to\n1,right\n")]);
    let (before, rows) = (mapped(&room), room.dump());
    let old = room.ask("SELECT id FROM person WHERE name = 'Anne'");
    let run = apply(&room).id();
    assert_ne!(mapped(&room), before);
    same(&room.dump(), &rows, "a correction touches no row");
    let detail = "SELECT run || ' ' || (detail ->> 'old') || ' ' || (detail ->> 'new') \
                  FROM switchback_audit WHERE action = 'migration:mapping:corrected'";
    assert_eq!(room.ask(detail), format!("{run} {old} right"));
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run, "--fingerprint"]).code(0);
    assert_eq!(mapped(&room), before, "the mapping is what it was");
    same(&room.dump(), &rows, "no row was touched");
    let _ = room.on("verify", &[&run]).code(0);
}

fn a_mapping_to_a_row_that_is_not_there_is_refused(case: Case) {
    for key in ["1", "9"] {
        let line = format!("id,to\n{key},nobody\n");
        let room = room(case, MAPPING, &[("moved.csv", &line)]);
        let before = mapped(&room);
        let _ = room
            .on("apply", &["C"])
            .code(3)
            .says(&["moved.csv:2", "has no row nobody"]);
        assert_eq!(mapped(&room), before);
    }
}

fn duplicates_are_merged_by_a_bundle_and_parted_again_by_its_rollback(case: Case) {
    let sources = [
        ("visits.csv", "no,person\n2,right\n"),
        ("duplicates.csv", "id\ndouble\n"),
    ];
    let room = room(case, MERGE, &sources);
    let before = room.dump();
    let run = apply(&room).id();
    assert_eq!(
        room.ask(
            "SELECT string_agg(person, ',') || ' ' || (SELECT count(*) FROM person) FROM visit"
        ),
        "right,right 2"
    );
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room
        .on("apply", &["C"])
        .code(0)
        .says(&["0 created, 0 updated, 2 unchanged"]);
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&[&format!("Rolled back 2 entries from run {run}")]);
    same(
        &room.dump(),
        &before,
        "both are there again, value for value",
    );
    let _ = room.on("verify", &[&run]).code(0);
    room.sql("UPDATE person SET name = 'Another' WHERE id = 'double'");
    let done = room.on("verify", &[&run]).code(1);
    assert!(
        done.out
            .contains("the run deleted it, and it is back with another value"),
        "{}",
        done.out
    );
}

fn a_duplicate_that_others_still_belong_to_is_not_deleted(case: Case) {
    let sources = [
        ("visits.csv", "no,person\n1,right\n"),
        ("duplicates.csv", "id\ndouble\n"),
    ];
    let room = room(case, MERGE, &sources);
    let _ = room
        .on("apply", &["C"])
        .code(3)
        .says(&["duplicates.csv:2", "visit"]);
    assert_eq!(
        room.ask("SELECT count(*) FROM person WHERE id = 'double'"),
        "1"
    );
}
