//! Corrections of the id map (`op = "remap"`): what refers to a record goes with it, and nothing that the
//! runs themselves wrote is taken for an edit of a person's.

use tests::db::same;
use tests::{Case, Done, Room};

tests::both!(
    what_refers_to_a_corrected_record_moves_with_it_and_comes_back,
    the_same_import_after_a_correction_is_unchanged_and_finds_no_edits,
    a_later_export_splits_nothing,
    rows_that_people_pointed_there_are_listed_and_left,
    entries_are_exchanged_in_one_commit_whatever_the_size_of_a_batch,
    a_row_that_another_record_has_in_the_end_is_refused_and_nothing_moves,
    an_entry_may_be_corrected_before_anything_was_imported,
    a_row_that_can_not_be_moved_is_named_and_nothing_moves,
    a_correction_by_the_imports_own_plan_stamps_what_it_moves,
    a_run_that_is_interrupted_by_a_fault_later_on_resumes_the_rest,
    a_code_that_resolves_to_another_row_now_is_written_and_is_no_edit,
    a_reference_to_a_row_that_was_made_again_is_written_and_is_no_edit,
    what_changed_in_both_places_is_decided_by_on_drift,
);

const SCHEMA: &str = "
CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT NOT NULL, sponsor TEXT REFERENCES member (id));
CREATE TABLE registration (id TEXT PRIMARY KEY, event TEXT NOT NULL, member TEXT NOT NULL REFERENCES member (id),
  guest TEXT REFERENCES member (id), stamp TEXT);
CREATE INDEX registration_member ON registration (member);
INSERT INTO member VALUES ('R1', 'Ann', NULL), ('R2', 'Anne', NULL), ('R3', 'Bob', NULL), ('R4', 'Bobby', NULL);";

/// `more` goes into the entity of members, `stamp` among the fields of registrations.
fn plan(more: &str, stamp: &str) -> String {
    format!(
        r#"
name = "club"
system = "old"
[[entity]]
name = "member"
source = {{ format = "csv", files = ["members.csv"], key = "id" }}
table = "member"
id = {{ column = "id", from = "uuid" }}
match = ["name"]
on_match = "update"
{more}
[entity.fields]
name = {{ from = "name", required = true }}
sponsor = {{ from = "sponsor", ref = "member" }}
[[entity]]
name = "registration"
source = {{ format = "csv", files = ["registrations.csv"], key = "id" }}
table = "registration"
id = {{ column = "id", from = "key" }}
[entity.fields]
event = {{ from = "event", required = true }}
member = {{ from = "member", ref = "member", required = true, outside = "target" }}
guest = {{ from = "guest", ref = "member", outside = "target" }}
{stamp}
"#
    )
}

/// A plan that knows nothing but the records to be corrected.
const MAPPING: &str = r#"
name = "mapping"
system = "old"
[[entity]]
name = "member"
source = { format = "csv", files = ["moved.csv"], key = "id" }
table = "member"
id = { column = "id", from = "uuid" }
op = "remap"
to = "to"
"#;

const MEMBERS: &str = "id,name,sponsor\nWA001,Ann,\nWA002,Bob,WA001\n";
const REGISTRATIONS: &str =
    "id,event,member,guest\ng1,Ball,WA001,\ng2,Fair,WA001,WA002\ng3,Ball,WA002,WA001\n";

/// A room in which the import was applied once.
fn imported(case: Case) -> (Room, String) {
    let sources = [
        ("members.csv", MEMBERS),
        ("registrations.csv", REGISTRATIONS),
    ];
    let room = Room::with(case, &plan("", ""), &sources, SCHEMA);
    room.bundle("B");
    let run = room.on("apply", &["B"]).code(0).id();
    assert_eq!(members(&room), "g1 R1 - ; g2 R1 R3 ; g3 R3 R1");
    (room, run)
}

