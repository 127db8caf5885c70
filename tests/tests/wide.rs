//! Wide values. Of columns that a run does not touch they are hashed where they lie; others are held a few at a time.

use std::process::{Command, Stdio};
use std::time::Duration;

use tests::measure::peak;
use tests::{Case, Done, Room, command, finish, program, spawn};

tests::both!(
    wide_values_that_a_run_does_not_touch_take_no_memory,
    a_wide_value_that_others_change_since_is_told_from_what_it_was,
    a_deleted_row_comes_back_with_its_wide_values,
    a_trigger_that_comes_in_meanwhile_changes_no_wide_value_for_good,
    wide_values_that_a_run_writes_are_held_a_few_at_a_time,
    batches_of_wide_records_are_the_same_for_resume_and_verify,
);

const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["m.csv"], key = "id" }
fields = { name = { from = "name" } }

[[entity]]
name = "gone"
table = "member"
id = { column = "id", from = "key" }
op = "delete"
source = { format = "csv", files = ["gone.csv"], key = "id", allow_empty = true }
"#;

const MIB: usize = 1024 * 1024;

/// Some members with a text and bytes of so many bytes each, and an export that renames them all.
fn club(case: Case, members: usize, width: usize) -> Room {
    let bytes = case.either("BLOB", "bytea");
    let schema =
        format!("CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, note TEXT, picture {bytes})");
    let lines: Vec<String> = (0..members).map(|n| format!("{n},new {n}\n")).collect();
    let csv = format!("id,name\n{}", lines.concat());
    let room = Room::with(
        case,
        PLAN,
        &[("m.csv", &*csv), ("gone.csv", "id\n")],
        &schema,
    );
    let wide = case.either(
        format!(
            "replace(hex(zeroblob({})), '0', 'x'), zeroblob({width})",
            width / 2
        ),
        format!("repeat('x', {width}), decode(repeat('00', {width}), 'hex')"),
    );
    for n in 0..members {
        room.sql(&format!(
            "INSERT INTO member SELECT '{n}', 'old {n}', {wide}"
        ));
    }
    room
}

/// Runs a program with so much address space.
fn within(room: &Room, mib: usize, name: &str, args: &[&str]) -> Done {
    let shell = format!("ulimit -v {}; exec \"$0\" \"$@\"", mib * 1024);
    let mut command = Command::new("sh");
    command
        .args(["-c", &shell])
        .arg(program(name))
        .args(args)
        .args(["--to", &room.url()])
        .current_dir(room.path("."))
        .stdin(Stdio::null());
    command.output().unwrap().into()
}

fn wide_values_that_a_run_does_not_touch_take_no_memory(case: Case) {
    // 384 MiB, of which no program may hold more than 300.
    let room = club(case, 24, 8 * MIB);
    room.bundle("B");
    let run = within(&room, 300, "apply", &["B"]).code(0).id();
    let _ = within(&room, 300, "verify", &[&run, "--bundle", "B"]).code(0);
    let _ = within(&room, 300, "rollback", &[&run])
        .code(0)
        .says(&["24 of 24 rows are what they were"]);
    let _ = within(&room, 300, "verify", &[&run]).code(0);
    assert_eq!(
        room.ask("SELECT count(*) FROM member WHERE name LIKE 'old%'"),
        "24"
    );
}

/// Runs a program, which must stay below 256 MiB of memory; a build for tests on a busy machine gets an eighth more, since
/// its allocator gives back late.
#[track_caller]
fn lean(room: &Room, name: &str, args: &[&str]) -> Done {
    let mut command = command(name, &room.path(""), args);
    let mut child = spawn(command.args(["--to", &room.url()]));
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(peak(child.id()));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(most < 288 * 1024, "{name} took {most} KiB");
    finish(child, None)
}

/// An export whose notes have so many bytes each, all of one letter.
fn notes(letter: &str, members: usize, width: usize) -> String {
    let note = letter.repeat(width);
    let lines: Vec<String> = (0..members).map(|n| format!("{n},{note}\n")).collect();
    format!("id,note\n{}", lines.concat())
}

fn noted(case: Case, members: usize, width: usize) -> Room {
    let plan = PLAN.replace(
        "fields = { name = { from = \"name\" } }",
        "fields = { note = { from = \"note\" } }",
    );
    let schema = "CREATE TABLE member (id TEXT PRIMARY KEY, note TEXT)";
    let first = notes("a", members, width);
    let sources = [("m.csv", &*first), ("gone.csv", "id\n")];
    let room = Room::with(case, &plan, &sources, schema);
    room.bundle("first");
    room.write("m.csv", notes("b", members, width));
    room.bundle("second");
    room
}

