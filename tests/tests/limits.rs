//! What stops a run by itself: each limit is caused, and each is stayed below.

use std::fmt::Write as _;

use tests::db::same;
use tests::{Case, Room};

tests::both!(
    ten_percent_of_the_records_may_fail,
    more_than_ten_percent_stop_the_run_as_soon_as_they_are_exceeded,
    the_plan_and_the_command_line_set_the_share,
    a_time_limit_stops_after_the_batch_in_hand_and_the_rest_can_be_had,
    memory_limits_stop_the_run,
    a_run_that_fails_is_taken_back_when_asked,
    a_run_that_succeeds_is_not_taken_back,
    a_record_set_aside_comes_back_mended_as_a_follow_up,
);

const PLAN: &str = r#"
name = "readings"
system = "stations"
[[entity]]
name = "reading"
source = { format = "csv", files = ["readings.csv"], key = "id" }
table = "reading"
id = { column = "id", from = "key" }
fields.level = { from = "level", type = "integer" }
"#;

const SCHEMA: &str = "CREATE TABLE reading (id TEXT PRIMARY KEY, level INTEGER CHECK (level >= 0));
                      INSERT INTO reading VALUES ('old', 1);";

/// A hundred readings, the first `bad` of which the database refuses.
fn room(case: Case, bad: usize, limits: &str) -> Room {
    let csv = (1..=100).fold("id,level\n".to_owned(), |mut csv, n| {
        writeln!(csv, "r{n:03},{}", if n <= bad { -1 } else { 1 }).unwrap();
        csv
    });
    let room = Room::with(
        case,
        &format!("{limits}\n{PLAN}"),
        &[("readings.csv", &csv)],
        SCHEMA,
    );
    room.bundle("B");
    room
}

fn reason(room: &Room) -> String {
    room.ask("SELECT reason FROM switchback_runs ORDER BY seq DESC LIMIT 1")
}

const STOPPED: &str = "SELECT count(*) FROM switchback_audit WHERE action = 'migration:failed' AND detail LIKE '%stopped by%'";

fn ten_percent_of_the_records_may_fail(case: Case) {
    let room = room(case, 10, "");
    let args = ["B", "--on-error", "record", "--batch-size", "5"];
    room.on("apply", &args)
        .code(3)
        .says(&["90 created", "10 failed"]);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "91");
    assert_eq!(room.ask(STOPPED), "0");
}

fn more_than_ten_percent_stop_the_run_as_soon_as_they_are_exceeded(case: Case) {
    let room = room(case, 11, "");
    let args = ["B", "--on-error", "record", "--batch-size", "1"];
    let done = room.on("apply", &args).code(3);
    done.says(&[
        "stopped by the failure limit: 11 of 100 records failed",
        "89 not attempted",
    ]);
    assert_eq!(room.ask(STOPPED), "1");
    assert!(reason(&room).contains("failure limit"));
}

fn the_plan_and_the_command_line_set_the_share(case: Case) {
    let by_plan = room(case, 11, "limits.failed_percent = 11");
    by_plan
        .on("apply", &["B", "--on-error", "record"])
        .code(3)
        .says(&["89 created"]);
    let by_flag = room(case, 1, "");
    let args = [
        "B",
        "--on-error",
        "record",
        "--batch-size",
        "1",
        "--max-failed-percent",
        "0.5",
    ];
    by_flag
        .on("apply", &args)
        .code(3)
        .says(&["stopped by the failure limit"]);
}

fn a_time_limit_stops_after_the_batch_in_hand_and_the_rest_can_be_had(case: Case) {
    let room = room(case, 0, "limits.run_seconds = 0");
    room.on("apply", &["B", "--batch-size", "10"])
        .code(3)
        .says(&["stopped by the time limit of 0 s"]);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "11");
    room.on("apply", &["B", "--resume", "--time-limit", "600"])
        .code(0)
        .says(&["100 created"]);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "101");
}

fn memory_limits_stop_the_run(case: Case) {
    let room = room(case, 0, "");
    room.write("meminfo", "MemTotal: 1000 kB\nMemAvailable: 99 kB\n");
    let system = ["B", "--system-memory-limit", "90", "--meminfo"];
    let full = room.path("meminfo");
    let args: Vec<&str> = system.into_iter().chain(full.to_str()).collect();
    room.on("apply", &args)
        .code(3)
        .says(&["stopped by the memory limit: 90 % of the system's"]);
    room.write("meminfo", "MemTotal: 1000 kB\nMemAvailable: 100 kB\n");
    let args: Vec<&str> = args.into_iter().chain(["--resume"]).collect();
    room.on("apply", &args).code(0);
    room.on("apply", &["B", "--memory-limit", "1"])
        .code(3)
        .says(&["the process uses"]);
}

fn a_run_that_fails_is_taken_back_when_asked(case: Case) {
    let room = room(case, 60, "");
    let before = room.dump();
    let args = [
        "B",
        "--batch-size",
        "5",
        "--on-error",
        "record",
        "--on-failure",
        "rollback",
    ];
    let done = room.on("apply", &args).code(1);
    done.says(&["stopped by the failure limit", "Rolled back", "taking run"]);
    same(&room.dump(), &before, "nothing of the run is left");
    let status = "SELECT status || ': ' || reason FROM switchback_runs";
    assert!(
        room.ask(status)
            .starts_with("rolled-back: stopped by the failure limit")
    );
}

fn a_run_that_succeeds_is_not_taken_back(case: Case) {
    let room = room(case, 0, "");
    room.on("apply", &["B", "--on-failure", "rollback"]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "101");
}

fn a_record_set_aside_comes_back_mended_as_a_follow_up(case: Case) {
    let room = room(case, 1, "");
    room.on("apply", &["B", "--on-error", "record"])
        .code(3)
        .says(&["99 created", "1 failed"]);
    room.mend(".migration-failures.json", "\"level\":-1", "\"level\":7");
    let mended = room
        .run("validate", &["--from-rejects", ".migration-failures.json"])
        .code(0);
    let _ = room.feed("bundle", &["-o", "F"], mended.out).code(0);
    room.on("apply", &["F"]).code(0).says(&["1 created"]);
    assert_eq!(
        room.ask(
            "SELECT count(*) || ' ' || sum(CASE WHEN level = 7 THEN 1 ELSE 0 END) FROM reading"
        ),
        "101 1"
    );
}
