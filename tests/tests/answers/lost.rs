//! A full disk under standard output, and a reader who leaves.

use std::fs::File;
use std::process::Stdio;

use tests::{Case, Done, Room, Target, command, finish, spawn};

tests::both!(
    an_answer_that_is_all_there_is_is_an_error_where_it_is_lost,
    a_lost_answer_after_a_change_says_that_and_names_the_run,
    a_reader_who_leaves_apply_or_rollback_changes_nothing_in_how_they_end,
    the_first_lines_of_an_export_can_be_read_alone,
);

const CSV: &str = "id,name\n1,Ann\n2,Bob\n";

/// A disk without room.
pub(super) fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// A pipe that nobody reads.
pub(super) fn left() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

pub(super) fn into(
    out: Stdio,
    room: &Room,
    program: &str,
    args: &[&str],
    input: Option<&[u8]>,
) -> Done {
    let mut command = command(program, &room.path(""), args);
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    finish(spawn(command.stdout(out)), input.map(<[u8]>::to_vec))
}

/// The program's whole answer is lost: 5, and 141 without a word of it where the reader left.
#[track_caller]
pub(super) fn is_all_there_is(room: &Room, program: &str, args: &[&str], input: Option<&[u8]>) {
    let what = format!("{program} {}", args.join(" "));
    let done = into(full(), room, program, args, input);
    assert_eq!(done.code, 5, "{what} into a full disk: {}", done.err);
    assert!(done.err.contains("No space left"), "{what}: {}", done.err);
    let done = into(left(), room, program, args, input);
    assert_eq!(done.code, 141, "{what} into a closed pipe: {}", done.err);
    assert!(!done.err.contains("roken pipe"), "{what}: {}", done.err);
}

pub(super) fn target<'a>(args: &[&'a str], url: &'a str) -> Vec<&'a str> {
    args.iter().copied().chain(["--to", url]).collect()
}

#[test]
fn every_program_says_so_where_its_help_is_lost() {
    let room = Room::new(Target::Sqlite);
    for program in ["parse", "validate", "bundle", "apply", "verify", "rollback"] {
        for args in ["--help", "-h", "--version"] {
            is_all_there_is(&room, program, &[args], None);
        }
        // Wrong usage is told on the other stream.
        let done = into(full(), &room, program, &["--no-such-flag"], None);
        assert_eq!(done.code, 2, "{program}: {}", done.err);
    }
}

#[test]
fn a_filter_and_what_looks_into_a_bundle_say_so_where_their_answer_is_lost() {
    let room = Room::with(Target::Sqlite, super::PLAN, &[("m.csv", CSV)], "");
    room.bundle("B");
    let records = room.run("parse", &[]).code(0).out;
    let records = Some(records.as_bytes());
    is_all_there_is(&room, "parse", &[], None);
    is_all_there_is(&room, "parse", &["--explain"], None);
    is_all_there_is(&room, "validate", &[], records);
    is_all_there_is(&room, "bundle", &["-o", "C"], records);
    is_all_there_is(&room, "bundle", &["check", "B"], None);
    is_all_there_is(&room, "bundle", &["show", "B"], None);
}

fn an_answer_that_is_all_there_is_is_an_error_where_it_is_lost(case: Case) {
    let room = super::room(case, CSV);
    let url = room.url();
    let lost = |program: &str, args: &[&str]| {
        is_all_there_is(&room, program, &target(args, &url), None);
    };
    lost("apply", &["B", "--dry-run", "--json"]);
    if case.target == Target::Sqlite {
        lost("apply", &["B", "--rehearse"]);
        lost("apply", &["B", "--rehearse", "--json"]);
    }
    assert_eq!(room.ask("SELECT count(*) FROM m"), "0");
    let run = room.apply("B");
    for args in [
        &[run.as_str()][..],
        &["runs"],
        &["report", &run],
        &["audit"],
        &["audit", "--by-operator"],
    ] {
        lost("verify", args);
        lost("verify", &[args, &["--json"]].concat());
    }
    lost("rollback", &[&run, "--check", "--json"]);
    lost("rollback", &[&run, "--export"]);
    lost("rollback", &["prune", "--dry-run", "--json"]);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "2");
    // What answers on the other stream alone has lost nothing.
    for (program, args) in [
        ("apply", &["B", "--dry-run"][..]),
        ("rollback", &[&run, "--check"]),
        ("rollback", &["prune", "--dry-run"]),
    ] {
        let _ = into(full(), &room, program, &target(args, &url), None).code(0);
    }
    let _ = room.on("rollback", &[&run]).code(0);
    // It was rolled back before.
    lost("rollback", &[&run, "--json"]);
}

fn a_lost_answer_after_a_change_says_that_and_names_the_run(case: Case) {
    let room = super::room(case, CSV);
    let url = room.url();
    let run_id = || room.ask("SELECT id FROM switchback_runs ORDER BY seq DESC LIMIT 1");
    for args in [&["B", "--quiet"][..], &["B", "--quiet", "--json"]] {
        let done = into(full(), &room, "apply", &target(args, &url), None).code(3);
        let _ = done.says(&["No space left", "the answer is lost", &run_id()]);
        assert_eq!(room.ask("SELECT count(*) FROM m"), "2");
        assert_eq!(
            room.ask("SELECT status FROM switchback_runs ORDER BY seq DESC LIMIT 1"),
            "completed"
        );
    }
    let run = room.ask("SELECT id FROM switchback_runs ORDER BY seq LIMIT 1");
    let args = [run.as_str(), "--quiet", "--json"];
    let done = into(full(), &room, "rollback", &target(&args, &url), None).code(3);
    let _ = done.says(&["No space left", &format!("run {run} is rolled back")]);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "0");
    let done = into(
        full(),
        &room,
        "rollback",
        &target(&["prune", "--json"], &url),
        None,
    );
    let _ = done.code(3).says(&["No space left"]);
}

fn a_reader_who_leaves_apply_or_rollback_changes_nothing_in_how_they_end(case: Case) {
    let room = super::room(case, CSV);
    let url = room.url();
    let _ = into(
        left(),
        &room,
        "apply",
        &target(&["B", "--json"], &url),
        None,
    )
    .code(0);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "2");
    let run = room.ask("SELECT id FROM switchback_runs");
    let args = target(&[&run, "--json"], &url);
    let _ = into(left(), &room, "rollback", &args, None).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "0");
}

fn the_first_lines_of_an_export_can_be_read_alone(case: Case) {
    use std::fmt::Write as _;
    use std::io::{BufRead as _, BufReader};
    // More than a pipe holds.
    let rows = (0..5000).fold("id,name\n".to_owned(), |mut csv, n| {
        writeln!(csv, "k{n},{}", "name ".repeat(10)).unwrap();
        csv
    });
    let room = super::room(case, &rows);
    let run = room.apply("B");
    let url = room.url();
    let mut export = command(
        "rollback",
        &room.path(""),
        target(&[&run, "--export"], &url),
    );
    let mut child = spawn(&mut export);
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(line.contains("\"op\":\"delete\""), "{line}");
    drop(reader);
    let done = finish(child, None);
    assert_eq!((done.code, &*done.err), (141, ""));
}