/// The members of every registration.
fn members(room: &Room) -> String {
    room.ask(
        "SELECT string_agg(id || ' ' || member || ' ' || coalesce(guest, '-'), ' ; ' ORDER BY id) FROM registration",
    )
}

fn sponsor(room: &Room, of: &str) -> String {
    room.ask(&format!("SELECT sponsor FROM member WHERE id = '{of}'"))
}

/// Bundles corrections (lines `KEY,TARGET`) as `M`.
fn corrections(room: &Room, lines: &str) {
    room.write("migration.toml", MAPPING);
    room.write("moved.csv", format!("id,to\n{lines}"));
    if room.path("M").exists() {
        std::fs::remove_dir_all(room.path("M")).unwrap();
    }
    room.bundle("M");
    room.write("migration.toml", plan("", ""));
}

fn corrected(room: &Room, lines: &str) -> Done {
    corrections(room, lines);
    room.on("apply", &["M"]).code(0)
}

fn what_refers_to_a_corrected_record_moves_with_it_and_comes_back(case: Case) {
    let (room, import) = imported(case);
    let before = room.dump();
    let ids = room
        .db
        .rows("SELECT * FROM switchback_ids ORDER BY entity, source");
    corrections(&room, "WA001,R2\n");
    let says = [
        "moved.csv:2: member WA001: 3 rows of registration moved from R1 to R2",
        "moved.csv:2: member WA001: 1 row of member moved from R1 to R2",
        "1 updated, 0 unchanged, 4 rows that refer to them moved",
    ];
    let _ = room.on("apply", &["M", "--dry-run"]).code(0).says(&says);
    same(&room.dump(), &before, "a dry run writes nothing");
    let run = room.on("apply", &["M"]).code(0).says(&says).id();
    assert_eq!(members(&room), "g1 R2 - ; g2 R2 R3 ; g3 R3 R2");
    assert_eq!(sponsor(&room, "R3"), "R2");
    let detail = "SELECT (detail ->> 'old') || (detail ->> 'new') || (detail ->> 'moved') \
                  FROM switchback_audit WHERE action = 'migration:mapping:corrected'";
    assert_eq!(room.ask(detail), "R1R24");
    for run in [&run, &import] {
        let _ = room.on("verify", &[run]).code(0);
    }
    let _ = room.on("rollback", &[&run, "--check"]).code(0);
    let _ = room
        .on("rollback", &[&run, "--fingerprint"])
        .code(0)
        .says(&["registration: 3 of 3 rows are what they were"]);
    same(&room.dump(), &before, "what refers to it is back");
    let again = room
        .db
        .rows("SELECT * FROM switchback_ids ORDER BY entity, source");
    assert_eq!(again, ids, "and so is the id map");
    for run in [&run, &import] {
        let _ = room.on("verify", &[run]).code(0);
    }
}

fn the_same_import_after_a_correction_is_unchanged_and_finds_no_edits(case: Case) {
    let (room, _) = imported(case);
    let _ = corrected(&room, "WA001,R2\n");
    let done = room.on("apply", &["B"]).code(0);
    assert!(!done.err.contains("edited"), "{}", done.err);
    // The record's values go into its new row; nothing else is touched.
    let _ = done.says(&["0 created, 1 updated, 4 unchanged"]);
    assert_eq!(room.ask("SELECT name FROM member WHERE id = 'R2'"), "Ann");
    assert_eq!(members(&room), "g1 R2 - ; g2 R2 R3 ; g3 R3 R2");
    let _ = room
        .on("apply", &["B"])
        .code(0)
        .says(&["0 created, 0 updated, 5 unchanged"]);
}

fn a_later_export_splits_nothing(case: Case) {
    let (room, _) = imported(case);
    let _ = corrected(&room, "WA001,R2\n");
    // Two of one name would be a duplicate, which verify tells.
    room.sql("DELETE FROM member WHERE id = 'R1'");
    let later = REGISTRATIONS.replace("g1,Ball", "g1,Gala");
    room.write("registrations.csv", later);
    room.bundle("C");
    let run = room.on("apply", &["C"]).code(0).id();
    assert_eq!(members(&room), "g1 R2 - ; g2 R2 R3 ; g3 R3 R2");
    let _ = room.on("verify", &[&run]).code(0);
}

