//! What only SQLite has: conflict clauses of a table, and rows without a number.

use tests::db::same;
use tests::{Room, Target};

const PLAN: &str = r#"
name = "people"
system = "s"
[[entity]]
name = "person"
table = "people"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["people.csv"], key = "id" }
fields = { email = { from = "email" } }
"#;

/// Ann has a diary, which goes with her.
fn people(clause: &str, more: &str, top: &str, csv: &str) -> Room {
    let sql = format!(
        "CREATE TABLE people (id TEXT PRIMARY KEY, email TEXT, \"on conflict ignore\" TEXT, UNIQUE (email) {clause});
         CREATE TABLE diary (person TEXT REFERENCES people (id) ON DELETE CASCADE, text TEXT);
         CREATE TABLE log (id TEXT UNIQUE ON CONFLICT REPLACE);
         INSERT INTO people (id, email) VALUES ('p1', 'ann@example.org'), ('p2', 'bob@example.org');
         INSERT INTO diary VALUES ('p1', 'dear diary'); {more}"
    );
    let room = Room::with(
        Target::Sqlite,
        &format!("{top}\n{PLAN}"),
        &[("people.csv", csv)],
        &sql,
    );
    room.bundle("B");
    room
}

const NEW: &str = "id,email\np8,ann@example.org\np9,new@example.org\n";

const CHANGED: &str = "id,email\np2,ann@example.org\n";

#[test]
fn a_clause_that_replaces_rows_never_deletes_a_row_of_another_person() {
    for clause in [
        "ON CONFLICT REPLACE",
        "on /* as ever */ conflict\n-- so\nignore",
        "ON CONFLICT ROLLBACK",
    ] {
        for csv in [NEW, CHANGED] {
            let room = people(clause, "", "", csv);
            let before = room.dump();
            let parts = ["people.csv:2", "UNIQUE constraint failed: people.email"];
            let _ = room.on("apply", &["B", "--dry-run"]).code(1).says(&parts);
            let args = ["B", "--on-error=record", "--max-failed-percent=100"];
            let run = room.on("apply", &args).code(3).says(&parts).id();
            let diary = room.ask("SELECT person, text FROM diary");
            assert_eq!(diary, "p1|dear diary");
            let others = "SELECT group_concat(id || email) FROM people WHERE id < 'p3'";
            assert_eq!(room.ask(others), "p1ann@example.org,p2bob@example.org");
            let _ = room.on("rollback", &[&run]).code(0);
            same(&room.dump(), &before, clause);
        }
    }
}

#[test]
fn a_place_that_was_taken_under_such_a_clause_stops_rollback() {
    let csv = "id,email\np2,bobby@example.org\n";
    let room = people("ON CONFLICT REPLACE", "", "", csv);
    let run = room.apply("B");
    room.sql("INSERT INTO people (id, email) VALUES ('p5', 'bob@example.org')");
    let before = room.dump();
    let _ = room
        .on("rollback", &[&run])
        .code(1)
        .says(&["bob@example.org", "is taken by row p5"]);
    same(&room.dump(), &before, "nothing was written");
}

#[test]
fn a_table_with_such_a_clause_and_triggers_is_refused_unless_they_are_accepted_by_name() {
    let watch = "CREATE TRIGGER watch AFTER UPDATE ON people BEGIN SELECT 1; END;";
    let csv = "id,email\np9,new@example.org\n";
    let room = people("ON CONFLICT REPLACE", watch, "", csv);
    let before = room.dump();
    let parts = ["people replaces rows", "ON CONFLICT", "`watch`"];
    let _ = room.on("apply", &["B"]).code(4).says(&parts);
    same(&room.dump(), &before, "nothing was written");
    assert!(!room.db.has_ledger());
    let accepted = "accept_triggers = [\"watch\"]";
    people("ON CONFLICT REPLACE", watch, accepted, csv).apply("B");
    // A clause that says what SQLite does anyway is none.
    people("ON CONFLICT ABORT", watch, "", csv).apply("B");
}

#[test]
fn a_conflict_clause_of_a_table_that_an_accepted_trigger_writes_keeps_its_meaning() {
    let log = "CREATE TRIGGER keep_log AFTER INSERT ON people BEGIN INSERT INTO log VALUES ('same'); END;";
    let csv = "id,email\np8,x@example.org\np9,new@example.org\n";
    let room = people("", log, "accept_triggers = [\"keep_log\"]", csv);
    room.apply("B");
    assert_eq!(room.ask("SELECT group_concat(id) FROM log"), "same");
}

#[test]
fn what_an_accepted_trigger_brings_about_is_accepted_with_it() {
    let log = "CREATE TABLE total (n INT); INSERT INTO total VALUES (0);
         CREATE TRIGGER keep_log AFTER INSERT ON people BEGIN INSERT INTO LOG VALUES (NEW.id); END;
         CREATE TRIGGER sum_up AFTER INSERT ON Log BEGIN UPDATE total SET n = n + 1; END;";
    let csv = "id,email\np8,x@example.org\n";
    let room = people("", log, "", csv);
    let parts = ["`keep_log` on people writes rows of log"];
    let _ = room.on("apply", &["B"]).code(4).says(&parts);
    let room = people("", log, "accept_triggers = [\"keep_log\"]", csv);
    room.apply("B");
    assert_eq!(room.ask("SELECT n FROM total"), "1");
}

/// Three items, of which a trigger gives up the whole transaction for the second.
fn gives_up(top: &str) -> Room {
    let sql = "CREATE TABLE people (id TEXT PRIMARY KEY, email TEXT); INSERT INTO people VALUES ('z', 'z');
         CREATE TRIGGER give_up BEFORE DELETE ON people WHEN OLD.id = 'b' BEGIN SELECT RAISE(ROLLBACK, 'no more'); END";
    let csv = "id,email\na,a\nb,b\nc,c\n";
    let plan = format!("{top}\n{PLAN}");
    let room = Room::with(Target::Sqlite, &plan, &[("people.csv", csv)], sql);
    room.bundle("B");
    room
}

#[test]
fn a_trigger_that_ends_the_whole_transaction_is_named_and_nothing_is_written() {
    let room = gives_up("");
    let before = room.dump();
    let parts = ["no more", "`give_up`", "ends the whole transaction"];
    let _ = room.on("apply", &["B", "--dry-run"]).code(4).says(&parts);
    let _ = room.on("apply", &["B"]).code(4).says(&parts);
    same(&room.dump(), &before, "nothing was written");
    let run = "SELECT status, last_seq FROM switchback_runs";
    assert_eq!(room.ask(run), "failed|0");
}

#[test]
fn a_row_whose_undo_ends_the_transaction_stays_and_the_others_go() {
    let room = gives_up("accept_no_undo = [\"people\"]");
    let run = room.apply("B");
    let after = room.dump();
    let parts = ["people b", "no more", "`give_up`", "nothing was written"];
    let _ = room.on("rollback", &[&run]).code(1).says(&parts);
    same(&room.dump(), &after, "nothing was written");
    let _ = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    let left = "SELECT string_agg(id, ',' ORDER BY id) FROM people";
    assert_eq!(room.ask(left), "b,z");
}
