//! Whether a run may be taken back: `--check`, the window, a rollback that failed, what people get.

use serde_json::Value;
use tests::db::same;
use tests::{Bulk, Case, Room};

tests::both!(
    the_answer_is_one_object_with_all_that_is_asked,
    the_window_is_exact_to_the_second_and_asked_for_it_opens,
    the_plan_names_another_window,
    a_rollback_under_way_is_said_to_be,
    a_rollback_that_failed_for_good_stops_all_else_until_it_goes_on,
    a_rollback_that_failed_for_good_is_settled_by_a_note,
    another_run_waits_for_the_one_that_failed,
    outside_its_window_a_typed_yes_takes_a_run_back_and_nothing_else_does,
);

/// A run that ended at noon, and what was before it.
pub(crate) fn applied(case: Case) -> (Room, String, String) {
    let room = Bulk::room(case, 40);
    room.bundle("B");
    let before = room.dump();
    let run = room
        .on("apply", &["B", "--now", "2024-06-01T12:00:00Z"])
        .code(0)
        .id();
    (room, run, before)
}

fn check(room: &Room, run: &str, now: &str, code: i32) -> Value {
    let done = room
        .on("rollback", &[run, "--check", "--json", "--now", now])
        .code(code);
    serde_json::from_str(done.out.lines().last().unwrap()).unwrap()
}

fn the_answer_is_one_object_with_all_that_is_asked(case: Case) {
    let (room, run, _) = applied(case);
    let said = check(&room, &run, "2024-06-04T11:00:00Z", 0);
    assert_eq!(said["canRollback"], true);
    assert_eq!(said["reason"], Value::Null);
    assert_eq!(said["backupAvailable"], false);
    assert_eq!(
        (&said["daysSince"], &said["window"]),
        (&2.into(), &7.into())
    );
    assert_eq!(
        (&said["conflicts"], &said["dependents"]),
        (&0.into(), &0.into())
    );
    assert!(said["estimatedTime"].as_u64().unwrap() >= 1);
    let csv = room.read("people.csv").replace("\"Person", "\"Human");
    room.write("people.csv", csv);
    room.bundle("C");
    let run = room.on("apply", &["C", "--snapshot"]).code(0).id();
    let done = room.on("rollback", &[&run, "--check", "--json"]).code(0);
    let said: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(said["backupAvailable"], true);
}

fn the_window_is_exact_to_the_second_and_asked_for_it_opens(case: Case) {
    let (room, run, before) = applied(case);
    let last = "2024-06-08T12:00:00Z";
    let past = "2024-06-08T12:00:01Z";
    assert_eq!(check(&room, &run, last, 0)["canRollback"], true);
    let said = check(&room, &run, past, 1);
    assert_eq!(said["canRollback"], false);
    assert!(
        said["reason"]
            .as_str()
            .unwrap()
            .contains("outside its window of 7 days")
    );
    let now = room.dump();
    let _ = room
        .on("rollback", &[&run, "--now", past])
        .code(4)
        .says(&["warning", "--outside-window"]);
    same(&room.dump(), &now, "nothing was written");
    let _ = room
        .on("rollback", &[&run, "--now", past, "--outside-window"])
        .code(0)
        .says(&["warning", "its window is 7 days"]);
    same(&room.dump(), &before, "asked for twice");
}

fn the_plan_names_another_window(case: Case) {
    let room = Bulk::room(case, 10);
    room.mend(
        "migration.toml",
        "[[entity]]\nname = \"person\"",
        "[retention]\nwindow_days = 1\n\n[[entity]]\nname = \"person\"",
    );
    room.bundle("B");
    let run = room
        .on("apply", &["B", "--now", "2024-06-01T12:00:00Z"])
        .code(0)
        .id();
    assert_eq!(check(&room, &run, "2024-06-02T12:00:00Z", 0)["window"], 1);
    assert_eq!(
        check(&room, &run, "2024-06-02T12:00:01Z", 1)["canRollback"],
        false
    );
}

fn a_rollback_under_way_is_said_to_be(case: Case) {
    let (room, run, _) = applied(case);
    let holder = tests::holder("ann", &run);
    let second = case.either("strftime('%s', 'now')", "extract(epoch FROM now())");
    room.sql(&format!(
        "UPDATE switchback_runs SET status = 'rolling-back';
         UPDATE switchback_lock SET run = '{run}', holder = '{holder}', since = 0, token = 9,
           expires = CAST({second} AS BIGINT) * 1000 + 20000"
    ));
    let said = check(&room, &run, "2024-06-01T13:00:00Z", 1);
    assert!(
        said["reason"]
            .as_str()
            .unwrap()
            .starts_with("Rollback already in progress")
    );
    let _ = room
        .on("rollback", &[&run])
        .code(11)
        .says(&["Rollback already in progress", "ann"]);
}

