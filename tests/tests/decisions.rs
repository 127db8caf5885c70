//! `--dry-run --save` and `--expect`: a run does what its dry run said, or it does nothing.

use tests::{Room, Target, command, spawn};

/// A copy of the members example with its bundle, and a dry run's decisions.
fn members() -> Room {
    let room = Room::example(Target::Sqlite, "members");
    room.bundle("B");
    room.on("apply", &["B", "--dry-run", "--save", "said"])
        .code(0);
    room
}

fn refused(room: &Room, says: &[&str]) {
    let before = room.dump();
    let runs = room.ask("SELECT count(*) FROM sqlite_master WHERE name = 'switchback_runs'");
    room.on("apply", &["B", "--expect", "said"])
        .code(4)
        .says(says);
    assert_eq!(room.dump(), before);
    let after = room.ask("SELECT count(*) FROM sqlite_master WHERE name = 'switchback_runs'");
    assert_eq!(after, runs, "not even a ledger was made");
}

#[test]
fn a_run_that_does_what_was_expected_goes_through() {
    let room = members();
    let lines = room.read("said");
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["end"]["decisions"], 302);
    assert_eq!(lines.lines().count(), 304);
    room.on("apply", &["B", "--dry-run", "--save", "again"])
        .code(0);
    assert_eq!(
        room.read("again"),
        lines,
        "the same decisions, the same bytes"
    );
    room.on("apply", &["B", "--expect", "said"]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM Member"), "41");
}

#[test]
fn a_row_that_changed_since_is_named_with_its_record() {
    let room = members();
    room.sql("UPDATE Member SET phone = '1' WHERE id = '3e000000-0000-4000-8000-000000000001'");
    let says = [
        "wa-members-export.csv:4: member WA003: expected unchanged",
        "found",
    ];
    refused(&room, &says);
}

#[test]
fn a_row_that_is_there_now_is_named_with_what_would_be_done() {
    let room = members();
    room.sql(
        "INSERT INTO Event (id, title, startTime, updatedAt) SELECT id || 'x', title, startTime, updatedAt FROM Event; \
         DELETE FROM Member WHERE id = '3e000000-0000-4000-8000-000000000001'",
    );
    let says = [
        "wa-members-export.csv:4: member WA003: expected unchanged",
        "found created",
    ];
    refused(&room, &says);
}

#[test]
fn other_tables_codes_batches_targets_and_bundles_are_refused_by_name() {
    let room = members();
    room.on("apply", &["B", "--expect", "said", "--batch-size", "7"])
        .code(4)
        .says(&["batch size: expected 50, found 7"]);
    std::fs::copy(room.path("t.db"), room.path("other.db")).unwrap();
    let other = format!("sqlite:{}", room.path("other.db").display());
    room.run("apply", &["B", "--expect", "said", "--to", &other])
        .code(4)
        .says(&["target: expected sqlite:", "other.db"]);
    room.sql("ALTER TABLE Member ADD COLUMN nick TEXT");
    refused(&room, &["catalogue of the tables: expected"]);
    let room = members();
    room.sql(
        "PRAGMA foreign_keys = OFF; UPDATE MembershipStatus SET id = 'new' WHERE code = 'ALUMNI'",
    );
    refused(&room, &["codes looked up: expected"]);
    let room = members();
    room.mend(
        "migration.toml",
        "name   = \"members\"",
        "name   = \"others\"",
    );
    room.run("bundle", &["show", "B"]).code(0);
    room.bundle("C");
    room.on("apply", &["C", "--expect", "said"])
        .code(4)
        .says(&["bundle: expected"]);
}

#[test]
fn a_file_that_was_cut_or_changed_is_refused() {
    let room = members();
    let whole = room.read("said");
    let lines: Vec<&str> = whole.lines().collect();
    for cut in [0, 1, whole.len() / 2, whole.len() - 80] {
        room.write("said", &whole[..cut]);
        refused(&room, &["said: its last line is missing"]);
    }
    room.write(
        "said",
        format!("{}\n", [&lines[..5], &lines[6..]].concat().join("\n")),
    );
    refused(&room, &["said: it is not what its last line says"]);
    room.write("said", whole.replacen("\"created\"", "\"updated\"", 1));
    refused(&room, &["said: it is not what its last line says"]);
    std::fs::remove_file(room.path("said")).unwrap();
    room.on("apply", &["B", "--expect", "said"]).code(5);
}

#[test]
fn a_dry_run_that_is_broken_off_leaves_no_file() {
    let room = Room::example(Target::Sqlite, "members");
    room.bundle("B");
    room.on(
        "apply",
        &["B", "--dry-run", "--save", "said", "--max-seconds", "0"],
    )
    .code(1)
    .says(&["said is not written"]);
    assert!(!room.path("said").exists());
}

