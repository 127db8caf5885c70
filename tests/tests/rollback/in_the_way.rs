//! What people did since: it stops a rollback before its first write, or stays and is named.

use tests::Case;

use super::{ALL, BOB, applied, club};

tests::both!(
    a_row_changed_since_stops_it_before_the_first_write,
    what_is_in_the_way_can_be_left_and_taken_back_later,
    an_edit_of_a_column_that_the_run_did_not_write_survives_and_is_told,
    rows_that_others_depend_on_stay_and_no_cascade_takes_them,
    a_place_that_is_taken_is_named,
    a_deleted_row_whose_parent_is_missing_now_is_named,
    a_row_that_is_gone_already_is_counted_as_gone,
    a_later_run_of_the_same_rows_must_go_first,
    whoever_stays_in_a_circle_stays_whole,
);

fn a_row_changed_since_stops_it_before_the_first_write(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL);
    club.sql("UPDATE member SET team = NULL WHERE id = 'm1'; UPDATE member SET email = 'eva@example.org' WHERE id = 'm8'");
    let before = club.dump();
    let elsewhere = club.path("elsewhere");
    std::fs::rename(club.path("B1"), &elsewhere).unwrap();
    let _ = club
        .on("rollback", &[&run])
        .code(1)
        .says(&["member m1 (member a1): was changed since"]);
    std::fs::rename(elsewhere, club.path("B1")).unwrap();
    let _ = club.on("rollback", &[&run]).code(1).says(&[
        "member m1 (source.csv:5): was changed since: team: the run wrote \"t9\", now it is NULL",
        "now it is \"eva@example.org\"",
        "nothing was written",
    ]);
    assert_eq!(club.dump(), before);
    assert_eq!(club.ask("SELECT status FROM switchback_runs"), "completed");

    let _ = club.on("rollback", &[&run, "--force"]).code(0);
    assert_eq!(club.ask("SELECT team FROM member WHERE id = 'm1'"), "t1");
    assert_eq!(club.ask("SELECT count(*) FROM member WHERE id = 'm8'"), "0");
}

fn what_is_in_the_way_can_be_left_and_taken_back_later(case: Case) {
    let club = club(case);
    let before = club.dump();
    let run = applied(&club, &ALL);
    club.sql("UPDATE member SET email = 'fae@example.org' WHERE id = 'm9'");
    let said = club.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    // Fay stays, and so does what she belongs to, and what belongs to nothing else is back.
    assert_eq!(
        club.ask("SELECT email FROM member WHERE id = 'm9'"),
        "fae@example.org"
    );
    assert_eq!(club.ask("SELECT count(*) FROM team WHERE id = 't9'"), "1");
    assert_eq!(club.ask("SELECT count(*) FROM member WHERE id = 'm8'"), "0");
    assert_eq!(club.ask("SELECT phone FROM member WHERE id = 'm1'"), "");
    let _ = said.says(&["kept in place"]);
    assert_eq!(
        club.ask("SELECT status FROM switchback_runs"),
        "rolled-back"
    );

    let _ = club.on("rollback", &[&run]).code(1);
    club.sql("UPDATE member SET email = 'fay@example.org' WHERE id = 'm9'");
    let _ = club.on("rollback", &[&run]).code(0);
    assert_eq!(club.dump(), before);
    assert_eq!(club.ask("SELECT kept FROM switchback_runs"), "0");
    let _ = club
        .on("rollback", &[&run])
        .code(0)
        .says(&["already rolled back"]);
}

fn an_edit_of_a_column_that_the_run_did_not_write_survives_and_is_told(case: Case) {
    let club = club(case);
    let run = applied(&club, &[BOB]);
    club.sql("UPDATE member SET balance = 77 WHERE id = 'm2'");
    let said = club.on("rollback", &[&run]).code(0);
    assert_eq!(club.ask("SELECT balance FROM member WHERE id = 'm2'"), "77");
    assert_eq!(club.ask("SELECT phone FROM member WHERE id = 'm2'"), "NULL");
    assert_eq!(
        club.ask("SELECT \"updatedAt\" FROM member WHERE id = 'm2'"),
        "2020-01-02"
    );
    let _ = said.says(&["m2 is back, edited elsewhere since"]);
}

