//! Writing a bundle: its name is free, or names a whole bundle, whatever happens and whenever.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::lab::{Lab, each, run, tally};
use tests::{Room, Target, command};

/// A bundle to be made, and another that may stand in its place.
struct Press {
    lab: Lab,
    stream: Vec<u8>,
    id: String,
    other: String,
}

impl Press {
    fn new() -> Self {
        let lab = Lab::on(Target::Sqlite);
        let stream = lab.stream();
        let id = check(&lab, &lab.path("B"));
        let text = String::from_utf8(stream.clone()).unwrap();
        let fewer: String = text
            .split_inclusive('\n')
            .filter(|line| !line.contains("\"v4\""))
            .collect();
        let args = ["-o", "other"];
        let _ = run(
            command("bundle", lab.root(), args).stdin(Stdio::piped()),
            Some(fewer.into()),
        )
        .code(0);
        let other = check(&lab, &lab.path("other"));
        assert_ne!(id, other);
        Self {
            lab,
            stream,
            id,
            other,
        }
    }

    /// A command that makes the bundle `place/B`.
    fn make(&self, program: &str, place: &Path) -> Command {
        let output = place.join("B");
        let mut make = command(
            program,
            self.lab.root(),
            ["-o", output.to_str().unwrap(), "--force"],
        );
        make.stdin(Stdio::piped());
        make
    }

    /// Makes a folder, with the other bundle in the place or none.
    fn place(&self, name: &str, other: bool) -> std::path::PathBuf {
        let place = self.lab.path(name);
        fs::create_dir(&place).unwrap();
        if other {
            let copied = Command::new("cp")
                .arg("-r")
                .arg(self.lab.path("other"))
                .arg(place.join("B"))
                .status();
            assert!(copied.unwrap().success());
        }
        place
    }

    /// What stands is nothing (where nothing stood), the other bundle or the new one, whole; and
    /// the next try makes the new one and clears away what is left of this one.
    fn judge(&self, place: &Path, other: bool) {
        let bundle = place.join("B");
        if other || bundle.exists() {
            let found = check(&self.lab, &bundle);
            assert!(
                found == self.id || other && found == self.other,
                "{found} stands"
            );
        }
        let made = run(&mut self.make("bundle", place), Some(self.stream.clone())).code(0);
        assert_eq!(made.id(), self.id);
        assert_eq!(check(&self.lab, &bundle), self.id);
        let left: Vec<_> = fs::read_dir(place)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["B"], "what else is left");
        fs::remove_dir_all(place).unwrap();
    }
}

/// Returns the ID of a bundle, which must be whole.
fn check(lab: &Lab, bundle: &Path) -> String {
    run(
        &mut command("bundle", lab.root(), ["check", bundle.to_str().unwrap()]),
        None,
    )
    .code(0)
    .id()
}

fn at_every_step(test: &str, kind: &str, other: bool) {
    let press = Press::new();
    let place = press.place("count", other);
    let file = press.lab.path("steps");
    let mut make = press.make("crash/bundle", &place);
    make.env("SWITCHBACK_CRASH", format!("count:{}", file.display()));
    let _ = run(&mut make, Some(press.stream.clone())).code(0);
    let steps = fs::read_to_string(file).unwrap().lines().count();
    assert!(
        steps > 40,
        "only {steps} steps: are the crash points there?"
    );
    each(
        test,
        (1..=steps).map(|step| format!("{kind}:{step}")),
        |point| {
            let place = press.place(point, other);
            let mut make = press.make("crash/bundle", &place);
            let done = run(
                make.env("SWITCHBACK_CRASH", point),
                Some(press.stream.clone()),
            );
            assert_eq!(
                done.code,
                if kind == "kill" { 134 } else { 5 },
                "{}",
                done.err
            );
            press.judge(&place, other);
        },
    );
}

#[test]
fn bundle_killed_at_every_step() {
    at_every_step("bundles::bundle_killed_at_every_step", "kill", false);
}

#[test]
fn bundle_with_every_call_failing() {
    at_every_step("bundles::bundle_with_every_call_failing", "fail", false);
}

#[test]
fn bundle_killed_at_every_step_while_it_replaces_another() {
    at_every_step(
        "bundles::bundle_killed_at_every_step_while_it_replaces_another",
        "kill",
        true,
    );
}

