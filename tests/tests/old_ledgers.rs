//! Ledgers that programs of before left behind: they are read as they are, and the first write to one makes
//! it one of today. The files in `formats/v1` were written by those programs and are never edited.

use std::fs;

use tests::{Case, Done, Room, Target, repository};

tests::both!(
    a_ledger_of_version_1_is_read_and_left_as_it_is,
    applying_again_upgrades_the_ledger_and_finds_nothing_to_do,
    a_run_of_version_1_is_taken_back_whole,
    a_long_source_key_is_known_after_the_upgrade,
    a_ledger_of_a_later_version_is_refused,
);

/// A run that was taken back.
const FIRST: &str = "01900000-0000-7000-8000-00000000000a";

/// One that stands: it inserted, updated and deleted.
const SECOND: &str = "01900000-0000-7000-8000-00000000000b";

fn room(case: Case) -> (Room, String) {
    let room = Room::new(case);
    let folder = repository().join("tests/formats/v1");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    match case.target {
        Target::Sqlite => room.sql(&read("ledger-sqlite.sql")),
        Target::Postgres => room.db.postgres().sql(&read("ledger-postgres.sql")),
    }
    // A bundle of then starts no run: one of the same sources does.
    room.write("migration.toml", read("bundle/plan.toml"));
    for name in ["members.csv", "leavers.csv"] {
        room.write(name, read(&format!("bundle/sources/{name}")));
    }
    room.bundle("B");
    let bundle = folder.join("bundle").to_string_lossy().into_owned();
    (room, bundle)
}

/// The members, in the table that the runs wrote to. PostgreSQL's is in a schema that the login does not
/// look at; the one that it looks at holds a row of others.
fn members(case: Case, room: &Room) -> String {
    let (table, tags) = case.either(("member", "tags"), ("club.member", "array_to_json(tags)"));
    room.ask(&format!(
        "SELECT string_agg(concat_ws(' ', email, name, balance, coalesce(note, '-'), coalesce(CAST({tags} AS TEXT), '-')), \
         '; ' ORDER BY email) FROM {table}"
    ))
}

const BEFORE: &str = "ann@example.org Anne 1 as it was -; fay@example.org Fay 2 - [\"vip\"]; gus@example.org Gus 3 goes []";

/// Applies by a login that looks at the schema of the tables.
fn apply(case: Case, room: &Room, args: &[&str]) -> Done {
    let url = room.url() + case.either("", "?schema=club");
    room.run("apply", &[args, &["--to", &url]].concat())
}

fn is_upgraded(room: &Room) {
    assert_eq!(room.ask("SELECT version FROM switchback_meta"), "2");
    let entries = "SELECT count(*), min(operator) FROM switchback_audit WHERE action = 'migration:ledger:upgraded'";
    assert_eq!(room.ask(entries), "1|clerk");
    let from =
        "SELECT detail ->> 'from' FROM switchback_audit WHERE action = 'migration:ledger:upgraded'";
    assert_eq!(room.ask(from), "1");
}

fn of_others_is_as_it_was(case: Case, room: &Room) {
    let look_alike = case.either(
        "SELECT 'zoe@example.org'",
        "SELECT string_agg(email, ' ') FROM public.member",
    );
    assert_eq!(room.ask(look_alike), "zoe@example.org");
}

fn a_ledger_of_version_1_is_read_and_left_as_it_is(case: Case) {
    let (room, bundle) = room(case);
    let before = room.db.everything();
    for run in [FIRST, SECOND] {
        let _ = room
            .on("verify", &[run, "--bundle", &bundle])
            .code(0)
            .prints(&["passed: "]);
        let _ = room.on("verify", &[run]).code(0);
    }
    let _ = room
        .on("verify", &["runs"])
        .code(0)
        .prints(&[FIRST, SECOND]);
    let _ = room.on("verify", &["audit"]).code(0);
    let _ = room
        .on("rollback", &[SECOND, "--check", "--outside-window"])
        .code(0);
    let _ = room.on("rollback", &[SECOND, "--export"]).code(0);
    let _ = apply(case, &room, &["B", "--dry-run"])
        .code(0)
        .says(&["0 created, 0 updated, 5 unchanged"]);
    assert!(room.db.everything() == before, "the ledger was changed");
}

fn applying_again_upgrades_the_ledger_and_finds_nothing_to_do(case: Case) {
    let (room, bundle) = room(case);
    let rows = members(case, &room);
    let done = apply(case, &room, &["B", "--operator", "clerk"]).code(0);
    let third = done.says(&["0 created, 0 updated, 5 unchanged"]).id();
    is_upgraded(&room);
    assert_eq!(members(case, &room), rows);
    let formats = "SELECT string_agg(CAST(format AS TEXT), ' ' ORDER BY seq) FROM switchback_runs";
    assert_eq!(room.ask(formats), "1 1 2");
    for (run, bundle) in [(FIRST, bundle.as_str()), (SECOND, &bundle), (&third, "B")] {
        let _ = room.on("verify", &[run, "--bundle", bundle]).code(0);
    }
    let _ = room.on("verify", &["audit"]).code(0);
    let _ = room.on("rollback", &[&third]).code(0);
    let _ = room.on("rollback", &[SECOND, "--outside-window"]).code(0);
    assert_eq!(members(case, &room), BEFORE);
    of_others_is_as_it_was(case, &room);
}

fn a_run_of_version_1_is_taken_back_whole(case: Case) {
    let (room, bundle) = room(case);
    let _ = room
        .on(
            "rollback",
            &[SECOND, "--operator", "clerk", "--outside-window"],
        )
        .code(0)
        .says(&["6 of 6 rows are what they were"]);
    is_upgraded(&room);
    assert_eq!(members(case, &room), BEFORE);
    of_others_is_as_it_was(case, &room);
    for run in [FIRST, SECOND] {
        let _ = room.on("verify", &[run, "--bundle", &bundle]).code(0);
    }
    let _ = room.on("verify", &["audit"]).code(0);
}

fn a_long_source_key_is_known_after_the_upgrade(case: Case) {
    let (room, _) = room(case);
    let long = "k".repeat(1500);
    room.sql(&format!(
        "UPDATE switchback_ids SET source = '{long}' WHERE source = '5'"
    ));
    room.mend("members.csv", "\n5,", &format!("\n{long},"));
    room.bundle("C");
    let rows = members(case, &room);
    let _ = apply(case, &room, &["C"]).code(0).says(&["0 created"]);
    assert_eq!(members(case, &room), rows);
    let kept =
        "SELECT count(*) FROM switchback_ids WHERE length(source) = 72 AND length(long) = 1500";
    assert_eq!(room.ask(kept), "1");
}

fn a_ledger_of_a_later_version_is_refused(case: Case) {
    let (room, _) = room(case);
    room.sql("UPDATE switchback_meta SET version = 3");
    let before = room.db.everything();
    let rollback = room.on("rollback", &[SECOND]);
    let verify = room.on("verify", &[SECOND]);
    for done in [apply(case, &room, &["B"]), rollback, verify] {
        let _ = done
            .code(4)
            .says(&["has version 3, this build knows 1 to 2"]);
    }
    assert!(room.db.everything() == before);
}
