//! Dry runs on PostgreSQL: one transaction that is undone, and what it keeps from others meanwhile.

use std::time::{Duration, Instant};

use tests::db::same;
use tests::postgres::Database;
use tests::{Room, command, finish, spawn};

use super::on;
use super::schemas::{room, without_sequences};

/// A table on which every row takes its time.
const SLOW: &str = "CREATE TABLE item (id text PRIMARY KEY, name text CHECK (pg_sleep(0.2)::text IS NOT NULL)); \
                    INSERT INTO item VALUES ('theirs', 'x');";

fn slow() -> (Room, Database) {
    let lines: String = (0..40).map(|n| format!("i{n},Item {n}\n")).collect();
    let room = room("item", "from = \"key\"", "", &format!("id,name\n{lines}"));
    (room, Database::with(SLOW))
}

#[test]
fn a_dry_run_says_what_it_locks_and_ends_in_time() {
    let (room, database) = slow();
    let before = database.dump();
    let url = database.url();
    let args = [
        "B",
        "--to",
        &url,
        "--dry-run",
        "--batch-size",
        "1",
        "--max-seconds",
        "1",
    ];
    let began = Instant::now();
    let child = spawn(&mut command("apply", &room.path(""), args));
    let working = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%item%' AND pid <> pg_backend_pid()";
    while database.ask(working) == "0" {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it did not begin"
        );
    }
    // Others go on meanwhile.
    database.sql("INSERT INTO item VALUES ('mine', 'y')");
    let done = finish(child, None).code(1);
    assert!(began.elapsed() < Duration::from_secs(6));
    let done = done.says(&[
        "has the rows that are touched locked for writing, and other runs kept out, until it ends, 1 s at most",
        "dry run, nothing written",
    ]);
    assert!(done.err.find("locked for writing") < done.err.find("nothing written"));
    database.sql("DELETE FROM item WHERE id = 'mine'");
    same(&database.dump(), &before, "nothing was written");
}

#[test]
fn a_dry_run_decides_as_the_live_run_does_where_a_constraint_is_deferred() {
    let room = room(
        "item",
        "from = \"target\"",
        "",
        "id,name\n1,a\n2,b\n3,c\n4,a\n5,d\n",
    );
    let database = Database::with(
        "CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, \
         CONSTRAINT once UNIQUE (name) DEFERRABLE INITIALLY DEFERRED)",
    );
    let before = without_sequences(&database);
    let args = [
        "B",
        "--batch-size",
        "2",
        "--continue-on-error",
        "--max-failed-percent",
        "50",
    ];
    let dry = on(
        &room,
        &database,
        "apply",
        &[&args[..], &["--dry-run"]].concat(),
    )
    .code(1);
    same(
        &without_sequences(&database),
        &before,
        "nothing was written",
    );
    let advanced = database.ask("SELECT last_value FROM item_id_seq");
    assert_ne!(advanced, "1", "sequences advance");
    let live = on(&room, &database, "apply", &args).code(3);
    for done in [dry, live] {
        let _ = done.says(&["a.csv:5", "once", "5 records: 3 created"]);
    }
    assert_eq!(
        database.ask("SELECT string_agg(name, '' ORDER BY id) FROM item"),
        "abd"
    );
}
