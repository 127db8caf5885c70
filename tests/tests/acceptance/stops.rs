//! What stops a run, what stands then, and how it goes on.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::db::same;
use tests::lab::signal;
use tests::{Case, Db, Done};

use super::{entries, mend, room, slow, started, stopped, summary};

tests::both!(
    a_failing_record_in_batch_2_leaves_batch_1_and_nothing_of_batch_2,
    a_failing_batch_stops_the_run_with_its_own_exit_code,
    going_on_after_an_error_lists_the_failed_batches_for_another_try,
    resume_begins_at_the_first_batch_that_does_not_stand,
    killed_and_resumed_ends_with_the_same_tables,
    resume_refuses_another_bundle_target_or_batch_size_by_name,
    resume_without_a_run_says_how_to_start_afresh,
    a_second_apply_is_refused_and_the_first_unharmed,
    the_lock_of_a_dead_process_is_told_and_taken_only_when_asked,
    each_failure_names_file_line_record_field_rule_and_reason_and_stays,
);

fn a_failing_record_in_batch_2_leaves_batch_1_and_nothing_of_batch_2(case: Case) {
    let (room, _) = stopped(case);
    assert_eq!(room.ask("SELECT count(*), max(size) FROM entry"), "50|50");
    assert_eq!(
        room.ask("SELECT count(*), max(batch) FROM switchback_changes"),
        "50|1"
    );
    assert_eq!(room.ask("SELECT count(*) FROM switchback_ids"), "50");
}

fn a_failing_batch_stops_the_run_with_its_own_exit_code(case: Case) {
    let room = room(case, 70);
    room.on("apply", &["B"])
        .code(3)
        .says(&["batch 2 (entry, 50 records)", "a.csv:71"]);
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "failed");
    assert_eq!(room.ask("SELECT max(no) FROM switchback_batches"), "2");
    room.on("apply", &["B", "--no-such-flag"]).code(2);
}

fn going_on_after_an_error_lists_the_failed_batches_for_another_try(case: Case) {
    let room = room(case, 70);
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
        room.ask("SELECT string_agg(CAST(no AS text), ',') FROM switchback_batches WHERE status = 'failed'"),
        "2"
    );
    mend(&room);
    room.on("apply", &["B", "--resume", "--only-batch", "2"])
        .code(0);
    assert_eq!(room.ask("SELECT count(*) FROM entry"), "200");
}

fn resume_begins_at_the_first_batch_that_does_not_stand(case: Case) {
    let (room, run) = stopped(case);
    let first = room.ask("SELECT at FROM switchback_batches WHERE no = 1");
    mend(&room);
    let resumed = room
        .on("apply", &["B", "--resume"])
        .code(0)
        .says(&["1 batch applied already"]);
    assert_eq!(resumed.id(), run);
    assert_eq!(
        room.ask("SELECT count(*), count(DISTINCT code) FROM entry"),
        "200|200"
    );
    assert_eq!(
        room.ask("SELECT at FROM switchback_batches WHERE no = 1"),
        first,
        "it was left alone"
    );
    assert_eq!(room.ask("SELECT count(*) FROM switchback_changes"), "200");
}

fn killed_and_resumed_ends_with_the_same_tables(case: Case) {
    let undisturbed = slow(case);
    undisturbed.apply("B");
    let room = slow(case);
    let mut child = started(&room, "B");
    signal(&child, "KILL");
    child.wait().unwrap();
    assert_ne!(room.ask("SELECT count(*) FROM entry"), "900");
    room.on("apply", &["B", "--resume"]).code(0);
    same(&room.dump(), &undisturbed.dump(), "as an undisturbed run");
    assert_eq!(room.ask("SELECT count(*) FROM switchback_changes"), "900");
}

fn resume_refuses_another_bundle_target_or_batch_size_by_name(case: Case) {
    let (room, run) = stopped(case);
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
    let name = |db: &Db| db.url().rsplit('/').next().unwrap().to_owned();
    // A target that does not know the run is named; a copy has the ledger with it, and goes on.
    let bare = tests::Room::new(case);
    bare.sql("CREATE TABLE entry (id TEXT)");
    let unknown = format!("Migration run {run} not found in ");
    for (program, args) in [("rollback", &[&run[..]][..]), ("verify", &[&run])] {
        let url = bare.url();
        let args = [args, &["--to", &url]].concat();
        let done = room.run(program, &args).code(4);
        done.says(&[&unknown, &name(&bare.db)]);
    }
    mend(&room);
    let copy = room.db.copy(&room.path("copy.db"));
    room.run("apply", &["B", &named, "--to", &copy.url()])
        .code(0);
    // The same database by another way to write it is the same target.
    let other = match &room.db {
        Db::Sqlite(_) => "sqlite:./t.db".to_owned(),
        Db::Postgres(database) => database.socket_url(),
    };
    room.run("apply", &["B", &named, "--to", &other]).code(0);
}

fn resume_without_a_run_says_how_to_start_afresh(case: Case) {
    let room = room(case, 0);
    let words = "No checkpoint file found. Run migration without --resume to start fresh.";
    room.on("apply", &["B", "--resume"]).code(4).says(&[words]);
    room.apply("B");
    room.on("apply", &["B", "--resume"]).code(4).says(&[words]);
}

fn a_second_apply_is_refused_and_the_first_unharmed(case: Case) {
    let room = slow(case);
    let child = started(&room, "B");
    signal(&child, "STOP");
    let since = Instant::now();
    let refused = room.on("apply", &["B"]);
    let took = since.elapsed();
    signal(&child, "CONT");
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
    assert_eq!(room.ask("SELECT count(*) FROM entry"), "900");
}

fn the_lock_of_a_dead_process_is_told_and_taken_only_when_asked(case: Case) {
    let room = slow(case);
    room.write("a.csv", entries(901, 903, 0));
    room.bundle("C");
    let mut child = started(&room, "B");
    signal(&child, "KILL");
    child.wait().unwrap();
    let dead = room.on("apply", &["C"]).code(11);
    dead.says(&["its process is gone or its lease ran out", "--take-over"]);
    room.on("apply", &["C", "--take-over"]).code(0);
    let statuses = "SELECT string_agg(status, ',' ORDER BY seq) FROM switchback_runs";
    assert_eq!(room.ask(statuses), "failed,completed");
}

fn each_failure_names_file_line_record_field_rule_and_reason_and_stays(case: Case) {
    let (room, run) = stopped(case);
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
        error["rule"].is_string()
            && error["message"]
                .as_str()
                .unwrap()
                .contains(case.either("CHECK", "check constraint")),
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
    let kept = "SELECT string_agg(line ->> 'key', ',' ORDER BY run) FROM switchback_failures";
    assert_eq!(
        room.ask(kept),
        "k70,k120",
        "the ledger keeps those of every run"
    );
}
