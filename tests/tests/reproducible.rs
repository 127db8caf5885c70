//! Show 1: the same input gives the same bytes.

use std::process::Command;

use tests::{Done, Room, Target, command, finish, program, spawn};

/// Runs the pipeline under a zone and a locale, each stage on the file that the one before wrote.
fn bundle_id(room: &Room, zone: &str, locale: &str) -> String {
    let mut stream = Vec::new();
    for (stage, args) in [
        ("parse", &[][..]),
        ("validate", &[]),
        ("bundle", &["-o", "B"]),
    ] {
        let folder = room.path("");
        let mut command = command(stage, &folder, args);
        command
            .env("TZ", zone)
            .env("LC_ALL", locale)
            .env("LANG", locale);
        let done = finish(
            spawn(command.stdin(std::process::Stdio::piped())),
            Some(stream),
        )
        .code(0);
        stream = done.out.into_bytes();
    }
    String::from_utf8(stream).unwrap().trim().to_owned()
}

/// Show 1: two folders, two zones, two locales, one bundle ID; and `sha256sum` agrees.
fn same_everywhere(example: &str) {
    let (here, there) = (
        Room::example(Target::Sqlite, example),
        Room::example(Target::Sqlite, example),
    );
    let id = bundle_id(&here, "Pacific/Apia", "C");
    assert_eq!(id, bundle_id(&there, "America/St_Johns", "tr_TR.UTF-8"));
    assert_eq!(id.len(), 64, "{id}");
    let check = Command::new("sha256sum")
        .args(["--strict", "-c", "SHA256SUMS"])
        .current_dir(here.path("B"))
        .output();
    let check = Done::from(check.unwrap()).code(0);
    assert!(
        check.out.lines().all(|line| line.ends_with(": OK")),
        "{}",
        check.out
    );
    assert!(check.out.contains("manifest.json: OK"), "{}", check.out);
    let manifest = Command::new("sha256sum")
        .arg("manifest.json")
        .current_dir(there.path("B"))
        .output();
    assert!(
        Done::from(manifest.unwrap()).out.starts_with(&id),
        "the ID is the manifest's sha256"
    );
    assert_eq!(here.run("bundle", &["check", "B"]).code(0).id(), id);
}

#[test]
fn members_give_one_bundle_id_in_every_folder_zone_and_locale() {
    same_everywhere("members");
}

#[test]
fn lessons_give_one_bundle_id_in_every_folder_zone_and_locale() {
    same_everywhere("lessons");
}

#[test]
fn the_same_bundle_again_is_left_as_it_is() {
    let room = Room::example(Target::Sqlite, "members");
    let id = room.bundle("B");
    assert_eq!(room.bundle("B"), id);
}

#[test]
fn a_pipe_of_the_shell_makes_the_same_bundle() {
    let room = Room::example(Target::Sqlite, "members");
    let id = room.bundle("B");
    let folder = program("parse").parent().unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "parse | validate | bundle -o C"])
        .env("PATH", path)
        .current_dir(room.path(""));
    assert_eq!(Done::from(shell.output().unwrap()).code(0).id(), id);
}
