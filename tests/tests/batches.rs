//! Show 3: a batch is applied whole or not at all, its culprit is named, and the rest can be had later.

use std::fmt::Write as _;

use tests::db::same;
use tests::{Case, Db, Room, Target};

tests::both!(
    two_hundred_records_are_four_batches,
    a_check_names_the_culprit_and_undoes_its_batch,
    a_foreign_key_on_a_plain_column_names_the_culprit_and_undoes_its_batch,
    mended_in_the_target_resume_ends_with_every_row_once,
    resume_without_mending_stops_at_the_same_record,
    going_on_after_an_error_then_that_batch_alone,
    mended_in_the_source_a_new_run_leaves_alone_what_stands,
    the_dry_run_says_what_would_fail,
    batch_size_never_changes_the_result,
    nor_the_ids_that_the_target_gives,
    batches_share_a_commit_as_asked,
    a_failed_batch_takes_only_itself_back,
);

const PLAN: &str = r#"
name = "readings"
system = "stations"
[[entity]]
name = "reading"
source = { format = "csv", files = ["readings.csv"], key = "id" }
table = "reading"
id = { column = "id", from = "key" }
[entity.fields]
station = { from = "station", required = true }
level = { from = "level", type = "integer", required = true }
"#;

const SCHEMA: &str = "
CREATE TABLE station (code TEXT PRIMARY KEY);
CREATE TABLE reading (id TEXT PRIMARY KEY, station TEXT NOT NULL REFERENCES station (code),
                      level INTEGER NOT NULL CHECK (level >= 0));
INSERT INTO station VALUES ('north'), ('south');
";

/// 200 readings; one of them as given.
fn readings(odd: usize, cells: &str) -> String {
    (1..=200).fold("id,station,level\n".to_owned(), |mut csv, n| {
        if n == odd {
            writeln!(csv, "r{n},{cells}").unwrap();
        } else {
            writeln!(csv, "r{n},north,{n}").unwrap();
        }
        csv
    })
}

fn room(case: Case, odd: usize, cells: &str) -> Room {
    let room = Room::with(
        case,
        PLAN,
        &[("readings.csv", &readings(odd, cells))],
        SCHEMA,
    );
    room.bundle("B");
    room
}

const BATCHES: &str =
    "SELECT string_agg(no || ' ' || status, ', ' ORDER BY run, no) FROM switchback_batches";

fn two_hundred_records_are_four_batches(case: Case) {
    let room = room(case, 0, "");
    room.apply("B");
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "200");
    assert_eq!(
        room.ask(BATCHES),
        "1 applied, 2 applied, 3 applied, 4 applied"
    );
    assert_eq!(
        room.ask("SELECT string_agg(CAST(records AS TEXT), ',') FROM switchback_batches"),
        "50,50,50,50"
    );
}

/// The state that every test here starts from: record 80 of 200 was refused by the database.
fn stopped(case: Case, cells: &str, words: &[&str]) -> (Room, String) {
    let room = room(case, 80, cells);
    let done = room
        .on("apply", &["B"])
        .code(3)
        .says(&["readings.csv:81", "r80", "batch 2"])
        .says(words);
    let run = done
        .says(&["50 created", "1 failed", "149 not attempted", "hint: "])
        .id();
    assert_eq!(
        room.ask("SELECT count(*) || ' ' || min(level) || ' ' || max(level) FROM reading"),
        "50 1 50",
        "batch 1 stands, batch 2 does not"
    );
    let failures = room.read(".migration-failures.json");
    for part in ["\"r80\"", "\"line\":81", &run] {
        assert!(failures.contains(part), "{part} is not in {failures}");
    }
    assert_eq!(room.ask("SELECT count(*) FROM switchback_failures"), "1");
    (room, run)
}

/// How PostgreSQL says what SQLite calls `CHECK`.
const REFUSED: &str = "violates check constraint \"reading_level_check\"";

fn a_check_names_the_culprit_and_undoes_its_batch(case: Case) {
    stopped(case, "north,-1", &[case.either("CHECK", REFUSED)]);
}

fn a_foreign_key_on_a_plain_column_names_the_culprit_and_undoes_its_batch(case: Case) {
    stopped(case, "ghost,80", &["station", "ghost"]);
}

