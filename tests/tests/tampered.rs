//! A ledger that somebody else wrote into: what its audit entries do not confirm is not believed.

use serde_json::Value;
use tests::{Case, Room, Target};

tests::both!(
    a_run_whose_row_was_changed_is_not_taken_back,
    a_plan_without_its_production_mark_disarms_no_guard,
    a_snapshot_that_names_another_file_removes_nothing,
    a_file_that_is_not_the_snapshot_that_was_taken_stays,
    a_shape_that_was_pointed_at_another_table_deletes_nothing_there,
    a_lowered_last_change_hides_no_rows,
    a_run_that_is_said_to_be_rolled_back_is_not,
    counters_that_do_not_read_are_damage,
    a_trail_that_was_changed_confirms_nothing,
    a_run_that_was_changed_is_not_resumed,
    rows_that_moved_in_tables_without_a_plan_are_confirmed,
    a_kept_hash_of_the_trail_is_looked_for_in_the_chain,
);

const PLAN: &str = r#"
name = "people"
system = "club"
[[environment]]
name = "live"
match = ["sqlite:*", "postgres://*"]
production = true
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
fields.name = { from = "name" }
"#;

const SCHEMA: &str =
    "CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT CHECK (name <> 'Mallory'));
CREATE TABLE others (id TEXT PRIMARY KEY, name TEXT);
INSERT INTO others VALUES ('1', 'Ann'), ('2', 'Bo');";

const LIVE: &str = "--allow-production=live";

/// A room in which a run was applied, with its ID.
fn applied(case: Case) -> (Room, String) {
    let sources = [("people.csv", "id,name\n1,Ann\n2,Bo\n")];
    let room = Room::with(case, PLAN, &sources, SCHEMA);
    room.bundle("B");
    let args = ["B", "--snapshot", "--now", "2024-06-01T12:00:00Z", LIVE];
    let run = room.on("apply", &args).code(0).id();
    (room, run)
}

#[test]
fn triggers_on_the_ledger_of_a_file_are_refused() {
    let (room, run) = applied(Case::new(Target::Sqlite, "tampered"));
    let kept = room.dump();
    room.sql("CREATE TRIGGER t AFTER INSERT ON SWITCHBACK_audit BEGIN DELETE FROM others; END");
    let says = ["has the trigger t", "drop it"];
    for (program, args) in [
        ("apply", &["B", LIVE][..]),
        ("apply", &["B", "--dry-run"]),
        ("rollback", &[&run, LIVE]),
        ("rollback", &["prune", LIVE]),
    ] {
        let _ = room.on(program, args).code(4).says(&says);
    }
    assert_eq!(room.ask("SELECT count(*) FROM others"), "2");
    room.sql("DROP TRIGGER t");
    assert_eq!(room.dump(), kept);
    let _ = room
        .on("rollback", &[&run, "--outside-window", LIVE])
        .code(0);
}

#[test]
fn an_audit_entry_of_a_file_that_has_no_number_is_damage() {
    let (room, run) = applied(Case::new(Target::Sqlite, "unnumbered"));
    room.sql(
        "INSERT INTO switchback_audit (seq, at, action, operator, host, detail, hash) \
         VALUES (NULL, 1, 'migration:started', 'eve', 'h', '{}', x'07')",
    );
    for (program, args) in [
        ("verify", &["audit"][..]),
        ("verify", &[&run]),
        ("rollback", &[&run, "--outside-window", LIVE]),
    ] {
        let _ = room
            .on(program, args)
            .code(4)
            .says(&["an audit entry has no number"]);
    }
}

/// Changes the run's row, and returns how the programs that read it end: none of them writes.
#[track_caller]
fn refused(room: &Room, run: &str, set: &str, says: &str) {
    let kept = room.ask("SELECT count(*) FROM person");
    room.sql(&format!(
        "CREATE TABLE keep AS SELECT * FROM switchback_runs; UPDATE switchback_runs SET {set}"
    ));
    for args in [
        &[run, "--outside-window", LIVE][..],
        &[run, "--outside-window", "--check"],
        &[run, "--outside-window", "--dry-run"],
        &[run, "--export"],
        &["prune", LIVE],
        &["prune", "--dry-run"],
    ] {
        let done = room.on("rollback", args).code(4);
        assert!(done.err.contains(says), "{args:?}: {}", done.err);
    }
    assert_eq!(room.ask("SELECT count(*) FROM person"), kept);
    let column = set.split_once(' ').unwrap().0;
    room.sql(&format!(
        "UPDATE switchback_runs SET {column} = (SELECT {column} FROM keep); DROP TABLE keep"
    ));
}

