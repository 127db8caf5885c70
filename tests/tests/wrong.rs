//! "When things go wrong": each of its commands is run where its symptom is.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::db::same;
use tests::{Bulk, Case, Done, Room, Target, finish, program, repository, spawn};

tests::both!(
    partial_import,
    wrong_mapping,
    bad_values,
    duplicates,
    wrong_environment,
    crash_in_rollback,
    dependents,
    by_lines,
    lost_checkpoint,
    corrupt_snapshot,
);

/// Runs the commands that the page gives for a symptom.
fn follow(room: &Room, symptom: &str, run: &str, snapshot: &str) -> Done {
    let page = fs::read_to_string(repository().join("docs/when-things-go-wrong.md")).unwrap();
    let fence = format!("```sh {symptom}\n");
    let (_, rest) = page
        .split_once(&fence)
        .unwrap_or_else(|| panic!("no {symptom}"));
    let (commands, _) = rest.split_once("```").unwrap();
    let programs = program("apply");
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("bash");
    shell
        .args(["-eu", "-o", "pipefail", "-c", commands])
        .current_dir(room.path("."))
        .env(
            "PATH",
            format!("{}:{path}", programs.parent().unwrap().display()),
        )
        .env("DATABASE_URL", room.url())
        .env("run", run)
        .env("snapshot", snapshot)
        .env_remove("MIGRATION_PLAN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(spawn(&mut shell), None).code(0)
}

fn room(case: Case) -> (Room, String) {
    let room = Bulk::room(case, 120);
    room.bundle("members.bundle");
    let before = room.dump();
    (room, before)
}

/// A run that stopped half-way, at a person whom the target refuses.
fn stopped(room: &Room) -> String {
    room.db.refuse(
        "INSERT",
        "person",
        "NEW.email = 'p77@example.org'",
        "not yet",
    );
    let run = room.on("apply", &["members.bundle"]).code(3).id();
    room.db.allow("person");
    run
}

fn partial_import(case: Case) {
    let (room, _) = room(case);
    let run = stopped(&room);
    let done = follow(&room, "partial-import", &run, "");
    assert!(done.out.contains("failed"), "{}", done.out);
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "completed");
}

fn wrong_mapping(case: Case) {
    let (room, _) = room(case);
    let run = room.apply("members.bundle");
    room.mend(
        "migration.toml",
        "name = { from = \"name\"",
        "name = { from = \"email\"",
    );
    let _ = follow(&room, "wrong-mapping", &run, "");
    assert_eq!(
        room.ask("SELECT count(*) FROM person WHERE name = email"),
        "120"
    );
}

fn bad_values(case: Case) {
    let (room, _) = room(case);
    let run = room.apply("members.bundle");
    room.mend("people.csv", "\"Person, 5\"", "\"Penelope\"");
    let done = follow(&room, "bad-values", &run, "");
    assert!(done.err.contains("1 updated"), "{}", done.err);
    assert_eq!(
        room.ask("SELECT name FROM person WHERE email = 'p5@example.org'"),
        "Penelope"
    );
}

fn duplicates(case: Case) {
    const PLAN: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "uuid" }
[entity.fields]
email = { from = "email", required = true }
"#;
    let schema = "CREATE TABLE person (id TEXT PRIMARY KEY, email TEXT); CREATE INDEX mail ON person (email);
                  INSERT INTO person VALUES ('1', 'ann@example.org');";
    let sources = [(
        "people.csv",
        "id,email\na,ann@example.org\nb,bo@example.org\n",
    )];
    let room = Room::with(case, PLAN, &sources, schema);
    room.bundle("members.bundle");
    let run = room.apply("members.bundle");
    let twice = "SELECT count(*) - count(DISTINCT email) FROM person";
    assert_eq!(room.ask(twice), "1");
    let id = "from = \"uuid\" }\n";
    let matched = format!("{id}match = [\"email\"]\non_match = \"update\"\n");
    room.mend("migration.toml", id, &matched);
    let _ = follow(&room, "duplicates", &run, "");
    assert_eq!(room.ask(twice), "0");
    assert_eq!(room.ask("SELECT count(*) FROM person"), "2");
}

fn wrong_environment(case: Case) {
    let (room, before) = room(case);
    let run = room.apply("members.bundle");
    let _ = follow(&room, "wrong-environment", &run, "");
    same(&room.dump(), &before, "as if it had never been");
}

fn crash_in_rollback(case: Case) {
    let (room, before) = room(case);
    let run = room.apply("members.bundle");
    room.db.refuse(
        "DELETE",
        "person",
        "OLD.email = 'p7@example.org'",
        "not yet",
    );
    let _ = room.untried(&[&run, "--batch-size", "10"]).code(3);
    room.db.allow("person");
    let _ = follow(&room, "crash-in-rollback", &run, "");
    same(&room.dump(), &before, "the rest is undone");
}

fn dependents(case: Case) {
    let (room, _) = room(case);
    room.sql(
        "CREATE TABLE remark (no INTEGER PRIMARY KEY, person TEXT REFERENCES person (id) ON DELETE SET NULL)",
    );
    let before = room.dump();
    let run = room.apply("members.bundle");
    room.sql("INSERT INTO remark SELECT 1, id FROM person WHERE email = 'p7@example.org'");
    let _ = follow(&room, "dependents", &run, "");
    assert_eq!(room.ask("SELECT coalesce(person, '-') FROM remark"), "-");
    assert!(room.read("references.ndjson").contains("\"remark\""));
    room.sql("DELETE FROM remark");
    same(&room.dump(), &before, "all else is what it was");
}

fn by_lines(case: Case) {
    let room = Room::example(case, "members");
    if case.target == Target::Postgres {
        // One that stamps whatever is written would change what the lines give back; this one is as on SQLite.
        room.sql(
            r#"DROP TRIGGER "Member_touch" ON "Member"; CREATE TRIGGER "Member_touch" BEFORE UPDATE ON "Member"
               FOR EACH ROW WHEN (NEW."updatedAt" = OLD."updatedAt") EXECUTE FUNCTION touch()"#,
        );
    }
    let before = room.dump();
    room.bundle("members.bundle");
    let run = room.apply("members.bundle");
    let _ = follow(&room, "by-lines", &run, "");
    same(&room.dump(), &before, "by a bundle of its own");
}

fn lost_checkpoint(case: Case) {
    let (room, _) = room(case);
    let run = stopped(&room);
    let _ = follow(&room, "lost-checkpoint", &run, "");
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "completed");
}

fn corrupt_snapshot(case: Case) {
    let (room, before) = room(case);
    let run = room
        .on("apply", &["members.bundle", "--snapshot"])
        .code(0)
        .id();
    let path = room.ask("SELECT snapshot ->> 'path' FROM switchback_runs");
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(5000);
    fs::write(Path::new(&path), bytes).unwrap();
    let done = follow(&room, "corrupt-snapshot", &run, &path);
    assert!(done.err.contains("is corrupt"), "{}", done.err);
    same(&room.dump(), &before, "the run is taken back without it");
}