fn rows_that_people_pointed_there_are_listed_and_left(case: Case) {
    let (room, _) = imported(case);
    room.sql("INSERT INTO registration (id, event, member) VALUES ('own', 'Tea', 'R1')");
    // What a person pointed there is that person's, though a run knows the row.
    room.sql("UPDATE registration SET member = 'R1' WHERE id = 'g3'");
    let done = corrected(&room, "WA001,R2\n");
    let run = done.id();
    let _ = done.says(&[
        "2 rows of registration by member = R1 (g3, own)",
        "3 rows of registration moved from R1 to R2",
    ]);
    assert_eq!(
        members(&room),
        "g1 R2 - ; g2 R2 R3 ; g3 R1 R2 ; own R1 -",
        "of g3 the guest alone is what a run wrote"
    );
    let verified = room.on("verify", &[&run]).code(0);
    for row in ["g3", "own"] {
        assert!(verified.out.contains(row), "{}", verified.out);
    }
    let says = "it still points to R1 of member, which member WA001 was before";
    assert!(verified.out.contains(says), "{}", verified.out);
}

fn entries_are_exchanged_in_one_commit_whatever_the_size_of_a_batch(case: Case) {
    for size in ["1", "50"] {
        let (room, _) = imported(case);
        let before = room.dump();
        corrections(&room, "WA001,R3\nWA002,R1\n");
        let _ = room
            .on("apply", &["M", "--batch-size", size, "--dry-run"])
            .code(0);
        let run = room
            .on("apply", &["M", "--batch-size", size])
            .code(0)
            .says(&["0 created, 2 updated"])
            .id();
        assert_eq!(members(&room), "g1 R3 - ; g2 R3 R1 ; g3 R1 R3");
        assert_eq!(sponsor(&room, "R3"), "R3", "the row of Bob refers to WA001");
        assert_eq!(
            room.ask(&format!(
                "SELECT count(DISTINCT batch) FROM switchback_changes WHERE run = (SELECT seq FROM switchback_runs WHERE id = '{run}')"
            )),
            "1",
            "all of them in one commit"
        );
        let _ = room.on("verify", &[&run]).code(0);
        let _ = room.on("rollback", &[&run]).code(0);
        same(&room.dump(), &before, "exchanged again");
        let _ = room.on("verify", &[&run]).code(0);
    }
}

fn a_row_that_another_record_has_in_the_end_is_refused_and_nothing_moves(case: Case) {
    let (room, _) = imported(case);
    let before = room.dump();
    for (lines, line) in [
        ("WA001,R3\n", 2),
        ("WA001,R3\nWA002,R3\n", 2),
        ("WA001,R2\nWA002,R2\n", 3),
    ] {
        corrections(&room, lines);
        let said = format!("moved.csv:{line}: member WA00");
        let _ = room
            .on("apply", &["M"])
            .code(3)
            .says(&[&said, "it is the row R", "already"]);
        same(&room.dump(), &before, "nothing moved");
    }
}

fn an_entry_may_be_corrected_before_anything_was_imported(case: Case) {
    let sources = [
        ("members.csv", MEMBERS),
        ("registrations.csv", REGISTRATIONS),
    ];
    let room = Room::with(case, &plan("", ""), &sources, SCHEMA);
    room.sql("DELETE FROM member WHERE id = 'R1'");
    let before = room.dump();
    let first = corrected(&room, "WA001,R2\n").id();
    assert_eq!(room.ask("SELECT count(*) FROM switchback_ids"), "1");
    let _ = room.on("verify", &[&first]).code(0);
    room.bundle("B");
    let run = room.on("apply", &["B"]).code(0).id();
    assert_eq!(members(&room), "g1 R2 - ; g2 R2 R3 ; g3 R3 R2");
    assert_eq!(
        room.ask("SELECT count(*) FROM member"),
        "3",
        "no row was made"
    );
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    let _ = room.on("rollback", &[&first]).code(0);
    same(&room.dump(), &before, "nothing is left");
    assert_eq!(room.ask("SELECT count(*) FROM switchback_ids"), "0");
}