fn a_run_whose_row_was_changed_is_not_taken_back(case: Case) {
    let (room, run) = applied(case);
    let hook = "[[hook]]\non = [\"rolled-back\"]\ncommand = [\"touch\", \"log\"]\n";
    let plan = format!("plan = plan || '{hook}'");
    refused(&room, &run, &plan, "its plan is not what entry 1");
    refused(&room, &run, "target = 'elsewhere'", "its target is not");
    refused(&room, &run, "format = 1", "its format is not");
    refused(&room, &run, "lookups = '{\"a\":{}}'", "its lookups is not");
    refused(&room, &run, "tables = '{}'", "the list of its tables");
    let _ = room
        .on("rollback", &[&run, "--outside-window", LIVE])
        .code(0);
    assert!(!room.path("log").exists());
}

fn a_plan_without_its_production_mark_disarms_no_guard(case: Case) {
    let (room, run) = applied(case);
    room.sql("UPDATE switchback_runs SET plan = replace(plan, 'production = true', '')");
    let _ = room
        .on("rollback", &[&run, "--outside-window"])
        .code(4)
        .says(&["its plan is not what entry 1 of the audit trail confirms"]);
    assert_eq!(room.ask("SELECT count(*) FROM person"), "2");
    let json: Value =
        serde_json::from_str(&room.ask("SELECT snapshot FROM switchback_runs")).unwrap();
    let file = json["path"].as_str().unwrap();
    let _ = room
        .on("rollback", &["--snapshot", file])
        .code(4)
        .says(&["its plan is not what"]);
}

fn a_snapshot_that_names_another_file_removes_nothing(case: Case) {
    let (room, run) = applied(case);
    room.write("precious", "mine");
    let path = room.path("precious");
    for pruned in ["", ",\"pruned\":5"] {
        let set = format!(
            "snapshot = '{{\"path\":\"{}\",\"sha256\":\"{}\",\"bytes\":4,\"taken\":1717243200000{pruned}}}'",
            path.display(),
            "0".repeat(64)
        );
        refused(&room, &run, &set, "its snapshot is not what entry 1");
    }
    assert!(path.exists());
}

fn a_file_that_is_not_the_snapshot_that_was_taken_stays(case: Case) {
    let (room, _) = applied(case);
    let json: Value =
        serde_json::from_str(&room.ask("SELECT snapshot FROM switchback_runs")).unwrap();
    let file = json["path"].as_str().unwrap();
    std::fs::write(file, "something else").unwrap();
    let _ = room
        .on("rollback", &["prune", LIVE])
        .code(1)
        .says(&["is not the snapshot that was taken, and stays"]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "something else");
}

fn a_shape_that_was_pointed_at_another_table_deletes_nothing_there(case: Case) {
    let (room, run) = applied(case);
    room.sql(
        "UPDATE switchback_names SET name = replace(name, '\"table\":\"person\"', '\"table\":\"others\"')
         WHERE kind = 'shape'",
    );
    let done = room.on("rollback", &[&run, "--outside-window", "--force", LIVE]);
    let _ = done.code(4).says(&["what the ledger says of table"]);
    assert_eq!(room.ask("SELECT count(*) FROM others"), "2");
    let _ = room.on("verify", &[&run]).code(1);
}

fn a_lowered_last_change_hides_no_rows(case: Case) {
    let (room, run) = applied(case);
    refused(&room, &run, "last_seq = 1", "the number of its last change");
    // Of a run that was interrupted no entry says how far it wrote.
    room.sql(
        "DELETE FROM switchback_audit WHERE action = 'migration:completed';
         UPDATE switchback_runs SET status = 'in-progress', ended = NULL",
    );
    refused(&room, &run, "last_seq = 1", "behind number 1, its last one");
}

fn a_run_that_is_said_to_be_rolled_back_is_not(case: Case) {
    let (room, run) = applied(case);
    let set = "status = 'rolled-back'";
    refused(&room, &run, set, "does not say that it was rolled back");
}

fn counters_that_do_not_read_are_damage(case: Case) {
    let (room, run) = applied(case);
    refused(&room, &run, "counters = 'none'", "the counters of run");
    refused(
        &room,
        &run,
        "counters = '{\"person\":[1,9]}'",
        "its counters is not",
    );
}

