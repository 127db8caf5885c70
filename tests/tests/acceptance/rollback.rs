//! What rollback does and says.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::Value;
use tests::db::same;
use tests::{Case, Room, Target};

tests::both!(
    rollback_of_150_rows_deletes_150_and_says_so_with_time_and_actor,
    an_unknown_run_is_not_found_and_nothing_changes,
    a_run_that_wrote_nothing_is_said_to_have,
    a_second_rollback_of_the_same_run_changes_nothing,
    rows_that_the_run_skipped_survive,
    rows_that_the_run_updated_are_back_byte_for_byte,
    rollback_goes_in_batches_newest_first_and_goes_on_after_a_crash,
    run_and_ledger_survive_the_rollback_of_their_run,
    a_thousand_rows_in_seconds,
    apply_rollback_apply_inserts_all_again_also_where_the_target_decides_ids,
);

const PLAN: &str = r#"
name = "entries"
system = "notes"

[[entity]]
name = "entry"
source = { format = "csv", files = ["*.csv"], key = "id" }
table = "entry"
id = { column = "id", from = "uuid" }
match = ["code"]
on_match = "update"

[entity.fields]
code = { from = "id", required = true }
title = { from = "title", required = true }
tags = { from = "tags", empty = "null" }
"#;

const SCHEMA: &str = "CREATE TABLE entry (id TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE, title TEXT NOT NULL, tags TEXT,
                        updated TEXT DEFAULT 'never', up TEXT REFERENCES entry (id) ON DELETE SET NULL);
                      CREATE INDEX entry_up ON entry (up);";

fn entries(count: usize) -> String {
    (1..=count).fold("id,title,tags\n".to_owned(), |mut csv, n| {
        writeln!(csv, "k{n},Title {n},a;b").unwrap();
        csv
    })
}

pub fn room(case: Case, count: usize, more: &str) -> Room {
    let sql = format!("{SCHEMA} {more}");
    let room = Room::with(case, PLAN, &[("a.csv", &entries(count))], &sql);
    room.bundle("B");
    room
}

pub fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn rollback_of_150_rows_deletes_150_and_says_so_with_time_and_actor(case: Case) {
    let room = room(case, 150, "");
    let run = room.apply("B");
    let said = format!("Rolled back 150 entries from run {run}");
    let _ = room
        .on("rollback", &[&run, "--operator", "ann"])
        .code(0)
        .says(&[&said]);
    assert_eq!(room.ask("SELECT count(*) FROM entry"), "0");
    assert_eq!(
        room.ask("SELECT max(status), count(*) FROM switchback_runs WHERE ended > 0"),
        "rolled-back|1"
    );
    assert_eq!(
        room.ask("SELECT max(operator), count(*) FROM switchback_audit WHERE at > 0 AND action = 'migration:rollback:level1'"),
        "ann|1"
    );
}

fn an_unknown_run_is_not_found_and_nothing_changes(case: Case) {
    let room = room(case, 3, "");
    room.apply("B");
    let before = room.db.everything();
    let id = "01890000-0000-7000-8000-000000000000";
    let _ = room.on("rollback", &[id]).code(4).says(&[id, "not found"]);
    assert!(room.db.everything() == before, "it wrote");
}

fn a_run_that_wrote_nothing_is_said_to_have(case: Case) {
    let room = room(case, 3, "");
    room.apply("B");
    let before = room.dump();
    let nothing = room.apply("B");
    let _ = room
        .on("rollback", &[&nothing, "--check"])
        .code(0)
        .says(&["nothing to roll back"]);
    let _ = room
        .on("rollback", &[&nothing])
        .code(0)
        .says(&["Rolled back 0 entries", "it wrote nothing"]);
    same(&room.dump(), &before, "nothing was deleted");
}

fn a_second_rollback_of_the_same_run_changes_nothing(case: Case) {
    let room = room(case, 5, "");
    let run = room.apply("B");
    let _ = room.on("rollback", &[&run]).code(0);
    let before = room.dump();
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&["already rolled back"]);
    same(&room.dump(), &before, "nothing changed");
    let check = room.on("rollback", &[&run, "--check", "--json"]).code(1);
    assert_eq!(lines(&check.out)[0]["canRollback"], false);
}

fn rows_that_the_run_skipped_survive(case: Case) {
    let room = Room::with(
        case,
        &PLAN.replace("\"update\"", "\"skip\""),
        &[("a.csv", &entries(3))],
        &format!("{SCHEMA} INSERT INTO entry VALUES ('mine', 'k2', 'Mine', NULL, 'x', NULL);"),
    );
    room.bundle("B");
    let before = room.dump();
    let run = room.apply("B");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "what was there is there");
}

