//! The proof over whole tables: what apply noted of them before the run, and what rollback says.

use serde_json::Value;
use tests::{Case, Room};

tests::both!(
    a_table_is_equal_as_a_whole_once_the_run_is_taken_back,
    a_change_outside_the_run_is_told_apart_from_the_rows_of_the_run,
    a_row_that_is_kept_makes_the_table_differ_and_no_other_is_blamed,
    a_large_table_is_noted_where_apply_is_asked_to,
);

const PLAN: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
on_match = "update"
match = ["email"]
[entity.fields]
email = { from = "email", required = true }
name = { from = "name", required = true }
"#;

/// A room whose table holds `rows` rows, of which the bundle `B` changes the first and adds one.
fn room(case: Case, rows: u32) -> Room {
    let schema = format!(
        "CREATE TABLE person (id TEXT PRIMARY KEY, email TEXT UNIQUE, name TEXT NOT NULL, note TEXT);
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
         INSERT INTO person SELECT 'p' || n, n || '@a.org', 'Person ' || n, NULL FROM n;"
    );
    let sources = [(
        "people.csv",
        "id,email,name\na,1@a.org,Ann\nb,new@a.org,Bo\n",
    )];
    let room = Room::with(case, PLAN, &sources, &schema);
    room.bundle("B");
    room
}

fn a_table_is_equal_as_a_whole_once_the_run_is_taken_back(case: Case) {
    let room = room(case, 3);
    let run = room.apply("B");
    let _ = room
        .on("rollback", &[&run, "--fingerprint"])
        .code(0)
        .says(&[
            "person: 2 of 2 rows are what they were; table equal (sha256 ",
            ", 3 rows)",
        ]);
}

fn a_change_outside_the_run_is_told_apart_from_the_rows_of_the_run(case: Case) {
    let room = room(case, 3);
    let run = room.apply("B");
    room.sql("UPDATE person SET note = '' WHERE id = 'p2'");
    let done = room
        .on("rollback", &[&run, "--fingerprint", "--json"])
        .code(0)
        .says(&["person: this run's 2 rows are back; the table also differs by changes outside the run (sha256 "]);
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    let table = &last["tables"][0];
    assert_eq!(
        (&table["as_before"], &table["equal"]),
        (&2.into(), &false.into())
    );
    assert_ne!(table["fingerprint"], table["fingerprint_before"]);
}

fn a_row_that_is_kept_makes_the_table_differ_and_no_other_is_blamed(case: Case) {
    let room = room(case, 3);
    let run = room.apply("B");
    room.sql("UPDATE person SET name = 'Anna' WHERE id = 'p1'");
    let done = room
        .on("rollback", &[&run, "--skip-conflicts", "--fingerprint"])
        .code(0)
        .says(&["person: 1 of 2 rows are what they were, 1 kept; the table differs (sha256 "]);
    assert!(!done.err.contains("outside the run"), "{}", done.err);
}

fn a_large_table_is_noted_where_apply_is_asked_to(case: Case) {
    for (args, says) in [
        (&["B"][..], "what it was before the run was not noted"),
        (&["B", "--fingerprint"], "; table equal (sha256 "),
    ] {
        let room = room(case, 1001);
        let run = room.on("apply", args).code(0).id();
        let _ = room
            .on("rollback", &[&run, "--fingerprint"])
            .code(0)
            .says(&[says, ", 1001 rows"]);
    }
}
