//! Records that failed, and runs that did not come to their end: what is said of them is so.

use tests::{Case, Room};

use super::{applied, careless, club, json, named, verify};

tests::both!(
    a_record_that_failed_alone_is_not_said_to_have_been_applied,
    a_late_reference_that_failed_alone_is_not_missed_in_its_row,
    a_run_that_was_killed_is_listed_with_what_its_batches_did,
);

const THREE: [&str; 3] = [
    r#"{"entity":"member","key":"n1","fields":{"email":"eve@example.org"}}"#,
    r#"{"entity":"member","key":"n2","fields":{"email":"bad@example.org"}}"#,
    r#"{"entity":"member","key":"n3","fields":{"email":"fay@example.org"}}"#,
];

/// Applies records and sets those aside that fail.
#[track_caller]
fn applied_in_part(club: &Room, lines: &[&str]) -> String {
    let bundle = club.seal(lines);
    let args = [&bundle, "--on-error=record", "--max-failed-percent=100"];
    club.on("apply", &args).code(3).id()
}

fn a_record_that_failed_alone_is_not_said_to_have_been_applied(case: Case) {
    let club = club(case);
    club.db
        .refuse("INSERT", "\"Mem ber\"", "NEW.email LIKE 'bad%'", "no bad");
    let run = applied_in_part(&club, &THREE);
    let said = verify(&club, &[&run]).code(1).prints(&[
        "source.csv:3: member n2: it was not applied: no bad",
        "pass  counts",
        "pass  mappings",
        "1 not applied",
    ]);
    assert!(!said.out.contains("it was applied"), "{}", said.out);
    // The row of one that was applied before and now failed is not compared with what failed.
    let twice = [THREE[0], &THREE[2].replace("fay@", "bad@")];
    club.db.allow("\"Mem ber\"");
    club.db
        .refuse("UPDATE", "\"Mem ber\"", "NEW.email LIKE 'bad%'", "no bad");
    let run = applied_in_part(&club, &twice);
    let said = verify(&club, &[&run, "--json"]).code(1);
    assert_eq!(named(&said, "records")["passed"], true, "{}", said.out);
    assert_eq!(named(&said, "mappings")["passed"], true, "{}", said.out);
    assert_eq!(named(&said, "run")["passed"], false);
}

fn a_late_reference_that_failed_alone_is_not_missed_in_its_row(case: Case) {
    let club = club(case);
    club.db.refuse(
        "UPDATE",
        "\"Team\"",
        "NEW.captain IS NOT NULL",
        "no captain",
    );
    let lines = [
        r#"{"entity":"team","key":"t1","fields":{"name":"Red"},"refs":{"captain":{"entity":"member","key":"n1"}}}"#,
        THREE[0],
    ];
    let run = applied_in_part(&club, &lines);
    let said = verify(&club, &[&run, "--json"]).code(1);
    assert_eq!(named(&said, "references")["passed"], true, "{}", said.out);
    let check = named(&said, "run");
    let messages = check["rows"].to_string();
    assert!(messages.contains("no captain"), "{messages}");
}

fn a_run_that_was_killed_is_listed_with_what_its_batches_did(case: Case) {
    let club = club(case);
    let run = applied(&club, &THREE);
    // What a kill after the first of its two batches leaves.
    careless(
        &club,
        "DELETE FROM switchback_batches WHERE no = 2; DELETE FROM switchback_changes WHERE batch = 2;
         DELETE FROM switchback_ids WHERE source = 'n3'; DELETE FROM \"Mem ber\" WHERE id = 'n3';
         DELETE FROM switchback_audit WHERE action = 'migration:completed';
         UPDATE switchback_runs SET status = 'in-progress', ended = NULL, last_seq = 2,
           counts = '{\"not_attempted\":3}'",
    );
    let figures = "3 records: 2 created, 0 updated, 0 unchanged, 1 not attempted";
    let _ = verify(&club, &["runs"]).code(0).prints(&[figures]);
    let _ = verify(&club, &["report", &run]).code(0).prints(&[figures]);
    let all = json(&verify(&club, &["runs", "--json"]).code(0));
    assert_eq!(all["runs"][0]["counts"]["created"], 2);
    assert_eq!(all["runs"][0]["counts"]["not_attempted"], 1);
    let _ = club
        .on("rollback", &[])
        .code(2)
        .says(&["2 created, 0 updated, 0 deleted"]);
    let said = verify(&club, &[&run, "--json"]).code(1);
    assert_eq!(named(&said, "counts")["passed"], true, "{}", said.out);
    let _ = club.on("rollback", &[&run]).code(0);
    let _ = club
        .on("rollback", &[])
        .code(2)
        .says(&["2 created, 0 updated, 0 deleted"]);
    let _ = verify(&club, &["runs"]).code(0).prints(&[figures]);
    let _ = verify(&club, &[&run]).code(0);
}