/// A rollback that the target refuses at one row for good.
fn failed(case: Case) -> (Room, String, String) {
    let room = Bulk::room(case, 40);
    room.bundle("B");
    let before = room.dump();
    let run = room.apply("B");
    room.db.refuse(
        "DELETE",
        "person",
        "OLD.email = 'p9@example.org'",
        "not Nine",
    );
    let _ = room.untried(&[&run, "--batch-size", "10"]).code(3).says(&[
        "not Nine",
        "--resume",
        "--resolve",
        "--export",
    ]);
    assert_eq!(
        room.ask("SELECT status FROM switchback_runs"),
        "rollback-failed"
    );
    (room, run, before)
}

fn a_rollback_that_failed_for_good_stops_all_else_until_it_goes_on(case: Case) {
    let (room, run, before) = failed(case);
    let resume = format!("rollback {run} --resume");
    let _ = room
        .on("apply", &["B"])
        .code(4)
        .says(&["rollback-failed", "--resume"]);
    let _ = room
        .on("rollback", &[&run])
        .code(4)
        .says(&["failed for good", "not Nine", &resume]);
    room.db.allow("person");
    let _ = room.on("rollback", &["--resume", &run]).code(0);
    same(&room.dump(), &before, "it went on");
    let _ = room.on("apply", &["B"]).code(0);
}

fn a_rollback_that_failed_for_good_is_settled_by_a_note(case: Case) {
    let (room, run, before) = failed(case);
    let _ = room
        .on(
            "rollback",
            &[&run, "--resolve", "Nine stays, agreed with Ann"],
        )
        .code(0)
        .says(&["rolled-back", "settled by hand"]);
    assert_eq!(
        room.ask("SELECT status FROM switchback_runs WHERE kept > 0"),
        "rolled-back"
    );
    let note = room.ask("SELECT detail ->> 'note' FROM switchback_audit WHERE action = 'migration:rollback:resolved'");
    assert_eq!(note, "Nine stays, agreed with Ann");
    let _ = room.on("rollback", &[&run, "--resolve", "again"]).code(4);
    room.db.allow("person");
    let _ = room.on("rollback", &[&run]).code(0);
    same(
        &room.dump(),
        &before,
        "what was kept can still be taken back",
    );
}

fn another_run_waits_for_the_one_that_failed(case: Case) {
    let room = Bulk::room(case, 20);
    room.bundle("B");
    let first = room.apply("B");
    let csv = room.read("people.csv") + "z1,z1@example.org,Zoe,\n";
    room.write("people.csv", csv);
    room.bundle("C");
    let second = room.apply("C");
    room.db
        .refuse("DELETE", "person", "OLD.email = 'z1@example.org'", "no");
    let _ = room.untried(&[&second]).code(3);
    let _ = room
        .on("rollback", &[&first])
        .code(4)
        .says(&[&second, "--resolve"]);
    let said = check(&room, &first, "2024-06-01T12:00:00Z", 1);
    assert_eq!(said["canRollback"], false);
}

/// Runs rollback on a terminal of its own (util-linux `script`) on which somebody types a line.
fn typed(room: &Room, run: &str, line: &str) -> (i32, String) {
    use std::io::Write as _;
    let rollback = tests::program("rollback");
    let command = format!(
        "{} {run} --to {} --now 2099-01-01T00:00:00Z",
        rollback.display(),
        room.url()
    );
    let mut script = std::process::Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .current_dir(room.path(""))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("no `script`: apt-get install -y bsdutils");
    let mut keys = script.stdin.take().unwrap();
    writeln!(keys, "{line}").unwrap();
    let output = script.wait_with_output().unwrap();
    drop(keys);
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), said)
}

fn outside_its_window_a_typed_yes_takes_a_run_back_and_nothing_else_does(case: Case) {
    let room = Bulk::room(case, 5);
    room.bundle("B");
    let before = room.dump();
    let run = room.apply("B");
    let applied = room.dump();
    for line in ["no", "y", "YES", ""] {
        let (code, said) = typed(&room, &run, line);
        assert_eq!(code, 4, "{line:?}: {said}");
        assert!(
            said.contains("type yes to roll it back nevertheless"),
            "{said}"
        );
        assert_eq!(room.dump(), applied, "{line:?}");
    }
    let (code, said) = typed(&room, &run, "yes");
    assert_eq!(code, 0, "{said}");
    assert_eq!(room.dump(), before);
}
