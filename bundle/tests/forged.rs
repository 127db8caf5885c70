//! Bundles that were put together by hand: their sums are right, and what they say is not.
#![allow(missing_docs, clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use contract::Digest;
use contract::bundle::{Bundle, Manifest};

const PLAN: &str = r#"
name = "club"
system = "export"
[[entity]]
name = "visit"
source = { format = "csv", files = ["visits.csv"], key = "k" }
table = "visit"
match = ["n"]
fields.n = { from = "n" }
[[entity]]
name = "member"
source = { format = "csv", files = ["members.csv"], key = "k" }
table = "member"
match = ["n"]
fields.n = { from = "n" }
"#;

/// A bundle of two visits and a member.
fn made(folder: &Path) -> PathBuf {
    fs::write(folder.join("migration.toml"), PLAN).unwrap();
    let line = |entity: &str, key: u32| {
        format!(
            "{{\"entity\":\"{entity}\",\"key\":\"{key}\",\"at\":{{\"file\":\"x.csv\",\"line\":{key}}},\"fields\":{{\"n\":\"a\"}}}}\n"
        )
    };
    let lines = [line("visit", 2), line("visit", 3), line("member", 2)].concat();
    fs::write(folder.join("lines"), lines).unwrap();
    let input = fs::File::open(folder.join("lines")).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_bundle"))
        .args(["-o", "B", "--unsealed", "--allow-empty"])
        .env_remove("MIGRATION_PLAN")
        .current_dir(folder)
        .stdin(input)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    folder.join("B")
}

/// Changes the manifest, and makes the sums fit it again.
fn forge(bundle: &Path, change: impl FnOnce(&mut Manifest)) {
    let path = bundle.join("manifest.json");
    let mut manifest = Manifest::parse(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    let bytes = manifest.to_bytes();
    fs::write(&path, &bytes).unwrap();
    fs::write(bundle.join("SHA256SUMS"), manifest.sums(Digest::of(&bytes))).unwrap();
}

/// Checks a bundle as every program does, and returns what is said of it.
fn said(bundle: &Path) -> String {
    let checked = Bundle::open(bundle).and_then(|bundle| bundle.check());
    let said = checked.map_or_else(|error| error.to_string(), |()| String::new());
    let done = Command::new(env!("CARGO_BIN_EXE_bundle"))
        .arg("check")
        .arg(bundle)
        .output()
        .unwrap();
    let code = if said.is_empty() { 0 } else { 4 };
    assert_eq!(done.status.code(), Some(code), "{said}");
    assert!(
        String::from_utf8_lossy(&done.stderr).contains(&said),
        "{said}"
    );
    said
}

#[test]
fn a_manifest_whose_parts_do_not_fit_is_refused() {
    type Change = fn(&mut Manifest);
    let cases: [(&str, Change); 7] = [
        ("its plan of \"club\"", |manifest| {
            manifest.name = "other".into();
        }),
        ("its plan of \"club\"", |manifest| {
            manifest.system = "other".into();
        }),
        ("the manifest names it twice", |manifest| {
            let twice = manifest.records[0].clone();
            manifest.records.push(twice);
        }),
        ("its segments do not add up", |manifest| {
            manifest.records[0].segments[0].records = u64::MAX;
        }),
        ("its segments do not add up", |manifest| {
            let mut more = manifest.records[0].segments[0].clone();
            more.bytes = u64::MAX;
            manifest.records[0].segments.push(more);
        }),
        ("the accounting of", |manifest| {
            manifest.accounts[0].items = u64::MAX;
            manifest.accounts[0].used = u64::MAX;
            manifest.accounts[0].ignored = u64::MAX;
        }),
        ("it accounts for", |manifest| {
            manifest.accounts.pop();
        }),
    ];
    for (message, change) in cases {
        let folder = tempfile::tempdir().unwrap();
        let bundle = made(folder.path());
        assert_eq!(said(&bundle), "");
        forge(&bundle, change);
        let said = said(&bundle);
        assert!(said.contains(message), "{said}, not {message}");
    }
}

#[test]
fn a_record_in_the_file_of_another_entity_is_found_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = made(folder.path());
    forge(&bundle, |manifest| {
        let file = manifest
            .records
            .iter_mut()
            .find(|file| file.entity == "visit");
        let file = file.unwrap();
        let path = bundle.join(&file.file);
        let text = fs::read_to_string(&path).unwrap();
        let (first, second) = text.split_once('\n').unwrap();
        let text = format!("{first}\n{}", second.replace("visit", "member"));
        fs::write(&path, &text).unwrap();
        file.sha256 = Digest::of(text.as_bytes());
        file.bytes = text.len() as u64;
        file.segments[0].bytes = file.bytes;
        file.segments[0].sha256 = file.sha256;
    });
    let said = said(&bundle);
    assert!(said.contains("line 2 is no record of visit"), "{said}");
}

#[test]
fn a_record_that_names_a_column_twice_is_refused_by_every_stage() {
    let lookup = r#""fields":{"n":"a"},"lookups":{"n":"b"}"#;
    let reference = r#""fields":{"n":"a"},"refs":{"n":{"entity":"member","key":"2"}}"#;
    for columns in [r#""fields":{"n":"a","n":"b"}"#, lookup, reference] {
        let folder = tempfile::tempdir().unwrap();
        let bundle = made(folder.path());
        forge(&bundle, |manifest| {
            let file = &mut manifest.records[0];
            let path = bundle.join(&file.file);
            let text = fs::read_to_string(&path).unwrap();
            let text = text.replacen(r#""fields":{"n":"a"}"#, columns, 1);
            fs::write(&path, &text).unwrap();
            file.sha256 = Digest::of(text.as_bytes());
            file.bytes = text.len() as u64;
            file.segments[0].bytes = file.bytes;
            file.segments[0].sha256 = file.sha256;
        });
        let said = said(&bundle);
        assert!(said.contains("line 1 has the column `n` twice"), "{said}");
        let line = r#"{"entity":"visit","key":"2","at":{"file":"x.csv","line":2},"#;
        fs::write(folder.path().join("lines"), format!("{line}{columns}}}\n")).unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_bundle"))
            .args(["-o", "C", "--unsealed"])
            .env_remove("MIGRATION_PLAN")
            .current_dir(folder.path())
            .stdin(fs::File::open(folder.path().join("lines")).unwrap())
            .output()
            .unwrap();
        assert_ne!(done.status.code(), Some(0));
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(said.contains("the column `n` twice"), "{said}");
    }
}

#[test]
fn a_pipe_or_a_device_in_the_place_of_a_part_is_refused_and_not_waited_for() {
    for name in [
        "manifest.json",
        "SHA256SUMS",
        "plan.toml",
        "records/1-visit.ndjson",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let bundle = made(folder.path());
        let name = if name.starts_with("records") {
            let mut files = fs::read_dir(bundle.join("records")).unwrap();
            let file = files.next().unwrap().unwrap().file_name();
            format!("records/{}", file.to_str().unwrap())
        } else {
            name.to_owned()
        };
        let path = bundle.join(&name);
        fs::remove_file(&path).unwrap();
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let said = said(&bundle);
        assert!(said.contains("no ordinary file"), "{name}: {said}");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let said = self::said(&bundle);
        assert!(said.contains("no ordinary file"), "{name}: {said}");
    }
}
