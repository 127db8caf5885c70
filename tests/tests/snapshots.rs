//! Level 2: snapshots, going back to them, and what stops that.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::db::{self, same};
use tests::postgres::Database;
use tests::{Bulk, Case, Db, Room, Target, command, finish, spawn};

tests::both!(
    the_snapshot_is_recorded_with_the_run_and_private,
    level_2_restores_the_data_and_keeps_the_history,
    a_run_that_was_rolled_back_since_stands_again_and_can_be_taken_back,
    a_corrupt_missing_or_unknown_snapshot_is_refused_and_others_are_offered,
    a_snapshot_that_was_killed_or_had_no_room_is_never_usable,
    a_restore_that_is_killed_leaves_the_present_or_the_past_and_can_be_repeated,
    a_later_run_that_a_restore_undid_verifies,
    an_interrupted_run_that_was_taken_back_verifies,
);

/// Where the ledger says that a run's snapshot is.
fn kept(room: &Room, run: &str) -> Value {
    let json = room.ask(&format!(
        "SELECT snapshot FROM switchback_runs WHERE id = '{run}'"
    ));
    serde_json::from_str(&json).unwrap()
}

/// A room with a run that has a snapshot; the dump is of before it.
fn applied(case: Case) -> (Room, String, String, String) {
    let room = Bulk::room(case, 40);
    room.bundle("B");
    let before = room.dump();
    let run = room.on("apply", &["B", "--snapshot"]).code(0).id();
    let path = kept(&room, &run)["path"].as_str().unwrap().to_owned();
    (room, run, path, before)
}

/// Applies what changes every person's name.
fn second(room: &Room) -> String {
    let csv = room.read("people.csv").replace("\"Person", "\"Human");
    room.write("people.csv", csv);
    room.bundle("C");
    room.apply("C")
}

/// What a snapshot holds.
fn held(case: Case, path: &str) -> String {
    match case.target {
        Target::Sqlite => db::dump(path.as_ref()),
        Target::Postgres => {
            let empty = Database::with("");
            assert_eq!(empty.restored_by_hand(path), "", "pg_restore complained");
            empty.content()
        }
    }
}

