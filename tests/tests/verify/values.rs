//! What a run wrote, value by value, beside its records.

use tests::{Case, Room};

use super::{CLUB, applied, careless, club, json, named, verify};

tests::both!(
    a_run_that_stands_passes_every_check,
    rows_that_were_there_before_do_not_count,
    one_altered_value_of_each_type_is_named_with_both_values_and_its_line,
    what_does_not_count_is_not_compared,
    a_secret_value_is_never_shown,
    a_value_that_the_run_wrote_wrong_is_told_from_one_that_was_edited,
    edits_that_a_second_run_left_are_warnings_and_later_ones_are_errors,
    a_later_run_that_wrote_the_row_is_named_and_is_no_error,
    an_edit_that_the_run_kept_as_the_plan_says_is_a_warning,
    a_sample_is_the_same_for_the_same_seed_and_says_what_it_can_miss,
);

fn a_run_that_stands_passes_every_check(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    let said = verify(&club, &[&run]).code(0).prints(&[
        "is completed, 4 batches, 4 records",
        "Mem ber: 2 created, 1 updated, 3 of 3 rows there",
        "Team: 1 created, 1 linked, 1 of 1 row there",
        "18 values of 4 records",
        "11 checks, 0 failed, 0 with warnings",
    ]);
    assert_eq!(said.err, "");
    let report = json(&verify(&club, &[&run, "--json"]).code(0));
    assert_eq!(report["passed"], true);
    assert_eq!(report["run"], run.as_str());
    assert_eq!(report["checks"].as_array().unwrap().len(), 11);
}

fn rows_that_were_there_before_do_not_count(case: Case) {
    let club = club(case);
    careless(
        &club,
        r#"INSERT INTO "Mem ber" ("id", "email") VALUES ('z', 'zoe@example.org')"#,
    );
    let run = applied(&club, &CLUB);
    let _ = verify(&club, &[&run]).code(0);
    let again = applied(&club, &CLUB);
    let _ = verify(&club, &[&again])
        .code(0)
        .prints(&["the run changed no row", "18 values of 4 records"]);
}

fn one_altered_value_of_each_type_is_named_with_both_values_and_its_line(case: Case) {
    for (column, to, expected, found) in [
        (
            "email",
            "'eve@EXAMPLE.org'",
            "\"eve@example.org\"",
            "\"eve@EXAMPLE.org\"",
        ),
        // A number of PostgreSQL's is compared by its value, a text by its digits.
        case.either(
            ("balance", "'0.1'", "0.10", "\"0.1\""),
            ("balance", "0.11", "0.10", "\"0.11\""),
        ),
        ("price", "12.51", "12.50", "12.51"),
        case.either(
            ("active", "0", "true", "0"),
            ("active", "FALSE", "true", "\"false\""),
        ),
        ("active", "NULL", "true", "NULL"),
        (
            "data",
            r#"'{"a":null,"b":[1,2]}'"#,
            r#"{"b":[1],"a":null}"#,
            r#""{\"a\":null,\"b\":[1,2]}""#,
        ),
        ("statusId", "2", "1", "2"),
        (
            "tags",
            case.either(r#"'["b","c"]'"#, "'{b,c}'"),
            r#"["b"]"#,
            r#""[\"b\",\"c\"]""#,
        ),
    ] {
        let club = club(case);
        let run = applied(&club, &CLUB);
        careless(
            &club,
            &format!(r#"UPDATE "Mem ber" SET "{column}" = {to} WHERE id = 'n1'"#),
        );
        let said = verify(&club, &[&run, "--json"]).code(1);
        let check = named(&said, "records");
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

fn what_does_not_count_is_not_compared(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    // Another layout of the JSON, a volatile column, a stamp of the run, the same number.
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "data" = '{ "a": null, "b": [1] }', "note" = 'y', "stamp" = 'z', "price" = 12.5 WHERE id = 'n1';
           UPDATE "Mem ber" SET "statusId" = 1, "balance" = '7' WHERE id = 'a1'"#,
    );
    let _ = verify(&club, &[&run]).code(0);
}

fn a_secret_value_is_never_shown(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "phone" = '555-OTHER' WHERE id = 'n1'"#,
    );
    for args in [&[run.as_str()][..], &[&run, "--json"]] {
        let said = verify(&club, args).code(1).prints(&["***", "phone"]);
        for secret in ["SECRET", "OTHER"] {
            assert!(!said.out.contains(secret) && !said.err.contains(secret));
        }
    }
}

fn a_value_that_the_run_wrote_wrong_is_told_from_one_that_was_edited(case: Case) {
    let sums = |club: &Room| club.ask("SELECT sums FROM switchback_ids WHERE source = 'n1'");
    // As a writer would leave it that wrote another value and noted that one.
    let wrong = club(case);
    applied(
        &wrong,
        &[CLUB[0], &CLUB[1].replace("0.10", "0.2"), CLUB[2], CLUB[3]],
    );
    let noted = case.either(sums(&wrong), format!("'{}'", sums(&wrong)));
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(
        &club,
        &format!(
            "UPDATE switchback_ids SET sums = {noted} WHERE source = 'n1'; \
             UPDATE \"Mem ber\" SET \"balance\" = '0.2' WHERE id = 'n1'"
        ),
    );
    let said = verify(&club, &[&run, "--json"]).code(1);
    let check = named(&said, "records");
    assert_eq!(check["errors"], 1, "{check}");
    assert_eq!(
        check["rows"][0]["message"],
        "the run left it so, the record says otherwise"
    );
}

fn edits_that_a_second_run_left_are_warnings_and_later_ones_are_errors(case: Case) {
    let club = club(case);
    applied(&club, &CLUB);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "balance" = '9' WHERE id = 'n1'"#,
    );
    let again = applied(&club, &CLUB);
    let check = named(&verify(&club, &[&again, "--json"]).code(0), "records");
    assert_eq!(check["warnings"], 1);
    assert_eq!(
        check["rows"][0]["message"],
        "edited by others before the run, which left it so"
    );
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "active" = TRUE WHERE id = 'n2'"#,
    );
    let check = named(&verify(&club, &[&again, "--json"]).code(1), "records");
    assert_eq!(
        (&check["errors"], &check["warnings"]),
        (&1.into(), &1.into())
    );
}

