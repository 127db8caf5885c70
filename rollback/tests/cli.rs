//! What the program says without a database. What it does to one: `tests/tests/rollback/`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

#[test]
fn a_bad_url_is_not_repeated() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollback"));
    let output = command
        .args(["x", "--to", "mysql://me:hunter2@host/db"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(!err.is_empty() && !err.contains("hunter2"), "{err}");
}
