//! What the program says without a database. What it says of one: `tests/tests/verify/`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::process::Command;

const NOBODY: &str = "01900000-0000-7000-8000-00000000dead";

/// Runs the program, which must end with a code and an error that holds no password.
#[track_caller]
fn refused(args: &[&str], code: i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
    let output = command
        .args(args)
        .env("DATABASE_URL", "sqlite:/nowhere/at.all")
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
    assert!(output.stdout.is_empty(), "{args:?}");
    assert!(!err.is_empty() && !err.contains("hunter2"), "{err}");
}

#[test]
fn what_is_no_target_and_what_is_not_there_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for (args, code) in [
        (&["runs", "--to", "sqlite:/nowhere/at.all"][..], 5),
        (&["runs", "--to", "postgres://u:hunter2@h:x/db"], 2),
        (&["runs", "--to", "nothing"], 2),
        (&[], 2),
        (&[NOBODY, "runs"], 2),
        (&[NOBODY, "--sample", "0"], 2),
        (&[NOBODY, "--seed", "3"], 2),
    ] {
        refused(args, code);
    }
    let file = folder.path().join("text.db");
    fs::write(
        &file,
        "this is no database, but long enough to be looked at as one",
    )
    .unwrap();
    let url = format!("sqlite:{}", file.display());
    refused(&["runs", "--to", &url], 5);
}
