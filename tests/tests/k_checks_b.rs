//! Checks K01 to K24 and K38 to K46 of the knowledge base's list, one test each and named after it
//! (K17 to K19 stand with the checkpoint). Where its words and the design differ, the design holds.

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::db::content_hash;
use tests::{Done, Room, Target, command, spawn};

const PLAN: &str = r#"
name = "entries"
system = "notes"

[[entity]]
name = "entry"
source = { format = "csv", files = ["*.csv"], key = "id" }
table = "Entry"
id = { column = "id", from = "uuid" }

[entity.fields]
code = { from = "id", required = true }
size = { from = "size", type = "integer", required = true }
"#;

const SCHEMA: &str = "CREATE TABLE Entry (id TEXT PRIMARY KEY, code TEXT NOT NULL, size INTEGER NOT NULL CHECK (size < 1000))";

/// So many entries, one of them of a size that the database refuses.
fn entries(first: usize, last: usize, bad: usize) -> String {
    (first..=last).fold("id,size\n".to_owned(), |mut csv, n| {
        let size = if n == bad { 5000 } else { n };
        writeln!(csv, "k{n},{size}").unwrap();
        csv
    })
}

/// A room with a bundle of 200 entries.
fn room(bad: usize) -> Room {
    let room = Room::with(
        Target::Sqlite,
        PLAN,
        &[("a.csv", &entries(1, 200, bad))],
        SCHEMA,
    );
    room.bundle("B");
    room
}

/// A room with a bundle of 900 entries and a constraint that is checked at COMMIT, so that each batch
/// has a commit of its own.
fn slow() -> Room {
    let schema = SCHEMA.replace(
        " CHECK",
        " CHECK (size < 1000), up TEXT REFERENCES Entry (id) DEFERRABLE INITIALLY DEFERRED, CHECK",
    );
    let room = Room::with(
        Target::Sqlite,
        PLAN,
        &[("a.csv", &entries(1, 900, 0))],
        &schema,
    );
    room.bundle("B");
    room
}

/// A room whose run stopped at its second batch, record 70 being refused, and the run.
fn stopped() -> (Room, String) {
    let room = room(70);
    let run = room.on("apply", &["B"]).code(3).id();
    (room, run)
}

/// Lets the database take what it refused.
fn mend(room: &Room) {
    room.sql(
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, ' CHECK (size < 1000)', '') \
         WHERE name = 'Entry'; PRAGMA writable_schema = RESET",
    );
}

fn summary(done: &Done) -> Value {
    serde_json::from_str(done.out.lines().last().unwrap()).unwrap()
}

/// Starts apply on a target in WAL mode and waits until its first batch stands.
fn started(room: &Room, bundle: &str) -> std::process::Child {
    room.sql("PRAGMA journal_mode = WAL");
    let url = room.url();
    let args = [bundle, "--to", &url, "--batch-size", "1"];
    let child = spawn(&mut command("apply", &room.path(""), args));
    let begun = "SELECT count(*) FROM sqlite_master WHERE name = 'switchback_batches'";
    let since = Instant::now();
    let stands =
        || room.ask(begun) == "1" && room.ask("SELECT count(*) FROM switchback_batches") != "0";
    while !stands() {
        assert!(since.elapsed() < Duration::from_secs(60), "it never began");
    }
    child
}