fn wide_values_that_a_run_writes_are_held_a_few_at_a_time(case: Case) {
    // No line is longer than 16 MiB. A batch of all eight would hold 128 MiB of record lines, and ten times as much of
    // rows and of images.
    let room = noted(case, 8, 16 * MIB - 512);
    let first = lean(&room, "apply", &["first"]).code(0).id();
    let _ = lean(&room, "verify", &[&first, "--bundle", "first"]).code(0);
    let second = lean(&room, "apply", &["second"]).code(0).id();
    let _ = lean(&room, "verify", &[&second]).code(0);
    let _ = lean(&room, "rollback", &[&second])
        .code(0)
        .says(&["8 of 8 rows are what they were"]);
    let _ = lean(&room, "verify", &[&first]).code(0);
    let _ = lean(&room, "rollback", &[&first])
        .code(0)
        .says(&["8 of 8 rows are what they were"]);
    assert_eq!(room.ask("SELECT count(*) FROM member"), "0");
}

fn batches_of_wide_records_are_the_same_for_resume_and_verify(case: Case) {
    let room = noted(case, 10, 3 * MIB);
    let check = case.either(
        "CREATE TRIGGER no BEFORE INSERT ON member WHEN NEW.id = '7' BEGIN SELECT RAISE(ABORT, 'no'); END",
        "ALTER TABLE member ADD CONSTRAINT no CHECK (id <> '7')",
    );
    room.sql(check);
    let run = room.on("apply", &["first"]).code(3).id();
    // Three lines of 3 MiB and some bytes are the first to have 8 MiB.
    let batches = "SELECT no, records, status FROM switchback_batches ORDER BY no";
    assert_eq!(
        room.db.rows(batches),
        [
            ["1", "3", "applied"],
            ["2", "3", "applied"],
            ["3", "3", "failed"]
        ]
    );
    assert_eq!(room.ask("SELECT count(*) FROM member"), "6");
    room.sql(case.either("DROP TRIGGER no", "ALTER TABLE member DROP CONSTRAINT no"));
    let _ = room.on("apply", &["first", "--resume"]).code(0);
    assert_eq!(
        room.db.rows(batches),
        [
            ["1", "3", "applied"],
            ["2", "3", "applied"],
            ["3", "3", "applied"],
            ["4", "1", "applied"]
        ]
    );
    let _ = room.on("verify", &[&run, "--bundle", "first"]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
}

fn a_wide_value_that_others_change_since_is_told_from_what_it_was(case: Case) {
    let room = club(case, 3, 3000);
    room.bundle("B");
    let run = room.apply("B");
    room.sql("UPDATE member SET note = note || 'y' WHERE id = '1'");
    let _ = room.on("rollback", &[&run]).code(0).says(&[
        "2 of 3 rows are what they were, 1 back, edited elsewhere since",
        "member: 1 is back",
    ]);
    assert_eq!(
        room.ask("SELECT length(note) FROM member WHERE id = '1'"),
        "3001"
    );
}

fn a_deleted_row_comes_back_with_its_wide_values(case: Case) {
    let room = club(case, 3, 3000);
    room.write("m.csv", "id,name\n0,new 0\n");
    room.bundle("first");
    let first = room.apply("first");
    room.write("m.csv", "id,name\n");
    room.write("gone.csv", "id\n");
    let before = room.dump();
    let line = r#"{"entity":"gone","key":"1","op":"delete","target":"1"}"#;
    let run = room.apply(&room.seal(&[line]));
    assert_eq!(room.ask("SELECT count(*) FROM member"), "2");
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.dump(), before);
    let _ = room.on("rollback", &[&first]).code(0);
}

fn a_trigger_that_comes_in_meanwhile_changes_no_wide_value_for_good(case: Case) {
    let room = club(case, 2, 3000);
    room.bundle("B");
    let rows = || {
        let rows = "SELECT id, name, length(note) FROM member ORDER BY id";
        room.db.rows(rows)
    };
    let before = rows();
    room.write("busy", "");
    let apply = spawn(&mut command(
        "apply",
        &room.path(""),
        ["B", "--to", &room.url(), "--throttle-file", "busy"],
    ));
    // The ledger is made in the transaction that starts the run, once its tables were looked at.
    let begun = case.either(
        "SELECT count(*) FROM sqlite_master WHERE name = 'switchback_audit'",
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'switchback' AND tablename = 'audit'",
    );
    while room.ask(begun) != "1" {
        std::thread::sleep(Duration::from_millis(20));
    }
    room.sql(case.either(
        "CREATE TRIGGER late AFTER UPDATE OF name ON member
           BEGIN UPDATE member SET note = note || 'y' WHERE id = NEW.id; END",
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN NEW.note := NEW.note || ''y''; RETURN NEW; END';
         CREATE TRIGGER late BEFORE UPDATE OF name ON member FOR EACH ROW EXECUTE FUNCTION late()",
    ));
    std::fs::remove_file(room.path("busy")).unwrap();
    let done = finish(apply, None);
    assert!(matches!(done.code, 3 | 4), "{}: {}", done.code, done.err);
    let _ = done.says(&["rollback could not put it back"]);
    assert_eq!(rows(), before);
    // Begun again, the run knows of the trigger, and its rollback puts all back.
    let run = room.on("apply", &["B", "--resume=auto"]).code(0).id();
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(rows(), before);
}