fn rows_that_others_depend_on_stay_and_no_cascade_takes_them(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL[..4]);
    club.sql("INSERT INTO \"Pay ment\" (\"member\", \"order\") VALUES ('m9', 'theirs'), ('m9', 'theirs too')");
    let _ = club
        .on("rollback", &[&run])
        .code(1)
        .says(&["2 rows of Pay ment depend on it by member (on delete cascade)"]);
    let _ = club.on("rollback", &[&run, "--force"]).code(1);
    assert_eq!(
        club.ask("SELECT count(*) FROM \"Pay ment\" WHERE member = 'm9'"),
        "2"
    );
}

fn a_place_that_is_taken_is_named(case: Case) {
    let club = club(case);
    let run = applied(
        &club,
        &[r#"{"entity":"old_member","key":"x3","op":"delete","target":"m3"}"#],
    );
    club.sql("INSERT INTO member (id, email) VALUES ('z', 'cy@example.org')");
    let _ = club
        .on("rollback", &[&run])
        .code(1)
        .says(&["email = \"cy@example.org\" is taken by row z now"]);
    club.sql("DELETE FROM member WHERE id = 'z'; INSERT INTO member (id, email) VALUES ('m3', 'new@example.org')");
    let _ = club
        .on("rollback", &[&run])
        .code(1)
        .says(&["there is a row m3 again"]);
    club.sql("DELETE FROM member WHERE id = 'm3'");
    let _ = club.on("rollback", &[&run]).code(0);
}

fn a_deleted_row_whose_parent_is_missing_now_is_named(case: Case) {
    let club = club(case);
    let run = applied(
        &club,
        &[r#"{"entity":"old_payment","key":"x1","op":"delete","target":1}"#],
    );
    club.sql("DELETE FROM member WHERE id = 'm1'");
    let _ = club
        .on("rollback", &[&run])
        .code(1)
        .says(&["it belongs to row m1 of member, which is missing"]);
}

fn a_row_that_is_gone_already_is_counted_as_gone(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL);
    club.sql("DELETE FROM \"Pay ment\"; DELETE FROM member WHERE id = 'm2'");
    let _ = club.on("rollback", &[&run]).code(0).says(&[
        "Rolled back 6 entries",
        "member: 4 of 5 rows are what they were, 1 gone already",
    ]);
}

fn a_later_run_of_the_same_rows_must_go_first(case: Case) {
    let club = club(case);
    let before = club.dump();
    let first = applied(&club, &[BOB]);
    let second = applied(
        &club,
        &[r#"{"entity":"member","key":"b1","fields":{"email":"bob@example.org","phone":"333"}}"#],
    );
    for flags in [&[][..], &["--force"], &["--skip-conflicts"], &["--check"]] {
        let args: Vec<&str> = [first.as_str()].iter().chain(flags).copied().collect();
        let _ = club
            .on("rollback", &args)
            .code(1)
            .says(&[&format!("can't be rolled back before {second}")]);
    }
    let _ = club.on("rollback", &[&second]).code(0);
    let _ = club.on("rollback", &[&first]).code(0);
    assert_eq!(club.dump(), before);
}

fn whoever_stays_in_a_circle_stays_whole(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL[..4]);
    let row = "SELECT sponsor, team, email FROM member WHERE id = 'm9'";
    let fay = club.ask(row);
    // The team was written before the late reference of Fay, and stays: so must she, as its captain.
    club.sql("UPDATE team SET name = 'Navy' WHERE id = 't9'");
    let _ = club.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    assert_eq!(club.ask(row), fay);
    assert_eq!(club.ask("SELECT captain FROM team WHERE id = 't9'"), "m9");
}
