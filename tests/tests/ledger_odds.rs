//! The ledger at its borders: tables whose names could be taken for one another, a ledger of version 1 that the
//! login may not upgrade, a snapshot that holds such a ledger, and the lines of an export.

use std::fs;

use serde_json::Value;
use tests::{Case, Room, Target, repository};

tests::both!(
    a_snapshot_with_a_ledger_of_version_1_is_restored_after_the_upgrade,
    the_lines_of_an_export_are_summed_in_its_seal,
);

mod postgres_alone {
    tests::on_target!(
        Postgres,
        a_table_with_a_dot_in_its_name_is_never_taken_for_one_of_another_schema,
        a_login_that_does_not_own_an_old_ledger_is_told_who_can_upgrade_it
    );
}

const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "member"
table = "crm.member"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["a.csv"], key = "id" }
fields = { name = { from = "name" } }
"#;

const LINES: [&str; 2] = [
    r#"{"entity":"member","key":"1","fields":{"name":"new"}}"#,
    r#"{"entity":"member","key":"2","fields":{"name":"new"}}"#,
];

const OF: &str = "SELECT string_agg(id || name, ' ' ORDER BY id) FROM ";

fn a_table_with_a_dot_in_its_name_is_never_taken_for_one_of_another_schema(case: Case) {
    let table = |name: &str| {
        format!(
            "CREATE TABLE {name} (id text PRIMARY KEY, name text); INSERT INTO {name} VALUES ('1', 'old');"
        )
    };
    let dotted = table("\"crm.member\"");
    let schema = format!("CREATE SCHEMA crm; {}", table("crm.member"));
    // Each alone is what the plan means.
    let room = Room::with(case, PLAN, &[], &dotted);
    let bundle = room.seal(&LINES);
    let run = room.apply(&bundle);
    // Then the other one comes.
    room.sql(&schema);
    let before = room.dump();
    let said = ["two tables are called crm.member", "?schema="];
    let _ = room.on("apply", &[&bundle]).code(4).says(&said);
    let _ = room.on("rollback", &[&run]).code(4).says(&said);
    assert_eq!(room.dump(), before);
    // By a login that looks into the schema each has a name of its own.
    let at = format!("{}?schema=crm", room.url());
    let _ = room.run("verify", &[&run, "--to", &at]).code(0);
    let _ = room.run("rollback", &[&run, "--to", &at]).code(0);
    assert_eq!(room.ask(&format!("{OF} \"crm.member\"")), "1old");
    assert_eq!(room.ask(&format!("{OF} crm.member")), "1old");
    room.sql("DROP TABLE \"crm.member\"");
    let run = room.apply(&bundle);
    assert_eq!(room.ask(&format!("{OF} crm.member")), "1new 2new");
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask(&format!("{OF} crm.member")), "1old");
}

/// A database that a program of version 1 left behind, with a bundle of what it had applied.
fn of_version_1(case: Case) -> Room {
    let room = Room::new(case);
    let folder = repository().join("tests/formats/v1");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    match case.target {
        Target::Sqlite => room.sql(&read("ledger-sqlite.sql")),
        Target::Postgres => room.db.postgres().sql(&read("ledger-postgres.sql")),
    }
    room.write("migration.toml", read("bundle/plan.toml"));
    for name in ["members.csv", "leavers.csv"] {
        room.write(name, read(&format!("bundle/sources/{name}")));
    }
    room.bundle("B");
    room
}

/// The run of version 1 that is not taken back.
const RUN: &str = "01900000-0000-7000-8000-00000000000b";

fn a_login_that_does_not_own_an_old_ledger_is_told_who_can_upgrade_it(case: Case) {
    let room = of_version_1(case);
    let database = room.db.postgres();
    let clerk = database.owned_by_a_clerk();
    room.sql(&format!(
        "GRANT USAGE, CREATE ON SCHEMA switchback, club TO {clerk};
         GRANT ALL ON ALL TABLES IN SCHEMA switchback TO {clerk}; GRANT ALL ON ALL TABLES IN SCHEMA club TO {clerk}"
    ));
    let owner = room.ask(
        "SELECT tableowner FROM pg_tables WHERE schemaname = 'switchback' AND tablename = 'runs'",
    );
    let before = room.db.everything();
    let url = room.url().replace("app@", &format!("{clerk}@"));
    assert_ne!(url, room.url());
    let at = format!("{url}?schema=club");
    let said = [
        "the ledger is one of version 1",
        &format!("only the owner of its tables ({owner})"),
        &format!("GRANT {owner} TO \"{clerk}\""),
    ];
    let _ = room.run("apply", &["B", "--to", &at]).code(4).says(&said);
    let args = [RUN, "--outside-window", "--to", &at];
    let _ = room.run("rollback", &args).code(4).says(&said);
    let _ = room.run("verify", &["runs", "--to", &at]).code(0);
    assert!(room.db.everything() == before, "nothing was written");
}

fn a_snapshot_with_a_ledger_of_version_1_is_restored_after_the_upgrade(case: Case) {
    let room = of_version_1(case);
    let url = room.url() + case.either("", "?schema=club");
    let before = room.dump();
    let run = room
        .run("apply", &["B", "--snapshot", "--to", &url])
        .code(0)
        .id();
    assert_eq!(room.ask("SELECT version FROM switchback_meta"), "2");
    let snapshot = room.ask(&format!(
        "SELECT snapshot ->> 'path' FROM switchback_runs WHERE id = '{run}'"
    ));
    let members = case.either("member", "club.member");
    room.sql(&format!("DELETE FROM {members}"));
    let _ = room
        .run("rollback", &["--snapshot", &snapshot, "--to", &url])
        .code(0);
    assert_eq!(room.dump(), before);
    assert_eq!(room.ask("SELECT version FROM switchback_meta"), "2");
    // The history is the present one, and goes on: an import finds nothing to do, an old run is taken back.
    let _ = room.on("verify", &["audit"]).code(0);
    let again = room.run("apply", &["B", "--to", &url]).code(0);
    let last = again.says(&["0 created, 0 updated, 5 unchanged"]).id();
    let _ = room.on("verify", &[&last]).code(0);
    let _ = room.on("rollback", &[&last]).code(0);
    let _ = room
        .on("rollback", &[RUN, "--outside-window"])
        .code(0)
        .says(&["6 of 6 rows are what they were"]);
}

fn the_lines_of_an_export_are_summed_in_its_seal(case: Case) {
    let sql = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT); INSERT INTO member VALUES ('1', 'old')";
    let room = Room::with(case, &PLAN.replace("crm.member", "member"), &[], sql);
    let run = room.apply(&room.seal(&LINES));
    let args = [run.as_str(), "--export", "--save-plan", "inverse.toml"];
    let lines = room.on("rollback", &args).code(0).out;
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(
        last["end"]["lines"].as_str().map(str::len),
        Some(32),
        "{last}"
    );
    let validated = |lines: &str| {
        let args = ["--plan", "inverse.toml"];
        let out = room.feed("validate", &args, lines).code(0).out;
        let seal: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        seal["end"]["edited"].clone()
    };
    assert_eq!(validated(&lines), Value::Null);
    assert_eq!(
        validated(&lines.replace("\"old\"", "\"odd\"")),
        Value::Bool(true)
    );
}
