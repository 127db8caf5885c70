//! The program as its users meet it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::{CLUB, Club};

const NOBODY: &str = "01900000-0000-7000-8000-00000000dead";

#[test]
fn a_run_that_stands_passes_every_check() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    let said = club.verify(&[&run]).code(0).says(&[
        "is completed, 4 batches, 4 records",
        "Mem ber: 2 created, 1 updated, 3 of 3 rows there",
        "Team: 1 created, 1 linked, 1 of 1 row there",
        "18 values of 4 records",
        "10 checks, 0 failed, 0 with warnings",
    ]);
    assert_eq!(said.err, "");
    let report = club.verify(&[&run, "--json"]).code(0).json();
    assert_eq!(report["passed"], true);
    assert_eq!(report["run"], run.as_str());
    assert_eq!(report["checks"].as_array().unwrap().len(), 10);
}

#[test]
fn rows_that_were_there_before_do_not_count() {
    let club = Club::new();
    club.sql(r#"INSERT INTO "Mem ber" ("id", "email") VALUES ('z', 'zoe@example.org')"#);
    let run = club.apply(1, &CLUB);
    let _ = club.verify(&[&run]).code(0);
    let again = club.apply(2, &CLUB);
    let _ = club
        .verify(&[&again])
        .code(0)
        .says(&["the run changed no row", "18 values of 4 records"]);
}

#[test]
fn one_altered_value_of_each_type_is_named_with_both_values_and_its_line() {
    for (column, to, expected, found) in [
        (
            "email",
            "'eve@EXAMPLE.org'",
            "\"eve@example.org\"",
            "\"eve@EXAMPLE.org\"",
        ),
        ("balance", "'0.1'", "0.10", "\"0.1\""),
        ("price", "12.51", "12.50", "12.51"),
        ("active", "0", "true", "0"),
        ("active", "NULL", "true", "NULL"),
        (
            "data",
            r#"'{"a":null,"b":[1,2]}'"#,
            r#"{"b":[1],"a":null}"#,
            r#""{\"a\":null,\"b\":[1,2]}""#,
        ),
        ("statusId", "2", "1", "2"),
        ("tags", r#"'["b","c"]'"#, r#"["b"]"#, r#""[\"b\",\"c\"]""#),
    ] {
        let club = Club::new();
        let run = club.apply(1, &CLUB);
        club.sql(&format!(
            r#"UPDATE "Mem ber" SET "{column}" = {to} WHERE id = 'n1'"#
        ));
        let said = club.verify(&[&run, "--json"]).code(1);
        let check = said.check("records");
        assert_eq!(check["errors"], 1, "{column}: {check}");
        let row = &check["rows"][0];
        assert_eq!(row["column"], column);
        assert_eq!(row["expected"], expected);
        assert_eq!(row["found"], found);
        assert_eq!(row["table"], "Mem ber");
        assert_eq!(row["key"], "n1");
        assert_eq!(row["at"]["line"], 3);
        assert_eq!(row["message"], "edited after the run", "{row}");
    }
}

#[test]
fn what_does_not_count_is_not_compared() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    // Another layout of the JSON, a volatile column, a stamp of the run, the same number.
    club.sql(
        r#"UPDATE "Mem ber" SET "data" = '{ "a": null, "b": [1] }', "note" = 'y', "stamp" = 'z', "price" = 12.5 WHERE id = 'n1';
           UPDATE "Mem ber" SET "statusId" = 1, "balance" = '7' WHERE id = 'a1'"#,
    );
    let _ = club.verify(&[&run]).code(0);
}

#[test]
fn a_secret_value_is_never_shown() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    club.sql(r#"UPDATE "Mem ber" SET "phone" = '555-OTHER' WHERE id = 'n1'"#);
    for args in [&[run.as_str()][..], &[&run, "--json"]] {
        let _ = club
            .verify(args)
            .code(1)
            .says(&["***", "phone"])
            .hides("SECRET")
            .hides("OTHER");
    }
}

#[test]
fn a_value_that_the_run_wrote_wrong_is_told_from_one_that_was_edited() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    // As a writer would leave it that wrote another value and noted that one.
    let sum = store::Cell::from("0.2").sum();
    let conn = rusqlite::Connection::open(club.path("t.db")).unwrap();
    let sums: Vec<u8> = conn
        .query_row(
            "SELECT sums FROM switchback_ids WHERE source = 'n1'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let place = 7_u16.to_be_bytes();
    let sums: Vec<u8> = sums
        .chunks(10)
        .flat_map(|pair| {
            if pair[..2] == place {
                [&place[..], &sum.to_be_bytes()].concat()
            } else {
                pair.to_vec()
            }
        })
        .collect();
    conn.execute(
        "UPDATE switchback_ids SET sums = ?1 WHERE source = 'n1'",
        [sums],
    )
    .unwrap();
    club.sql(r#"UPDATE "Mem ber" SET "balance" = '0.2' WHERE id = 'n1'"#);
    let check = club.verify(&[&run, "--json"]).code(1).check("records");
    assert_eq!(
        check["rows"][0]["message"],
        "the run left it so, the record says otherwise"
    );
}

#[test]
fn edits_that_a_second_run_left_are_warnings_and_later_ones_are_errors() {
    let club = Club::new();
    club.apply(1, &CLUB);
    club.sql(r#"UPDATE "Mem ber" SET "balance" = '9' WHERE id = 'n1'"#);
    let again = club.apply(2, &CLUB);
    let check = club.verify(&[&again, "--json"]).code(0).check("records");
    assert_eq!(check["warnings"], 1);
    assert_eq!(
        check["rows"][0]["message"],
        "edited by others before the run, which left it so"
    );
    club.sql(r#"UPDATE "Mem ber" SET "active" = 1 WHERE id = 'n2'"#);
    let check = club.verify(&[&again, "--json"]).code(1).check("records");
    assert_eq!(check["errors"], 2);
}

#[test]
fn a_later_run_that_wrote_the_row_is_named_and_is_no_error() {
    let club = Club::new();
    let first = club.apply(1, &CLUB);
    let newer = CLUB[2].replace("fay@", "fay.new@");
    let second = club.apply(2, &[&newer]);
    let check = club.verify(&[&first, "--json"]).code(0).check("records");
    assert_eq!(check["warnings"], 1);
    let message = check["rows"][0]["message"].as_str().unwrap();
    assert_eq!(message, format!("run {second} has written it since"));
    let _ = club.verify(&[&second]).code(0);
}

#[test]
fn an_edit_that_the_run_kept_as_the_plan_says_is_a_warning() {
    let club = Club::new();
    club.apply(1, &CLUB);
    club.sql(r#"UPDATE "Mem ber" SET "balance" = '9' WHERE id = 'n1'"#);
    let newer = CLUB[1].replace("0.10", "0.20").replace("12.50", "13");
    let run = club.apply(2, &[&newer]);
    let check = club.verify(&[&run, "--json"]).code(0).check("records");
    let row = &check["rows"][0];
    assert_eq!(
        row["message"],
        "edited before the run, which kept it as the plan says"
    );
    assert_eq!(
        (&row["expected"], &row["found"]),
        (&"0.20".into(), &"\"9\"".into())
    );
    club.sql(r#"UPDATE "Mem ber" SET "balance" = '10' WHERE id = 'n1'"#);
    let check = club.verify(&[&run, "--json"]).code(1).check("records");
    assert_eq!(check["rows"][0]["message"], "edited after the run");
}

#[test]
fn a_deleted_row_fails_counts_mappings_records_and_references() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    club.sql("DELETE FROM \"Team\"");
    let said = club.verify(&[&run, "--json"]).code(1);
    for (check, message) in [
        ("counts", "the run updated it, and it is gone"),
        ("mappings", "the id map points to a row that is not there"),
        ("records", "its row is gone"),
        ("references", "team refers to team t1, which has no row"),
        ("orphans", "the run's row has no parent"),
    ] {
        let check = said.check(check);
        assert_eq!(check["passed"], false, "{check}");
        assert_eq!(check["rows"][0]["message"], message);
    }
    assert_eq!(said.check("duplicates")["passed"], true);
}

#[test]
fn an_orphan_of_the_run_is_an_error_and_one_of_others_a_warning() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    club.sql(r#"INSERT INTO "Mem ber" ("id", "email", "team") VALUES ('z', 'zoe@example.org', 'nowhere')"#);
    let check = club.verify(&[&run, "--json"]).code(0).check("orphans");
    assert_eq!(
        (&check["errors"], &check["warnings"]),
        (&0.into(), &1.into())
    );
    assert_eq!(check["rows"][0]["key"], "z");
    club.sql(r#"UPDATE "Mem ber" SET "team" = 'nowhere' WHERE id = 'n2'"#);
    let check = club.verify(&[&run, "--json"]).code(1).check("orphans");
    assert_eq!(
        (&check["errors"], &check["warnings"]),
        (&1.into(), &1.into())
    );
    assert_eq!(check["rows"][0]["key"], "n2");
    assert_eq!(check["rows"][0]["found"], "\"nowhere\"");
}

#[test]
fn a_reference_that_points_elsewhere_is_found_where_no_foreign_key_is_declared() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    club.sql("UPDATE \"Team\" SET \"captain\" = 'm2'");
    let said = club.verify(&[&run, "--json"]).code(1);
    let check = said.check("references");
    assert_eq!(check["rows"][0]["column"], "captain");
    assert_eq!(
        (&check["rows"][0]["expected"], &check["rows"][0]["found"]),
        (&"\"n1\"".into(), &"\"m2\"".into())
    );
    assert_eq!(said.check("orphans")["passed"], true);
}

#[test]
fn a_child_of_a_row_that_the_run_deleted_is_an_error() {
    let club = Club::new();
    let run = club.apply(
        1,
        &[r#"{"entity":"gone","key":"x","op":"delete","target":"m1"}"#],
    );
    let _ = club.verify(&[&run]).code(0).says(&["1 deleted"]);
    club.sql("INSERT INTO \"Badge\" VALUES (7, 'm1')");
    let check = club.verify(&[&run, "--json"]).code(1).check("orphans");
    assert_eq!(check["rows"][0]["message"], "the run deleted its parent");
    assert_eq!(check["rows"][0]["key"], "7");
    club.sql(r#"INSERT INTO "Mem ber" ("id", "email") VALUES ('m1', 'again@example.org')"#);
    let said = club.verify(&[&run, "--json"]).code(1);
    assert_eq!(
        said.check("counts")["rows"][0]["message"],
        "the run deleted it, and it is there"
    );
    assert_eq!(
        said.check("records")["rows"][0]["message"],
        "it was deleted, and is there again"
    );
}

#[test]
fn a_missing_table_is_a_named_failure_and_never_a_zero() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    club.sql("DROP TABLE \"Mem ber\"");
    let said = club.verify(&[&run, "--json"]).code(1);
    for name in [
        "schema",
        "counts",
        "mappings",
        "records",
        "references",
        "orphans",
        "duplicates",
    ] {
        let check = said.check(name);
        assert_eq!(check["passed"], false, "{check}");
    }
    assert!(
        said.out.contains("there is no table `Mem ber`"),
        "{}",
        said.out
    );
}

#[test]
fn a_missing_column_is_a_failure_and_a_new_one_a_warning() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    club.sql("ALTER TABLE \"Team\" ADD COLUMN \"colour\" TEXT");
    let check = club.verify(&[&run, "--json"]).code(0).check("schema");
    assert_eq!(check["warnings"], 1);
    club.sql("ALTER TABLE \"Team\" DROP COLUMN \"captain\"");
    let _ = club.verify(&[&run]).code(1).says(&["no column `captain`"]);
}

#[test]
fn duplicates_of_the_run_fail_and_those_of_others_are_listed() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    club.sql(r#"INSERT INTO "Mem ber" ("id", "email") VALUES ('z1', 'zoe@example.org'), ('z2', 'zoe@example.org')"#);
    let check = club.verify(&[&run, "--json"]).code(0).check("duplicates");
    assert!(check["warnings"].as_u64().unwrap() >= 2, "{check}");
    // The plan folds the case of e-mail addresses; the target does not.
    club.sql(r#"INSERT INTO "Mem ber" ("id", "email") VALUES ('z3', 'EVE@example.org')"#);
    let check = club.verify(&[&run, "--json"]).code(1).check("duplicates");
    assert_eq!(check["errors"], 2, "{check}");
    assert_eq!(check["rows"][0]["column"], "email");
}

#[test]
fn two_entries_that_claim_one_row_fail() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    club.sql("UPDATE switchback_ids SET target = 'n1' WHERE source = 'n2'");
    let _ = club
        .verify(&[&run])
        .code(1)
        .says(&["several records claim this row: old/member n1, old/member n2"]);
    club.sql("DELETE FROM switchback_ids WHERE source = 'n2'");
    let _ = club
        .verify(&[&run])
        .code(1)
        .says(&["source.csv:4: member n2: it was applied, and the id map has no entry for it"]);
}

#[test]
fn without_its_bundle_a_run_is_checked_by_the_checksums_of_the_ledger() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    fs::remove_dir_all(club.path("B1")).unwrap();
    let _ = club.verify(&[&run]).code(0).says(&[
        "no bundle",
        "checksums in the ledger alone",
        "0 failed, 1 with warnings",
    ]);
    club.sql(r#"UPDATE "Mem ber" SET "balance" = '9', "note" = 'n' WHERE id = 'n1'"#);
    let check = club.verify(&[&run, "--json"]).code(1).check("records");
    assert_eq!(check["errors"], 1);
    assert_eq!(
        (&check["rows"][0]["column"], &check["rows"][0]["found"]),
        (&"balance".into(), &"\"9\"".into())
    );
}

#[test]
fn a_bundle_that_does_not_add_up_or_is_another_is_refused_by_name() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    club.apply(2, &CLUB[2..3]);
    let other = club.path("B2");
    let said = club
        .verify(&[&run, "--bundle", other.to_str().unwrap()])
        .code(4);
    assert!(said.err.contains("it is another bundle"), "{}", said.err);
    assert_eq!(said.out, "");
    let file = club.path("B1/records/02-member.ndjson");
    let text = fs::read_to_string(&file).unwrap().replace("fay@", "gay@");
    fs::write(&file, text).unwrap();
    let said = club.verify(&[&run]).code(4);
    assert!(
        said.err.contains("records/02-member.ndjson"),
        "{}",
        said.err
    );
}

#[test]
fn a_sample_is_the_same_for_the_same_seed_and_says_what_it_can_miss() {
    let club = Club::new();
    let lines: Vec<String> = (0..200)
        .map(|n| {
            format!(r#"{{"entity":"member","key":"k{n}","fields":{{"email":"p{n}@example.org"}}}}"#)
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let run = club.apply(1, &lines);
    club.sql(r#"UPDATE "Mem ber" SET "email" = 'x' || "id" || '@example.org'"#);
    let keys = |seed: &str| -> Vec<String> {
        let check = club
            .verify(&[&run, "--json", "--sample", "20", "--seed", seed])
            .code(1)
            .check("records");
        let rows = check["rows"].as_array().unwrap();
        rows.iter().map(|row| row["key"].to_string()).collect()
    };
    assert_eq!(keys("1").len(), 20);
    assert_eq!(keys("1"), keys("1"));
    assert_ne!(keys("1"), keys("2"));
    let _ = club.verify(&[&run, "--sample", "20"]).code(1).says(&[
        "a sample of 20 of 200 records",
        "a fault in one record with a chance of 90.0 %",
        "faults in 1 % of them with 81.0 %",
    ]);
}

#[test]
fn a_batch_that_failed_fails_the_check_of_the_run_and_its_records_are_not_compared() {
    let club = Club::new();
    club.sql(r#"CREATE TRIGGER "no" BEFORE INSERT ON "Mem ber" WHEN NEW."email" LIKE 'bad%' BEGIN SELECT RAISE(ABORT, 'no bad'); END"#);
    let lines = [
        CLUB[0].replace(r#","refs":{"captain":{"entity":"member","key":"n1"}}"#, ""),
        CLUB[1].into(),
        CLUB[2].into(),
        r#"{"entity":"member","key":"n3","fields":{"email":"bad@example.org"}}"#.into(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let run = club.apply(1, &lines);
    let said = club.verify(&[&run]).code(1).says(&[
        "batch 3 (put, member, 1 record) was undone",
        "source.csv:5: member n3: it was not applied: no bad",
        "1 not applied",
    ]);
    assert!(said.out.contains("pass  counts"), "{}", said.out);
    let report = club.verify(&["report", &run, "--json"]).code(0).json();
    assert_eq!(report["counts"]["failed"], 1);
    assert_eq!(report["failures"][0]["at"]["line"], 5);
}

#[test]
fn figures_that_do_not_add_up_are_found() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    club.sql(
        "UPDATE switchback_runs SET counts = replace(counts, '\"created\":3', '\"created\":4')",
    );
    let said = club.verify(&[&run, "--json"]).code(1);
    let check = said.check("run");
    assert_eq!(check["errors"], 2, "{check}");
    let check = said.check("counts");
    assert_eq!(
        (&check["rows"][0]["expected"], &check["rows"][0]["found"]),
        (&"4".into(), &"3".into())
    );
}

#[test]
fn after_a_rollback_nothing_of_the_run_may_be_left() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    // As a rollback would leave it that did nothing.
    club.sql("UPDATE switchback_runs SET status = 'rolled-back'");
    let check = club.verify(&[&run, "--json"]).code(1).check("rollback");
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
    club.sql(
        r#"DELETE FROM "Mem ber" WHERE id IN ('n1', 'n2'); DELETE FROM "Team"; DELETE FROM switchback_ids;
           UPDATE "Mem ber" SET "phone" = NULL, "tags" = '["a"]', "stamp" = NULL WHERE id = 'm1'"#,
    );
    let _ = club
        .verify(&[&run])
        .code(0)
        .says(&["5 changes, 0 of them kept"]);
    // Edited since: listed, and no error.
    club.sql(r#"UPDATE "Mem ber" SET "phone" = '3' WHERE id = 'm1'"#);
    let check = club.verify(&[&run, "--json"]).code(0).check("rollback");
    assert_eq!(check["warnings"], 1);
    // What rollback said that it kept is listed as that.
    club.sql(
        r#"INSERT INTO "Mem ber" ("id", "email") VALUES ('n2', 'fay@example.org');
           INSERT INTO switchback_kept SELECT run, seq, 'changed', '{}' FROM switchback_changes WHERE source = 'n2'"#,
    );
    let _ = club
        .verify(&[&run])
        .code(0)
        .says(&["Mem ber n2: kept by rollback: changed"]);
}

#[test]
fn a_tampered_audit_entry_breaks_the_chain() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    let _ = club.verify(&["audit"]).code(0).says(&[
        "migration:started",
        "migration:completed",
        "2 entries",
    ]);
    club.sql("UPDATE switchback_audit SET operator = 'nobody' WHERE seq = 1");
    let _ = club
        .verify(&["audit"])
        .code(1)
        .says(&["entry 1 does not follow"]);
    let _ = club.verify(&[&run]).code(1).says(&["FAIL  audit"]);
    let report = club
        .verify(&["audit", "--json", "--run", &run])
        .code(1)
        .json();
    assert_eq!(report["entries"].as_array().unwrap().len(), 2);
    assert_eq!(report["check"]["passed"], false);
}

#[test]
fn a_run_that_nobody_knows_is_refused() {
    let club = Club::new();
    let message = format!("Migration run {NOBODY} not found");
    let asked = [
        &[NOBODY][..],
        &["report", NOBODY],
        &["audit", "--run", NOBODY],
    ];
    for args in asked {
        let said = club.verify(args).code(4);
        assert!(said.err.contains(&message), "{}", said.err);
    }
    club.apply(1, &CLUB);
    for args in asked {
        let said = club.verify(args).code(4);
        assert!(said.err.contains(&message), "{}", said.err);
    }
}

#[test]
fn runs_are_listed_newest_first_with_the_holder_of_the_lock() {
    let club = Club::new();
    let _ = club.verify(&["runs"]).code(0).says(&["no runs"]);
    assert_eq!(
        club.verify(&["runs", "--json"]).code(0).json()["runs"],
        serde_json::json!([])
    );
    let (first, second) = (club.apply(1, &CLUB), club.apply(2, &CLUB));
    let said = club.verify(&["runs"]).code(0).says(&[
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
    club.sql(&format!(
        "UPDATE switchback_lock SET holder = '{holder}', since = 1000, expires = 2000"
    ));
    let _ = club.verify(&["runs"]).code(0).says(&[
        "lock: run ",
        "bea on elsewhere, process 7",
        "ran out",
    ]);
    let report = club.verify(&["runs", "--json"]).code(0).json();
    assert_eq!(report["lock"]["void"], true);
    assert_eq!(report["runs"][0]["run"], second.as_str());
}

#[test]
fn a_report_is_made_of_the_ledger_alone() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    fs::remove_dir_all(club.path("B1")).unwrap();
    club.sql("DROP TABLE \"Mem ber\"; DROP TABLE \"Team\"");
    let _ = club.verify(&["report", &run]).code(0).says(&[
        "member: 2 created, 1 updated, 0 unchanged",
        "team: 1 created, 0 updated, 0 unchanged, 1 late references written",
        "4 records: 3 created, 1 updated, 0 unchanged, 1 late references written",
        "4 batches: 4 applied, 0 failed",
    ]);
    let report = club.verify(&["report", &run, "--json"]).code(0).json();
    assert_eq!(report["entities"]["member"]["created"], 2);
    assert_eq!(report["files"]["source.csv"]["created"], 3);
    assert_eq!(report["batches"].as_array().unwrap().len(), 4);
}

#[test]
fn nothing_is_written_and_a_read_only_file_is_enough() {
    let club = Club::new();
    let run = club.apply(1, &CLUB);
    let path = club.path("t.db");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(club.folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let before = fs::read(&path).unwrap();
    for args in [
        &[run.as_str()][..],
        &["runs"],
        &["report", &run],
        &["audit"],
    ] {
        let _ = club.verify(args).code(0);
    }
    assert!(fs::read(&path).unwrap() == before);
    let names: Vec<_> = fs::read_dir(club.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    fs::set_permissions(club.folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn what_is_no_target_and_what_is_not_there_are_told_apart() {
    let club = Club::new();
    for (args, code) in [
        (&["runs", "--to", "sqlite:/nowhere/at.all"][..], 5),
        (&["runs", "--to", "postgres://u:hunter2@h:x/db"], 2),
        (&["runs", "--to", "nothing"], 2),
        (&[], 2),
        (&[NOBODY, "runs"], 2),
        (&[NOBODY, "--sample", "0"], 2),
        (&[NOBODY, "--seed", "3"], 2),
    ] {
        let _ = club.verify(args).code(code).hides("hunter2");
    }
    let file = club.path("text.db");
    fs::write(
        &file,
        "this is no database, but long enough to be looked at as one",
    )
    .unwrap();
    let url = format!("sqlite:{}", file.display());
    let _ = club.verify(&["runs", "--to", &url]).code(5);
}
