//! Show 5: a stage that is killed or fails in the pipe never leaves a bundle, and says so by its code.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use tests::{Bulk, Done, Room, Target, command, finish, spawn};

/// Returns what is in the room beside what was there: temporary folders count too.
fn names(room: &Room) -> Vec<String> {
    let entries = std::fs::read_dir(room.path("")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Starts a stage, reads one line of what it writes, kills it, and returns all that it wrote: as
/// much as a pipe holds, and no more, so that it is always killed in the middle.
fn killed(room: &Room, stage: &str, input: Option<Vec<u8>>) -> Vec<u8> {
    let mut command = command(stage, &room.path(""), [] as [&str; 0]);
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = spawn(command.stderr(Stdio::null()));
    let writer = input.map(|bytes| {
        let mut pipe = child.stdin.take().unwrap();
        std::thread::spawn(move || pipe.write_all(&bytes).ok())
    });
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = Vec::new();
    out.read_until(b'\n', &mut text).unwrap();
    assert!(!text.is_empty(), "{stage} wrote nothing");
    child.kill().unwrap();
    assert_eq!(Done::from(child.wait_with_output().unwrap()).code, 137);
    std::io::copy(&mut out, &mut text).unwrap();
    writer.map(|writer| writer.join().unwrap());
    text
}

/// Checks that no bundle comes of a stream.
fn no_bundle(room: &Room, stream: Vec<u8>) {
    let before = names(room);
    room.feed("bundle", &["-o", "B"], stream)
        .code(4)
        .says(&["bundle: ", "cut"]);
    assert_eq!(names(room), before);
}

#[test]
fn parse_killed() {
    let room = Bulk::room(Target::Sqlite, 4000);
    let stream = killed(&room, "parse", None);
    let validate = room
        .feed("validate", &[], stream)
        .code(4)
        .says(&["validate: ", "cut"]);
    no_bundle(&room, validate.out.into_bytes());
}

#[test]
fn validate_killed() {
    let room = Bulk::room(Target::Sqlite, 4000);
    let parse = room.run("parse", &[]).code(0);
    let stream = killed(&room, "validate", Some(parse.out.into_bytes()));
    no_bundle(&room, stream);
}

#[test]
fn bundle_killed_leaves_nothing_in_its_place_and_the_next_one_tidies_up() {
    let room = Room::example(Target::Sqlite, "members");
    let stream = room
        .feed("validate", &[], room.run("parse", &[]).code(0).out)
        .code(0)
        .out;
    let mut command = command("bundle", &room.path(""), ["-o", "B"]);
    let mut child = spawn(command.stdin(Stdio::piped()));
    let mut pipe = child.stdin.take().unwrap();
    let half = stream.len() / 2;
    pipe.write_all(&stream.as_bytes()[..half]).unwrap();
    let waited = std::time::Instant::now();
    while !names(&room).iter().any(|name| name.starts_with(".B.")) {
        assert!(
            waited.elapsed().as_secs() < 20,
            "bundle did not start to write"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    let _ = finish(child, None).code(137);
    assert!(!room.path("B").exists());
    let id = room.feed("bundle", &["-o", "B"], stream).code(0).id();
    assert_eq!(room.run("bundle", &["check", "B"]).code(0).id(), id);
    assert!(
        !names(&room).iter().any(|name| name.starts_with(".B.")),
        "{:?}",
        names(&room)
    );
}

#[test]
fn parse_fails_and_every_later_stage_says_so() {
    let room = Room::example(Target::Sqlite, "members");
    std::fs::remove_file(room.path("events/wa-events-export.csv")).unwrap();
    let [parse, validate, bundle] = room.pipeline("B");
    let _ = (
        parse.code(5).says(&["events"]),
        validate.code(4).says(&["seal"]),
        bundle.code(4).says(&["seal"]),
    );
    assert!(!room.path("B").exists());
}

#[test]
fn too_many_rejects_fail_validate_with_1_and_no_bundle_appears() {
    let room = Room::example(Target::Sqlite, "members");
    let file = "members/wa-members-export.csv";
    room.write(file, room.read(file).replace("@example.org", ""));
    let [parse, validate, bundle] = room.pipeline("B");
    let _ = (
        parse.code(0),
        validate.code(1),
        bundle.code(4).says(&["seal"]),
    );
    assert!(!room.path("B").exists());
    assert!(room.read("rejects.ndjson").lines().count() >= 40);
}

#[test]
fn a_reader_that_leaves_ends_parse_quietly() {
    let room = Bulk::room(Target::Sqlite, 4000);
    let mut child = spawn(&mut command("parse", &room.path(""), [] as [&str; 0]));
    drop(child.stdout.take());
    let done = finish(child, None).code(141);
    assert_eq!(done.err, "");
}

#[test]
fn lines_taken_out_between_stages_are_counted_and_warned_about() {
    let room = Room::example(Target::Sqlite, "lessons");
    let parse = room.run("parse", &[]).code(0);
    let fewer: String = parse
        .out
        .split_inclusive('\n')
        .filter(|line| !line.contains("\"ADR-004\""))
        .collect();
    assert!(fewer.len() < parse.out.len());
    let validate = room
        .feed("validate", &[], fewer)
        .code(0)
        .says(&["warning: 1 record taken out"]);
    assert!(
        validate
            .out
            .lines()
            .last()
            .unwrap()
            .contains("\"filtered\":1")
    );
}
