//! `--dry-run --save` and `--expect`: a run does what its dry run said, or it does nothing.

use std::time::Duration;

use tests::{Case, Db, Room, command, spawn};

tests::both!(
    a_run_that_does_what_was_expected_goes_through,
    a_row_that_changed_since_is_named_with_its_record,
    a_row_that_is_there_now_is_named_with_what_would_be_done,
    other_tables_codes_batches_targets_and_bundles_are_refused_by_name,
    a_file_that_was_cut_or_changed_is_refused,
    a_dry_run_that_is_broken_off_leaves_no_file,
    a_decision_that_changes_while_the_run_is_under_way_undoes_its_batch_and_stops,
    ids_that_the_target_assigns_and_late_references_hold_too,
    a_run_that_was_killed_goes_on_under_the_same_expectation,
);

/// A copy of the members example with its bundle, and a dry run's decisions.
fn members(case: Case) -> Room {
    let room = Room::example(case, "members");
    room.bundle("B");
    room.on("apply", &["B", "--dry-run", "--save", "said"])
        .code(0);
    room
}

fn refused(room: &Room, says: &[&str]) {
    let before = room.dump();
    room.on("apply", &["B", "--expect", "said"])
        .code(4)
        .says(says);
    assert_eq!(room.dump(), before);
    assert!(!room.db.has_ledger(), "not even a ledger was made");
}

fn a_run_that_does_what_was_expected_goes_through(case: Case) {
    let room = members(case);
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
    assert_eq!(room.ask("SELECT count(*) FROM \"Member\""), "41");
}

fn a_row_that_changed_since_is_named_with_its_record(case: Case) {
    let room = members(case);
    room.sql("UPDATE \"Member\" SET phone = '1' WHERE id = '3e000000-0000-4000-8000-000000000001'");
    let says = [
        "wa-members-export.csv:4: member WA003: expected unchanged",
        "found",
    ];
    refused(&room, &says);
}

fn a_row_that_is_there_now_is_named_with_what_would_be_done(case: Case) {
    let room = members(case);
    room.sql(
        "INSERT INTO \"Event\" (id, title, \"startTime\", \"updatedAt\") \
         SELECT '3e000000-0000-4000-8000-00000000000e', title, \"startTime\", \"updatedAt\" FROM \"Event\" LIMIT 1; \
         DELETE FROM \"Member\" WHERE id = '3e000000-0000-4000-8000-000000000001'",
    );
    let says = [
        "wa-members-export.csv:4: member WA003: expected unchanged",
        "found created",
    ];
    refused(&room, &says);
}

