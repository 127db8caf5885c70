//! The copy of a file on which a rollback is tried: nobody else can read it, and it does not outlive its process
//! for long.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use tests::{Case, Room, Target, command, finish, spawn};

use super::room;

/// A run whose rollback takes for ever where it is tried.
fn slow() -> (Room, String) {
    let room = room(Case::new(Target::Sqlite, ""), "", &[]);
    let run = room.apply("B");
    room.sql(
        "CREATE TABLE many (n); INSERT INTO many SELECT value FROM json_each('[' || substr(replace(hex(zeroblob(2000)), '00', ',1'), 2) || ']');
         CREATE TRIGGER slow BEFORE DELETE ON item BEGIN
           SELECT count(*) FROM many a, many b, many c, many d WHERE a.n + b.n + c.n + d.n = 0; END;",
    );
    fs::create_dir(room.path("tmp")).unwrap();
    (room, run)
}

fn rollback(room: &Room, run: &str, tmp: &Path) -> Child {
    let url = room.url();
    let mut rollback = command("rollback", &room.path(""), [run, "--to", &url]);
    spawn(rollback.env("TMPDIR", tmp))
}

/// Waits until a folder holds a copy, and returns it.
fn copied(tmp: &Path) -> PathBuf {
    loop {
        for entry in fs::read_dir(tmp).unwrap().flatten() {
            let folder = entry.path();
            let mut files = fs::read_dir(&folder).into_iter().flatten().flatten();
            let big = |file: fs::DirEntry| file.metadata().is_ok_and(|found| found.len() > 4096);
            if files.any(big) {
                return folder;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn folders(tmp: &Path) -> usize {
    fs::read_dir(tmp).unwrap().count()
}

#[test]
fn the_copy_of_a_rollback_that_was_killed_goes_with_the_next_one() {
    let (room, run) = slow();
    let tmp = room.path("tmp");
    let mut killed = rollback(&room, &run, &tmp);
    let folder = copied(&tmp);
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "its owner alone");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(folder.exists(), "SIGKILL leaves it");
    room.sql("DELETE FROM many");
    finish(rollback(&room, &run, &tmp), None).code(0);
    assert_eq!(folders(&tmp), 0, "the copy is gone, and its own");
}

#[test]
fn the_copy_of_a_rollback_that_is_at_work_is_left_alone() {
    let (room, run) = slow();
    let tmp = room.path("tmp");
    let mut at_work = rollback(&room, &run, &tmp);
    let folder = copied(&tmp);
    let (other, of_other) = slow();
    other.sql("DELETE FROM many");
    finish(rollback(&other, &of_other, &tmp), None).code(0);
    assert!(folder.exists());
    assert_eq!(folders(&tmp), 1);
    at_work.kill().unwrap();
    at_work.wait().unwrap();
}
