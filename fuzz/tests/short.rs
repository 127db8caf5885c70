//! Every target for a moment, and every input that once broke one.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests: a failure here is a failed test"
)]

use std::process::Command;

use fuzz::TARGETS;

/// Each in a process of its own, with a limit of its memory and of its time.
fn play(name: &str) {
    let played = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .args(["2", name])
        .output()
        .unwrap();
    assert!(
        played.status.success(),
        "{}",
        String::from_utf8_lossy(&played.stderr)
    );
}

macro_rules! targets {
    ($($test:ident $name:literal),+ $(,)?) => {
        const NAMES: &[&str] = &[$($name),+];
        $(#[test]
        fn $test() {
            play($name);
        })+
    };
}

targets!(
    csv "csv",
    json "json",
    markdown "markdown",
    front_matter "front-matter",
    plan "plan",
    expression "expression",
    record "record",
    seal "seal",
    manifest "manifest",
    url "url",
    images "images",
    audit "audit",
    text "text",
);

#[test]
fn every_target_is_played() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, NAMES);
    for target in &TARGETS {
        assert!(!(target.seeds)().is_empty(), "{} has no seeds", target.name);
    }
}
