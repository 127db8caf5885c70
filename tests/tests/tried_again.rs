//! Records that were set aside alone: tried again, brought in by a follow-up, settled by a note.

use tests::{Case, Room};

tests::both!(
    resume_tries_records_at_fault_again_and_counts_each_once,
    only_batch_tries_the_records_at_fault_of_that_batch_again,
    what_is_still_at_fault_stays_so_and_is_named_again,
    late_references_of_a_record_that_comes_later_are_written,
    a_resumed_run_deals_with_failures_as_it_began,
    a_run_whose_records_came_in_by_a_follow_up_is_settled,
    what_is_left_is_named_where_a_note_settles_a_run,
    only_a_failed_run_is_settled,
);

const PLAN: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "m"
source = { format = "csv", files = ["m.csv"], key = "id" }
table = "m"
id = { column = "id", from = "key" }
[entity.fields]
name = { from = "name", required = true }
friend = { from = "friend", ref = "m", late = true }
"#;

/// Of five people the third and the last are refused; the first is a friend of the last.
const CSV: &str = "id,name,friend\n1,Ann,5\n2,Bob,\n3,BAD,2\n4,Cid,\n5,BAD,3\n";

const SCHEMA: &str = "CREATE TABLE m (id TEXT PRIMARY KEY, name TEXT NOT NULL, \
                      friend TEXT REFERENCES m (id))";

fn room(case: Case, csv: &str) -> Room {
    let room = Room::with(case, PLAN, &[("m.csv", csv)], SCHEMA);
    room.bundle("B");
    room.db
        .refuse("INSERT", "m", "NEW.name = 'BAD'", "we know no BAD");
    room
}

/// Applies by twos, with each record at fault set aside, and returns the run.
#[track_caller]
fn aside(room: &Room, options: &[&str]) -> String {
    let args = [
        "B",
        "--on-error=record",
        "--continue-on-error",
        "--max-failed-percent=100",
        "--batch-size=2",
    ];
    let done = room.on("apply", &[&args[..], options].concat()).code(3);
    done.id()
}

fn rows(room: &Room) -> String {
    room.ask(
        "SELECT string_agg(id || ':' || name || ':' || coalesce(friend, '-'), ' ' ORDER BY id) FROM m",
    )
}

fn status(room: &Room) -> String {
    room.ask("SELECT status FROM switchback_runs ORDER BY seq LIMIT 1")
}

fn counts(room: &Room, run: &str) -> serde_json::Value {
    let report = room.on("verify", &["report", run, "--json"]).code(0);
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    report["counts"].clone()
}

/// Without references: they can't be written to a record that is not there.
fn plain(case: Case) -> Room {
    room(
        case,
        "id,name,friend\n1,Ann,\n2,Bob,\n3,BAD,\n4,Cid,\n5,BAD,\n",
    )
}

fn resume_tries_records_at_fault_again_and_counts_each_once(case: Case) {
    let room = plain(case);
    let before = room.dump();
    let run = aside(&room, &[]);
    assert_eq!(rows(&room), "1:Ann:- 2:Bob:- 4:Cid:-");
    assert_eq!(counts(&room, &run)["failed"], 2);
    room.db.allow("m");
    let done = room.on("apply", &["B", "--resume", "-v"]).code(0);
    let done = done.says(&["tried again", "5 created", "is completed"]);
    assert_eq!(done.id(), run);
    assert_eq!(rows(&room), "1:Ann:- 2:Bob:- 3:BAD:- 4:Cid:- 5:BAD:-");
    let counts = counts(&room, &run);
    assert_eq!(
        (&counts["created"], &counts["failed"]),
        (&5.into(), &0.into())
    );
    assert_eq!(room.ask("SELECT count(*) FROM switchback_failures"), "0");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    room.db
        .refuse("INSERT", "m", "NEW.name = 'BAD'", "we know no BAD");
    tests::db::same(&room.dump(), &before, "as before");
}

fn only_batch_tries_the_records_at_fault_of_that_batch_again(case: Case) {
    let room = plain(case);
    let run = aside(&room, &[]);
    room.db.allow("m");
    let done = room.on("apply", &["B", "--only-batch=2"]).code(3);
    let _ = done.says(&["4 created", "1 failed"]);
    assert_eq!(rows(&room), "1:Ann:- 2:Bob:- 3:BAD:- 4:Cid:-");
    assert_eq!(status(&room), "failed");
    let _ = room.on("apply", &["B", "--only-batch=3"]).code(0);
    assert_eq!(status(&room), "completed");
    let _ = room.on("verify", &[&run]).code(0);
}

