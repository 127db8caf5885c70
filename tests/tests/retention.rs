//! What is kept long enough is given up, and everything says so.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tests::db::same;
use tests::{Bulk, Case, Room, Target};

tests::both!(
    a_run_inside_its_window_keeps_all,
    a_dry_run_says_what_would_go_and_writes_nothing,
    what_is_pruned_cannot_be_rolled_back_and_everything_says_so,
    snapshots_go_after_30_days_and_the_audit_trail_stays_for_two_years,
    the_plan_says_how_long_a_snapshot_is_kept,
    copies_that_a_crash_left_half_made_go_after_7_days,
    a_snapshot_whose_run_never_began_goes_as_other_snapshots_do,
    audit_entries_go_after_two_years_and_the_rest_of_the_chain_is_still_checked,
);

fn applied(case: Case) -> (Room, String, String) {
    let room = Bulk::room(case, 20);
    room.bundle("B");
    let run = room
        .on(
            "apply",
            &["B", "--snapshot", "--now", "2024-06-01T12:00:00Z"],
        )
        .code(0)
        .id();
    let json = room.ask("SELECT snapshot FROM switchback_runs");
    let json: Value = serde_json::from_str(&json).unwrap();
    (room, run, json["path"].as_str().unwrap().to_owned())
}

fn prune(room: &Room, now: &str, more: &[&str]) -> Value {
    let args: Vec<&str> = ["prune", "--json", "--now", now]
        .iter()
        .chain(more)
        .copied()
        .collect();
    serde_json::from_str(room.on("rollback", &args).code(0).out.trim()).unwrap()
}

fn a_run_inside_its_window_keeps_all(case: Case) {
    let (room, run, snapshot) = applied(case);
    let said = prune(&room, "2024-06-08T12:00:00Z", &[]);
    assert_eq!(
        (&said["runs"], &said["snapshots"]),
        (&Value::Array(vec![]), &Value::Array(vec![]))
    );
    assert!(std::path::Path::new(&snapshot).exists());
    let args = [&run, "--check", "--now", "2024-06-08T12:00:00Z"];
    let _ = room.on("rollback", &args).code(0);
}

fn a_dry_run_says_what_would_go_and_writes_nothing(case: Case) {
    let (room, run, snapshot) = applied(case);
    let file = room.db.everything();
    let said = prune(&room, "2024-08-01T12:00:00Z", &["--dry-run"]);
    assert_eq!(
        (&said["runs"][0], &said["snapshots"][0]),
        (&run.into(), &snapshot.clone().into())
    );
    assert!(room.db.everything() == file, "it wrote");
    assert!(std::path::Path::new(&snapshot).exists());
}

fn what_is_pruned_cannot_be_rolled_back_and_everything_says_so(case: Case) {
    let (room, run, snapshot) = applied(case);
    let before = room.dump();
    let said = prune(&room, "2024-06-09T12:00:00Z", &[]);
    assert_eq!(said["runs"][0], run.as_str());
    assert_eq!(
        said["snapshots"],
        Value::Array(vec![]),
        "30 days are not over"
    );
    same(&room.dump(), &before, "the data stays");
    assert_eq!(room.ask("SELECT count(*) FROM switchback_changes"), "0");
    let _ = room
        .on("rollback", &[&run, "--outside-window"])
        .code(4)
        .says(&["is pruned", &snapshot]);
    let check = room
        .on("rollback", &[&run, "--check", "--json", "--outside-window"])
        .code(1);
    let check: Value = serde_json::from_str(check.out.trim()).unwrap();
    assert!(check["reason"].as_str().unwrap().contains("is pruned"));
    assert_eq!(check["backupAvailable"], true);
    let _ = room.on("rollback", &[]).code(2).says(&["pruned"]);
    let verified = room.on("verify", &[&run]).code(0);
    assert!(verified.err.contains("is pruned"), "{}", verified.err);
    assert_eq!(
        prune(&room, "2024-06-09T12:00:00Z", &[])["runs"],
        Value::Array(vec![]),
        "once"
    );
    let _ = room.on("rollback", &["--snapshot", &snapshot]).code(0);
}

fn snapshots_go_after_30_days_and_the_audit_trail_stays_for_two_years(case: Case) {
    let (room, _, snapshot) = applied(case);
    let entries = room.ask("SELECT count(*) FROM switchback_audit");
    let said = prune(&room, "2026-05-31T12:00:00Z", &[]);
    assert_eq!(said["snapshots"][0], snapshot.as_str());
    assert!(!std::path::Path::new(&snapshot).exists());
    let _ = room
        .on("rollback", &["--snapshot", &snapshot])
        .code(4)
        .says(&["No such file"]);
    let now = room.ask("SELECT count(*) FROM switchback_audit WHERE action NOT LIKE '%pruned'");
    assert_eq!(now, entries, "not before two years");
    let _ = room.run("verify", &["audit", "--to", &room.url()]).code(0);
}

