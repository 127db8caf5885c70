//! The program as a user meets it.
#![allow(missing_docs, clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use contract::{Digest, LineSum, RULES};
use serde_json::json;

const PLAN: &str = r#"
name = "club"
system = "export"
[[entity]]
name = "visit"
source = { format = "csv", files = ["in/visits.csv"], key = "k" }
table = "visit"
match = ["n"]
fields.n = { from = "n" }
fields.who = { from = "who", ref = "member" }
[[entity]]
name = "member"
source = { format = "csv", files = ["in/members.csv"], key = "k" }
table = "member"
match = ["n"]
fields.n = { from = "n" }
"#;

const MEMBERS: &str = "k,n\n1,Ann\n2,Bo\n";
const VISITS: &str = "k,n,who\nx,first,1\ny,,\n";

/// A folder with a plan and sources, in which the program runs.
struct Room(tempfile::TempDir);

impl Room {
    fn new() -> Self {
        let room = Self(tempfile::tempdir().unwrap());
        fs::create_dir(room.path("in")).unwrap();
        fs::write(room.path("migration.toml"), PLAN).unwrap();
        fs::write(room.path("in/members.csv"), MEMBERS).unwrap();
        fs::write(room.path("in/visits.csv"), VISITS).unwrap();
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        bundle(self.0.path(), args, input)
    }

    fn made(&self) -> String {
        let output = self.run(&["-o", "B"], &stream());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output).trim().to_owned()
    }
}

fn bundle(folder: &Path, args: &[&str], input: &str) -> Output {
    feed(
        Command::new(env!("CARGO_BIN_EXE_bundle"))
            .args(args)
            .current_dir(folder),
        input,
    )
}

fn feed(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .env_remove("MIGRATION_PLAN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may refuse before it has read all.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn refused(output: &Output, exit: i32, message: &str) {
    assert_eq!(code(output), exit, "{}", stderr(output));
    assert!(stderr(output).contains(message), "{}", stderr(output));
    assert_eq!(stdout(output), "");
}

const LINES: [&str; 4] = [
    r#"{"entity":"visit","key":"x","at":{"file":"in/visits.csv","line":2},"fields":{"n":"first"},"refs":{"who":{"entity":"member","key":"1"}}}"#,
    r#"{"reject":{"entity":"visit","key":"y","at":{"file":"in/visits.csv","line":3},"stage":"validate","errors":[{"field":"n","rule":"required","message":"it is missing"}],"record":{}}}"#,
    r#"{"entity":"member","key":"1","at":{"file":"in/members.csv","line":2},"fields":{"n":"Ann"}}"#,
    r#"{"entity":"member","key":"2","op":"delete","at":{"file":"in/members.csv","line":3}}"#,
];

fn seal() -> serde_json::Value {
    let source = |file: &str, text: &str| json!({"file": file, "sha256": Digest::of(text.as_bytes()), "bytes": text.len(), "items": 2});
    let account = |entity: &str, file: &str, refused: u64| {
        json!({"entity": entity, "file": file, "items": 2, "used": 2, "ignored": 0, "rejected": 0, "extra": 0, "merged": 0,
            "refused": refused, "filtered": 0, "records": 2 - refused})
    };
    let mut lines = LineSum::default();
    for line in LINES.iter().filter(|line| !line.starts_with("{\"reject\"")) {
        lines.add(line.as_bytes());
    }
    json!({
        "stage": "validate", "rules": RULES, "lines": lines, "plan": Digest::of(PLAN.as_bytes()),
        "sources": [source("in/members.csv", MEMBERS), source("in/visits.csv", VISITS)],
        "records": 3, "rejected": 1, "ignored": 0, "filtered": 0,
        "accounts": [account("visit", "in/visits.csv", 1), account("member", "in/members.csv", 0)],
        "before": [{"stage": "parse", "records": 4, "rejected": 0, "ignored": 0, "filtered": 0}],
    })
}

fn stream_with(lines: &[&str], seal: &serde_json::Value) -> String {
    format!("{}\n{}\n", lines.join("\n"), json!({"end": seal}))
}

fn stream() -> String {
    stream_with(&LINES, &seal())
}

/// All files of a folder, with what they hold.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((name, fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_stream_becomes_a_bundle_that_adds_up() {
    let room = Room::new();
    let id = room.made();
    let names: Vec<_> = files(&room.path("B"))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [
            "SHA256SUMS",
            "manifest.json",
            "plan.toml",
            "records/01-member.delete.ndjson",
            "records/01-member.ndjson",
            "records/02-visit.ndjson",
            "rejects.ndjson",
            "sources/in/members.csv",
            "sources/in/visits.csv"
        ]
    );
    assert_eq!(
        fs::read_to_string(room.path("B/records/02-visit.ndjson")).unwrap(),
        format!("{}\n", LINES[0])
    );
    assert_eq!(
        fs::read_to_string(room.path("B/rejects.ndjson")).unwrap(),
        format!("{}\n", LINES[1])
    );
    assert_eq!(
        fs::read_to_string(room.path("B/sources/in/members.csv")).unwrap(),
        MEMBERS
    );
    assert_eq!(fs::read_to_string(room.path("B/plan.toml")).unwrap(), PLAN);
    assert_eq!(
        fs::metadata(room.path("B")).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let check = room.run(&["check", "B"], "");
    assert_eq!((code(&check), stdout(&check).trim()), (0, id.as_str()));
    assert_eq!(room.names(), ["B", "in", "migration.toml"]);
}