fn mended_in_the_target_resume_ends_with_every_row_once(case: Case) {
    let (room, run) = stopped(case, "ghost,80", &[]);
    room.sql("INSERT INTO station VALUES ('ghost')");
    let done = room.on("apply", &["B", "--resume"]).code(0);
    assert_eq!(done.id(), run, "it is the same run");
    assert_eq!(
        room.ask("SELECT count(*) || ' ' || count(DISTINCT id) FROM reading"),
        "200 200"
    );
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "completed");
    room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "0");
}

fn resume_without_mending_stops_at_the_same_record(case: Case) {
    let (room, run) = stopped(case, "ghost,80", &[]);
    let done = room.on("apply", &["B", &format!("--resume={run}")]).code(3);
    done.says(&["readings.csv:81"]);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "50");
}

fn going_on_after_an_error_then_that_batch_alone(case: Case) {
    let room = room(case, 80, "ghost,80");
    let done = room.on("apply", &["B", "--continue-on-error"]).code(3);
    let run = done
        .says(&[
            "readings.csv:81",
            "150 created",
            "1 failed",
            "49 not attempted",
        ])
        .id();
    assert_eq!(
        room.ask(BATCHES),
        "1 applied, 2 failed, 3 applied, 4 applied"
    );
    room.sql("INSERT INTO station VALUES ('ghost')");
    let done = room
        .on(
            "apply",
            &["B", &format!("--resume={run}"), "--only-batch", "2"],
        )
        .code(0);
    assert_eq!(done.id(), run);
    assert_eq!(
        room.ask("SELECT count(*) || ' ' || count(DISTINCT id) FROM reading"),
        "200 200"
    );
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "completed");
}

fn mended_in_the_source_a_new_run_leaves_alone_what_stands(case: Case) {
    let (room, first) = stopped(case, "north,-1", &[]);
    room.write("readings.csv", readings(80, "south,80"));
    room.bundle("C");
    let done = room
        .on("apply", &["C"])
        .code(0)
        .says(&["150 created, 0 updated, 50 unchanged"]);
    assert_ne!(done.id(), first);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "200");
    // The newer run goes first, then the older one; then nothing is left.
    room.on("rollback", &[&done.id()]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "50");
    room.on("rollback", &[&first]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "0");
}

fn the_dry_run_says_what_would_fail(case: Case) {
    let room = room(case, 80, "north,-1");
    let before = room.dump();
    room.on("apply", &["B", "--dry-run"]).code(1).says(&[
        "readings.csv:81",
        case.either("CHECK", REFUSED),
        "1 failed",
    ]);
    same(&room.dump(), &before, "it changed");
}

fn batch_size_never_changes_the_result(case: Case) {
    let fixed = [
        "--run-id",
        "01900000-0000-7000-8000-000000000001",
        "--now",
        "2024-05-01T00:00:00Z",
    ];
    let dumps = ["1", "7", "50", "1000"].map(|size| {
        let room = Room::example(case, "members");
        room.bundle("B");
        // Ids and times of the run are fixed, but the database stamps `createdAt` itself.
        room.on(
            "apply",
            &[&["B", "--batch-size", size][..], &fixed].concat(),
        )
        .code(0);
        room.sql(case.either(
            "",
            "ALTER TABLE \"Member\" DISABLE TRIGGER \"Member_touch\"",
        ));
        room.sql(
            "UPDATE \"Member\" SET \"createdAt\" = '2000-01-01', \"updatedAt\" = '2000-01-01'; \
             UPDATE \"Event\" SET \"createdAt\" = '2000-01-01'; \
             UPDATE \"EventRegistration\" SET \"createdAt\" = '2000-01-01'",
        );
        room.dump()
    });
    assert!(dumps.iter().all(|dump| *dump == dumps[0]));
}

/// Applies all, and returns how many commits that took; of a file, besides those of its run's begin and end.
fn commits(case: Case, more: &[&str]) -> u32 {
    let room = room(case, 0, "");
    let counter = || match &room.db {
        // SQLite counts the transactions that changed a file in its bytes 24 to 27.
        Db::Sqlite(path) => {
            let bytes = std::fs::read(path).unwrap();
            u32::from_be_bytes(bytes[24..28].try_into().unwrap())
        }
        Db::Postgres(_) if !room.db.has_ledger() => 0,
        Db::Postgres(database) => {
            let sql = "SELECT count(DISTINCT xmin::text) FROM switchback.batches";
            database.ask(sql).parse().unwrap()
        }
    };
    let before = counter();
    let _ = room.on("apply", &[&["B"], more].concat()).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "200");
    counter() - before
}

