//! Edits of others beside what a run overwrites, skips or leaves undeleted: what is the run's doing and what is
//! theirs.

use std::fs;

use serde_json::Value;
use tests::db::same;
use tests::{Case, Room};

use super::{applied, careless, club, named, verify};

tests::both!(
    an_edit_that_the_run_overwrote_is_no_finding_and_one_beside_it_is_told,
    a_row_that_the_plan_skips_is_others_to_edit_and_to_delete,
    a_record_whose_row_is_gone_is_skipped_and_no_finding,
    a_delete_that_an_edit_prevents_is_told_and_the_others_must_be_gone,
    a_delete_that_goes_over_an_edit_is_no_finding_and_rollback_brings_the_edit_back,
);

fn member(key: &str, email: &str, phone: &str) -> String {
    format!(
        r#"{{"entity":"member","key":"{key}","fields":{{"email":"{email}@example.org","phone":"{phone}","balance":1}}}}"#
    )
}

fn deleted(key: &str) -> String {
    format!(r#"{{"entity":"member","key":"{key}","op":"delete","fields":{{}}}}"#)
}

fn club_with(case: Case, from: &str, to: &str) -> Room {
    let club = club(case);
    club.mend("migration.toml", from, to);
    club
}

/// The records check of a run, with its bundle and without.
#[track_caller]
fn records(club: &Room, run: &str, bundles: &[&str], code: i32) -> [Value; 2] {
    let with = named(&verify(club, &[run, "--json"]).code(code), "records");
    let away = |name: &str| (club.path(name), club.path(&format!("away-{name}")));
    for (path, away) in bundles.iter().map(|name| away(name)) {
        fs::rename(path, away).unwrap();
    }
    let without = named(&verify(club, &[run, "--json"]).code(code), "records");
    for (path, away) in bundles.iter().map(|name| away(name)) {
        fs::rename(away, path).unwrap();
    }
    [with, without]
}

/// The columns of the rows that a check names, with how bad each is.
fn found(check: &Value) -> Vec<(&str, &str)> {
    let rows = check["rows"].as_array().unwrap();
    let text = |row: usize, name: &str| rows[row][name].as_str().unwrap_or("-");
    let pair = |row| (text(row, "column"), text(row, "severity"));
    (0..rows.len()).map(pair).collect()
}

fn an_edit_that_the_run_overwrote_is_no_finding_and_one_beside_it_is_told(case: Case) {
    let club = club_with(case, "on_drift = \"keep\"", "on_drift = \"overwrite\"");
    applied(&club, &[&member("n1", "eve", "1")]);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '999', "balance" = '5' WHERE id = 'n1'"#,
    );
    let before = club.dump();
    let bundle = club.seal(&[&member("n1", "eve", "2")]);
    let said = club.on("apply", &[&bundle]).code(0);
    let run = said.id();
    let _ = said.says(&["left so: balance", "phone"]);
    let row = r#"SELECT "phone", "balance" FROM "Mem ber" WHERE id = 'n1'"#;
    assert_eq!(club.ask(row), "2|5");
    for check in records(&club, &run, &["B1", "B2"], 0) {
        assert_eq!(found(&check), [("balance", "warning")], "{check}");
    }
    // Edited once more, the overwritten column is what the run wrote no longer.
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '999' WHERE id = 'n1'"#,
    );
    for check in records(&club, &run, &["B1", "B2"], 1) {
        let mut found = found(&check);
        found.sort_unstable();
        assert_eq!(
            found,
            [("balance", "warning"), ("phone", "error")],
            "{check}"
        );
    }
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '2' WHERE id = 'n1'"#,
    );
    let _ = club.on("rollback", &[&run]).code(0);
    same(&club.dump(), &before, "the edits are back");
    let _ = verify(&club, &[&run]).code(0);
}

