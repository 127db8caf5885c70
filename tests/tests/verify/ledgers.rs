//! The ledger and the bundle: figures, failures, the audit, runs, reports.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tests::{Case, Db};

use super::{CLUB, applied, careless, club, json, named, verify};

const NOBODY: &str = "01900000-0000-7000-8000-00000000dead";

tests::both!(
    without_its_bundle_a_run_is_checked_by_the_checksums_of_the_ledger,
    a_bundle_that_does_not_add_up_or_is_another_is_refused_by_name,
    a_batch_that_failed_fails_the_check_of_the_run_and_its_records_are_not_compared,
    figures_that_do_not_add_up_are_found,
    after_a_rollback_nothing_of_the_run_may_be_left,
    what_rollback_kept_is_listed_as_that,
    a_tampered_audit_entry_breaks_the_chain,
    a_run_that_nobody_knows_is_refused,
    runs_are_listed_newest_first_with_the_holder_of_the_lock,
    a_report_is_made_of_the_ledger_alone,
    nothing_is_written_and_leave_to_read_is_enough,
);

fn without_its_bundle_a_run_is_checked_by_the_checksums_of_the_ledger(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    fs::remove_dir_all(club.path("B1")).unwrap();
    let _ = verify(&club, &[&run]).code(0).prints(&[
        "no bundle",
        "checksums in the ledger alone",
        "0 failed, 1 with warnings",
    ]);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "balance" = '9', "note" = 'n' WHERE id = 'n1'"#,
    );
    let check = named(&verify(&club, &[&run, "--json"]).code(1), "records");
    assert_eq!(check["errors"], 1);
    assert_eq!(
        (&check["rows"][0]["column"], &check["rows"][0]["found"]),
        (&"balance".into(), &"\"9\"".into())
    );
}

fn a_bundle_that_does_not_add_up_or_is_another_is_refused_by_name(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    applied(&club, &CLUB[2..3]);
    let other = club.path("B2");
    let said = verify(&club, &[&run, "--bundle", other.to_str().unwrap()]).code(4);
    assert!(said.err.contains("it is another bundle"), "{}", said.err);
    assert_eq!(said.out, "");
    let file = club.path("B1/records/02-member.ndjson");
    let text = fs::read_to_string(&file).unwrap().replace("fay@", "gay@");
    fs::write(&file, text).unwrap();
    let said = verify(&club, &[&run]).code(4);
    assert!(
        said.err.contains("records/02-member.ndjson"),
        "{}",
        said.err
    );
}

fn a_batch_that_failed_fails_the_check_of_the_run_and_its_records_are_not_compared(case: Case) {
    let club = club(case);
    club.db
        .refuse("INSERT", "\"Mem ber\"", "NEW.email LIKE 'bad%'", "no bad");
    let lines = [
        CLUB[0].replace(r#","refs":{"captain":{"entity":"member","key":"n1"}}"#, ""),
        CLUB[1].into(),
        CLUB[2].into(),
        r#"{"entity":"member","key":"n3","fields":{"email":"bad@example.org"}}"#.into(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let bundle = club.seal(&lines);
    let args = [&bundle, "--batch-size=2", "--max-failed-percent=100"];
    let run = club.on("apply", &args).code(3).id();
    let said = verify(&club, &[&run]).code(1).prints(&[
        "batch 3 (put, member, 1 record) was undone",
        "source.csv:5: member n3: it was not applied: no bad",
        "1 not applied",
    ]);
    assert!(said.out.contains("pass  counts"), "{}", said.out);
    let report = json(&verify(&club, &["report", &run, "--json"]).code(0));
    assert_eq!(report["counts"]["failed"], 1);
    assert_eq!(report["failures"][0]["at"]["line"], 5);
}

fn figures_that_do_not_add_up_are_found(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(
        &club,
        "UPDATE switchback_runs SET counts = replace(counts, '\"created\":3', '\"created\":4')",
    );
    let said = verify(&club, &[&run, "--json"]).code(1);
    let check = named(&said, "run");
    assert_eq!(check["errors"], 2, "{check}");
    let check = named(&said, "counts");
    assert_eq!(
        (&check["rows"][0]["expected"], &check["rows"][0]["found"]),
        (&"4".into(), &"3".into())
    );
}

fn after_a_rollback_nothing_of_the_run_may_be_left(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    // As a rollback would leave it that did nothing.
    careless(&club, "UPDATE switchback_runs SET status = 'rolled-back'");
    let check = named(&verify(&club, &[&run, "--json"]).code(1), "rollback");
    let messages: Vec<&str> = check["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["message"].as_str())
        .collect();
    for message in [
        "the run created it, and it is still there",
        "it still has the value that the run wrote",
        "the id map still has the entry of the run",
    ] {
        assert!(messages.contains(&message), "{message}: {messages:?}");
    }
    let check = named(&verify(&club, &[&run, "--json"]).code(1), "audit");
    assert_eq!(
        (&check["rows"][0]["column"], &check["rows"][0]["expected"]),
        (&"status".into(), &"completed".into())
    );
    careless(&club, "UPDATE switchback_runs SET status = 'completed'");
    let _ = club.on("rollback", &[&run]).code(0);
    let _ = verify(&club, &[&run])
        .code(0)
        .prints(&["5 changes, 0 of them kept"]);
    // Edited since: listed, and no error.
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '3' WHERE id = 'm1'"#,
    );
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "rollback");
    assert_eq!(check["warnings"], 1);
}

fn what_rollback_kept_is_listed_as_that(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "email" = 'gay@example.org' WHERE id = 'n2'"#,
    );
    let _ = club.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    let _ = verify(&club, &[&run])
        .code(0)
        .prints(&["Mem ber n2: kept by rollback: changed"]);
    careless(&club, "UPDATE switchback_kept SET reason = 'gone'");
    let _ = verify(&club, &[&run]).code(1).prints(&[
        "the changes that rollback kept are not those that entry 3 confirms",
        "Mem ber n2: the run created it, and it is still there",
    ]);
}