fn batches_share_a_commit_as_asked(case: Case) {
    let together = commits(case, &["--commit-every", "10000"]);
    let alone = commits(case, &["--commit-every", "0"]);
    assert_eq!(alone, together + 3, "four batches");
    if case.target == Target::Postgres {
        assert_eq!(together, 1);
        assert_eq!(commits(case, &[]), alone, "unless asked, each alone");
    }
    let room = room(case, 0, "");
    let _ = room
        .on("apply", &["B", "--commit-every", "10001"])
        .code(2)
        .says(&["0..=10000"]);
}

fn a_failed_batch_takes_only_itself_back(case: Case) {
    let room = room(case, 80, "west,80");
    let before = room.dump();
    let args = ["B", "--commit-every", "10000", "--batch-size", "20"];
    let failed = room.on("apply", &args).code(3);
    let run = failed.says(&["readings.csv:81"]).id();
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "60");
    assert_eq!(
        room.ask(BATCHES),
        "1 applied, 2 applied, 3 applied, 4 failed",
        "those before it in the group stand"
    );
    let more = [
        "--resume",
        "--continue-on-error",
        "--max-failed-percent",
        "50",
    ];
    let _ = room.on("apply", &[&args[..], &more].concat()).code(3);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "180");
    room.sql("INSERT INTO station VALUES ('west')");
    let _ = room
        .on("apply", &[&args[..], &["--resume"]].concat())
        .code(0);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "200");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    room.sql("DELETE FROM station WHERE code = 'west'");
    same(&room.dump(), &before, "all is taken back");
}

#[test]
fn a_batch_that_the_server_asks_for_again_is_tried_again_inside_its_group() {
    let room = Room::with(
        Target::Postgres,
        &format!("accept_triggers = [\"busy\"]\n{PLAN}"),
        &[("readings.csv", &readings(0, ""))],
        SCHEMA,
    );
    // A sequence does not go back: the second try passes.
    room.sql(
        "CREATE SEQUENCE tries; CREATE FUNCTION busy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.id = 'r120' AND nextval('tries') = 1 THEN RAISE 'deadlock' USING ERRCODE = '40P01'; END IF; \
         RETURN NEW; END $$; CREATE TRIGGER busy BEFORE INSERT ON reading FOR EACH ROW EXECUTE FUNCTION busy()",
    );
    room.bundle("B");
    let args = ["B", "--commit-every", "10000"];
    let run = room.on("apply", &args).code(0).id();
    assert_eq!(room.ask("SELECT last_value FROM tries"), "2");
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "200");
    let commits = "SELECT count(DISTINCT xmin::text) FROM switchback_batches";
    assert_eq!(room.ask(commits), "1");
    let _ = room.on("verify", &[&run]).code(0);
}

/// Records that do not set the same columns, some of which refer to earlier ones.
const MIXED: &str = r#"
name = "mixed"
system = "notes"
[[entity]]
name = "note"
source = { format = "json", files = ["notes.ndjson"], key = "k" }
table = "note"
id = { column = "id", from = "target" }
[entity.fields]
code = { from = "k", required = true }
title = { from = "title" }
body = { from = "body" }
parent = { from = "parent", ref = "note" }
"#;

fn nor_the_ids_that_the_target_gives(case: Case) {
    let lines = r#"{"k":"a","title":"A"}
{"k":"b","body":"B"}
{"k":"c","title":"C","body":"c"}
{"k":"d","body":"D","parent":"b"}
{"k":"e","title":"E"}
{"k":"f","parent":"a"}
{"k":"g","body":"G"}
"#;
    for size in ["1", "2", "3", "50"] {
        let room = Room::with(
            case,
            MIXED,
            &[("notes.ndjson", lines)],
            "CREATE TABLE note (id INTEGER PRIMARY KEY, code TEXT NOT NULL, title TEXT, body TEXT DEFAULT 'none', \
             parent INTEGER REFERENCES note (id));",
        );
        room.bundle("B");
        let _ = room.on("apply", &["B", "--batch-size", size]).code(0);
        assert_eq!(
            room.ask("SELECT string_agg(code || id, ' ' ORDER BY id) FROM note"),
            "a1 b2 c3 d4 e5 f6 g7",
            "in batches of {size}"
        );
    }
}