fn a_row_that_can_not_be_moved_is_named_and_nothing_moves(case: Case) {
    let (room, _) = imported(case);
    room.sql("CREATE UNIQUE INDEX once ON registration (event, member)");
    room.sql("INSERT INTO registration (id, event, member) VALUES ('own', 'Fair', 'R2')");
    let before = room.dump();
    corrections(&room, "WA001,R2\nWA002,R4\n");
    let _ = room.on("apply", &["M"]).code(3).says(&[
        "moved.csv:2: member WA001: registration g2, which refers to it, can't be moved with it",
    ]);
    same(&room.dump(), &before, "nothing moved");
    // The other correction is not at fault.
    let _ = room
        .on(
            "apply",
            &["M", "--on-error", "record", "--max-failed-percent", "60"],
        )
        .code(3);
    assert_eq!(members(&room), "g1 R1 - ; g2 R1 R4 ; g3 R4 R1 ; own R2 -");
}

fn a_correction_by_the_imports_own_plan_stamps_what_it_moves(case: Case) {
    let op = "op = { from = \"op\", values = { put = \"put\", move = \"remap\" } }\nto = \"to\"";
    let own = plan(op, "stamp = { run = \"id\" }");
    let sources = [
        (
            "members.csv",
            "id,name,sponsor,op,to\nWA001,Ann,,put,\nWA002,Bob,WA001,put,\n",
        ),
        ("registrations.csv", REGISTRATIONS),
    ];
    let room = Room::with(case, &own, &sources, SCHEMA);
    room.bundle("B");
    let _ = room.on("apply", &["B"]).code(0);
    let before = room.dump();
    room.write(
        "members.csv",
        "id,name,sponsor,op,to\nWA001,,,move,R2\nWA002,Bob,WA001,put,\n",
    );
    room.bundle("C");
    let done = room.on("apply", &["C"]).code(0);
    let run = done.id();
    assert!(!done.err.contains("edited"), "{}", done.err);
    assert_eq!(members(&room), "g1 R2 - ; g2 R2 R3 ; g3 R3 R2");
    assert_eq!(sponsor(&room, "R3"), "R2");
    assert_eq!(
        room.ask(&format!(
            "SELECT count(*) FROM registration WHERE stamp = '{run}'"
        )),
        "3"
    );
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "all of it is back");
}

fn a_run_that_is_interrupted_by_a_fault_later_on_resumes_the_rest(case: Case) {
    let (room, _) = imported(case);
    let before = room.dump();
    corrections(&room, "WA001,R2\nWA002,R9\n");
    let run = room.on("apply", &["M", "--batch-size", "1"]).code(3).id();
    assert_eq!(members(&room), "g1 R2 - ; g2 R2 R3 ; g3 R3 R2");
    room.sql("INSERT INTO member VALUES ('R9', 'Bobo', NULL)");
    let resume = format!("--resume={run}");
    let _ = room
        .on("apply", &["M", &resume])
        .code(0)
        .says(&["2 updated"]);
    assert_eq!(members(&room), "g1 R2 - ; g2 R2 R9 ; g3 R9 R2");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    room.sql("DELETE FROM member WHERE id = 'R9'");
    same(&room.dump(), &before, "both commits are taken back");
}

/// Statuses that are looked up by code.
const LOOKED_UP: &str = r#"
name = "club"
system = "old"
[[entity]]
name = "member"
source = { format = "csv", files = ["a.csv"], key = "id" }
table = "member"
id = { column = "id", from = "key" }
[entity.fields]
status = { from = "status", lookup = { table = "status", by = "code" } }
"#;

