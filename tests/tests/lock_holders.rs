//! Who holds the lock: a process that is gone leaves it void at once, unless its number says nothing here.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use tests::{Case, Room};

tests::both!(
    a_holder_in_another_pid_namespace_is_not_taken_for_dead_by_its_number,
    a_holder_of_before_pid_namespaces_were_kept_is_judged_by_its_number,
    a_holder_on_another_boot_is_not_taken_for_dead,
    whoever_resumes_or_takes_back_the_same_run_waits_for_a_lease_that_nobody_renews,
    a_lease_that_is_renewed_is_not_waited_for,
);

const PLAN: &str = r#"
name = "m"
system = "s"
[[entity]]
name = "m"
table = "m"
id = { column = "id", from = "key" }
source = { format = "csv", files = ["m.csv"], key = "id" }
[entity.fields]
a = { from = "a" }
"#;

/// A process that has ended.
fn ended() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let id = child.id();
    child.wait().unwrap();
    id
}

/// A room whose lock a process that is gone holds for some seconds more. `namespace`: what the holder says
/// of its namespace.
fn held(case: Case, namespace: &str) -> Room {
    let sql = "CREATE TABLE m (id TEXT PRIMARY KEY, a TEXT)";
    let room = Room::with(case, PLAN, &[("m.csv", "id,a\n1,x\n")], sql);
    room.bundle("B");
    room.apply("B");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (now, process) = (now.as_millis(), ended());
    room.sql(&format!(
        "UPDATE switchback_lock SET run = 'r', since = {now}, expires = {now} + 25000, holder = \
         '{{\"host\":\"{}\",\"boot\":\"{}\",{namespace}\"process\":{process},\"started\":\"1\",\"operator\":\"o\",\"run\":\"r\"}}'",
        host.trim(),
        boot.trim()
    ));
    room
}

fn a_holder_in_another_pid_namespace_is_not_taken_for_dead_by_its_number(case: Case) {
    let room = held(case, "\"pid_ns\":\"pid:[1]\",");
    for args in [&["B"][..], &["B", "--take-over"]] {
        let _ = room.on("apply", args).code(11).says(&["run r, by o on "]);
    }
    let _ = room
        .on("verify", &["runs"])
        .code(0)
        .prints(&["its lease lasts "]);
    let here = fs::read_link("/proc/self/ns/pid").unwrap();
    let room = held(case, &format!("\"pid_ns\":\"{}\",", here.display()));
    let _ = room
        .on("verify", &["runs"])
        .code(0)
        .prints(&["void: its process is gone"]);
    let _ = room.on("apply", &["B", "--take-over"]).code(0);
}

fn a_holder_of_before_pid_namespaces_were_kept_is_judged_by_its_number(case: Case) {
    let room = held(case, "");
    let _ = room
        .on("verify", &["runs"])
        .code(0)
        .prints(&["void: its process is gone"]);
    let _ = room.on("apply", &["B", "--take-over"]).code(0);
}

/// Has a process that can't be looked at hold the lock for a run, for so many milliseconds more.
fn held_elsewhere(room: &Room, run: &str, host: &str, boot: &str, lasts: u128) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_millis();
    room.sql(&format!(
        "UPDATE switchback_lock SET run = '{run}', since = {now}, expires = {now} + {lasts}, holder = \
         '{{\"host\":\"{host}\",\"boot\":\"{boot}\",\"pid_ns\":\"pid:[1]\",\"process\":7,\"started\":\"1\",\"operator\":\"o\",\"run\":\"{run}\"}}'"
    ));
}

fn here() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    host.trim().to_owned()
}

fn a_holder_on_another_boot_is_not_taken_for_dead(case: Case) {
    let room = held(case, "");
    held_elsewhere(&room, "r", &here(), "another", 25_000);
    for args in [&["B"][..], &["B", "--take-over"]] {
        let _ = room.on("apply", args).code(11).says(&["run r, by o on "]);
    }
}

/// A room in which a run failed half-way, and its ID.
fn failed(case: Case) -> (Room, String) {
    let sql = "CREATE TABLE m (id TEXT PRIMARY KEY, a TEXT CHECK (a <> 'bad'))";
    let sources = [("m.csv", "id,a\n1,x\n2,bad\n")];
    let room = Room::with(case, PLAN, &sources, sql);
    room.bundle("B");
    let run = room.on("apply", &["B", "--batch-size=1"]).code(3).id();
    (room, run)
}

fn whoever_resumes_or_takes_back_the_same_run_waits_for_a_lease_that_nobody_renews(case: Case) {
    let (room, run) = failed(case);
    let (named, here) = (format!("--resume={run}"), here());
    for (program, args, host, code) in [
        ("apply", &["B", "--resume"][..], &*here, 3),
        ("apply", &["B", &named], &here, 3),
        ("apply", &["B", "--resume"], "another", 3),
        ("rollback", &[&run, "--check"], &here, 1),
        ("rollback", &[&run], "another", 0),
        ("rollback", &[&run], &here, 0),
    ] {
        held_elsewhere(&room, &run, host, "another", 2_500);
        let begun = SystemTime::now();
        let done = room.on(program, args).code(code);
        if args.contains(&"--check") {
            // It takes nothing, and says who is at work.
            assert!(done.err.contains("already in progress"), "{}", done.err);
            continue;
        }
        assert!(begun.elapsed().unwrap().as_millis() > 1_500, "{}", done.err);
        assert_eq!(
            done.err.matches("waiting until its lease").count(),
            1,
            "{}",
            done.err
        );
    }
    // Another run's is not waited for.
    held_elsewhere(&room, "r", "elsewhere", "another", 20_000);
    let _ = room.on("rollback", &[&run]).code(11);
}

fn a_lease_that_is_renewed_is_not_waited_for(case: Case) {
    let (room, run) = failed(case);
    held_elsewhere(&room, &run, &here(), "another", 20_000);
    let begun = SystemTime::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_secs(3));
            room.sql("UPDATE switchback_lock SET expires = expires + 5000");
        });
        let done = room.on("rollback", &[&run]).code(11);
        let _ = done.says(&["waiting until its lease", "already in progress"]);
    });
    assert!(begun.elapsed().unwrap().as_secs() < 15);
}