/// Sends a signal to a process that a test started.
fn signal(child: &std::process::Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn k01_each_apply_has_one_run_id_of_uuid_version_7() {
    let room = room(0);
    let first = room.apply("B");
    let second = summary(&room.on("apply", &["B", "--json"]).code(0));
    let second = second["run"].as_str().unwrap().to_owned();
    for id in [&first, &second] {
        assert_eq!(id.len(), 36, "{id}");
        assert_eq!(id.as_bytes()[14], b'7', "{id}");
    }
    assert!(first < second, "ordered by time");
    let done = room.on("apply", &["B"]).code(0);
    assert_eq!(done.out.lines().count(), 1, "stdout is the run ID alone");
    assert!(
        done.err
            .starts_with(&format!("apply: run {} into ", done.id())),
        "{}",
        done.err
    );
}

#[test]
fn k02_the_run_row_says_all_about_the_run() {
    let (room, run) = stopped();
    let row = room.ask(&format!(
        "SELECT bundle || ' ' || target || ' ' || tool || ' ' || status || ' ' || batch_size FROM switchback_runs WHERE id = '{run}'"
    ));
    let bundle = room.run("bundle", &["check", "B"]).code(0).id();
    let tool = format!("switchback apply {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(row, format!("{bundle} {} {tool} failed 50", room.url()));
    assert_eq!(
        room.ask("SELECT started > 1600000000000 AND ended >= started FROM switchback_runs"),
        "1"
    );
    let counts: Value =
        serde_json::from_str(&room.ask("SELECT counts FROM switchback_runs")).unwrap();
    assert_eq!(
        (&counts["created"], &counts["failed"]),
        (&50.into(), &1.into())
    );
}

#[test]
fn k03_the_run_row_is_there_before_the_first_data_row() {
    // Found by the first row itself: the ledger's run must be in progress.
    let room = room(0);
    let watch = "CREATE TRIGGER watch BEFORE INSERT ON Entry WHEN NOT EXISTS (SELECT 1 FROM switchback_runs \
                 WHERE status = 'in-progress') BEGIN SELECT RAISE(ABORT, 'no run'); END";
    room.sql(watch);
    let run = room.apply("B");
    let status = || {
        room.ask(&format!(
            "SELECT status FROM switchback_runs WHERE id = '{run}'"
        ))
    };
    assert_eq!(status(), "completed");
    room.on("rollback", &[&run]).code(0);
    assert_eq!(status(), "rolled-back");
    let (room, _) = stopped();
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "failed");
}

#[test]
fn k04_every_row_written_is_in_the_ledger() {
    let room = room(0);
    room.apply("B");
    room.write("a.csv", entries(1, 200, 0).replace("k9,9\n", "k9,999\n"));
    room.bundle("C");
    room.apply("C");
    let inserted = "SELECT count(*), count(DISTINCT target), count(before), min(length(hash)), min(seq), max(seq), \
                    count(DISTINCT batch) FROM switchback_changes WHERE run = 1 AND action = 1";
    assert_eq!(room.ask(inserted), "200|200|0|16|1|200|4");
    let all = "SELECT count(*) FROM Entry JOIN switchback_changes ON target = Entry.id AND run = 1 \
               JOIN switchback_names ON switchback_names.id = shape WHERE json_extract(name, '$.table') = 'Entry'";
    assert_eq!(room.ask(all), "200");
    let updated = "SELECT count(*), min(length(before)) > 0, max(Entry.size) FROM switchback_changes \
                   JOIN Entry ON Entry.id = target WHERE run = 2 AND action = 2";
    assert_eq!(room.ask(updated), "1|1|999");
}

#[test]
fn k05_the_tag_of_a_run_has_49_characters() {
    let room = Room::with(Target::Sqlite,
        &PLAN.replace(
            "\n[entity.fields]",
            "tag = { column = \"tags\", text = \"migration-run-id:{run}\", max_length = 50 }\n[entity.fields]",
        ),
        &[("a.csv", &entries(1, 3, 0))],
        "CREATE TABLE Entry (id TEXT PRIMARY KEY, code TEXT, size INTEGER, tags TEXT)",
    );
    room.bundle("B");
    let run = room.apply("B");
    let tag = format!("migration-run-id:{}", run.replace('-', ""));
    assert_eq!(tag.len(), 49);
    assert_eq!(
        room.ask("SELECT DISTINCT tags FROM Entry"),
        format!("[\"{tag}\"]")
    );
}

#[test]
fn k06_two_hundred_records_are_four_batches_of_fifty() {
    let room = room(0);
    room.apply("B");
    let batches =
        "SELECT count(*), min(records), max(records), min(status) FROM switchback_batches";
    assert_eq!(room.ask(batches), "4|50|50|applied");
    room.on("apply", &["B", "--batch-size", "0"]).code(2);
    for size in ["1", "1000"] {
        room.on("apply", &["B", "--batch-size", size]).code(0);
    }
    let sizes = "SELECT group_concat(n) FROM (SELECT count(*) AS n FROM switchback_batches GROUP BY run ORDER BY run)";
    assert_eq!(room.ask(sizes), "4,200,1");
}

#[test]
fn k07_rows_ledger_and_progress_stand_or_fall_together() {
    let room = room(0);
    // The ledger is made by a run of nothing much, so that a trigger can stand on its table.
    room.write("a.csv", entries(201, 201, 0));
    room.bundle("A");
    room.apply("A");
    room.sql(
        "CREATE TRIGGER full BEFORE INSERT ON switchback_batches WHEN NEW.run = 2 AND NEW.no = 3 \
         BEGIN SELECT RAISE(ABORT, 'the ledger is full'); END",
    );
    room.on("apply", &["B"])
        .code(3)
        .says(&["the ledger is full"]);
    let standing = "SELECT (SELECT count(*) FROM Entry) - 1, (SELECT count(*) FROM switchback_changes WHERE run = 2), \
                    (SELECT count(*) FROM switchback_ids WHERE run = 2), \
                    (SELECT coalesce(sum(records), 0) FROM switchback_batches WHERE run = 2)";
    let found = room.ask(standing);
    let figures: Vec<&str> = found.split('|').collect();
    assert!(
        figures.iter().all(|figure| *figure == figures[0]),
        "{found}"
    );
    assert!(["0", "50", "100"].contains(&figures[0]), "{found}");
    room.sql("DROP TRIGGER full");
    room.on("apply", &["B", "--resume"]).code(0);
    assert_eq!(room.ask(standing), "200|200|200|200");
}

#[test]
fn k08_a_failing_record_in_batch_2_leaves_batch_1_and_nothing_of_batch_2() {
    let (room, _) = stopped();
    assert_eq!(room.ask("SELECT count(*), max(size) FROM Entry"), "50|50");
    assert_eq!(
        room.ask("SELECT count(*), max(batch) FROM switchback_changes"),
        "50|1"
    );
    assert_eq!(room.ask("SELECT count(*) FROM switchback_ids"), "50");
}

#[test]
fn k09_a_failing_batch_stops_the_run_with_its_own_exit_code() {
    let room = room(70);
    room.on("apply", &["B"])
        .code(3)
        .says(&["batch 2 (entry, 50 records)", "a.csv:71"]);
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "failed");
    assert_eq!(room.ask("SELECT max(no) FROM switchback_batches"), "2");
    room.on("apply", &["B", "--no-such-flag"]).code(2);
}

