//! Rows, parents, keys and tables: what is gone, doubled or points elsewhere.

use tests::Case;

use super::{CLUB, applied, careless, club, named, verify};

tests::both!(
    a_deleted_row_fails_counts_mappings_records_and_references,
    an_orphan_of_the_run_is_an_error_and_one_of_others_a_warning,
    a_reference_that_points_elsewhere_is_found_where_no_foreign_key_is_declared,
    a_child_of_a_row_that_the_run_deleted_is_an_error,
    a_missing_table_is_a_named_failure_and_never_a_zero,
    a_missing_column_is_a_failure_and_a_new_one_a_warning,
    duplicates_of_the_run_fail_and_those_of_others_are_listed,
    two_entries_that_claim_one_row_fail,
);

fn a_deleted_row_fails_counts_mappings_records_and_references(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(&club, "DELETE FROM \"Team\"");
    let said = verify(&club, &[&run, "--json"]).code(1);
    for (check, message) in [
        ("counts", "the run updated it, and it is gone"),
        ("mappings", "the id map points to a row that is not there"),
        ("records", "its row is gone"),
        ("references", "team refers to team t1, which has no row"),
        ("orphans", "the run's row has no parent"),
    ] {
        let check = named(&said, check);
        assert_eq!(check["passed"], false, "{check}");
        assert_eq!(check["rows"][0]["message"], message);
    }
    assert_eq!(named(&said, "duplicates")["passed"], true);
}

fn an_orphan_of_the_run_is_an_error_and_one_of_others_a_warning(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(
        &club,
        r#"INSERT INTO "Mem ber" ("id", "email", "team") VALUES ('z', 'zoe@example.org', 'nowhere')"#,
    );
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "orphans");
    assert_eq!(
        (&check["errors"], &check["warnings"]),
        (&0.into(), &1.into())
    );
    assert_eq!(check["rows"][0]["key"], "z");
    careless(
        &club,
        r#"UPDATE "Mem ber" SET "team" = 'nowhere' WHERE id = 'n2'"#,
    );
    let check = named(&verify(&club, &[&run, "--json"]).code(1), "orphans");
    assert_eq!(
        (&check["errors"], &check["warnings"]),
        (&1.into(), &1.into())
    );
    assert_eq!(check["rows"][0]["key"], "n2");
    assert_eq!(check["rows"][0]["found"], "\"nowhere\"");
}

fn a_reference_that_points_elsewhere_is_found_where_no_foreign_key_is_declared(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(&club, "UPDATE \"Team\" SET \"captain\" = 'm2'");
    let said = verify(&club, &[&run, "--json"]).code(1);
    let check = named(&said, "references");
    assert_eq!(check["rows"][0]["column"], "captain");
    assert_eq!(
        (&check["rows"][0]["expected"], &check["rows"][0]["found"]),
        (&"\"n1\"".into(), &"\"m2\"".into())
    );
    assert_eq!(named(&said, "orphans")["passed"], true);
}

fn a_child_of_a_row_that_the_run_deleted_is_an_error(case: Case) {
    let club = club(case);
    let run = applied(
        &club,
        &[r#"{"entity":"gone","key":"x","op":"delete","target":"m1"}"#],
    );
    let _ = verify(&club, &[&run]).code(0).prints(&["1 deleted"]);
    careless(&club, "INSERT INTO \"Badge\" VALUES (7, 'm1')");
    let check = named(&verify(&club, &[&run, "--json"]).code(1), "orphans");
    assert_eq!(check["rows"][0]["message"], "the run deleted its parent");
    assert_eq!(check["rows"][0]["key"], "7");
    careless(
        &club,
        r#"INSERT INTO "Mem ber" ("id", "email") VALUES ('m1', 'again@example.org')"#,
    );
    let said = verify(&club, &[&run, "--json"]).code(1);
    assert_eq!(
        named(&said, "counts")["rows"][0]["message"],
        "the run deleted it, and it is there"
    );
    assert_eq!(
        named(&said, "records")["rows"][0]["message"],
        "it was deleted, and is there again"
    );
}

fn a_missing_table_is_a_named_failure_and_never_a_zero(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(
        &club,
        case.either("DROP TABLE \"Mem ber\"", "DROP TABLE \"Mem ber\" CASCADE"),
    );
    let said = verify(&club, &[&run, "--json"]).code(1);
    for name in [
        "schema",
        "counts",
        "mappings",
        "records",
        "references",
        "orphans",
        "duplicates",
    ] {
        let check = named(&said, name);
        assert_eq!(check["passed"], false, "{check}");
    }
    assert!(
        said.out.contains("there is no table `Mem ber`"),
        "{}",
        said.out
    );
}

fn a_missing_column_is_a_failure_and_a_new_one_a_warning(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(&club, "ALTER TABLE \"Team\" ADD COLUMN \"colour\" TEXT");
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "schema");
    assert_eq!(check["warnings"], 1);
    careless(&club, "ALTER TABLE \"Team\" DROP COLUMN \"captain\"");
    let _ = verify(&club, &[&run])
        .code(1)
        .prints(&["no column `captain`"]);
}

fn duplicates_of_the_run_fail_and_those_of_others_are_listed(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(
        &club,
        r#"INSERT INTO "Mem ber" ("id", "email") VALUES ('z1', 'zoe@example.org'), ('z2', 'zoe@example.org')"#,
    );
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "duplicates");
    assert!(check["warnings"].as_u64().unwrap() >= 2, "{check}");
    // The plan folds the case of e-mail addresses; the target does not.
    careless(
        &club,
        r#"INSERT INTO "Mem ber" ("id", "email") VALUES ('z3', 'EVE@example.org')"#,
    );
    let check = named(&verify(&club, &[&run, "--json"]).code(1), "duplicates");
    assert_eq!(check["errors"], 2, "{check}");
    assert_eq!(check["rows"][0]["column"], "email");
}

fn two_entries_that_claim_one_row_fail(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(
        &club,
        "UPDATE switchback_ids SET target = (SELECT target FROM switchback_ids WHERE source = 'n1') WHERE source = 'n2'",
    );
    let _ = verify(&club, &[&run])
        .code(1)
        .prints(&["several records claim this row: member n1, member n2"]);
    careless(&club, "DELETE FROM switchback_ids WHERE source = 'n2'");
    let _ = verify(&club, &[&run])
        .code(1)
        .prints(&["source.csv:4: member n2: it was applied, and the id map has no entry for it"]);
}