fn a_trail_that_was_changed_confirms_nothing(case: Case) {
    let (room, run) = applied(case);
    room.sql("UPDATE switchback_audit SET operator = 'eve' WHERE seq = 1");
    let _ = room
        .on("rollback", &[&run, "--outside-window", LIVE])
        .code(4)
        .says(&["entry 1 of the audit trail does not follow"]);
    assert_eq!(room.ask("SELECT count(*) FROM person"), "2");
}

fn a_run_that_was_changed_is_not_resumed(case: Case) {
    let sources = [("people.csv", "id,name\n1,Ann\n2,Bo\n3,Mallory\n")];
    let room = Room::with(case, PLAN, &sources, SCHEMA);
    room.bundle("B");
    let _ = room.on("apply", &["B", "--batch-size=1", LIVE]).code(3);
    let last = room.ask("SELECT last_seq FROM switchback_runs");
    room.sql("UPDATE switchback_runs SET last_seq = 1");
    let args = ["B", "--resume", LIVE];
    let _ = room
        .on("apply", &args)
        .code(4)
        .says(&["the number of its last change is not what"]);
    let args = ["B", "--resolve", "enough", LIVE];
    let _ = room.on("apply", &args).code(4).says(&["the number of its"]);
    room.sql(&format!("UPDATE switchback_runs SET last_seq = {last}"));
    let _ = room.on("apply", &args).code(0);
}

fn rows_that_moved_in_tables_without_a_plan_are_confirmed(case: Case) {
    let plan = r#"
name = "import"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
match = ["name"]
on_match = "update"
id = { column = "id", from = "uuid" }
fields.name = { from = "name" }
[[entity]]
name = "visit"
source = { format = "csv", files = ["visits.csv"], key = "id" }
table = "visit"
id = { column = "id", from = "key" }
fields.person = { from = "person", ref = "person" }
"#;
    let mapping = r#"
name = "mapping"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["moved.csv"], key = "id" }
table = "person"
id = { column = "id", from = "uuid" }
op = "remap"
to = "to"
"#;
    let sources = [
        ("people.csv", "id,name\n1,Ann\n"),
        ("visits.csv", "id,person\nv1,1\n"),
        ("moved.csv", "id,to\n1,R2\n"),
    ];
    let schema = "CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT);
        CREATE TABLE visit (id TEXT PRIMARY KEY, person TEXT REFERENCES person (id));
        CREATE TABLE others (id TEXT PRIMARY KEY, person TEXT);
        INSERT INTO person VALUES ('R1', 'Ann'), ('R2', 'Anne'); INSERT INTO others VALUES ('v1', 'R2');";
    let room = Room::with(case, plan, &sources, schema);
    room.bundle("B");
    room.apply("B");
    room.write("migration.toml", mapping);
    room.bundle("M");
    let run = room.apply("M");
    assert_eq!(room.ask("SELECT person FROM visit"), "R2");
    let _ = room.on("verify", &[&run]).code(0);
    let point = |from: &str, to: &str| {
        room.sql(&format!(
            "UPDATE switchback_names SET name = replace(name, '\"table\":\"{from}\"', '\"table\":\"{to}\"')
             WHERE kind = 'shape'"
        ));
    };
    point("visit", "others");
    let _ = room
        .on("rollback", &[&run])
        .code(4)
        .says(&["what the ledger says of table"]);
    assert_eq!(room.ask("SELECT person FROM others"), "R2");
    let _ = room.on("verify", &[&run]).code(1);
    point("others", "visit");
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT person FROM visit"), "R1");
}

fn a_kept_hash_of_the_trail_is_looked_for_in_the_chain(case: Case) {
    let (room, run) = applied(case);
    let audit = |args: &[&str]| {
        let args: Vec<&str> = ["audit"].iter().chain(args).copied().collect();
        room.on("verify", &args)
    };
    let said: Value = serde_json::from_str(audit(&["--json"]).code(0).out.trim()).unwrap();
    let head = said["head"].as_str().unwrap();
    let _ = audit(&[]).code(0).prints(&[&format!("head {head}")]);
    let back = room.on("rollback", &[&run, "--outside-window", LIVE]);
    let _ = back.code(0);
    let since = audit(&["--since", head]).code(0);
    assert!(since.out.contains("rollback:level1") && !since.out.contains("migration:started"));
    let _ = audit(&["--since", "2024-01-01"]).code(2);
    let _ = audit(&["--since", &"0".repeat(64)])
        .code(1)
        .prints(&["no entry has the hash"]);
    // Somebody takes the end off, and the chain is whole as far as it goes.
    room.sql("DELETE FROM switchback_audit WHERE seq > 1");
    let _ = audit(&["--since", head])
        .code(1)
        .prints(&["no entry has the hash"]);
}