fn a_later_run_that_wrote_the_row_is_named_and_is_no_error(case: Case) {
    let club = club(case);
    let first = applied(&club, &CLUB);
    let newer = CLUB[2].replace("fay@", "fay.new@");
    let second = applied(&club, &[&newer]);
    let check = named(&verify(&club, &[&first, "--json"]).code(0), "records");
    assert_eq!(check["warnings"], 1);
    let message = check["rows"][0]["message"].as_str().unwrap();
    assert_eq!(message, format!("run {second} has written it since"));
    let _ = verify(&club, &[&second]).code(0);
}

fn an_edit_that_the_run_kept_as_the_plan_says_is_a_warning(case: Case) {
    let club = club(case);
    applied(&club, &CLUB);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "balance" = '9' WHERE id = 'n1'"#,
    );
    let newer = CLUB[1].replace("0.10", "0.20").replace("12.50", "13");
    let run = applied(&club, &[&newer]);
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "records");
    let row = &check["rows"][0];
    assert_eq!(
        row["message"],
        "edited by others before the run, which left it so"
    );
    assert_eq!(
        (&row["expected"], &row["found"]),
        (&"0.20".into(), &"\"9\"".into())
    );
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "balance" = '10' WHERE id = 'n1'"#,
    );
    // Edited once more: it is still what the run left to others.
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "records");
    assert_eq!(
        (&check["warnings"], &check["rows"][0]["found"]),
        (&1.into(), &"\"10\"".into())
    );
}

fn a_sample_is_the_same_for_the_same_seed_and_says_what_it_can_miss(case: Case) {
    let club = club(case);
    let lines: Vec<String> = (0..200)
        .map(|n| {
            format!(r#"{{"entity":"member","key":"k{n}","fields":{{"email":"p{n}@example.org"}}}}"#)
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let run = applied(&club, &lines);
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "email" = 'x' || "id" || '@example.org'"#,
    );
    let keys = |seed: &str| -> Vec<String> {
        let check = named(
            &verify(&club, &[&run, "--json", "--sample", "20", "--seed", seed]).code(1),
            "records",
        );
        let rows = check["rows"].as_array().unwrap();
        rows.iter().map(|row| row["key"].to_string()).collect()
    };
    assert_eq!(keys("1").len(), 20);
    assert_eq!(keys("1"), keys("1"));
    assert_ne!(keys("1"), keys("2"));
    let _ = verify(&club, &[&run, "--sample", "20"]).code(1).prints(&[
        "a sample of 20 of 200 records",
        "a fault in one record with a chance of 90.0 %",
        "faults in 1 % of them with 81.0 %",
    ]);
}