#[test]
fn sha256sum_accepts_the_sums_and_the_id_is_that_of_the_manifest() {
    let room = Room::new();
    let id = room.made();
    let sums = Command::new("sha256sum")
        .args(["-c", "--strict", "SHA256SUMS"])
        .current_dir(room.path("B"))
        .output()
        .unwrap();
    assert!(sums.status.success(), "{}", stderr(&sums));
    assert_eq!(stdout(&sums).lines().count(), 8);
    assert_eq!(
        Digest::of(&fs::read(room.path("B/manifest.json")).unwrap()).to_string(),
        id
    );
}

#[test]
fn the_id_depends_on_neither_folder_nor_zone_nor_locale() {
    let (one, two) = (Room::new(), Room::new());
    let id = one.made();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bundle"));
    command
        .args(["--plan"])
        .arg(two.path("migration.toml"))
        .arg("-o")
        .arg(two.path("other name"));
    let output = feed(
        command
            .current_dir("/")
            .env("TZ", "Pacific/Auckland")
            .env("LC_ALL", "tr_TR.UTF-8"),
        &stream(),
    );
    assert_eq!(stdout(&output).trim(), id, "{}", stderr(&output));
    assert_eq!(files(&one.path("B")), files(&two.path("other name")));
}

#[test]
fn the_same_bundle_again_is_no_work_and_another_needs_force() {
    let room = Room::new();
    let id = room.made();
    let again = room.run(&["-o", "B"], &stream());
    assert_eq!((code(&again), stdout(&again).trim()), (0, id.as_str()));
    assert!(
        stderr(&again).contains("nothing was written"),
        "{}",
        stderr(&again)
    );

    let other = stream().replace("first", "second");
    refused(
        &room.run(&["-o", "B"], &other),
        4,
        &format!("B exists: it is another bundle, {id}"),
    );
    assert_eq!(stdout(&room.run(&["check", "B"], "")).trim(), id);

    let forced = room.run(&["-o", "B", "--force"], &other);
    assert_eq!(code(&forced), 0, "{}", stderr(&forced));
    assert_ne!(stdout(&forced).trim(), id);
    assert_eq!(stdout(&room.run(&["check", "B"], "")), stdout(&forced));
    assert_eq!(room.names(), ["B", "in", "migration.toml"]);
}

#[test]
fn a_damaged_copy_of_this_bundle_is_refused_and_a_stranger_never_replaced() {
    let room = Room::new();
    room.made();
    fs::write(room.path("B/rejects.ndjson"), "").unwrap();
    refused(
        &room.run(&["-o", "B"], &stream()),
        4,
        "it is this bundle, but damaged: rejects.ndjson",
    );
    assert_eq!(code(&room.run(&["-o", "B", "--force"], &stream())), 0);
    refused(
        &room.run(&["-o", "in", "--force"], &stream()),
        4,
        "it is a folder, but no bundle",
    );
    assert_eq!(
        fs::read_to_string(room.path("in/members.csv")).unwrap(),
        MEMBERS
    );
}

#[test]
fn a_source_that_changed_since_parse_is_refused_by_name() {
    let room = Room::new();
    fs::write(room.path("in/visits.csv"), VISITS.replace('x', "z")).unwrap();
    refused(
        &room.run(&["-o", "B"], &stream()),
        4,
        "in/visits.csv: it changed since parse read it",
    );
    fs::remove_file(room.path("in/visits.csv")).unwrap();
    refused(&room.run(&["-o", "B"], &stream()), 5, "in/visits.csv");
    assert_eq!(room.names(), ["in", "migration.toml"]);
    let without = room.run(&["-o", "B", "--no-sources"], &stream());
    assert_eq!(code(&without), 0, "{}", stderr(&without));
    assert!(!room.path("B/sources").exists());
}

#[test]
fn sources_are_looked_for_under_the_root_that_was_named() {
    let room = Room::new();
    fs::create_dir(room.path("data")).unwrap();
    fs::rename(room.path("in"), room.path("data/in")).unwrap();
    let output = room.run(&["--root", "data", "-o", "B"], &stream());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(room.path("B/sources/in/members.csv").exists());
}