/// Waits for a live run's first batch, then writes between two of its commits.
fn write_in_between(path: &std::path::Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let begun = || {
        let count = "SELECT count(*) FROM switchback_batches";
        connection
            .query_row(count, [], |row| row.get(0))
            .unwrap_or(0)
    };
    while begun() == 0 {}
    while connection.execute_batch(sql).is_err() {}
}

/// 600 records to insert and one to update, and what a dry run says of them.
fn one_batch_a_commit() -> Room {
    // A constraint that is checked at COMMIT: one batch a commit.
    let room = Room::with(
        Target::Sqlite,
        "name = \"p\"\nsystem = \"s\"\n[[entity]]\nname = \"a\"\ntable = \"A\"\nid = { column = \"id\", from = \"key\" }\n\
         on_match = \"update\"\nsource = { format = \"csv\", files = [\"a.csv\"], key = \"id\" }\n\
         fields.name = { from = \"name\" }\n",
        &[],
        "CREATE TABLE A (id TEXT PRIMARY KEY, name TEXT, up TEXT REFERENCES A (id) DEFERRABLE INITIALLY DEFERRED); \
         INSERT INTO A (id, name) VALUES ('last', 'old')",
    );
    let lines: Vec<String> = (1..=600).map(|id| format!("{id},new")).collect();
    room.write(
        "a.csv",
        format!("id,name\n{}\nlast,new\n", lines.join("\n")),
    );
    room.bundle("B");
    room.on(
        "apply",
        &["B", "--dry-run", "--save", "said", "--batch-size=1"],
    )
    .code(0);
    room
}

#[test]
fn a_decision_that_changes_while_the_run_is_under_way_undoes_its_batch_and_stops() {
    let room = one_batch_a_commit();
    let size = "--batch-size=1";
    let path = room.path("t.db");
    let other = std::thread::spawn(move || {
        write_in_between(&path, "UPDATE A SET name = 'other' WHERE id = 'last'");
    });
    let done = room.on(
        "apply",
        &["B", "--expect", "said", size, "--continue-on-error"],
    );
    other.join().unwrap();
    let said = "a decision changed since the run began: a.csv:602: a last: expected updated last (name), \
                found that the row has changed since";
    let done = done.code(3).says(&[said]);
    assert_eq!(room.ask("SELECT count(*), max(name) FROM A"), "601|other");
    let run = format!(
        "SELECT status, reason FROM switchback_runs WHERE id = '{}'",
        done.id()
    );
    assert_eq!(room.ask(&run), format!("failed|{said}"));
    room.on("rollback", &[&done.id()]).code(0);
    assert_eq!(room.ask("SELECT count(*), max(name) FROM A"), "1|other");
}

#[test]
fn ids_that_the_target_assigns_and_late_references_hold_too() {
    let room = Room::with(
        Target::Sqlite,
        "name = \"p\"\nsystem = \"s\"\nzone = \"UTC\"\n[[entity]]\nname = \"node\"\ntable = \"Node\"\n\
         id = { column = \"id\", from = \"target\" }\nmatch = [\"code\"]\non_match = \"update\"\n\
         source = { format = \"csv\", files = [\"n.csv\"], key = \"code\" }\nfields.code = { from = \"code\" }\n\
         fields.peer = { from = \"peer\", ref = \"node\", late = true }\nfields.stamped = { run = \"started_at\" }\n",
        &[("n.csv", "code,peer\na,b\nb,c\nc,a\nd,d\n")],
        "CREATE TABLE Node (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT UNIQUE, peer INTEGER REFERENCES Node (id), \
         stamped TEXT); INSERT INTO Node (id, code) VALUES (7, 'b')",
    );
    room.bundle("B");
    room.on("apply", &["B", "--dry-run", "--save", "said"])
        .code(0);
    let said = room.read("said");
    assert_eq!(said.matches("\"created\"").count(), 3);
    assert_eq!(said.matches("\"linked\"").count(), 4);
    room.on("apply", &["B", "--expect", "said"]).code(0);
    let peers = "SELECT group_concat(a.code || b.code) FROM Node a JOIN Node b ON b.id = a.peer ORDER BY a.code";
    assert_eq!(room.ask(peers).len(), "ab,bc,ca,dd".len());
}

#[test]
fn a_run_that_was_killed_goes_on_under_the_same_expectation() {
    let room = one_batch_a_commit();
    let url = room.url();
    let args = ["B", "--expect", "said", "--batch-size=1", "--to", &url];
    let mut child = spawn(&mut command("apply", &room.path(""), args));
    write_in_between(&room.path("t.db"), "SELECT 1");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(
        room.ask("SELECT count(*) FROM A"),
        "601",
        "it was killed too late"
    );
    room.on("apply", &["B", "--expect", "said", "--resume"])
        .code(0);
    assert_eq!(room.ask("SELECT count(*), min(name) FROM A"), "601|new");
}
