//! verify tells what later runs did to the rows of a run from what happened to them otherwise.

use std::fmt::Write as _;

use serde_json::Value;
use tests::{Case, Room};

tests::both!(rows_by_the_thousand_that_later_runs_deleted_or_made_are_no_fault,);

const PLAN: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
[entity.fields]
name = { from = "id", required = true }
"#;

/// Lists people with these numbers.
fn people(from: usize, to: usize) -> String {
    (from..to).fold("id\n".to_owned(), |mut csv, n| {
        writeln!(csv, "p{n}").unwrap();
        csv
    })
}

fn check(room: &Room, run: &str, code: i32, name: &str) -> Value {
    let done = room.on("verify", &[run, "--json"]).code(code);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    let checks = report["checks"].as_array().unwrap().iter();
    checks
        .clone()
        .find(|check| check["name"] == name)
        .unwrap()
        .clone()
}

fn rows_by_the_thousand_that_later_runs_deleted_or_made_are_no_fault(case: Case) {
    let schema = "CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT NOT NULL)";
    let room = Room::with(case, PLAN, &[("people.csv", &people(0, 1700))], schema);
    room.bundle("B");
    let first = room.apply("B");
    room.write("people.csv", people(0, 1600));
    let delete = PLAN.replace(
        "[entity.fields]\nname = { from = \"id\", required = true }\n",
        "op = \"delete\"\n",
    );
    room.write("migration.toml", delete);
    room.bundle("C");
    let second = room.apply("C");
    let counts = check(&room, &first, 0, "counts");
    assert_eq!(
        (&counts["errors"], &counts["warnings"]),
        (&0.into(), &1600.into())
    );
    assert!(
        counts
            .to_string()
            .contains(&format!("run {second} has touched it since"))
    );
    room.sql("DELETE FROM person WHERE id = 'p1650'");
    let counts = check(&room, &first, 1, "counts");
    assert_eq!(
        (&counts["errors"], &counts["warnings"]),
        (&1.into(), &1600.into())
    );

    // After a rollback a later run may have made them again.
    let _ = room.on("rollback", &[&second]).code(0);
    let _ = room.on("rollback", &[&first]).code(0);
    room.apply("B");
    let undone = check(&room, &first, 0, "rollback");
    assert_eq!(
        (&undone["errors"], &undone["warnings"]),
        (&0.into(), &0.into())
    );
}