fn folder(room: &Room) -> Vec<String> {
    let Ok(entries) = fs::read_dir(room.path(".switchback/snapshots")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn the_snapshot_is_recorded_with_the_run_and_private(case: Case) {
    let (room, run, path, before) = applied(case);
    let kept = kept(&room, &run);
    assert_eq!(kept["bytes"], fs::metadata(&path).unwrap().len());
    assert!(kept["taken"].is_number());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    same(&held(case, &path), &before, "it holds what was before");
    let other = room.path("elsewhere");
    let given = format!("--snapshot={}", other.display());
    let csv = room.read("people.csv").replace("\"Person", "\"Human");
    room.write("people.csv", csv);
    room.bundle("C");
    let _ = room
        .on("apply", &["C", &given])
        .code(0)
        .says(&["elsewhere", "sha256"]);
    assert_eq!(fs::read_dir(other).unwrap().count(), 1);
}

fn level_2_restores_the_data_and_keeps_the_history(case: Case) {
    let (room, run, path, before) = applied(case);
    let later = second(&room);
    room.sql("INSERT INTO leaver VALUES (900, 'by hand', NULL, 1.5)");
    let now = room.dump();
    if let Db::Sqlite(file) = &room.db {
        fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
    }
    let _ = room
        .on("rollback", &["--snapshot", &path, "--check"])
        .code(0)
        .says(&[&run, &later, "nothing was written"]);
    same(&room.dump(), &now, "--check writes nothing");
    let done = room
        .on(
            "rollback",
            &["--snapshot", &path, "--reason", "wrong export", "--json"],
        )
        .code(0)
        .says(&["restored", &run, &later]);
    same(&room.dump(), &before, "the data is the snapshot's");
    if let Db::Sqlite(file) = &room.db {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
    assert_eq!(
        room.ask("SELECT string_agg(status || CAST(kept AS text), ',') FROM switchback_runs"),
        "rolled-back0,rolled-back0"
    );
    assert_eq!(room.ask("SELECT count(*) FROM switchback_ids"), "0");
    let line: Value = serde_json::from_str(done.out.trim()).unwrap();
    let safety = line["safetyCopy"].as_str().unwrap();
    same(&held(case, safety), &now, "the present was kept first");
    let audit: Value = serde_json::from_str(
        &room.ask("SELECT detail FROM switchback_audit WHERE action = 'migration:rollback:level2'"),
    )
    .unwrap();
    assert_eq!(audit["backup_file"], path);
    assert!(audit["restore_time"].is_string());
    assert_eq!(audit["reason"], "wrong export");
    let _ = room.run("verify", &["audit", "--to", &room.url()]).code(0);
    // What was there is applied anew, and taken back.
    let again = room.apply("C");
    let _ = room.on("rollback", &[&again]).code(0);
    same(&room.dump(), &before, "work goes on after a restore");
}

fn a_run_that_was_rolled_back_since_stands_again_and_can_be_taken_back(case: Case) {
    let room = Bulk::room(case, 40);
    room.bundle("B");
    let before = room.dump();
    let first = room.apply("B");
    let after_first = room.dump();
    room.write(
        "people.csv",
        "id,email,name,sponsor\nq1,q1@example.org,Quin,\n",
    );
    for key in ["id", "no"] {
        let (found, empty) = (
            format!("key = \"{key}\" }}"),
            format!("key = \"{key}\", allow_empty = true }}"),
        );
        room.mend("migration.toml", &found, &empty);
    }
    room.write("visits.csv", "id,person,day\n");
    room.write("leavers.csv", "no\n");
    room.bundle("C");
    let run = room.on("apply", &["C", "--snapshot"]).code(0).id();
    let path = kept(&room, &run)["path"].as_str().unwrap().to_owned();
    let _ = room.on("rollback", &[&first]).code(0);
    let _ = room
        .on("rollback", &["--snapshot", &path])
        .code(0)
        .says(&[&first, "are there again"]);
    same(&room.dump(), &after_first, "as it was at the snapshot");
    let _ = room.on("rollback", &[&first]).code(0);
    same(&room.dump(), &before, "the first run is taken back again");
}

fn a_corrupt_missing_or_unknown_snapshot_is_refused_and_others_are_offered(case: Case) {
    let (room, _, path, _) = applied(case);
    let csv = room.read("people.csv").replace("\"Person", "\"Human");
    room.write("people.csv", csv);
    room.bundle("C");
    let other = room.on("apply", &["C", "--snapshot"]).code(0).id();
    let other = kept(&room, &other)["path"].as_str().unwrap().to_owned();
    let now = room.dump();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let offer = format!("rollback --snapshot {other}");
    let refused = |file: &str, why: &str| {
        let _ = room.on("rollback", &["--snapshot", file]).code(4).says(&[
            why,
            "this one can be used",
            &offer,
        ]);
    };
    refused(&path, "is corrupt");
    bytes[middle] ^= 1;
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    refused(&path, "is corrupt");
    fs::remove_file(&path).unwrap();
    refused(&path, "No such file");
    room.write("foreign.db", "something else");
    refused("foreign.db", "no run of");
    same(&room.dump(), &now, "nothing was written");
    assert_eq!(folder(&room).len(), 1, "and nothing was left behind");
    // Of another database.
    let elsewhere = Bulk::room(case, 30);
    elsewhere.bundle("B");
    let foreign = elsewhere.on("apply", &["B", "--snapshot"]).code(0).id();
    let foreign = kept(&elsewhere, &foreign)["path"].clone();
    refused(foreign.as_str().unwrap(), "no run of");
    // A copy in another place will do.
    fs::rename(&other, room.path("moved")).unwrap();
    let _ = room.on("rollback", &["--snapshot", "moved"]).code(0);
}

#[test]
fn a_database_with_a_log_behind_a_link_stays_one() {
    let room = Bulk::room(Target::Sqlite, 20);
    room.sql("PRAGMA journal_mode = WAL");
    room.bundle("B");
    let before = room.dump();
    fs::create_dir(room.path("data")).unwrap();
    fs::rename(room.path("t.db"), room.path("data/real.db")).unwrap();
    symlink("data/real.db", room.path("t.db")).unwrap();
    let run = room.on("apply", &["B", "--snapshot"]).code(0).id();
    let path = kept(&room, &run)["path"].as_str().unwrap().to_owned();
    assert!(
        path.contains("data/.switchback/snapshots/real.db."),
        "{path}"
    );
    // A program that uses the target keeps it from being replaced.
    let user = rusqlite::Connection::open(room.path("t.db")).unwrap();
    user.execute_batch("BEGIN; SELECT count(*) FROM person")
        .unwrap();
    let busy = room.on("rollback", &["--snapshot", &path]).code(5);
    assert!(busy.err.contains("busy"), "{}", busy.err);
    drop(user);
    let _ = room.on("rollback", &["--snapshot", &path]).code(0);
    assert!(
        fs::symlink_metadata(room.path("t.db"))
            .unwrap()
            .is_symlink()
    );
    same(&room.dump(), &before, "restored through the link");
    assert_eq!(room.ask("PRAGMA journal_mode"), "wal");
}

fn a_snapshot_that_was_killed_or_had_no_room_is_never_usable(case: Case) {
    let room = Bulk::room(case, 10);
    room.sql(case.either(
        "CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
         SELECT i, randomblob(2000) FROM n",
        "CREATE TABLE big AS SELECT i, (SELECT string_agg(sha512((i * 100 + k)::text::bytea), '') \
         FROM generate_series(1, 30) k) FROM generate_series(1, 8000) i",
    ));
    room.bundle("B");
    let before = room.dump();
    let url = room.url();
    // A limit on the size of files stands for a full disk: the copy is larger, nothing else is.
    let mut full = std::process::Command::new("bash");
    let apply = tests::program("apply");
    full.arg("-c").arg(format!(
        "trap '' XFSZ; ulimit -f 8000; exec '{}' B --to '{url}' --snapshot",
        apply.display()
    ));
    full.current_dir(room.path("."))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let done = finish(spawn(&mut full), None).code(5);
    let why = case.either("snapshot", "could not write to output file");
    assert!(done.err.contains(why), "{}", done.err);
    assert_eq!(folder(&room), [""; 0], "no copy is left");
    let mut killed = 0;
    for _ in 0..5 {
        let args = ["B", "--to", &url, "--snapshot"];
        let mut child = spawn(&mut command("apply", &room.path("."), args));
        let began = Instant::now();
        while !folder(&room).iter().any(|name| name.contains(".tmp")) {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "no snapshot was begun"
            );
        }
        child.kill().unwrap();
        let done = finish(child, None);
        killed += i32::from(done.code == 137 && done.out.is_empty());
        let whole: Vec<String> = folder(&room);
        let whole = whole.iter().filter(|name| name.ends_with(".snapshot"));
        assert_eq!(whole.count(), 0, "a copy that was not finished has no name");
        for name in folder(&room) {
            fs::remove_file(room.path(".switchback/snapshots").join(name)).unwrap();
        }
    }
    assert!(killed > 0);
    same(&room.dump(), &before, "nothing was written");
    let run = room.on("apply", &["B", "--snapshot"]).code(0).id();
    let path = kept(&room, &run)["path"].as_str().unwrap().to_owned();
    let _ = room.on("rollback", &["--snapshot", &path]).code(0);
    same(&room.dump(), &before, "the next one is good");
}

fn a_restore_that_is_killed_leaves_the_present_or_the_past_and_can_be_repeated(case: Case) {
    let (room, _, path, before) = applied(case);
    let url = room.url();
    let now = room.dump();
    // From before it begins until one has done its work.
    for kill in 0.. {
        let args = ["--snapshot", &path, "--to", &url];
        let mut child = spawn(&mut command("rollback", &room.path("."), args));
        std::thread::sleep(Duration::from_millis(case.either(5, 70)) * kill);
        child.kill().ok();
        let _ = finish(child, None);
        room.db.settle();
        let status = room.ask("SELECT status FROM switchback_runs");
        let restored = status == "rolled-back";
        let expected = if restored { &before } else { &now };
        same(&room.dump(), expected, &status);
        if restored {
            assert!(kill > 0, "no kill was in time");
            break;
        }
    }
    let _ = room.on("rollback", &["--snapshot", &path]).code(0);
    same(&room.dump(), &before, "the last one ends it");
}

/// A restore undoes later runs too, but what stands then is not what was before them: rows that the
/// first of these runs, or people, changed in between.
fn a_later_run_that_a_restore_undid_verifies(case: Case) {
    const PLAN: &str = "name = \"items\"\nsystem = \"shop\"\n[[entity]]\nname = \"item\"\ntable = \"item\"\n\
                        on_gone = \"recreate\"\nid = { column = \"id\", from = \"key\" }\n\
                        op = { from = \"op\", values = { put = \"put\", gone = \"delete\" } }\n\
                        source = { format = \"csv\", files = [\"items.csv\"], key = \"id\" }\nfields.name = { from = \"name\" }\n";
    let sql = "CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT NOT NULL)";
    let room = Room::with(case, PLAN, &[], sql);
    let apply = |lines: &str, more: &[&str]| {
        room.write("items.csv", format!("op,id,name\n{lines}"));
        room.bundle(&lines.len().to_string());
        let bundle = lines.len().to_string();
        let args: Vec<&str> = [bundle.as_str()].iter().chain(more).copied().collect();
        room.on("apply", &args).code(0).id()
    };
    apply("put,1,a\nput,2,b\nput,3,c\n", &[]);
    let before = room.dump();
    let first = apply("put,1,aa\nput,4,d\n", &["--snapshot"]);
    let path = kept(&room, &first)["path"].as_str().unwrap().to_owned();
    room.sql("DELETE FROM item WHERE id = '3'");
    // Back to what it was, gone again, gone, made anew, new.
    let second = apply("put,1,a\ngone,4,\ngone,2,\nput,3,see\nput,5,e\n", &[]);
    let _ = room.on("rollback", &["--snapshot", &path]).code(0);
    same(&room.dump(), &before, "restored");
    for run in [&first, &second] {
        let done = room.on("verify", &[run]);
        assert_eq!(done.code, 0, "{run}: {}", done.out);
    }
    // What the run still has in the id map is an error all the same.
    room.sql("UPDATE switchback_ids SET run = 3 WHERE source = '1'");
    let _ = room.on("verify", &[&second]).code(1);
}

/// A run that was killed, and then rolled back or restored: its figures were never written.
fn an_interrupted_run_that_was_taken_back_verifies(case: Case) {
    for restored in [false, true] {
        let room = Bulk::room(case, case.either(2000, 400));
        room.bundle("B");
        let args = ["B", "--to", &room.url(), "--snapshot", "--batch-size", "1"];
        let child = spawn(&mut command("apply", &room.path("."), args));
        let batches = "SELECT count(*) FROM switchback_batches";
        let began = Instant::now();
        let stand = || room.db.has_ledger() && room.ask(batches) != "0";
        while !stand() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "nothing was written"
            );
        }
        let mut child = child;
        child.kill().unwrap();
        assert_eq!(finish(child, None).code, 137);
        room.db.settle();
        let run = room.ask("SELECT id FROM switchback_runs");
        let path = kept(&room, &run)["path"].as_str().unwrap().to_owned();
        let args = if restored {
            vec!["--snapshot", &path]
        } else {
            vec![run.as_str()]
        };
        let _ = room.on("rollback", &args).code(0);
        let done = room.on("verify", &[&run]);
        assert_eq!(done.code, 0, "restored: {restored}: {}", done.out);
    }
}
