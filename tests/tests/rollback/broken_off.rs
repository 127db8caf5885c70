//! Killed, stopped or refused half-way: it goes on to the same end.

use std::time::{Duration, Instant};

use tests::{Case, Room, command, finish, spawn};

use super::{ALL, applied, club};

tests::both!(
    a_row_that_the_target_will_not_let_go_is_named_and_can_be_skipped,
    killed_at_any_moment_it_goes_on_to_the_same_end,
    stopped_by_a_signal_it_finishes_the_batch_and_can_be_gone_on_with,
);

mod journal {
    tests::on_target!(Sqlite, a_file_that_a_crash_left_half_written_can_be_checked);
}

/// Starts `rollback` batch by batch.
fn started(club: &Room, run: &str) -> std::process::Child {
    let url = club.url();
    let args = [run, "--batch-size", "1", "--to", &url];
    spawn(&mut command("rollback", &club.path(""), args))
}

fn a_row_that_the_target_will_not_let_go_is_named_and_can_be_skipped(case: Case) {
    let club = club(case);
    let before = club.dump();
    let run = applied(&club, &ALL);
    club.db
        .refuse("DELETE", "\"Pay ment\"", "OLD.id > 0", "payments stay");
    let _ = club
        .untried(&[&run])
        .code(3)
        .says(&["the target refuses: payments stay"]);
    club.db.allow("\"Pay ment\"");
    let _ = club.on("rollback", &[&run, "--resume"]).code(0);
    assert_eq!(club.dump(), before);
}

fn killed_at_any_moment_it_goes_on_to_the_same_end(case: Case) {
    let club = club(case);
    let before = club.dump();
    let run = applied(&club, &ALL);
    let clock = Instant::now();
    let _ = club.on("rollback", &[&run, "--batch-size", "1"]).code(0);
    let whole = clock.elapsed();
    let mut interrupted = 0;
    for round in 1..=20 {
        let run = applied(&club, &ALL);
        let mut child = started(&club, &run);
        std::thread::sleep(whole * round / 21);
        child.kill().ok();
        child.wait().unwrap();
        let status = club.ask("SELECT status FROM switchback_runs ORDER BY seq DESC LIMIT 1");
        interrupted += i32::from(status == "rolling-back");
        let _ = club.on("rollback", &[&run, "--batch-size", "1"]).code(0);
        assert_eq!(club.dump(), before, "round {round}");
    }
    assert!(interrupted > 0, "no kill came while it was at work");
}

fn stopped_by_a_signal_it_finishes_the_batch_and_can_be_gone_on_with(case: Case) {
    let club = club(case);
    let before = club.dump();
    let lines: Vec<String> = (0..3000)
        .map(|n| format!(r#"{{"entity":"team","key":"k{n}","fields":{{"name":"n{n}"}}}}"#))
        .collect();
    let run = applied(&club, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let child = started(&club, &run);
    while club.ask("SELECT count(*) FROM team WHERE name LIKE 'n%'") == "3000" {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .unwrap();
    let _ = finish(child, None)
        .code(143)
        .says(&[&format!("rollback --resume {run}")]);
    assert_eq!(
        club.ask("SELECT status FROM switchback_runs"),
        "rolling-back"
    );
    assert_eq!(club.ask("SELECT holder FROM switchback_lock"), "NULL");
    let _ = club.on("rollback", &["--resume", &run]).code(0);
    assert_eq!(club.dump(), before);
}

fn a_file_that_a_crash_left_half_written_can_be_checked(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL);
    // A journal that is still to be played back: the state of the file is the one before.
    let conn = rusqlite::Connection::open(club.db.file()).unwrap();
    conn.execute_batch("PRAGMA cache_size = 1; BEGIN; UPDATE member SET email = email || 'x'")
        .unwrap();
    conn.execute_batch("CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i, hex(randomblob(200)) FROM n")
        .unwrap();
    let copy = club.db.copy(&club.path("copy.db"));
    std::fs::copy(club.path("t.db-journal"), club.path("copy.db-journal")).unwrap();
    drop(conn);
    let _ = club
        .run("rollback", &[&run, "--check", "--to", &copy.url()])
        .code(0);
}
