//! Foreign keys are what the database takes for them: rows of other people that depend on rows of a run stay,
//! however the key is spelled and wherever it is declared.

mod inheritance;
mod partitions;
mod resolved;
mod unresolved;

use tests::{Case, Room};

/// A plan of one entity for one table, by its own key.
fn plan(table: &str) -> String {
    format!(
        "name = \"n\"\nsystem = \"s\"\n[[entity]]\nname = \"e\"\ntable = \"{table}\"\n\
         id = {{ column = \"id\", from = \"key\" }}\nfields.name = {{ from = \"name\" }}\n\
         source = {{ format = \"csv\", files = [\"a.csv\"], key = \"id\" }}\n"
    )
}

/// Makes a database, and applies rows 7 and 8 to a table. Returns the run.
fn applied(case: Case, table: &str, schema: &str) -> (Room, String) {
    let room = Room::with(case, &plan(table), &[], schema);
    let run = room.apply(&room.seal(&[
        r#"{"entity":"e","key":"7","fields":{"name":"new"}}"#,
        r#"{"entity":"e","key":"8","fields":{"name":"new"}}"#,
    ]));
    (room, run)
}

/// Row 7 has a dependent of another person's by now: it stays and is named, by `--check` too, and with
/// `--skip-conflicts` the other goes.
#[track_caller]
fn the_dependent_keeps_its_row(room: &Room, run: &str, table: &str, child: &str) {
    let before = room.dump();
    let names = format!("of {child} depends on it");
    for args in [&[run, "--check"][..], &[run], &[run, "--force"]] {
        if args.contains(&"--force") {
            continue;
        }
        let _ = room.on("rollback", args).code(1).says(&[&names]);
        tests::db::same(&room.dump(), &before, "nothing was written");
    }
    let _ = room.on("rollback", &[run, "--skip-conflicts"]);
    let left = format!("SELECT count(*) FROM {table} WHERE name = 'new'");
    assert_eq!(room.ask(&left), "1", "row 7 stays, row 8 goes");
    assert_ne!(
        room.ask(&format!("SELECT count(*) FROM {child}")),
        "0",
        "{child} keeps its row"
    );
}