#[test]
fn k10_going_on_after_an_error_lists_the_failed_batches_for_another_try() {
    let room = room(70);
    let done = room
        .on("apply", &["B", "--continue-on-error", "--json"])
        .code(3);
    let said = summary(&done);
    assert_eq!(
        (&said["status"], &said["counts"]["created"]),
        (&"failed".into(), &150.into())
    );
    assert_eq!(
        (&said["counts"]["failed"], &said["counts"]["not_attempted"]),
        (&1.into(), &49.into())
    );
    assert_eq!(
        room.ask("SELECT group_concat(no) FROM switchback_batches WHERE status = 'failed'"),
        "2"
    );
    mend(&room);
    room.on("apply", &["B", "--resume", "--only-batch", "2"])
        .code(0);
    assert_eq!(room.ask("SELECT count(*) FROM Entry"), "200");
}

#[test]
fn k11_resume_begins_at_the_first_batch_that_does_not_stand() {
    let (room, run) = stopped();
    let first = room.ask("SELECT at FROM switchback_batches WHERE no = 1");
    mend(&room);
    let resumed = room
        .on("apply", &["B", "--resume"])
        .code(0)
        .says(&["1 batch applied already"]);
    assert_eq!(resumed.id(), run);
    assert_eq!(
        room.ask("SELECT count(*), count(DISTINCT code) FROM Entry"),
        "200|200"
    );
    assert_eq!(
        room.ask("SELECT at FROM switchback_batches WHERE no = 1"),
        first,
        "it was left alone"
    );
    assert_eq!(room.ask("SELECT count(*) FROM switchback_changes"), "200");
}

