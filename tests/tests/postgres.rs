//! Whole pipelines onto a PostgreSQL server of the tests' own.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure here is a failed test"
)]

use tests::db::same;
use tests::postgres::Database;
use tests::{Done, Room};

/// An example's rows of before go in as they are: SQLite's 0 and 1 for booleans, lists as JSON.
fn example(name: &str, schema: &str) -> (Room, Database) {
    let room = Room::example(name);
    let before = room
        .read("before.sql")
        .replace("'[", "'{")
        .replace("]'", "}'");
    let numbers = "UPDATE pg_cast SET castcontext = 'a' WHERE castsource = 'int4'::regtype AND casttarget = 'bool'::regtype;";
    let database = Database::with(&format!("{schema}\n{numbers}\n{before}"));
    room.bundle("B");
    (room, database)
}

fn members() -> (Room, Database) {
    example("members", include_str!("postgres/members.sql"))
}

fn on(room: &Room, database: &Database, name: &str, args: &[&str]) -> Done {
    let url = database.url();
    let args: Vec<&str> = args.iter().copied().chain(["--to", &url]).collect();
    room.run(name, &args)
}

fn there_and_back(room: &Room, database: &Database, sum: &str, again: &str) {
    let before = database.dump();
    let dry = format!("dry run, nothing written: {sum}");
    let _ = on(room, database, "apply", &["B", "--dry-run"])
        .code(0)
        .says(&[&dry]);
    same(&database.dump(), &before, "a dry run writes nothing");
    assert_eq!(
        database.ask("SELECT to_regclass('switchback.runs') IS NULL"),
        "t",
        "no ledger either"
    );

    let live = on(room, database, "apply", &["B"]).code(0);
    let run = live.says(&[&format!("apply: {sum}\n")]).id();
    let _ = on(room, database, "verify", &[&run]).code(0);

    let applied = database.dump();
    let _ = on(room, database, "apply", &["B"]).code(0).says(&[again]);
    same(
        &database.dump(),
        &applied,
        "a second apply changed something",
    );

    let _ = on(room, database, "rollback", &[&run]).code(0);
    same(&database.dump(), &before, "rollback restores every value");
    let _ = on(room, database, "verify", &[&run]).code(0);
}

#[test]
fn members_go_there_and_back() {
    let (room, database) = members();
    there_and_back(
        &room,
        &database,
        "302 records: 297 created, 1 updated, 4 unchanged",
        "302 records: 0 created, 0 updated, 302 unchanged\n",
    );
}

#[test]
fn lessons_with_arrays_of_tags_go_there_and_back() {
    let (room, database) = example("lessons", include_str!("postgres/lessons.sql"));
    there_and_back(
        &room,
        &database,
        "40 records: 38 created, 1 updated, 1 unchanged",
        "40 records: 0 created, 0 updated, 40 unchanged\n",
    );
}

#[test]
fn every_row_that_a_run_writes_carries_its_tag() {
    let (room, database) = example("lessons", include_str!("postgres/lessons.sql"));
    let run = on(&room, &database, "apply", &["B"]).code(0).id();
    let tag = format!("migration-run-id:{}", run.replace('-', ""));
    let tagged = format!(
        "SELECT (SELECT count(*) FROM knowledge_entries WHERE '{tag}' = ANY (tags))
              + (SELECT count(*) FROM lessons_learned WHERE '{tag}' = ANY (tags))
              + (SELECT count(*) FROM adrs WHERE '{tag}' = ANY (tags))"
    );
    assert_eq!(database.ask(&tagged), "39");
}

#[test]
fn a_payment_added_later_keeps_its_registration() {
    let (room, database) = members();
    let run = on(&room, &database, "apply", &["B"]).code(0).id();
    database.sql(
        "INSERT INTO \"PaymentIntent\" SELECT gen_random_uuid(), id, 'later', 100 FROM \"EventRegistration\"
         WHERE \"registeredAt\" <> '2024-03-02T20:11:05' ORDER BY id LIMIT 1",
    );
    let applied = database.dump();
    let _ = on(&room, &database, "rollback", &[&run])
        .code(1)
        .says(&["PaymentIntent"]);
    same(&database.dump(), &applied, "nothing was written");
    let _ = on(&room, &database, "rollback", &[&run, "--skip-conflicts"]).code(0);
    assert_eq!(database.ask("SELECT count(*) FROM \"PaymentIntent\""), "2");
    assert_eq!(
        database.ask("SELECT count(*) FROM \"EventRegistration\""),
        "2"
    );
}

#[test]
fn codes_that_the_target_lacks_are_refused_before_the_first_write() {
    let (room, database) = members();
    database.sql("UPDATE \"MembershipStatus\" SET code = lower(code)");
    let before = database.dump();
    let _ = on(&room, &database, "apply", &["B"])
        .code(4)
        .says(&["NEWCOMER", "MembershipStatus"]);
    same(&database.dump(), &before, "nothing was written");
    assert_eq!(
        database.ask("SELECT to_regclass('switchback.runs') IS NULL"),
        "t"
    );
}

#[test]
fn a_socket_and_the_environment_lead_to_the_same_database() {
    let (room, database) = members();
    let run = on(&room, &database, "apply", &["B"]).code(0).id();
    let _ = room
        .run("verify", &[&run, "--to", &database.socket_url()])
        .code(0);
}

#[test]
fn a_password_shows_nowhere() {
    let room = Room::new();
    let bad = "postgres://u:hunter2@127.0.0.1:1/d";
    for url in [
        bad,
        "postgres://u:hunter2/x@h/d",
        "postgres://u:hunter2",
        "postgres://u:%hunter2@h/d",
    ] {
        let done = room.run("verify", &["--runs", "--to", url]);
        assert_ne!(done.code, 0);
        assert!(
            !done.err.contains("hunter2") && !done.out.contains("hunter2"),
            "{}",
            done.err
        );
    }
}