fn what_is_still_at_fault_stays_so_and_is_named_again(case: Case) {
    let room = plain(case);
    let run = aside(&room, &[]);
    for _ in 0..2 {
        let args = ["B", "--resume", "--max-failed-percent=100"];
        let done = room.on("apply", &args).code(3);
        let _ = done.says(&["m.csv:4: m 3: ", "m.csv:6: m 5: ", "2 failed"]);
        let counts = counts(&room, &run);
        assert_eq!(
            (&counts["created"], &counts["failed"]),
            (&3.into(), &2.into())
        );
        assert_eq!(room.ask("SELECT count(*) FROM switchback_failures"), "2");
        assert_eq!(rows(&room), "1:Ann:- 2:Bob:- 4:Cid:-");
    }
}

fn late_references_of_a_record_that_comes_later_are_written(case: Case) {
    let room = room(case, CSV);
    let run = aside(&room, &[]);
    // Nobody to refer to: that is the first one's fault in the second pass.
    assert_eq!(rows(&room), "1:Ann:- 2:Bob:- 4:Cid:-");
    assert_eq!(status(&room), "failed");
    room.db.allow("m");
    let _ = room.on("apply", &["B", "--resume"]).code(0);
    assert_eq!(rows(&room), "1:Ann:5 2:Bob:- 3:BAD:2 4:Cid:- 5:BAD:3");
    assert_eq!(status(&room), "completed");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "0");
}

fn a_resumed_run_deals_with_failures_as_it_began(case: Case) {
    let room = plain(case);
    // Stopped by its limit in the second batch: the third was not tried.
    let args = [
        "B",
        "--on-error=record",
        "--continue-on-error",
        "--batch-size=2",
    ];
    let done = room.on("apply", &args).code(3);
    let _ = done.says(&["1 failed", "1 not attempted"]);
    let done = room
        .on("apply", &["B", "--resume", "--max-failed-percent=100"])
        .code(3);
    let _ = done.says(&["m.csv:4: m 3: ", "m.csv:6: m 5: ", "3 created", "2 failed"]);
    // Whole batches, of which the run goes on after one that failed.
    let room = plain(case);
    let args = ["B", "--continue-on-error", "--batch-size=1"];
    let _ = room.on("apply", &args).code(3);
    let args = ["B", "--resume", "--max-failed-percent=100"];
    let done = room.on("apply", &args).code(3);
    let _ = done.says(&["m.csv:4: m 3: ", "m.csv:6: m 5: ", "3 created", "2 failed"]);
    // What is asked for now counts more.
    let args = ["B", "--resume", "--fail-fast", "--max-failed-percent=100"];
    let done = room.on("apply", &args).code(3);
    assert!(!done.err.contains("m.csv:6"), "{}", done.err);
}

fn a_run_whose_records_came_in_by_a_follow_up_is_settled(case: Case) {
    let room = plain(case);
    let run = aside(&room, &[]);
    // The rejects are corrected, and come in by a run of their own.
    room.mend(".migration-failures.json", "\"BAD\"", "\"Good\"");
    let good = room
        .run("validate", &["--from-rejects", ".migration-failures.json"])
        .code(0);
    let _ = room.feed("bundle", &["-o", "F"], good.out).code(0);
    let _ = room.on("apply", &["F"]).code(0).says(&["2 created"]);
    let done = room
        .on("apply", &["B", "--resolve", "came in by F"])
        .code(0);
    let done = done.says(&[&format!(
        "run {run} is completed, settled by hand: came in by F"
    )]);
    assert!(!done.err.contains("not applied"), "{}", done.err);
    assert_eq!(status(&room), "completed");
    let audit = room.on("verify", &["audit", "--run", &run]).code(0);
    let _ = audit.prints(&["migration:completed", "came in by F", "\"left\":0"]);
    // It is settled once.
    let _ = room.on("apply", &["B", "--resolve", "again"]).code(4);
}

fn what_is_left_is_named_where_a_note_settles_a_run(case: Case) {
    let room = plain(case);
    let run = aside(&room, &[]);
    let resume = format!("--resume={run}");
    let args = [
        "B",
        &resume,
        "--resolve",
        "they left the club",
        "--operator=ann",
    ];
    let done = room.on("apply", &args).code(0);
    let _ = done.says(&["2 records of run", "m.csv:4: m 3", "m.csv:6: m 5"]);
    let audit = room.on("verify", &["audit", "--run", &run]).code(0);
    let _ = audit.prints(&["they left the club", "\"left\":2", "by ann"]);
    // It can be rolled back as any other.
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "0");
}

fn only_a_failed_run_is_settled(case: Case) {
    let room = plain(case);
    let _ = room.on("apply", &["B", "--resolve", "x"]).code(4);
    assert!(!room.db.has_ledger());
    room.db.allow("m");
    let run = room.apply("B");
    let _ = room.on("apply", &["B", "--resolve", "x"]).code(4);
    let resume = format!("--resume={run}");
    let done = room.on("apply", &["B", &resume, "--resolve", "x"]).code(4);
    let _ = done.says(&["is completed: only a failed run is settled"]);
    let _ = room.on("apply", &["B", "--resolve", " "]).code(2);
}