#[test]
fn k12_killed_and_resumed_ends_with_the_same_tables() {
    let undisturbed = slow();
    undisturbed.apply("B");
    let room = slow();
    let mut child = started(&room, "B");
    signal(&child, "-KILL");
    child.wait().unwrap();
    assert_ne!(room.ask("SELECT count(*) FROM Entry"), "900");
    room.on("apply", &["B", "--resume"]).code(0);
    assert_eq!(
        content_hash(&room.path("t.db")),
        content_hash(&undisturbed.path("t.db"))
    );
    assert_eq!(room.ask("SELECT count(*) FROM switchback_changes"), "900");
}

#[test]
fn k13_resume_refuses_another_bundle_target_or_batch_size_by_name() {
    let (room, run) = stopped();
    let named = format!("--resume={run}");
    room.write("a.csv", entries(1, 201, 0));
    room.bundle("C");
    room.on("apply", &["C", &named])
        .code(4)
        .says(&["is of another bundle"]);
    room.on("apply", &["C", "--resume"])
        .code(4)
        .says(&["is of another bundle"]);
    room.on("apply", &["B", &named, "--batch-size", "10"])
        .code(4)
        .says(&["has batches of 50"]);
    std::fs::copy(room.path("t.db"), room.path("copy.db")).unwrap();
    let copy = format!("sqlite:{}", room.path("copy.db").display());
    room.run("apply", &["B", &named, "--to", &copy])
        .code(4)
        .says(&["is of another target", "t.db", "copy.db"]);
    mend(&room);
    // The same file by another way to write it is the same target.
    room.run("apply", &["B", &named, "--to", "sqlite:./t.db"])
        .code(0);
}

#[test]
fn k14_resume_without_a_run_says_how_to_start_afresh() {
    let room = room(0);
    let words = "No checkpoint file found. Run migration without --resume to start fresh.";
    room.on("apply", &["B", "--resume"]).code(4).says(&[words]);
    room.apply("B");
    room.on("apply", &["B", "--resume"]).code(4).says(&[words]);
}

#[test]
fn k15_a_second_apply_is_refused_and_the_first_unharmed() {
    let room = slow();
    let child = started(&room, "B");
    signal(&child, "-STOP");
    let since = Instant::now();
    let refused = room.on("apply", &["B"]);
    let took = since.elapsed();
    signal(&child, "-CONT");
    let first = Done::from(child.wait_with_output().unwrap());
    refused
        .code(11)
        .says(&["Migration already in progress", "process"]);
    assert!(took < Duration::from_secs(3), "{took:?}");
    first.code(0);
    assert_eq!(
        room.ask("SELECT count(*), max(status) FROM switchback_runs"),
        "1|completed"
    );
    assert_eq!(room.ask("SELECT count(*) FROM Entry"), "900");
}

#[test]
fn k16_the_lock_of_a_dead_process_is_told_and_taken_only_when_asked() {
    let room = slow();
    room.write("a.csv", entries(901, 903, 0));
    room.bundle("C");
    let mut child = started(&room, "B");
    signal(&child, "-KILL");
    child.wait().unwrap();
    let dead = room.on("apply", &["C"]).code(11);
    dead.says(&["its process is gone or its lease ran out", "--take-over"]);
    room.on("apply", &["C", "--take-over"]).code(0);
    let statuses =
        "SELECT group_concat(status) FROM (SELECT status FROM switchback_runs ORDER BY seq)";
    assert_eq!(room.ask(statuses), "failed,completed");
}

