//! Show 6: one flipped byte anywhere in a bundle is found, and its file named.

use std::fs;
use std::path::{Path, PathBuf};

use tests::db::same;
use tests::{Case, Room, Seed};

tests::both!(
    apply_refuses_a_flipped_byte_and_names_the_file,
    verify_and_rollback_refuse_a_flipped_byte_and_name_the_file,
    a_file_too_many_and_a_file_too_few_are_refused,
);

/// Every file under a folder, relative to it.
fn files(folder: &Path, under: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join(under)).unwrap() {
        let entry = entry.unwrap();
        let name = PathBuf::from(under)
            .join(entry.file_name())
            .to_str()
            .unwrap()
            .to_owned();
        if entry.file_type().unwrap().is_dir() {
            names.extend(files(folder, &name));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

/// Flips a byte at several places of every file, one at a time, and calls `check` with the file's
/// name each time.
fn each_flip(room: &Room, mut check: impl FnMut(&str)) {
    let folder = room.path("B");
    let mut seed = Seed::fixed(6);
    let names = files(&folder, "");
    assert!(names.len() > 12, "{names:?}");
    for name in names {
        let path = folder.join(&name);
        let whole = fs::read(&path).unwrap();
        if whole.is_empty() {
            fs::write(&path, b"\n").unwrap();
            check(&name);
        }
        let length = whole.len() as u64;
        let mut places = vec![0, length / 2, length.saturating_sub(1), seed.below(length)];
        places.dedup();
        for place in places.into_iter().filter(|place| *place < length) {
            let mut bytes = whole.clone();
            bytes[usize::try_from(place).unwrap()] ^= 1 << seed.below(8);
            fs::write(&path, bytes).unwrap();
            check(&name);
        }
        fs::write(&path, whole).unwrap();
    }
}

fn apply_refuses_a_flipped_byte_and_names_the_file(case: Case) {
    let room = Room::example(case, "members");
    room.bundle("B");
    let before = room.db.everything();
    each_flip(&room, |name| {
        room.on("apply", &["B"]).code(4).says(&[name]);
    });
    assert!(room.db.everything() == before, "nothing was written");
    room.apply("B");
}

fn verify_and_rollback_refuse_a_flipped_byte_and_name_the_file(case: Case) {
    let room = Room::example(case, "members");
    room.bundle("B");
    let run = room.apply("B");
    let applied = room.dump();
    each_flip(&room, |name| {
        room.on("verify", &[&run, "--bundle", "B"])
            .code(4)
            .says(&[name]);
        room.on("rollback", &[&run, "--bundle", "B"])
            .code(4)
            .says(&[name]);
    });
    same(&room.dump(), &applied, "it changed");
    room.on("verify", &[&run, "--bundle", "B"]).code(0);
    room.on("rollback", &[&run, "--bundle", "B"]).code(0);
}

fn a_file_too_many_and_a_file_too_few_are_refused(case: Case) {
    let room = Room::example(case, "members");
    room.bundle("B");
    room.write("B/records/99-extra.ndjson", "");
    room.on("apply", &["B"])
        .code(4)
        .says(&["records/99-extra.ndjson"]);
    fs::remove_file(room.path("B/records/99-extra.ndjson")).unwrap();
    fs::remove_file(room.path("B/records/01-member.ndjson")).unwrap();
    room.on("apply", &["B"])
        .code(4)
        .says(&["records/01-member.ndjson"]);
}
