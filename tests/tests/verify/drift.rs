//! What others edited before a run, and the run left so, is told as that, and fails no check; what is edited
//! after the run does.

use std::fs;

use tests::{Case, Room};

use super::{applied, careless, club, json, named, verify};

tests::both!(
    an_edit_beside_what_the_next_export_changes_is_counted_and_no_failure,
    an_edit_that_the_plan_keeps_is_told_and_one_made_later_fails,
    an_edited_late_reference_is_left_and_told,
);

fn member(email: &str, phone: &str) -> String {
    format!(
        r#"{{"entity":"member","key":"n1","fields":{{"email":"{email}@example.org","phone":"{phone}","balance":1}}}}"#
    )
}

const OTHER: &str = r#"{"entity":"member","key":"n2","fields":{"email":"fay@example.org"}}"#;

/// Asserts that the records pass with so many warnings, with the bundle and without.
#[track_caller]
fn passes(club: &Room, run: &str, warnings: u64) {
    let with = named(&verify(club, &[run, "--json"]).code(0), "records");
    assert_eq!(with["warnings"], warnings, "{with}");
    let bundles = ["B1", "B2"].map(|name| (club.path(name), club.path(&format!("away-{name}"))));
    for (path, away) in &bundles {
        fs::rename(path, away).ok();
    }
    let without = named(&verify(club, &[run, "--json"]).code(0), "records");
    for (path, away) in &bundles {
        fs::rename(away, path).ok();
    }
    assert!(
        without["warnings"].as_u64().unwrap() <= warnings,
        "{without}"
    );
}

fn an_edit_beside_what_the_next_export_changes_is_counted_and_no_failure(case: Case) {
    let club = club(case);
    // As most plans are: nothing is said of edits.
    club.mend("migration.toml", "on_drift = \"keep\"\n", "");
    applied(&club, &[&member("eve", "1"), OTHER]);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '999' WHERE id = 'n1'"#,
    );
    let bundle = club.seal(&[&member("eva", "1"), OTHER]);
    let said = club.on("apply", &[&bundle]).code(0);
    let run = said.id();
    let _ = said.says(&[
        "member n1: edited since, left so: phone",
        "0 created, 1 updated, 1 unchanged, 1 of them edited since",
    ]);
    assert_eq!(
        club.ask(r#"SELECT "email", "phone" FROM "Mem ber" WHERE id = 'n1'"#),
        "eva@example.org|999"
    );
    let report = json(&verify(&club, &["report", &run, "--json"]).code(0));
    assert_eq!(report["counts"]["drifted"], 1);
    passes(&club, &run, 1);
    let _ = verify(&club, &[&run]).code(0).prints(&[
        "phone",
        "edited by others before the run, which left it so",
        "1 with edits that the run left",
    ]);
    // What the run wrote, and what it found as the record says, is its to answer for.
    for column in ["email", "balance"] {
        let was = format!(r#"SELECT "{column}" FROM "Mem ber" WHERE id = 'n1'"#);
        let was = club.ask(&was);
        careless(
            &club,
            &format!(r#"UPDATE "Mem ber" SET "{column}" = '7' WHERE id = 'n1'"#),
        );
        let check = named(&verify(&club, &[&run, "--json"]).code(1), "records");
        let rows = check["rows"].as_array().unwrap();
        let error = rows.iter().find(|row| row["severity"] == "error").unwrap();
        assert_eq!(
            (&check["errors"], &error["column"]),
            (&1.into(), &column.into()),
            "{check}"
        );
        careless(
            &club,
            &format!(r#"UPDATE "Mem ber" SET "{column}" = '{was}' WHERE id = 'n1'"#),
        );
    }
    // The row of another record is not excused by the edit of this one.
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '1' WHERE id = 'n1'; UPDATE "Mem ber" SET "email" = 'guy@example.org' WHERE id = 'n2'"#,
    );
    let check = named(&verify(&club, &[&run, "--json"]).code(1), "records");
    assert_eq!(
        (&check["errors"], &check["warnings"]),
        (&1.into(), &0.into()),
        "{check}"
    );
}

fn an_edit_that_the_plan_keeps_is_told_and_one_made_later_fails(case: Case) {
    let club = club(case);
    applied(&club, &[&member("eve", "1"), OTHER]);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '999' WHERE id = 'n1'"#,
    );
    // It changed in the source too, with another column, and alone.
    let run = applied(&club, &[&member("eva", "2"), OTHER]);
    passes(&club, &run, 1);
    let run = applied(&club, &[&member("eva", "3"), OTHER]);
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "records");
    assert_eq!(check["warnings"], 1, "{check}");
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "email" = 'guy@example.org' WHERE id = 'n1'"#,
    );
    let check = named(&verify(&club, &[&run, "--json"]).code(1), "records");
    assert_eq!(
        (&check["errors"], &check["warnings"]),
        (&1.into(), &1.into()),
        "{check}"
    );
}

fn an_edited_late_reference_is_left_and_told(case: Case) {
    let club = club(case);
    let lines = [
        r#"{"entity":"team","key":"t1","fields":{"name":"Red"},"refs":{"captain":{"entity":"member","key":"n1"}}}"#,
        &member("eve", "1"),
    ];
    applied(&club, &lines);
    careless(&club, "UPDATE \"Team\" SET \"captain\" = 'm2'");
    let run = applied(&club, &lines);
    let said = verify(&club, &[&run, "--json"]).code(0);
    let check = named(&said, "records");
    assert_eq!(
        (&check["warnings"], &check["rows"][0]["column"]),
        (&1.into(), &"captain".into()),
        "{check}"
    );
    careless(&club, "UPDATE \"Team\" SET \"name\" = 'Blue'");
    let _ = verify(&club, &[&run]).code(1);
}