#[test]
fn k20_each_failure_names_file_line_record_field_rule_and_reason_and_stays() {
    let (room, run) = stopped();
    let line = room.read(".migration-failures.json");
    let first: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let reject = &first["reject"];
    assert_eq!(
        reject["at"],
        serde_json::json!({"file": "a.csv", "line": 71})
    );
    assert_eq!(
        (&reject["key"], &reject["stage"]),
        (&"k70".into(), &"apply".into())
    );
    let error = &reject["errors"][0];
    assert!(
        error["rule"].is_string() && error["message"].as_str().unwrap().contains("CHECK"),
        "{error}"
    );
    let end: Value = serde_json::from_str(line.lines().last().unwrap()).unwrap();
    assert_eq!(
        end["end"]["run"], run,
        "the file says whose failures they are"
    );
    room.write("a.csv", entries(1, 200, 120));
    room.bundle("C");
    room.on("apply", &["C"]).code(3);
    let kept = "SELECT group_concat(json_extract(line, '$.key')) FROM (SELECT line FROM switchback_failures ORDER BY run)";
    assert_eq!(
        room.ask(kept),
        "k70,k120",
        "the ledger keeps those of every run"
    );
}

#[test]
fn k21_a_rejected_record_never_reaches_the_target() {
    let room = room(0);
    let text = entries(1, 200, 0).replace("\nk7,7\n", "\nk7,seven\n");
    room.write("a.csv", text);
    let [parse, _, bundle] = room.pipeline("C");
    let _ = (parse.code(0), bundle.code(0));
    room.apply("C");
    assert_eq!(
        room.ask("SELECT count(*), sum(code = 'k7') FROM Entry"),
        "199|0"
    );
    let rejects = room.read("C/rejects.ndjson");
    assert!(
        rejects.contains("\"line\":8") && rejects.contains("seven"),
        "{rejects}"
    );
    // More than a tenth: validate ends with 1, and no bundle is made.
    room.write("a.csv", entries(1, 200, 0).replace("k1", "k1,x"));
    let [_, validate, bundle] = room.pipeline("D");
    assert_ne!((validate.code, bundle.code), (0, 0));
    assert!(!room.path("D").exists());
}

#[test]
fn k22_the_figures_add_up_by_file_and_in_all() {
    let sources = [
        ("a.csv", &*entries(1, 120, 0)),
        ("b.csv", &*entries(121, 200, 130)),
    ];
    let room = Room::with(Target::Sqlite, PLAN, &sources, SCHEMA);
    room.bundle("B");
    let said = summary(&room.on("apply", &["B", "--json"]).code(3));
    let sum = |counts: &Value| {
        let part = |name: &str| counts[name].as_u64().unwrap();
        let skipped: u64 = counts["skipped"]
            .as_object()
            .unwrap()
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum();
        [
            "created",
            "updated",
            "unchanged",
            "deleted",
            "failed",
            "not_attempted",
        ]
        .map(part)
        .iter()
        .sum::<u64>()
            + skipped
    };
    assert_eq!(sum(&said["counts"]), 200);
    assert_eq!(
        (&said["counts"]["created"], &said["counts"]["failed"]),
        (&100.into(), &1.into())
    );
    let files = |no: u32| -> Value {
        serde_json::from_str(&room.ask(&format!(
            "SELECT files FROM switchback_batches WHERE no = {no}"
        )))
        .unwrap()
    };
    // The third batch holds the end of one file and the beginning of the other.
    let third = files(3);
    assert_eq!((sum(&third["a.csv"]), sum(&third["b.csv"])), (20, 30));
    assert_eq!(
        (&third["b.csv"]["failed"], &third["a.csv"]["failed"]),
        (&1.into(), &0.into())
    );
    let run = said["run"].as_str().unwrap();
    room.on("verify", &["report", run]).code(0);
}