fn the_plan_says_how_long_a_snapshot_is_kept(case: Case) {
    let room = Bulk::room(case, 10);
    let table =
        "[retention]\nwindow_days = 60\nsnapshot_days = 40\n\n[[entity]]\nname = \"person\"";
    room.mend("migration.toml", "[[entity]]\nname = \"person\"", table);
    room.bundle("B");
    let args = ["B", "--snapshot", "--now", "2024-06-01T12:00:00Z"];
    let _ = room.on("apply", &args).code(0);
    let inside = prune(&room, "2024-07-20T12:00:00Z", &[]);
    assert_eq!(
        inside["snapshots"],
        Value::Array(vec![]),
        "older than 40 days, inside the window"
    );
    let outside = prune(&room, "2024-08-20T12:00:00Z", &[]);
    assert_eq!(outside["snapshots"].as_array().unwrap().len(), 1);
}

fn copies_that_a_crash_left_half_made_go_after_7_days(case: Case) {
    let (room, _, snapshot) = applied(case);
    let name = snapshot.rsplit('/').next().unwrap();
    let half = format!(".switchback/snapshots/.{name}.1.tmp");
    room.write(&half, "half");
    room.write(".switchback/snapshots/other.tmp", "somebody else's");
    let now = "2999-01-01T00:00:00Z";
    let said = prune(&room, now, &[]);
    assert_eq!(said["files"].as_array().unwrap().len(), 1);
    assert!(room.path(".switchback/snapshots/other.tmp").exists());
    assert!(!room.path(&half).exists());
}

fn audit_entries_go_after_two_years_and_the_rest_of_the_chain_is_still_checked(case: Case) {
    let (room, run, _) = applied(case);
    let there = room.ask("SELECT count(*) FROM switchback_audit");
    assert_eq!(
        prune(&room, "2026-05-31T12:00:00Z", &["--dry-run"])["audit"],
        0
    );
    let late = "2099-01-01T00:00:00Z";
    let said = prune(&room, late, &["--dry-run"]);
    assert_eq!(said["audit"].to_string(), there);
    let said = prune(&room, late, &[]);
    assert_eq!(said["audit"].to_string(), there);
    let done = room.on("verify", &["audit"]).code(0);
    let says = format!("follow from {there} that were pruned, the last of 20");
    assert!(done.out.contains(&says), "{}", done.out);
    let _ = room.apply("B");
    let later = "2102-01-01T00:00:00Z";
    assert_eq!(
        prune(&room, later, &[])["audit"],
        5,
        "what was written since"
    );
    let _ = room.on("verify", &["audit"]).code(0);
    let _ = room
        .on("rollback", &[&run, "--outside-window"])
        .code(4)
        .says(&["is pruned"]);
    room.sql("UPDATE switchback_audit SET at = 0");
    let _ = room.on("verify", &["audit"]).code(1);
}

fn a_snapshot_whose_run_never_began_goes_as_other_snapshots_do(case: Case) {
    let (room, run, snapshot) = applied(case);
    // What a kill leaves between the snapshot and the run.
    let never = "0190a1b2-0000-7000-8000-00000000000a";
    let orphan = snapshot.replace(&run, never);
    std::fs::copy(&snapshot, &orphan).unwrap();
    // One of a database of this name on another server, or what says nothing of itself.
    let foreign = snapshot.replace(&run, "0190a1b2-0000-7000-8000-00000000000b");
    if case.target == Target::Postgres {
        std::fs::write(&foreign, "another's").unwrap();
    }
    let taken = UNIX_EPOCH + Duration::from_secs(1_717_243_200);
    for file in [&orphan, &foreign] {
        if let Ok(file) = std::fs::File::options().write(true).open(file) {
            file.set_modified(taken).unwrap();
        }
    }
    let said = prune(&room, "2024-07-01T12:00:00Z", &[]);
    assert_eq!(said["files"], Value::Array(vec![]));
    let said = prune(&room, "2024-07-01T12:00:01Z", &[]);
    let files = said["files"].as_array().unwrap();
    assert!(files.len() == 1 && files[0].as_str().unwrap().contains(never));
    assert!(!std::path::Path::new(&orphan).exists());
    if case.target == Target::Postgres {
        assert!(std::path::Path::new(&foreign).exists());
    }
}