fn rows_that_the_run_updated_are_back_byte_for_byte(case: Case) {
    let room = room(
        case,
        4,
        "INSERT INTO entry VALUES ('1', 'k1', 'One', NULL, '2024-01-01T00:00:00.123456Z', NULL),
           ('2', 'k2', 'Two', '', NULL, NULL), ('3', 'k3', 'Three ', '[]', '', '1');",
    );
    room.sql(case.either(
        "CREATE TRIGGER touch AFTER UPDATE ON entry WHEN NEW.updated IS OLD.updated BEGIN
           UPDATE entry SET updated = 'touched' WHERE id = NEW.id; END;",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           NEW.updated := 'touched'; RETURN NEW; END $$;
         CREATE TRIGGER touch BEFORE UPDATE ON entry FOR EACH ROW
           WHEN (NEW.updated IS NOT DISTINCT FROM OLD.updated) EXECUTE FUNCTION touch();",
    ));
    let before = room.dump();
    let run = room.apply("B");
    assert_eq!(
        room.ask("SELECT count(*) FROM entry WHERE tags = 'a;b'"),
        "4"
    );
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "NULL, empty and time stamps too");
}

fn rollback_goes_in_batches_newest_first_and_goes_on_after_a_crash(case: Case) {
    let room = room(case, 400, "");
    let before = room.dump();
    let run = room.apply("B");
    // The target refuses one row in the middle, for a while.
    room.db
        .refuse("DELETE", "entry", "OLD.code = 'k150'", "not this one");
    let _ = room
        .on("rollback", &[&run, "--batch-size", "50"])
        .code(1)
        .says(&["not this one", "nothing was written"]);
    // Where that can't be tried beforehand, it stops there.
    let _ = room.untried(&[&run, "--batch-size", "50"]).code(3).says(&[
        "was not tried",
        "not this one",
        "--resume",
    ]);
    assert_eq!(
        room.ask("SELECT count(*), max(CAST(substr(code, 2) AS INTEGER)) FROM entry"),
        "150|150",
        "the newest 5 batches are undone"
    );
    room.db.allow("entry");
    let _ = room.on("rollback", &[&run, "--resume"]).code(0);
    same(&room.dump(), &before, "all is undone");
    let _ = room.on("rollback", &[&run, "--resume"]).code(0);
    same(&room.dump(), &before, "once more does nothing");
}

fn run_and_ledger_survive_the_rollback_of_their_run(case: Case) {
    let room = room(case, 5, "");
    let run = room.apply("B");
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(
        room.ask("SELECT (SELECT count(*) FROM switchback_runs), (SELECT count(*) FROM switchback_changes), (SELECT count(*) FROM switchback_batches)"),
        "1|5|1"
    );
    let _ = room
        .run("verify", &["report", &run, "--to", &room.url()])
        .code(0);
}

fn a_thousand_rows_in_seconds(case: Case) {
    let room = room(case, 1000, "");
    let run = room.apply("B");
    let began = Instant::now();
    let _ = room.on("rollback", &[&run]).code(0);
    eprintln!("1000 rows rolled back in {:?}", began.elapsed());
    // Generous, for a busy machine: a transaction a row would take longer than that on any disk.
    assert!(began.elapsed().as_secs() < 10);
    assert_eq!(room.ask("SELECT count(*) FROM entry"), "0");
}

fn apply_rollback_apply_inserts_all_again_also_where_the_target_decides_ids(case: Case) {
    let plan = PLAN.replace("from = \"uuid\"", "from = \"target\"");
    let schema = "CREATE TABLE entry (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL UNIQUE, title TEXT NOT NULL, tags TEXT)";
    let room = Room::with(case, &plan, &[("a.csv", &entries(9))], schema);
    room.bundle("B");
    let run = room.apply("B");
    let applied = room.dump();
    let _ = room.on("rollback", &[&run]).code(0);
    let _ = room.on("apply", &["B"]).code(0).says(&["9 created"]);
    match case.target {
        Target::Sqlite => same(
            &room.dump(),
            &applied,
            "the counter went back too: the same ids",
        ),
        // PostgreSQL's does not go back: new ids, the same rows.
        Target::Postgres => assert_eq!(
            room.ask("SELECT min(id), max(id), count(DISTINCT code || title || tags) FROM entry"),
            "10|18|9"
        ),
    }
}
