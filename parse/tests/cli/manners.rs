//! The same bytes everywhere, streams, files and help.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use super::{Place, csv_plan, ran};

const FIELDS: &str = "a = { from = \"a\", type = \"timestamp\", zone = \"America/Los_Angeles\", formats = [\"%m/%d/%Y\"] }";
const ROWS: &[u8] = b"k,a\n1,01/15/2024\n2,nonsense\n3,07/04/2024\n";

#[test]
fn zone_locale_and_folder_do_not_matter() {
    let place = Place::new(&csv_plan(FIELDS), &[("f.csv", ROWS)]);
    let first = place.run(&[]).out;
    assert!(first.contains("2024-01-15T08:00:00Z"));
    for (name, value) in [
        ("TZ", "UTC"),
        ("TZ", "Asia/Tokyo"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LC_ALL", "C"),
    ] {
        let other = place.command().env(name, value).output().unwrap();
        assert_eq!(ran(&other).out, first, "{name}={value}");
    }
    let elsewhere = Place::new(&csv_plan(FIELDS), &[("f.csv", ROWS)]);
    assert_eq!(elsewhere.run(&[]).out, first);
    let plan = place.path().join("migration.toml");
    let far = place
        .command()
        .current_dir("/")
        .arg("--plan")
        .arg(&plan)
        .output()
        .unwrap();
    assert_eq!(ran(&far).out, first);
    let named = place
        .command()
        .current_dir("/")
        .env("MIGRATION_PLAN", &plan)
        .output()
        .unwrap();
    assert_eq!(ran(&named).out, first);
}

#[test]
fn the_rejects_file_is_private_whole_and_sealed() {
    let place = Place::new(&csv_plan(FIELDS), &[("f.csv", ROWS)]);
    let ran = place.run(&["--rejects", "r.ndjson"]);
    let path = place.path().join("r.ndjson");
    let copy = fs::read_to_string(&path).unwrap();
    let expected: Vec<_> = ran
        .out
        .lines()
        .filter(|line| !line.starts_with("{\"entity\""))
        .collect();
    assert_eq!(copy.lines().collect::<Vec<_>>(), expected);
    assert_eq!(expected.len(), 2);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );

    place.write("f.csv", b"k,a\n1,nonsense\n2,\"");
    place
        .run(&["--rejects", "r.ndjson"])
        .fails(4, "f.csv:3: a quote opens");
    assert_eq!(fs::read_to_string(&path).unwrap(), copy);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3);
    place
        .run(&["--rejects", "no/r.ndjson"])
        .fails(5, "writing no/r.ndjson");
}

#[test]
fn a_reader_that_leaves_is_no_event() {
    let mut rows = b"k,a\n".to_vec();
    for number in 0..20_000 {
        rows.extend_from_slice(format!("{number},01/15/2024\n").as_bytes());
    }
    let place = Place::new(&csv_plan(FIELDS), &[("f.csv", &rows)]);
    let mut child = place
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_source_that_grows_under_the_reader_is_refused() {
    let lines = csv_plan("a = { from = \"a\" }").replace(
        "format = \"csv\", files = [\"f.csv\"]",
        "format = \"json\", files = [\"*.ndjson\"]",
    );
    let place = Place::new(&lines, &[]);
    let text = "{\"k\":1}\n".repeat(20_000);
    place.write("a.ndjson", text.as_bytes());
    let own = fs::File::create(place.path().join("out.ndjson")).unwrap();
    let output = place.command().stdout(own).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{err}");
    assert!(
        err.contains("out.ndjson changed while it was read"),
        "{err}"
    );
}

#[test]
fn a_full_device_is_an_error() {
    let place = Place::new(&csv_plan(FIELDS), &[("f.csv", ROWS)]);
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = place.command().stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
}

#[test]
fn what_is_wrong_with_the_plan_or_the_arguments_is_usage() {
    let place = Place::new(&csv_plan("a = { form = \"a\" }"), &[("f.csv", ROWS)]);
    place.run(&[]).fails(2, "migration.toml:9:");
    place.run(&["--nonsense"]).fails(2, "--nonsense");
    place
        .run(&["--plan", "gone.toml"])
        .fails(2, "reading the plan gone.toml");
}

#[test]
fn quiet_says_nothing_and_help_says_all() {
    let place = Place::new(&csv_plan(FIELDS), &[("f.csv", ROWS)]);
    assert_eq!(place.run(&["-q"]).err, "");
    assert!(
        place
            .run(&[])
            .err
            .contains("parse: e: 2 records of 3 items in 1 file; 0 ignored, 1 rejected")
    );
    let help = place.run(&["--help"]);
    for word in [
        "Examples:",
        "Exit codes:",
        "--explain",
        "--rejects",
        "--root",
        "MIGRATION_PLAN",
        "141",
    ] {
        assert!(help.out.contains(word), "{word}");
    }
    assert_eq!(help.code, 0);
}