fn other_tables_codes_batches_targets_and_bundles_are_refused_by_name(case: Case) {
    let room = members(case);
    room.on("apply", &["B", "--expect", "said", "--batch-size", "7"])
        .code(4)
        .says(&["batch size: expected 50, found 7"]);
    let other = room.db.copy(&room.path("other.db")).url();
    room.run("apply", &["B", "--expect", "said", "--to", &other])
        .code(4)
        .says(&["target: expected ", other.rsplit('/').next().unwrap()]);
    room.sql("ALTER TABLE \"Member\" ADD COLUMN nick TEXT");
    refused(&room, &["catalogue of the tables: expected"]);
    let room = members(case);
    let others = "UPDATE \"MembershipStatus\" SET id = '5a000000-0000-4000-8000-0000000000ff' WHERE code = 'ALUMNI'";
    room.sql(&case.either(
        format!("PRAGMA foreign_keys = OFF; {others}"),
        others.into(),
    ));
    refused(&room, &["codes looked up: expected"]);
    let room = members(case);
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

fn a_file_that_was_cut_or_changed_is_refused(case: Case) {
    let room = members(case);
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

fn a_dry_run_that_is_broken_off_leaves_no_file(case: Case) {
    let room = Room::example(case, "members");
    room.bundle("B");
    room.on(
        "apply",
        &["B", "--dry-run", "--save", "said", "--max-seconds", "0"],
    )
    .code(1)
    .says(&["said is not written"]);
    assert!(!room.path("said").exists());
}

/// Leaves two seconds for what others do meanwhile.
const SLOWLY: &str = "--max-rows-per-second=100";

/// Waits for a live run's first batch.
fn begun(db: &Db) {
    while !db.has_ledger() || db.ask("SELECT count(*) FROM switchback_batches") == "0" {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// 200 records to insert and one to update, and what a dry run says of them.
fn one_batch_a_commit(case: Case) -> Room {
    // A constraint that is checked at COMMIT: one batch a commit.
    let room = Room::with(
        case,
        "name = \"p\"\nsystem = \"s\"\n[[entity]]\nname = \"a\"\ntable = \"a\"\nid = { column = \"id\", from = \"key\" }\n\
         on_match = \"update\"\nsource = { format = \"csv\", files = [\"a.csv\"], key = \"id\" }\n\
         fields.name = { from = \"name\" }\n",
        &[],
        "CREATE TABLE a (id TEXT PRIMARY KEY, name TEXT, up TEXT REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED); \
         INSERT INTO a (id, name) VALUES ('last', 'old')",
    );
    let lines: Vec<String> = (1..=200).map(|id| format!("{id},new")).collect();
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

fn a_decision_that_changes_while_the_run_is_under_way_undoes_its_batch_and_stops(case: Case) {
    let room = one_batch_a_commit(case);
    let size = "--batch-size=1";
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            begun(&room.db);
            room.sql("UPDATE a SET name = 'other' WHERE id = 'last'");
        });
        room.on(
            "apply",
            &["B", "--expect", "said", size, SLOWLY, "--continue-on-error"],
        )
    });
    let said = "a decision changed since the run began: a.csv:202: a last: expected updated last (name), \
                found that the row has changed since";
    let done = done.code(3).says(&[said]);
    assert_eq!(room.ask("SELECT count(*), max(name) FROM a"), "201|other");
    let run = format!(
        "SELECT status, reason FROM switchback_runs WHERE id = '{}'",
        done.id()
    );
    assert_eq!(room.ask(&run), format!("failed|{said}"));
    room.on("rollback", &[&done.id()]).code(0);
    assert_eq!(room.ask("SELECT count(*), max(name) FROM a"), "1|other");
}

fn ids_that_the_target_assigns_and_late_references_hold_too(case: Case) {
    let room = Room::with(
        case,
        "name = \"p\"\nsystem = \"s\"\nzone = \"UTC\"\n[[entity]]\nname = \"node\"\ntable = \"node\"\n\
         id = { column = \"id\", from = \"target\" }\nmatch = [\"code\"]\non_match = \"update\"\n\
         source = { format = \"csv\", files = [\"n.csv\"], key = \"code\" }\nfields.code = { from = \"code\" }\n\
         fields.peer = { from = \"peer\", ref = \"node\", late = true }\nfields.stamped = { run = \"started_at\" }\n",
        &[("n.csv", "code,peer\na,b\nb,c\nc,a\nd,d\n")],
        "CREATE TABLE node (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT UNIQUE, peer INTEGER REFERENCES node (id), \
         stamped TEXT); INSERT INTO node (id, code) VALUES (7, 'b')",
    );
    room.bundle("B");
    room.on("apply", &["B", "--dry-run", "--save", "said"])
        .code(0);
    let said = room.read("said");
    assert_eq!(said.matches("\"created\"").count(), 3);
    assert_eq!(said.matches("\"linked\"").count(), 4);
    room.on("apply", &["B", "--expect", "said"]).code(0);
    let peers = "SELECT string_agg(a.code || b.code, ',' ORDER BY a.code) FROM node a JOIN node b ON b.id = a.peer";
    assert_eq!(room.ask(peers), "ab,bc,ca,dd");
}

fn a_run_that_was_killed_goes_on_under_the_same_expectation(case: Case) {
    let room = one_batch_a_commit(case);
    let url = room.url();
    let args = [
        "B",
        "--expect",
        "said",
        "--batch-size=1",
        SLOWLY,
        "--to",
        &url,
    ];
    let mut child = spawn(&mut command("apply", &room.path(""), args));
    begun(&room.db);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(
        room.ask("SELECT count(*) FROM a"),
        "201",
        "it was killed too late"
    );
    room.on("apply", &["B", "--expect", "said", "--resume"])
        .code(0);
    assert_eq!(room.ask("SELECT count(*), min(name) FROM a"), "201|new");
}