#[test]
fn a_source_outside_the_root_is_refused() {
    let room = Room::new();
    let mut seal = seal();
    seal["sources"][0]["file"] = json!("../members.csv");
    refused(
        &room.run(&["-o", "B"], &stream_with(&LINES, &seal)),
        4,
        "no plain relative name",
    );
}

#[test]
fn a_stream_cut_at_any_byte_leaves_nothing() {
    let (room, whole) = (Room::new(), stream());
    for cut in 0..whole.len() {
        let output = room.run(&["-o", "B"], &whole[..cut]);
        assert_eq!(
            (code(&output), stdout(&output).as_str()),
            (4, ""),
            "cut at {cut}: {}",
            stderr(&output)
        );
    }
    assert_eq!(room.names(), ["in", "migration.toml"]);
}

#[test]
fn what_does_not_match_the_seal_is_refused() {
    let room = Room::new();
    let mut other = seal();
    other["plan"] = json!(Digest::of(b"x"));
    refused(
        &room.run(&["-o", "B"], &stream_with(&LINES, &other)),
        4,
        "made by another plan",
    );
    other = seal();
    other["rules"] = json!(RULES + 1);
    refused(
        &room.run(&["-o", "B"], &stream_with(&LINES, &other)),
        4,
        &format!("made by rules {}, this build makes {RULES}", RULES + 1),
    );
    let doubled: Vec<_> = LINES.iter().chain(&LINES[2..3]).copied().collect();
    refused(
        &room.run(&["-o", "B"], &stream_with(&doubled, &seal())),
        4,
        "lines were added",
    );
    let stranger = stream().replace(
        r#""entity":"visit","key":"x""#,
        r#""entity":"visits","key":"x""#,
    );
    refused(
        &room.run(&["-o", "B"], &stranger),
        4,
        r#"in/visits.csv:2: the plan has no entity "visits""#,
    );
    assert_eq!(room.names(), ["in", "migration.toml"]);
}

#[test]
fn a_line_edited_between_the_stages_leaves_a_trace() {
    let room = Room::new();
    let edited = stream().replace(r#""n":"Ann""#, r#""n":"Eve""#);
    let output = room.run(&["-o", "B"], &edited);
    assert_eq!(code(&output), 0);
    assert!(
        stderr(&output).contains("record lines were changed between the stages"),
        "{}",
        stderr(&output)
    );
    let shown = stdout(&room.run(&["show", "B"], ""));
    assert!(
        shown.contains("edited   yes: record lines were changed"),
        "{shown}"
    );
    let manifest = fs::read_to_string(room.path("B/manifest.json")).unwrap();
    assert!(manifest.contains("\"edited\": true"), "{manifest}");
}

#[test]
fn lines_taken_out_are_recorded_and_warned_about() {
    let room = Room::new();
    let output = room.run(&["-o", "B", "--quiet"], &stream_with(&LINES[2..], &seal()));
    assert_eq!(code(&output), 0);
    let warnings = stderr(&output);
    assert!(
        warnings.contains("warning: 1 record taken out of the stream"),
        "{warnings}"
    );
    assert!(
        warnings.contains("rejected 1, the stream holds 0 rejects"),
        "{warnings}"
    );
    let shown = stdout(&room.run(&["show", "B"], ""));
    assert!(
        shown.contains("bundle: 2 records, 0 rejected, 0 ignored, 1 filtered"),
        "{shown}"
    );
}

#[test]
fn no_seal_and_no_records_need_a_word() {
    let room = Room::new();
    let lines = LINES.join("\n") + "\n";
    refused(
        &room.run(&["-o", "B"], &lines),
        4,
        "ends after line 4 without a seal",
    );
    let output = room.run(&["-o", "B", "--unsealed"], &lines);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("nothing vouches"));
    assert!(stdout(&room.run(&["show", "B"], "")).contains("made of a stream without a seal"));

    let mut none = seal();
    none["accounts"] = json!([]);
    none["records"] = json!(0);
    let empty = format!("{}\n", json!({"end": none}));
    refused(&room.run(&["-o", "E"], &empty), 4, "no records");
    let allowed = room.run(&["-o", "E", "--allow-empty"], &empty);
    assert_eq!(code(&allowed), 0, "{}", stderr(&allowed));
    assert_eq!(code(&room.run(&["check", "E"], "")), 0);
}

