//! What comes back: every value of every row, whatever the run did to it.

use tests::Case;

use super::{ALL, BOB, PLAN, applied, club};

tests::both!(
    inserts_updates_and_deletes_come_back_value_for_value,
    every_batch_size_gives_the_same,
    a_second_rollback_says_so_and_changes_nothing,
    the_same_bundle_can_be_applied_again_after_a_rollback,
    volatile_and_run_stamped_columns_never_conflict,
    the_tag_alone_goes_from_a_list_that_others_changed,
    both_rows_of_a_record_that_was_moved_from_one_to_the_other_are_proved,
    parent_and_child_that_were_both_deleted_come_back,
    a_run_that_wrote_nothing_is_said_to_have,
    a_kept_metadata_row_is_marked_and_named,
    a_counter_goes_back_unless_somebody_moved_it,
    columns_added_since_do_no_harm_and_missing_ones_are_named,
);

fn inserts_updates_and_deletes_come_back_value_for_value(case: Case) {
    let club = club(case);
    let before = club.dump();
    let run = applied(&club, &ALL);
    assert_ne!(club.dump(), before);
    let said = club.on("rollback", &[&run]).code(0).says(&[
        &format!("Rolled back 8 entries from run {run}"),
        "member: 5 of 5 rows are what they were",
    ]);
    assert_eq!(said.out, "", "stdout is for data");
    assert_eq!(club.dump(), before);
    assert_eq!(
        club.ask("SELECT status || kept FROM switchback_runs"),
        "rolled-back0"
    );
    assert_eq!(
        club.ask("SELECT action FROM switchback_audit ORDER BY seq DESC LIMIT 1"),
        "migration:rollback:level1"
    );
    assert_eq!(club.ask("SELECT count(*) FROM switchback_ids"), "0");
}

fn every_batch_size_gives_the_same(case: Case) {
    for size in ["1", "2", "3"] {
        let club = club(case);
        let before = club.dump();
        let run = applied(&club, &ALL);
        let _ = club.on("rollback", &[&run, "--batch-size", size]).code(0);
        assert_eq!(club.dump(), before);
    }
}

fn a_second_rollback_says_so_and_changes_nothing(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL);
    let _ = club.on("rollback", &[&run]).code(0);
    let after = club.db.everything();
    let _ = club
        .on("rollback", &[&run])
        .code(0)
        .says(&["already rolled back"]);
    assert_eq!(club.db.everything(), after);
}

fn the_same_bundle_can_be_applied_again_after_a_rollback(case: Case) {
    let club = club(case);
    let before = club.dump();
    let first = applied(&club, &ALL);
    let _ = club.on("rollback", &[&first]).code(0);
    let second = applied(&club, &ALL);
    assert_eq!(club.ask("SELECT count(*) FROM member"), "4");
    let _ = club.on("rollback", &[&second]).code(0);
    assert_eq!(club.dump(), before);
}

fn volatile_and_run_stamped_columns_never_conflict(case: Case) {
    let club = club(case);
    let before = club.dump();
    let run = applied(&club, &ALL);
    club.sql("UPDATE member SET note = 'later', stamp = 'x'");
    let _ = club.on("rollback", &[&run]).code(0);
    assert_eq!(club.dump(), before);
}

fn the_tag_alone_goes_from_a_list_that_others_changed(case: Case) {
    let club = club(case);
    let run = applied(&club, &[BOB]);
    let tags = "SELECT CAST(tags AS TEXT) FROM member WHERE id = 'm2'";
    let tagged = club.ask(tags);
    assert!(tagged.contains(&run.replace('-', "")), "{tagged}");
    let more = case.either("json_insert(tags, '$[#]', 'mine')", "tags || '{mine}'");
    club.sql(&format!("UPDATE member SET tags = {more} WHERE id = 'm2'"));
    let _ = club.on("rollback", &[&run]).code(0);
    assert_eq!(
        club.ask(tags),
        case.either(r#"["old","mine"]"#, "{old,mine}")
    );
}

fn both_rows_of_a_record_that_was_moved_from_one_to_the_other_are_proved(case: Case) {
    let club = club(case);
    let before = club.dump();
    let bundle = club.seal(&[
        BOB,
        r#"{"entity":"member","key":"b1","op":"remap","to":"m1"}"#,
        r#"{"entity":"member","key":"b1","fields":{"email":"ann@example.org","phone":"333"}}"#,
    ]);
    let run = club.on("apply", &[&bundle, "--batch-size=1"]).code(0).id();
    let _ = club
        .on("rollback", &[&run])
        .code(0)
        .says(&["member: 2 of 2 rows are what they were"]);
    assert_eq!(club.dump(), before);
}

fn parent_and_child_that_were_both_deleted_come_back(case: Case) {
    let club = club(case);
    let before = club.dump();
    let run = applied(
        &club,
        &[
            r#"{"entity":"old_payment","key":"x1","op":"delete","target":1}"#,
            r#"{"entity":"old_member","key":"x1","op":"delete","target":"m1"}"#,
        ],
    );
    assert_eq!(club.ask("SELECT count(*) FROM member"), "2");
    let _ = club.on("rollback", &[&run]).code(0);
    assert_eq!(club.dump(), before);
}

fn a_run_that_wrote_nothing_is_said_to_have(case: Case) {
    let club = club(case);
    let run = applied(&club, &[]);
    let _ = club
        .on("rollback", &[&run])
        .code(0)
        .says(&["wrote nothing"]);
    assert_eq!(
        club.ask("SELECT status FROM switchback_runs"),
        "rolled-back"
    );
}

fn a_kept_metadata_row_is_marked_and_named(case: Case) {
    let club = club(case);
    let metadata = r#"
[metadata]
table = "meta"
id = { column = "id", from = "uuid" }
on_rollback = "keep"
status = "content"
fields = { content = { run = "json", type = "json" } }
"#;
    club.write("migration.toml", format!("{PLAN}{metadata}"));
    let run = applied(&club, &ALL);
    let said = club.on("rollback", &[&run]).code(0);
    assert_eq!(
        club.ask("SELECT content ->> 'status' FROM meta"),
        "rolled-back"
    );
    let _ = said.says(&["stays, marked rolled-back", "Rolled back 8 entries"]);
}

fn a_counter_goes_back_unless_somebody_moved_it(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL);
    club.sql("INSERT INTO \"Pay ment\" (\"member\", \"order\") VALUES ('m2', 'theirs')");
    let _ = club.on("rollback", &[&run]).code(0);
    // On PostgreSQL it would not go back in any case: a number once given is not given again.
    let counter = case.either(
        "SELECT seq FROM sqlite_sequence WHERE name = 'Pay ment'",
        "SELECT last_value FROM \"Pay ment_id_seq\"",
    );
    assert_eq!(club.ask(counter), "3");
}

fn columns_added_since_do_no_harm_and_missing_ones_are_named(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL);
    club.sql("ALTER TABLE member ADD COLUMN extra TEXT DEFAULT 'e'");
    let _ = club.on("rollback", &[&run]).code(0);
    let run = applied(&club, &ALL);
    club.sql("ALTER TABLE member DROP COLUMN picture");
    let _ = club
        .on("rollback", &[&run])
        .code(4)
        .says(&["column `picture` of member is missing"]);
}