#[test]
fn k23_the_report_of_a_run_comes_from_the_ledger_alone() {
    let room = room(70);
    let said = summary(&room.on("apply", &["B", "--json"]).code(3));
    for gone in ["B", "a.csv", "migration.toml", ".migration-failures.json"] {
        let path = room.path(gone);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
    let done = room
        .on(
            "verify",
            &["report", said["run"].as_str().unwrap(), "--json"],
        )
        .code(0);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    for part in ["run", "bundle", "status", "counts"] {
        assert_eq!(report[part], said[part], "{part}");
    }
}

#[test]
fn k24_the_runs_are_listed_newest_first_the_rolled_back_among_them() {
    let room = room(0);
    let none = room.on("verify", &["runs", "--json"]).code(0);
    assert_eq!(summary(&none)["runs"], Value::Array(vec![]));
    let first = room.apply("B");
    room.on("rollback", &[&first]).code(0);
    let second = room.apply("B");
    let listed = summary(&room.on("verify", &["runs", "--json"]).code(0));
    let runs: Vec<[&str; 3]> = listed["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| ["run", "status", "target"].map(|part| run[part].as_str().unwrap()))
        .collect();
    let url = room.url();
    assert_eq!(
        runs,
        [
            [&*second, "completed", &*url],
            [&*first, "rolled-back", &*url]
        ]
    );
    assert_eq!(listed["runs"][0]["counts"]["created"], 200);
}

#[test]
fn k38_rolling_back_a_failed_run_removes_what_it_committed() {
    let (room, run) = stopped();
    room.sql("INSERT INTO Entry VALUES ('mine', 'mine', 1)");
    room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT count(*), max(id) FROM Entry"), "1|mine");
    // What failed is in its report still, and no fault of what stands.
    let _ = room.on("verify", &[&run]).code(0);
    let report = room.run("verify", &["report", &run, "--to", &room.url()]);
    assert!(report.code(0).out.contains("failed"));
}

#[test]
fn k39_the_same_bundle_again_inserts_nothing_and_is_on_record() {
    let room = room(0);
    room.apply("B");
    let before = content_hash(&room.path("t.db"));
    let said = summary(&room.on("apply", &["B", "--json"]).code(0));
    assert_eq!(
        (&said["counts"]["created"], &said["counts"]["unchanged"]),
        (&0.into(), &200.into())
    );
    assert_eq!(content_hash(&room.path("t.db")), before);
    assert_eq!(
        room.ask("SELECT count(*), max(status) FROM switchback_runs"),
        "2|completed"
    );
}

#[test]
fn k40_apply_rollback_apply_gives_the_same_rows_again() {
    let room = room(0);
    let run = room.apply("B");
    let applied = content_hash(&room.path("t.db"));
    room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM Entry"), "0");
    let said = summary(&room.on("apply", &["B", "--json"]).code(0));
    assert_eq!(said["counts"]["created"], 200);
    assert_eq!(
        content_hash(&room.path("t.db")),
        applied,
        "ids are derived from the records"
    );
}

#[test]
fn k41_the_dry_run_gives_the_figures_of_the_run() {
    let room = room(0);
    room.apply("B");
    room.sql("UPDATE Entry SET size = 0 WHERE code = 'k3'");
    room.write("a.csv", entries(1, 210, 0).replace("k9,9\n", "k9,999\n"));
    room.bundle("C");
    let before = content_hash(&room.path("t.db"));
    let dry = summary(&room.on("apply", &["C", "--dry-run", "--json"]).code(0));
    assert_eq!(content_hash(&room.path("t.db")), before);
    let live = summary(&room.on("apply", &["C", "--json"]).code(0));
    assert_eq!(dry["counts"], live["counts"]);
    assert_eq!(dry["entities"], live["entities"]);
    let counts = &live["counts"];
    let figures =
        ["created", "updated", "unchanged", "drifted"].map(|part| counts[part].as_u64().unwrap());
    assert_eq!(figures, [10, 1, 199, 1]);
}

#[test]
fn k42_parse_counts_by_file_and_a_file_that_gives_nothing_is_told() {
    let sources = [
        ("a.csv", "id,size\nk1,1\nk2,x\n"),
        ("b.csv", "id,size\nk3,3\n"),
    ];
    let room = Room::with(Target::Sqlite, PLAN, &sources, SCHEMA);
    let done = room.run("parse", &[]).code(0);
    done.clone()
        .says(&["2 records of 3 items in 2 files", "1 rejected"]);
    let end = summary(&done);
    let account = |file: &str| {
        let accounts = end["end"]["accounts"].as_array().unwrap();
        accounts
            .iter()
            .find(|account| account["source"] == file || account["file"] == file)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&account("a.csv")["items"], &account("a.csv")["rejected"]),
        (&2.into(), &1.into())
    );
    assert_eq!(account("b.csv")["items"], 1);
    assert!(
        done.out.contains("\"line\":3"),
        "the rejected item names its line: {}",
        done.out
    );
    for nothing in ["", "id,size"] {
        room.write("b.csv", nothing);
        room.run("parse", &[])
            .code(4)
            .says(&["b.csv holds no item for `entry`"]);
    }
    room.mend(
        "migration.toml",
        "key = \"id\" }",
        "key = \"id\", allow_empty = true }",
    );
    room.run("parse", &[]).code(0);
}

#[test]
fn k43_a_missing_source_is_a_failure() {
    let room = Room::with(
        Target::Sqlite,
        &PLAN.replace("*.csv", "gone.csv"),
        &[],
        SCHEMA,
    );
    let done = room.run("parse", &[]).code(5).says(&["gone.csv"]);
    assert!(!done.out.contains("\"end\""), "no seal: {}", done.out);
}

#[test]
fn k44_what_fails_in_each_file_adds_up_to_the_sum() {
    let sources = [
        ("a.csv", "id,size\nk1,x\nk2,x\nk3,3\n"),
        ("b.csv", "id,size\nk4,x\nk5,5\n"),
    ];
    let room = Room::with(Target::Sqlite, PLAN, &sources, SCHEMA);
    let end = summary(&room.run("parse", &[]).code(0));
    let accounts = end["end"]["accounts"].as_array().unwrap();
    let rejected: Vec<u64> = accounts
        .iter()
        .map(|account| account["rejected"].as_u64().unwrap())
        .collect();
    assert_eq!(rejected, [2, 1]);
    assert_eq!(end["end"]["rejected"], 3);
}

#[test]
fn k45_the_order_of_arguments_and_folders_is_none_and_a_flipped_byte_is_found() {
    let names = ["a.csv", "b.csv", "c.csv"];
    let texts: Vec<String> = (0..3)
        .map(|n| entries(n * 10 + 1, n * 10 + 10, 0))
        .collect();
    let mut ids = Vec::new();
    for order in [[0, 1, 2], [2, 0, 1]] {
        let room = Room::with(Target::Sqlite, PLAN, &[], SCHEMA);
        for n in order {
            room.write(names[n], &texts[n]);
        }
        let files: Vec<&str> = order.iter().map(|n| names[*n]).collect();
        let parsed = room.run("parse", &files).code(0);
        let checked = room.feed("validate", &[], parsed.out).code(0);
        ids.push(room.feed("bundle", &["-o", "B"], checked.out).code(0).id());
        if ids.len() == 2 {
            let records = "B/records/01-entry.ndjson";
            let mut bytes = std::fs::read(room.path(records)).unwrap();
            let place = bytes.len() / 2;
            bytes[place] ^= 1;
            room.write(records, bytes);
            let before = std::fs::read(room.path("t.db")).unwrap();
            room.on("apply", &["B"]).code(4).says(&["01-entry.ndjson"]);
            assert!(std::fs::read(room.path("t.db")).unwrap() == before);
        }
    }
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn k46_the_bundle_names_its_version_and_sources_and_an_unknown_version_is_refused() {
    let room = room(0);
    let manifest: Value = serde_json::from_str(&room.read("B/manifest.json")).unwrap();
    assert_eq!(
        (&manifest["format"], &manifest["rules"]),
        (&1.into(), &1.into())
    );
    let mut sum = Command::new("sha256sum")
        .arg(room.path("a.csv"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    sum.stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    sum.wait().unwrap();
    assert_eq!(manifest["sources"][0]["sha256"], text[..64]);
    room.mend("B/manifest.json", "\"format\": 1", "\"format\": 2");
    room.on("apply", &["B"])
        .code(4)
        .says(&["manifest.json", "2"]);
    assert_eq!(room.ask("SELECT count(*) FROM Entry"), "0");
}