#[test]
fn one_flipped_byte_anywhere_is_found_and_its_file_named() {
    let room = Room::new();
    room.made();
    for (name, content) in files(&room.path("B")) {
        let step = content.len().div_ceil(40).max(1);
        for place in (0..content.len()).step_by(step) {
            let mut flipped = content.clone();
            flipped[place] ^= 1;
            fs::write(room.path("B").join(&name), flipped).unwrap();
            let output = room.run(&["check", "B"], "");
            assert_eq!(code(&output), 4, "{name} at {place}");
            assert!(
                stderr(&output).contains(&name),
                "{name} at {place}: {}",
                stderr(&output)
            );
        }
        fs::write(room.path("B").join(&name), content).unwrap();
    }
    assert_eq!(code(&room.run(&["check", "B"], "")), 0);
}

#[test]
fn files_that_are_too_many_or_missing_are_found() {
    let room = Room::new();
    room.made();
    fs::write(room.path("B/extra"), "").unwrap();
    refused(
        &room.run(&["check", "B"], ""),
        4,
        "extra: it is not in the manifest",
    );
    fs::remove_file(room.path("B/extra")).unwrap();
    std::os::unix::fs::symlink("manifest.json", room.path("B/link")).unwrap();
    refused(&room.run(&["check", "B"], ""), 4, "link: it is a link");
    fs::remove_file(room.path("B/link")).unwrap();
    fs::remove_file(room.path("B/sources/in/members.csv")).unwrap();
    refused(
        &room.run(&["check", "B"], ""),
        4,
        "sources/in/members.csv: it is missing",
    );
    refused(
        &room.run(&["check", "in"], ""),
        4,
        "this folder is no bundle",
    );
    refused(&room.run(&["check", "nowhere"], ""), 5, "nowhere");
}

#[test]
fn show_says_what_is_in_it() {
    let room = Room::new();
    let id = room.made();
    let expected = format!(
        "bundle   {id}\n\
         plan     club, from system export (format 2, rules 2)\n\
         records  1 member to put\n\
         records  1 visit to put\n\
         records  1 member to delete\n\
         edited   no\n\
         rejects  1\n\
         sources  2 files, {} bytes, kept\n         \
         in/members.csv: 2 items, {} bytes\n         \
         in/visits.csv: 2 items, {} bytes\n\
         stage    parse: 4 records, 0 rejected, 0 ignored, 0 filtered\n\
         stage    validate: 3 records, 1 rejected, 0 ignored, 0 filtered\n\
         stage    bundle: 3 records, 0 rejected, 0 ignored, 0 filtered\n",
        MEMBERS.len() + VISITS.len(),
        MEMBERS.len(),
        VISITS.len()
    );
    assert_eq!(stdout(&room.run(&["show", "B"], "")), expected);
}

#[test]
fn a_place_that_cannot_be_written_is_5_and_nothing_is_left() {
    let room = Room::new();
    refused(&room.run(&["-o", "nowhere/B"], &stream()), 5, "nowhere/B");
    refused(&room.run(&["-o", "/proc/B"], &stream()), 5, "/proc/B");
    assert_eq!(room.names(), ["in", "migration.toml"]);
}

#[test]
fn a_disk_that_fills_up_is_5_and_nothing_is_left() {
    let room = Room::new();
    // A limit on the size of files stands for a full disk: the write fails in the same place.
    let script = format!(
        "trap '' XFSZ; ulimit -f 8; exec {} -o B",
        env!("CARGO_BIN_EXE_bundle")
    );
    let mut lines: Vec<String> = (0..2000)
        .map(|n| LINES[2].replace(r#""key":"1""#, &format!(r#""key":"{n}""#)))
        .collect();
    lines.push(String::new());
    let output = feed(
        Command::new("bash")
            .args(["-c", &script])
            .current_dir(room.0.path()),
        &lines.join("\n"),
    );
    refused(&output, 5, "B: File too large");
    assert_eq!(room.names(), ["in", "migration.toml"]);
}

#[test]
fn wrong_usage_is_2() {
    let room = Room::new();
    refused(&room.run(&[], &stream()), 2, "--output");
    refused(
        &room.run(&["-o", ".."], &stream()),
        2,
        "names no folder of its own",
    );
    fs::write(
        room.path("migration.toml"),
        PLAN.replace("system =", "sistem ="),
    )
    .unwrap();
    refused(
        &room.run(&["-o", "B"], &stream()),
        2,
        "did you mean `system`?",
    );
    fs::remove_file(room.path("migration.toml")).unwrap();
    refused(
        &room.run(&["-o", "B"], &stream()),
        2,
        "reading the plan migration.toml",
    );
}

#[test]
fn help_names_every_exit_code() {
    let output = bundle(Path::new("."), &["--help"], "");
    let help = stdout(&output);
    for word in [
        "Examples:",
        "Exit codes:",
        "  0 ",
        "  2 ",
        "  4 ",
        "  5 ",
        "  141 ",
        "--no-sources",
        "check",
        "show",
    ] {
        assert!(help.contains(word), "{word:?} is not in:\n{help}");
    }
}
