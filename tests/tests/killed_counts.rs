//! What the lists say of a run that was killed, and of one whose rollback stopped half-way: what was committed.

use std::fmt::Write as _;
use std::time::Duration;

use tests::{Case, Room, command, finish, spawn};

tests::both!(a_killed_run_and_a_rollback_that_stopped_count_what_was_committed);

const PLAN: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "m"
source = { format = "csv", files = ["m.csv"], key = "id" }
table = "m"
id = { column = "id", from = "key" }
[entity.fields]
name = { from = "name" }
"#;

/// All lists name the run with these figures.
#[track_caller]
fn says(room: &Room, run: &str, created: u64) {
    let figures = format!(
        "900 records: {created} created, 0 updated, 0 unchanged, {} not attempted",
        900 - created
    );
    let _ = room
        .on("verify", &["runs"])
        .code(0)
        .prints(&[run, &figures]);
    let report = room.on("verify", &["report", run]).code(0);
    let _ = report.prints(&[run, &figures]);
    let _ = room
        .on("rollback", &[])
        .code(2)
        .says(&[run, &format!("{created} created, 0 updated, 0 deleted")]);
    let json = room.on("verify", &["runs", "--json"]).code(0);
    let _ = json.prints(&[&format!("\"created\":{created}")]);
}

fn a_killed_run_and_a_rollback_that_stopped_count_what_was_committed(case: Case) {
    let mut csv = String::from("id,name\n");
    for n in 0..900 {
        writeln!(csv, "k{n:03},n").unwrap();
    }
    let table = "CREATE TABLE m (id TEXT PRIMARY KEY, name TEXT)";
    let room = Room::with(case, PLAN, &[("m.csv", &csv)], table);
    room.bundle("B");
    let url = room.url();
    let slowly = [
        "--batch-size=5",
        "--commit-every=0",
        "--max-rows-per-second=100",
    ];
    let args = [&["B", "--to", &url][..], &slowly].concat();
    let mut child = spawn(&mut command("apply", &room.path(""), args));
    let count = || -> u64 { room.ask("SELECT count(*) FROM m").parse().unwrap() };
    while count() < 20 {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    let _ = finish(child, None);
    room.db.settle();
    let created = count();
    let run = room.ask("SELECT id FROM switchback_runs");
    assert_eq!(
        room.ask("SELECT status FROM switchback_runs"),
        "in-progress"
    );
    says(&room, &run, created);
    // The rollback stops at the first of them, which goes last.
    room.db
        .refuse("DELETE", "m", "OLD.id = 'k000'", "this one stays");
    let _ = room.untried(&[&run, "--batch-size=1"]).code(3);
    assert_eq!(count(), 1);
    assert_eq!(
        room.ask("SELECT status FROM switchback_runs"),
        "rollback-failed"
    );
    says(&room, &run, created);
    room.db.allow("m");
    let _ = room.on("rollback", &[&run, "--resume"]).code(0);
    assert_eq!(count(), 0);
    says(&room, &run, created);
}
