//! Late references are the second half of a record: what failed in its first half is not written in part.

use tests::{Case, Room};

tests::both!(
    a_record_that_failed_keeps_its_late_reference_and_is_whole_once_it_is_resumed,
    a_record_that_failed_is_no_unchanged_one_in_the_next_run,
);

const PLAN: &str = r#"
name = "nodes"
system = "s"
limits.failed_percent = 100
[[entity]]
name = "node"
table = "node"
id = { column = "id", from = "key" }
source = { format = "csv", files = ["nodes.csv"], key = "id" }
[entity.fields]
name = { from = "name" }
next = { from = "next", ref = "node", late = true }
"#;

const NODES: &str = "SELECT string_agg(concat_ws(' ', id, name, next), ', ' ORDER BY id) FROM node";

/// Two nodes of an earlier run; of a second run, that points them elsewhere, the target refuses the
/// first, and a third that is new.
fn refused(case: Case) -> (Room, String) {
    let sql = "CREATE TABLE node (id TEXT PRIMARY KEY, name TEXT, next TEXT REFERENCES node (id))";
    let csv = "id,name,next\na,Ann,b\nb,Bo,a\n";
    let room = Room::with(case, PLAN, &[("nodes.csv", csv)], sql);
    room.bundle("B");
    room.apply("B");
    room.db
        .refuse("UPDATE", "node", "NEW.name = 'Anna'", "no Anna");
    room.sql(case.either(
        "CREATE TRIGGER more BEFORE INSERT ON node BEGIN SELECT RAISE(ABORT, 'no more'); END",
        "CREATE TRIGGER more BEFORE INSERT ON node FOR EACH ROW EXECUTE FUNCTION refuse()",
    ));
    room.write("nodes.csv", "id,name,next\na,Anna,a\nb,Bob,b\nc,Cy,a\n");
    room.bundle("C");
    let args = ["C", "--continue-on-error", "--batch-size=1"];
    let done = room.on("apply", &args).code(3).says(&[
        "nodes.csv:2: node a: no Anna",
        "nodes.csv:4: node c: no ",
        "2 failed",
    ]);
    assert_eq!(room.ask(NODES), "a Ann b, b Bob b");
    let failures = room.read(".migration-failures.json");
    assert_eq!(failures.matches("{\"reject\"").count(), 2, "{failures}");
    room.sql(case.either("DROP TRIGGER more", "DROP TRIGGER more ON node"));
    room.db.allow("node");
    (room, done.id())
}

fn a_record_that_failed_keeps_its_late_reference_and_is_whole_once_it_is_resumed(case: Case) {
    let (room, run) = refused(case);
    let _ = room.on("apply", &["C", "--resume"]).code(0);
    assert_eq!(room.ask(NODES), "a Anna a, b Bob b, c Cy a");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask(NODES), "a Ann b, b Bo a");
}

fn a_record_that_failed_is_no_unchanged_one_in_the_next_run(case: Case) {
    let (room, _) = refused(case);
    let done = room.on("apply", &["C"]).code(0);
    let _ = done.says(&["1 created, 1 updated, 1 unchanged"]);
    assert_eq!(room.ask(NODES), "a Anna a, b Bob b, c Cy a");
}