fn a_row_that_the_plan_skips_is_others_to_edit_and_to_delete(case: Case) {
    let club = club_with(case, "on_match = \"update\"", "on_match = \"skip\"");
    let first = applied(
        &club,
        &[&member("a1", "ann", "1"), &member("n1", "eve", "1")],
    );
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '999' WHERE id = 'm1'; UPDATE "Mem ber" SET "phone" = '999' WHERE id = 'n1'"#,
    );
    let second = applied(
        &club,
        &[&member("a1", "ann", "2"), &member("n1", "eva", "1")],
    );
    let of_run = |count: &[(&str, &str)]| {
        for check in records(&club, &second, &["B1", "B2"], 0) {
            assert_eq!(found(&check), count, "{check}");
        }
    };
    of_run(&[("phone", "warning")]);
    let _ = verify(&club, &[&second])
        .code(0)
        .prints(&["1 left alone as the plan says"]);
    // Of the first run it is an edit that came after it.
    let check = named(&verify(&club, &[&first, "--json"]).code(1), "records");
    assert_eq!(check["errors"], 1, "{check}");
    // The row that was skipped is no run's: who deletes it has to answer to nobody.
    careless(&club, r#"DELETE FROM "Mem ber" WHERE id = 'm1'"#);
    of_run(&[("phone", "warning")]);
    let _ = club.on("rollback", &[&second]).code(0);
    let _ = verify(&club, &[&second]).code(0);
}

fn a_record_whose_row_is_gone_is_skipped_and_no_finding(case: Case) {
    let club = club_with(
        case,
        "on_drift = \"keep\"",
        "on_drift = \"keep\"\non_gone = \"skip\"",
    );
    applied(
        &club,
        &[&member("n1", "eve", "1"), &member("n2", "fay", "1")],
    );
    careless(
        &club,
        r#"DELETE FROM "Mem ber" WHERE id = 'n1'; UPDATE "Mem ber" SET "phone" = '999' WHERE id = 'n2'"#,
    );
    let run = applied(
        &club,
        &[&member("n1", "eva", "1"), &member("n2", "fae", "1")],
    );
    for check in records(&club, &run, &["B1", "B2"], 0) {
        assert_eq!(found(&check), [("phone", "warning")], "{check}");
    }
    // One that goes after the run is missed.
    careless(&club, r#"DELETE FROM "Mem ber" WHERE id = 'n2'"#);
    let _ = verify(&club, &[&run]).code(1);
}

fn a_delete_that_an_edit_prevents_is_told_and_the_others_must_be_gone(case: Case) {
    let club = club(case);
    applied(
        &club,
        &[&member("n1", "eve", "1"), &member("n2", "fay", "1")],
    );
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '999' WHERE id = 'n1'"#,
    );
    let before = club.dump();
    let bundle = club.seal(&[&deleted("n1"), &deleted("n2")]);
    let said = club.on("apply", &[&bundle]).code(0);
    let run = said.id();
    let _ = said.says(&["member n1: edited since, left so: phone", "1 deleted"]);
    for check in records(&club, &run, &[], 0) {
        assert_eq!(found(&check), [("-", "warning")], "{check}");
    }
    let _ = verify(&club, &[&run])
        .code(0)
        .prints(&["1 with edits that the run left"]);
    // What they do with the row that they edited is theirs.
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "email" = 'x@example.org' WHERE id = 'n1'"#,
    );
    let _ = verify(&club, &[&run]).code(0);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "email" = 'eve@example.org' WHERE id = 'n1'; INSERT INTO "Mem ber" ("id", "email") VALUES ('n2', 'x@example.org')"#,
    );
    let _ = verify(&club, &[&run])
        .code(1)
        .prints(&["it was deleted, and is there again"]);
    careless(&club, r#"DELETE FROM "Mem ber" WHERE id = 'n2'"#);
    let _ = club.on("rollback", &[&run]).code(0);
    same(&club.dump(), &before, "the deleted row is back");
    let _ = verify(&club, &[&run]).code(0);
}

fn a_delete_that_goes_over_an_edit_is_no_finding_and_rollback_brings_the_edit_back(case: Case) {
    let club = club_with(case, "on_drift = \"keep\"", "on_drift = \"overwrite\"");
    applied(&club, &[&member("n1", "eve", "1")]);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '999' WHERE id = 'n1'"#,
    );
    let before = club.dump();
    let run = applied(&club, &[&deleted("n1")]);
    for check in records(&club, &run, &["B1", "B2"], 0) {
        assert_eq!(found(&check), [], "{check}");
    }
    let _ = club.on("rollback", &[&run]).code(0);
    same(&club.dump(), &before, "the edited row is back");
    let _ = verify(&club, &[&run]).code(0);
}