fn a_tampered_audit_entry_breaks_the_chain(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    let _ = verify(&club, &["audit"]).code(0).prints(&[
        "migration:started",
        "migration:completed",
        "2 entries",
    ]);
    careless(
        &club,
        "UPDATE switchback_audit SET operator = 'nobody' WHERE seq = 1",
    );
    let _ = verify(&club, &["audit"])
        .code(1)
        .prints(&["entry 1 does not follow"]);
    let _ = verify(&club, &[&run]).code(1).prints(&["FAIL  audit"]);
    let report = json(&verify(&club, &["audit", "--json", "--run", &run]).code(1));
    assert_eq!(report["entries"].as_array().unwrap().len(), 2);
    assert_eq!(report["check"]["passed"], false);
}

fn a_run_that_nobody_knows_is_refused(case: Case) {
    let club = club(case);
    let message = format!("Migration run {NOBODY} not found");
    let asked = [
        &[NOBODY][..],
        &["report", NOBODY],
        &["audit", "--run", NOBODY],
    ];
    for args in asked {
        let said = verify(&club, args).code(4);
        assert!(said.err.contains(&message), "{}", said.err);
    }
    applied(&club, &CLUB);
    for args in asked {
        let said = verify(&club, args).code(4);
        assert!(said.err.contains(&message), "{}", said.err);
    }
}

fn runs_are_listed_newest_first_with_the_holder_of_the_lock(case: Case) {
    let club = club(case);
    let _ = verify(&club, &["runs"]).code(0).prints(&["no runs"]);
    assert_eq!(
        json(&verify(&club, &["runs", "--json"]).code(0))["runs"],
        serde_json::json!([])
    );
    let (first, second) = (applied(&club, &CLUB), applied(&club, &CLUB));
    let said = verify(&club, &["runs"]).code(0).prints(&[
        "completed",
        "3 created, 1 updated",
        "4 unchanged",
        "by ann",
    ]);
    assert!(
        said.out.find(&second) < said.out.find(&first),
        "{}",
        said.out
    );
    assert!(!said.out.contains("lock:"));
    let holder = format!(
        r#"{{"host":"elsewhere","boot":"","process":7,"started":"","operator":"bea","run":"{second}"}}"#
    );
    careless(
        &club,
        &format!("UPDATE switchback_lock SET holder = '{holder}', since = 1000, expires = 2000"),
    );
    let _ = verify(&club, &["runs"]).code(0).prints(&[
        "lock: run ",
        "bea on elsewhere, process 7",
        "ran out",
    ]);
    let report = json(&verify(&club, &["runs", "--json"]).code(0));
    assert_eq!(report["lock"]["void"], true);
    assert_eq!(report["runs"][0]["run"], second.as_str());
}

fn a_report_is_made_of_the_ledger_alone(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    fs::remove_dir_all(club.path("B1")).unwrap();
    let cascade = case.either("", "CASCADE");
    careless(
        &club,
        &format!("DROP TABLE \"Mem ber\" {cascade}; DROP TABLE \"Team\" {cascade}"),
    );
    let _ = verify(&club, &["report", &run]).code(0).prints(&[
        "member: 2 created, 1 updated, 0 unchanged",
        "team: 1 created, 0 updated, 0 unchanged, 1 late references written",
        "4 records: 3 created, 1 updated, 0 unchanged, 1 late references written",
        "4 batches: 4 applied, 0 failed",
    ]);
    let report = json(&verify(&club, &["report", &run, "--json"]).code(0));
    assert_eq!(report["entities"]["member"]["created"], 2);
    assert_eq!(report["files"]["source.csv"]["created"], 3);
    assert_eq!(report["batches"].as_array().unwrap().len(), 4);
}

fn nothing_is_written_and_leave_to_read_is_enough(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(club.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    match &club.db {
        Db::Sqlite(_) => {
            mode("t.db", 0o400);
            mode("", 0o500);
        }
        Db::Postgres(database) => club.sql(&format!(
            "ALTER DATABASE {} SET default_transaction_read_only = on",
            database.name
        )),
    }
    let files = || fs::read_dir(club.path("")).unwrap().count();
    let before = (club.db.everything(), files());
    for args in [
        &[run.as_str()][..],
        &["runs"],
        &["report", &run],
        &["audit"],
    ] {
        let _ = verify(&club, args).code(0);
    }
    assert!((club.db.everything(), files()) == before);
    mode("", 0o700);
}