fn a_code_that_resolves_to_another_row_now_is_written_and_is_no_edit(case: Case) {
    let schema = "CREATE TABLE status (id TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE);
                  CREATE TABLE member (id TEXT PRIMARY KEY, status TEXT REFERENCES status (id));
                  INSERT INTO status VALUES ('s1', 'NEW'), ('s2', 'FORMER');";
    let room = Room::with(
        case,
        LOOKED_UP,
        &[("a.csv", "id,status\na,NEW\nb,NEW\n")],
        schema,
    );
    room.bundle("B");
    let _ = room.on("apply", &["B"]).code(0);
    room.sql("UPDATE status SET code = 'OLD' WHERE id = 's1'");
    room.sql("UPDATE status SET code = 'NEW' WHERE id = 's2'");
    let done = room.on("apply", &["B"]).code(0);
    assert!(!done.err.contains("edited"), "{}", done.err);
    let _ = done.says(&["0 created, 2 updated, 0 unchanged"]);
    assert_eq!(
        room.ask("SELECT string_agg(status, ',') FROM member"),
        "s2,s2"
    );
    let _ = room
        .on("apply", &["B"])
        .code(0)
        .says(&["0 created, 0 updated, 2 unchanged"]);
}

/// Parents that the target numbers, and children.
fn numbered(children: &str) -> String {
    format!(
        r#"
name = "n"
system = "old"
[[entity]]
name = "team"
source = {{ format = "csv", files = ["teams.csv"], key = "id" }}
table = "team"
id = {{ column = "id", from = "target" }}
on_gone = "recreate"
[entity.fields]
name = {{ from = "name" }}
[[entity]]
name = "player"
source = {{ format = "csv", files = ["players.csv"], key = "id" }}
table = "player"
id = {{ column = "id", from = "key" }}
{children}
[entity.fields]
team = {{ from = "team", ref = "team" }}
"#
    )
}

fn teams(case: Case, children: &str) -> Room {
    let schema = "CREATE TABLE team (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
                  CREATE TABLE player (id TEXT PRIMARY KEY, team BIGINT);";
    let sources = [
        ("teams.csv", "id,name\nt,Red\n"),
        ("players.csv", "id,team\np,t\nq,t\n"),
    ];
    let room = Room::with(case, &numbered(children), &sources, schema);
    room.bundle("B");
    let _ = room.on("apply", &["B"]).code(0);
    assert_eq!(
        room.ask("SELECT string_agg(CAST(team AS TEXT), ',') FROM player"),
        "1,1"
    );
    // Somebody deleted it; it is made again, under another number.
    room.sql("DELETE FROM team");
    room
}

fn a_reference_to_a_row_that_was_made_again_is_written_and_is_no_edit(case: Case) {
    let room = teams(case, "");
    let done = room.on("apply", &["B"]).code(0);
    assert!(!done.err.contains("edited"), "{}", done.err);
    let _ = done.says(&["1 created, 2 updated, 0 unchanged"]);
    assert_eq!(
        room.ask("SELECT string_agg(CAST(team AS TEXT), ',') FROM player"),
        "2,2"
    );
}

fn what_changed_in_both_places_is_decided_by_on_drift(case: Case) {
    for (choice, team) in [("overwrite", "2"), ("keep", "7")] {
        let room = teams(case, &format!("on_drift = \"{choice}\""));
        room.sql("UPDATE player SET team = 7 WHERE id = 'p'");
        let _ = room.on("apply", &["B"]).code(0).says(&["edited since"]);
        assert_eq!(room.ask("SELECT team FROM player WHERE id = 'p'"), team);
        assert_eq!(room.ask("SELECT team FROM player WHERE id = 'q'"), "2");
    }
    let room = teams(case, "");
    room.sql("UPDATE player SET team = 7 WHERE id = 'p'");
    let _ = room
        .on("apply", &["B"])
        .code(3)
        .says(&["it changed in the source (now 2) and in the target (now 7)"]);
}