#[test]
fn bundle_with_every_call_failing_while_it_replaces_another() {
    at_every_step(
        "bundles::bundle_with_every_call_failing_while_it_replaces_another",
        "fail",
        true,
    );
}

#[test]
fn bundle_killed_and_failing_at_every_system_call() {
    let test = "bundles::bundle_killed_and_failing_at_every_system_call";
    let press = Press::new();
    let place = press.place("count", false);
    let calls = ["write", "fsync", "mkdir", "rename"];
    let kinds = [
        ("KILL", &calls[..]),
        ("EIO", &calls[..]),
        ("ENOSPC", &calls[..3]),
    ];
    let log = press.lab.path("log");
    let counted = crate::calls::count(
        &press.make("bundle", &place),
        &[],
        &calls,
        &log,
        Some(press.stream.clone()),
    );
    let points = crate::calls::points(&kinds, &counted);
    each(test, points, |point| {
        let place = press.place(point, false);
        let mut make = crate::calls::inject(&press.make("bundle", &place), &[], point);
        let done = run(make.stdin(Stdio::piped()), Some(press.stream.clone()));
        // Of the last writes one is the bundle ID, others are talk.
        assert!(
            matches!(done.code, 0 | 5 | 137),
            "exit {}: {}",
            done.code,
            done.err
        );
        press.judge(&place, false);
    });
}

/// A stream that ends anywhere before its end is refused by both stages that read one, without a
/// bundle, without a seal.
#[test]
fn ndjson_cut_at_every_byte_never_makes_a_bundle() {
    let plan = "name = \"n\"\nsystem = \"s\"\n[[entity]]\nname = \"a\"\ntable = \"a\"\nid = { column = \"id\", from = \"key\" }\n\
                source = { format = \"csv\", files = [\"a.csv\"], key = \"id\" }\nfields.x = { from = \"x\" }\n";
    let room = Room::with(Target::Sqlite, plan, &[("a.csv", "id,x\n1,ü\n2,b\n")], "");
    let stream = room.run("parse", &[]).code(0).out.into_bytes();
    assert_eq!(
        room.feed("bundle", &["-o", "whole"], stream.clone()).code,
        0
    );
    assert_eq!(room.feed("validate", &["--quiet"], stream.clone()).code, 0);
    // Without its last line feed the seal is still a whole line.
    let cuts = stream.len() - 1;
    for cut in 0..cuts {
        let part = &stream[..cut];
        let checked = room.feed("validate", &["--quiet"], part);
        assert_eq!(checked.code, 4, "validate, cut at {cut}: {}", checked.err);
        assert!(
            !checked.out.contains("\"end\""),
            "validate, cut at {cut}: sealed"
        );
        let made = room.feed("bundle", &["-o", "cut"], part);
        assert_eq!(made.code, 4, "bundle, cut at {cut}: {}", made.err);
        assert!(!room.path("cut").exists(), "cut at {cut}: a bundle stands");
    }
    tally(
        "bundles::ndjson_cut_at_every_byte_never_makes_a_bundle",
        2 * cuts as u64,
    );
}

/// Two who write to one place: one whole bundle stands; who comes second with another is refused.
#[test]
fn two_bundlers_of_one_place_leave_one_whole_bundle() {
    let press = Press::new();
    let text = String::from_utf8(press.stream.clone()).unwrap();
    let fewer: String = text
        .split_inclusive('\n')
        .filter(|line| !line.contains("\"v4\""))
        .collect();
    for round in 0..30 {
        let place = press.place(&format!("race{round}"), false);
        let streams = [
            press.stream.clone(),
            if round % 2 == 0 {
                fewer.clone().into()
            } else {
                press.stream.clone()
            },
        ];
        let output = place.join("B");
        let makers = streams.map(|stream| {
            let mut make = command("bundle", press.lab.root(), ["-o", output.to_str().unwrap()]);
            let child = tests::spawn(make.stdin(Stdio::piped()));
            std::thread::spawn(move || tests::finish(child, Some(stream)))
        });
        let mut codes = makers.map(|maker| maker.join().unwrap().code);
        codes.sort_unstable();
        assert!(
            codes == [0, 0] && round % 2 == 1 || matches!(codes, [0, 4 | 5]),
            "{codes:?}"
        );
        let id = check(&press.lab, &output);
        assert!(id == press.id || id == press.other);
        assert_eq!(
            fs::read_dir(&place).unwrap().count(),
            1,
            "what else is left"
        );
    }
}
