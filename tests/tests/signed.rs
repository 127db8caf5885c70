//! Entries of the audit trail that are signed with the operator's key.

use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use tests::{Case, Room};

use crate::verify::trail::rewrite;

tests::both!(
    entries_are_signed_as_the_format_says_and_another_key_is_none,
    a_trail_that_was_written_anew_is_found_by_the_key,
    an_entry_without_a_signature_is_named,
    hooks_of_a_run_that_the_operators_key_signed_run_with_hooks_alone,
    a_file_that_holds_no_key_stops_everything_before_the_first_write,
);

/// The first key of RFC 8032, section 7.1, its public half, and the second key.
const KEY: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
const PUBLIC: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const OTHER: &str = "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7";

const PLAN: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
fields.name = { from = "name" }
"#;

const SIGN: &str = "--audit-key=own.pem";

fn room(case: Case, hooks: &str) -> Room {
    let sources = [("people.csv", "id,name\n1,Ann\n2,Bo\n")];
    let schema = "CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT);";
    let room = Room::with(case, &format!("{PLAN}{hooks}"), &sources, schema);
    let pem =
        |what: &str, key: &str| format!("-----BEGIN {what}-----\n{key}\n-----END {what}-----\n");
    room.write("own.pem", pem("PRIVATE KEY", KEY));
    room.write("public.pem", pem("PUBLIC KEY", PUBLIC));
    room.write("other.pem", pem("PRIVATE KEY", OTHER));
    room.bundle("B");
    room
}

/// A room with a run that was applied and taken back, all of it signed.
fn signed(case: Case) -> Room {
    let room = room(case, "");
    let run = room.on("apply", &["B", SIGN]).code(0).id();
    let _ = room.on("rollback", &[&run, SIGN]).code(0);
    room
}

fn audit(room: &Room, key: &str, code: i32) -> String {
    let key = format!("--audit-key={key}");
    room.on("verify", &["audit", &key]).code(code).out
}

fn entries_are_signed_as_the_format_says_and_another_key_is_none(case: Case) {
    let room = signed(case);
    for key in ["own.pem", "public.pem"] {
        assert!(audit(&room, key, 0).contains("pass  audit"));
    }
    let found = audit(&room, "other.pem", 1);
    assert!(
        found.contains("entry 1 is not signed with this key"),
        "{found}"
    );
    // By the words of the format, with no code of ours.
    let entries = room.db.rows(
        "SELECT seq, at, action, run, operator, host, detail, hash FROM switchback_audit ORDER BY seq",
    );
    let mut before: Vec<u8> = Vec::new();
    for entry in &entries {
        let (open, signature) = entry[6].rsplit_once(",\"signature\":\"").unwrap();
        let detail = format!("{open}}}");
        let hash = hashed(&before, &entry[..6], &detail);
        let message = [&b"switchback audit entry\n"[..], &hash].concat();
        let signature = bytes(signature.strip_suffix("\"}").unwrap());
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        UnparsedPublicKey::new(&ED25519, bytes(public))
            .verify(&message, &signature)
            .unwrap();
        before = hashed(&before, &entry[..6], &entry[6]);
    }
    assert!(entries.len() >= 3, "{entries:?}");
}

/// The hash of an entry: of the one before, and the canonical bytes of its cells.
fn hashed(before: &[u8], cells: &[String], detail: &str) -> Vec<u8> {
    let mut all = before.to_vec();
    for (place, text) in cells.iter().map(String::as_str).chain([detail]).enumerate() {
        if place < 2 {
            all.push(b'i');
            all.extend(text.parse::<i64>().unwrap().to_be_bytes());
        } else {
            all.push(b't');
            all.extend((text.len() as u64).to_be_bytes());
            all.extend(text.as_bytes());
        }
    }
    Sha256::digest(&all).to_vec()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn a_trail_that_was_written_anew_is_found_by_the_key(case: Case) {
    let room = room(case, "");
    let _ = room.on("apply", &["B", SIGN]).code(0);
    rewrite(
        &room,
        "UPDATE switchback_audit SET operator = 'eve'; UPDATE switchback_runs SET operator = 'eve'",
    );
    // The chain alone proves order, not origin.
    let _ = room.on("verify", &["audit"]).code(0);
    let found = audit(&room, "public.pem", 1);
    assert!(
        found.contains("entry 1 is not signed with this key, or was changed since"),
        "{found}"
    );
}

fn an_entry_without_a_signature_is_named(case: Case) {
    let room = room(case, "");
    let run = room.on("apply", &["B"]).code(0).id();
    let head = room.on("verify", &["audit"]).code(0).out;
    let head = head
        .lines()
        .find_map(|line| line.strip_prefix("head "))
        .unwrap();
    let _ = room.on("rollback", &[&run, SIGN]).code(0);
    let found = audit(&room, "public.pem", 1);
    assert!(found.contains("entry 1 is not signed"), "{found}");
    // What came before the key is looked at up to a hash that was kept.
    let args = ["audit", "--audit-key=public.pem", "--since", head];
    let _ = room.on("verify", &args).code(0);
}

fn hooks_of_a_run_that_the_operators_key_signed_run_with_hooks_alone(case: Case) {
    let hook =
        "[[hook]]\non = [\"rolled-back\"]\nrequired = true\ncommand = [\"touch\", \"log\"]\n";
    let room = room(case, hook);
    let run = room.on("apply", &["B", "--hooks", SIGN]).code(0).id();
    for args in [
        &["--hooks"][..],
        &[SIGN],
        &["--hooks", "--audit-key=other.pem"],
    ] {
        let args: Vec<&str> = [&*run].iter().chain(args).copied().collect();
        let _ = room.on("rollback", &args).code(4).says(&["is required"]);
    }
    assert!(!room.path("log").exists());
    let _ = room.on("rollback", &[&run, "--hooks", SIGN]).code(0);
    assert!(room.path("log").exists());
}

fn a_file_that_holds_no_key_stops_everything_before_the_first_write(case: Case) {
    let room = room(case, "");
    room.write("empty.pem", "");
    let before = room.dump();
    for (file, says) in [
        ("public.pem", "is no key of Ed25519 in PEM"),
        ("empty.pem", "openssl genpkey -algorithm ed25519"),
        ("none.pem", "none.pem: "),
    ] {
        let key = format!("--audit-key={file}");
        let _ = room
            .on("apply", &["B", &key])
            .code(2)
            .says(&["--audit-key: ", says]);
    }
    assert_eq!(room.dump(), before);
    let run = room.on("apply", &["B"]).code(0).id();
    let _ = room.on("rollback", &[&run, "--audit-key=none.pem"]).code(2);
    let _ = room
        .on("verify", &["audit", "--audit-key=none.pem"])
        .code(2);
}
