//! Who holds the lock: a process that is gone leaves it void at once, unless its number says nothing here.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use tests::{Case, Room};

tests::both!(
    a_holder_in_another_pid_namespace_is_not_taken_for_dead_by_its_number,
    a_holder_of_before_pid_namespaces_were_kept_is_judged_by_its_number,
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
