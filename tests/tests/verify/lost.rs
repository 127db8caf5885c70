//! What a rollback did not do, and what the ledger lost: nothing is taken for well because it is not there.

use tests::Case;

use super::{CLUB, applied, careless, club, named, verify};

tests::both!(
    after_a_rollback_a_created_row_with_a_late_reference_must_be_gone,
    changes_that_are_missing_are_not_called_pruned,
);

fn after_a_rollback_a_created_row_with_a_late_reference_must_be_gone(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    let _ = club.on("rollback", &[&run]).code(0);
    let _ = verify(&club, &[&run]).code(0);
    careless(
        &club,
        r#"INSERT INTO "Team" ("id", "name", "captain") VALUES ('t1', 'Red', NULL)"#,
    );
    let check = named(&verify(&club, &[&run, "--json"]).code(1), "rollback");
    assert_eq!(
        (&check["errors"], &check["warnings"]),
        (&1.into(), &0.into())
    );
    assert_eq!(check["rows"][0]["table"], "Team");
    assert_eq!(
        check["rows"][0]["message"],
        "the run created it, and it is still there"
    );
}

fn changes_that_are_missing_are_not_called_pruned(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(&club, "DELETE FROM switchback_changes WHERE seq = 2");
    let _ = verify(&club, &[&run])
        .code(1)
        .prints(&["change 2 is missing from the ledger, and nothing says that the run was pruned"]);
    careless(&club, "DELETE FROM switchback_changes");
    let said = verify(&club, &[&run])
        .code(1)
        .prints(&["changes 1 to 5 are missing from the ledger"]);
    assert!(!said.err.contains("pruned"), "{}", said.err);
    let said = club.on("rollback", &[]).code(2);
    assert!(!said.err.contains("pruned"), "{}", said.err);
    let run = applied(
        &club,
        &[r#"{"entity":"team","key":"t2","fields":{"name":"Blue"}}"#],
    );
    let _ = club.on("rollback", &[&run]).code(0);
    careless(&club, "DELETE FROM switchback_changes");
    let _ = verify(&club, &[&run])
        .code(1)
        .prints(&["change 1 is missing from the ledger"]);
}
