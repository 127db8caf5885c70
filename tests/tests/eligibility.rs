//! Whether a run may be taken back: `--check`, the window, a rollback that failed, what people get.

use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use tests::db::same;
use tests::{Bulk, Room};

/// A run that ended at noon, and what was before it.
fn applied() -> (Room, String, String) {
    let room = Bulk::room(40);
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

#[test]
fn the_answer_is_one_object_with_all_that_is_asked() {
    let (room, run, _) = applied();
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

#[test]
fn the_window_is_exact_to_the_second_and_asked_for_it_opens() {
    let (room, run, before) = applied();
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

#[test]
fn the_plan_names_another_window() {
    let room = Bulk::room(10);
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

#[test]
fn a_rollback_under_way_is_said_to_be() {
    let (room, run, _) = applied();
    let holder = format!(
        r#"{{"host":"elsewhere","boot":"b","process":7,"started":"1","operator":"ann","run":"{run}"}}"#
    );
    room.sql(&format!(
        "UPDATE switchback_runs SET status = 'rolling-back';
         UPDATE switchback_lock SET run = '{run}', holder = '{holder}', since = 0, token = 9,
           expires = CAST(strftime('%s', 'now') AS INTEGER) * 1000 + 20000"
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
fn failed() -> (Room, String, String) {
    let room = Bulk::room(40);
    room.bundle("B");
    let before = room.dump();
    let run = room.apply("B");
    room.sql("CREATE TRIGGER stop BEFORE DELETE ON person WHEN OLD.email = 'p9@example.org' BEGIN SELECT RAISE(ABORT, 'not Nine'); END");
    let _ = room
        .on("rollback", &[&run, "--batch-size", "10"])
        .code(3)
        .says(&["not Nine", "--resume", "--resolve", "--export"]);
    assert_eq!(
        room.ask("SELECT status FROM switchback_runs"),
        "rollback-failed"
    );
    (room, run, before)
}

#[test]
fn a_rollback_that_failed_for_good_stops_all_else_until_it_goes_on() {
    let (room, run, before) = failed();
    let resume = format!("rollback {run} --resume");
    let _ = room
        .on("apply", &["B"])
        .code(4)
        .says(&["rollback-failed", "--resume"]);
    let _ = room
        .on("rollback", &[&run])
        .code(4)
        .says(&["failed for good", "not Nine", &resume]);
    room.sql("DROP TRIGGER stop");
    let _ = room.on("rollback", &["--resume", &run]).code(0);
    same(&room.dump(), &before, "it went on");
    let _ = room.on("apply", &["B"]).code(0);
}

#[test]
fn a_rollback_that_failed_for_good_is_settled_by_a_note() {
    let (room, run, before) = failed();
    let _ = room
        .on(
            "rollback",
            &[&run, "--resolve", "Nine stays, agreed with Ann"],
        )
        .code(0)
        .says(&["rolled-back", "settled by hand"]);
    assert_eq!(
        room.ask("SELECT status, kept > 0 FROM switchback_runs"),
        "rolled-back|1"
    );
    let note = room.ask("SELECT json_extract(detail, '$.note') FROM switchback_audit WHERE action = 'migration:rollback:resolved'");
    assert_eq!(note, "Nine stays, agreed with Ann");
    let _ = room.on("rollback", &[&run, "--resolve", "again"]).code(4);
    room.sql("DROP TRIGGER stop");
    let _ = room.on("rollback", &[&run]).code(0);
    same(
        &room.dump(),
        &before,
        "what was kept can still be taken back",
    );
}

#[test]
fn another_run_waits_for_the_one_that_failed() {
    let room = Bulk::room(20);
    room.bundle("B");
    let first = room.apply("B");
    let csv = room.read("people.csv") + "z1,z1@example.org,Zoe,\n";
    room.write("people.csv", csv);
    room.bundle("C");
    let second = room.apply("C");
    room.sql("CREATE TRIGGER stop BEFORE DELETE ON person WHEN OLD.email = 'z1@example.org' BEGIN SELECT RAISE(ABORT, 'no'); END");
    let _ = room.on("rollback", &[&second]).code(3);
    let _ = room
        .on("rollback", &[&first])
        .code(4)
        .says(&[&second, "--resolve"]);
    let said = check(&room, &first, "2024-06-01T12:00:00Z", 1);
    assert_eq!(said["canRollback"], false);
}

#[test]
fn the_inverse_is_written_as_sealed_lines() {
    let (room, run, before) = applied();
    let now = room.dump();
    let done = room.on("rollback", &["--export", &run]).code(0);
    same(&room.dump(), &now, "nothing was written");
    let lines: Vec<Value> = done
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seal = &lines.last().unwrap()["end"];
    assert_eq!(seal["records"], lines.len() - 1);
    assert_eq!(seal["run"], run);
    // Whoever follows the lines by hand gets what was before.
    let mut sql = String::from("PRAGMA foreign_keys = OFF; DROP TRIGGER person_touch;");
    let quoted = |value: &Value| match value {
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Object(bytes) => format!("x'{}'", bytes["hex"].as_str().unwrap()),
        other => other.to_string(),
    };
    for line in &lines[..lines.len() - 1] {
        let table = line["entity"].as_str().unwrap();
        let id = if table == "person" { "id" } else { "no" };
        let fields = line["fields"].as_object();
        if line["op"] == "delete" {
            sql += &format!(
                "DELETE FROM {table} WHERE {id} = {};",
                quoted(&line["target"])
            );
        } else if table == "leaver" {
            let values: Vec<String> = fields.unwrap().values().map(quoted).collect();
            sql += &format!("INSERT INTO leaver VALUES ({});", values.join(", "));
        } else {
            let email = line["key"].as_str().unwrap();
            for (column, value) in fields.unwrap() {
                sql += &format!(
                    "UPDATE person SET {column} = {} WHERE email = '{email}@example.org';",
                    quoted(value)
                );
            }
        }
    }
    room.sql(&sql);
    let rows = |dump: &str, table: &str| {
        let mark = format!("{table}: ");
        dump.lines()
            .filter(|line| line.starts_with(&mark))
            .fold(String::new(), |lines, line| lines + line + "\n")
    };
    for table in ["person", "visit", "leaver"] {
        same(&rows(&room.dump(), table), &rows(&before, table), table);
    }
}

#[test]
fn a_damaged_ledger_says_what_can_still_be_reversed() {
    let (room, run, _) = applied();
    room.sql("UPDATE switchback_changes SET action = 99 WHERE seq = 20");
    let _ = room
        .on("rollback", &[&run, "--outside-window"])
        .code(4)
        .says(&["damaged", "--export"]);
    let done = room
        .on("rollback", &["--export", &run])
        .code(1)
        .says(&["2 changes", "do not read"]);
    assert!(done.out.lines().count() > 10);
}

#[test]
fn a_before_image_that_was_tampered_with_is_refused_and_its_row_named() {
    let (room, run, _) = applied();
    let updated = "action = 2 AND instr(before, 'Somebody 8') > 0";
    let seq = room.ask(&format!(
        "SELECT min(seq) FROM switchback_changes WHERE {updated}"
    ));
    room.sql(&format!(
        "UPDATE switchback_changes SET before = CAST(replace(before, 'Somebody 8', 'Somebody 9') AS BLOB) WHERE seq = {seq}"
    ));
    let now = room.dump();
    for how in [&["--outside-window"][..], &["--outside-window", "--check"]] {
        let args: Vec<&str> = [run.as_str()]
            .into_iter()
            .chain(how.iter().copied())
            .collect();
        let done = room.on("rollback", &args);
        assert_ne!(done.code, 0);
        let named = format!("change {seq}, of row row8, is not as the run wrote it");
        let _ = done.says(&["damaged", &named]);
    }
    same(&room.dump(), &now, "nothing was written");
}

#[test]
fn the_sources_are_handed_back_byte_for_byte() {
    let (room, run, _) = applied();
    let names = ["people.csv", "visits.csv", "leavers.csv"];
    let bytes: Vec<Vec<u8>> = names
        .iter()
        .map(|name| std::fs::read(room.path(name)).unwrap())
        .collect();
    let _ = room.on("rollback", &["--hand-back", "back", &run]).code(0);
    for (name, bytes) in names.iter().zip(&bytes) {
        let path = room.path("back").join(name);
        assert_eq!(&std::fs::read(&path).unwrap(), bytes);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    room.write("back/visits.csv", "mine");
    let _ = room
        .on("rollback", &["--hand-back", "back", &run])
        .code(4)
        .says(&["visits.csv", "--overwrite"]);
    assert_eq!(room.read("back/visits.csv"), "mine");
    let _ = room
        .on("rollback", &["--hand-back", "back", "--overwrite", &run])
        .code(0);
    assert_eq!(
        std::fs::read(room.path("back/visits.csv")).unwrap(),
        bytes[1]
    );
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

#[test]
fn outside_its_window_a_typed_yes_takes_a_run_back_and_nothing_else_does() {
    let room = Bulk::room(5);
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
