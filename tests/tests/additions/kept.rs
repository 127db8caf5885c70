//! What stays of what a run added: values of others, rows that are kept, runs since, what prune gave up.

use tests::Case;
use tests::db::same;

use super::{applied, last, members, room};

tests::both!(
    values_that_others_gave_a_column_keep_it_unless_forced,
    a_row_that_is_kept_keeps_the_column_that_it_has_a_value_in,
    a_row_that_is_kept_without_a_value_in_the_column_is_taken_back_without_it,
    a_later_run_that_wrote_to_the_table_goes_first,
    the_inverse_by_hand_and_a_snapshot_know_them_too,
    once_pruned_what_the_run_added_stays_and_everything_says_so,
);

fn values_that_others_gave_a_column_keep_it_unless_forced(case: Case) {
    let (room, before, run) = applied(case);
    room.sql("UPDATE member SET level = 7, updated = updated WHERE id = '3'");
    let says = ["column member.level: 1 row with values that the run did not leave there (3: 7)"];
    let check = room.on("rollback", &[&run, "--check", "--json"]).code(1);
    assert_eq!(last(&check.says(&says))["conflicts"], 1);
    let at = room.dump();
    let _ = room.on("rollback", &[&run]).code(1).says(&says);
    same(&room.dump(), &at, "nothing was written");
    let skipped = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    let _ = skipped.says(&["column member.level is kept", "column member.wa id is gone"]);
    assert_eq!(
        members(&room, "id, name, level"),
        "1 Ann 1, 2 Robert 1, 3 Cy 7"
    );
    let _ = room.on("verify", &[&run]).code(0).says(&[]);
    let _ = room.on("rollback", &[&run]).code(1).says(&says);
    room.sql("UPDATE member SET level = 0, updated = 'z' WHERE id = '3'");
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&["column member.level is gone"]);
    same(&room.dump(), &before, "once nobody's value is in the way");

    let (room, before, run) = applied(case);
    room.sql("UPDATE member SET level = 7 WHERE id = '3'; UPDATE member SET updated = 'z' WHERE id = '3'");
    let _ = room.on("rollback", &[&run, "--force"]).code(0).says(&says);
    same(&room.dump(), &before, "forced");
}

fn a_row_that_is_kept_keeps_the_column_that_it_has_a_value_in(case: Case) {
    let (room, before, run) = applied(case);
    room.sql("UPDATE member SET name = 'edited', updated = 'y+' WHERE id = '2'");
    let kept = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    let _ = kept.says(&[
        "column member.wa id: can't go before these: 1 row kept with values of the run",
        "member 2 (members.csv:3): was changed since",
        "column member.wa id is kept",
        "column member.level is gone",
    ]);
    assert_eq!(
        members(&room, "id, name, \"wa id\""),
        "1 Ann, 2 edited w2, 3 Cy"
    );
    room.sql("UPDATE member SET name = 'Bob', updated = 'y+' WHERE id = '2'");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "the rest");
}

fn a_row_that_is_kept_without_a_value_in_the_column_is_taken_back_without_it(case: Case) {
    let (room, before, run) = applied(case);
    // The run wrote no new value into its level; its wa id goes by hand.
    room.sql("UPDATE member SET name = 'edited', \"wa id\" = NULL, updated = 'y+' WHERE id = '2'");
    let _ = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    assert_eq!(
        room.ask(case.either(
            "SELECT count(*) FROM pragma_table_info('member')",
            "SELECT count(*) FROM information_schema.columns WHERE table_name = 'member'",
        )),
        "3"
    );
    room.sql("UPDATE member SET name = 'Bob', updated = 'y+' WHERE id = '2'");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "the rest");
    let _ = room.on("verify", &[&run]).code(0);
}

fn a_later_run_that_wrote_to_the_table_goes_first(case: Case) {
    let (room, before, run) = applied(case);
    room.write("members.csv", "id,name,wa,level\n3,Cyrus,w3,4\n");
    room.bundle("C");
    let later = room.apply("C");
    for choice in [&["--check"][..], &[], &["--force"]] {
        let args = [&[run.as_str()], choice].concat();
        let _ = room.on("rollback", &args).code(1).says(&[&later]);
    }
    let _ = room.on("rollback", &[&later]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "both");
}

fn the_inverse_by_hand_and_a_snapshot_know_them_too(case: Case) {
    let room = room(case);
    let before = room.dump();
    let run = room.on("apply", &["B", "--snapshot"]).code(0).id();
    let export = room.on("rollback", &[&run, "--export"]).code(0);
    let _ = export.says(&[
        case.either(
            "ALTER TABLE \"member\" DROP COLUMN \"wa id\";",
            "ALTER TABLE \"public\".\"member\" DROP COLUMN \"wa id\";",
        ),
        case.either("DROP TABLE \"sync\";", "DROP TABLE \"public\".\"sync\";"),
    ]);
    let folder = room.path(".switchback/snapshots");
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    let file = file.path().display().to_string();
    // Level 2 takes them away too, with whatever values they have by then.
    room.sql(
        "UPDATE member SET level = 77 WHERE id = '3'; INSERT INTO sync (wa, member) VALUES ('mine', '3');",
    );
    let _ = room.on("rollback", &["--snapshot", &file]).code(0);
    same(&room.dump(), &before, "level 2");
    let _ = room.on("verify", &[&run]).code(0);
    let again = room.apply("B");
    let _ = room.on("rollback", &[&again]).code(0);
    same(&room.dump(), &before, "and everything goes on");
}

fn once_pruned_what_the_run_added_stays_and_everything_says_so(case: Case) {
    let room = room(case);
    let args = ["B", "--now", "2024-06-01T12:00:00Z"];
    let run = room.on("apply", &args).code(0).id();
    let applied = room.dump();
    let _ = room
        .on("rollback", &["prune", "--now", "2024-06-09T12:00:00Z"])
        .code(0)
        .says(&["1 run, 0 snapshots"]);
    same(&room.dump(), &applied, "rows, columns and tables stay");
    let _ = room
        .on("rollback", &[&run, "--outside-window"])
        .code(4)
        .says(&["is pruned"]);
    let check = room.on("rollback", &[&run, "--check", "--outside-window", "--json"]);
    assert_eq!(last(&check.code(1))["canRollback"], false);
    let verified = room.on("verify", &[&run]).code(0);
    assert!(verified.err.contains("is pruned"), "{}", verified.err);
    // What was added belongs to the table now: a later run finds it there, and leaves it.
    room.mend("members.csv", "9,New", "9,Newer");
    room.bundle("C");
    let second = room.apply("C");
    let _ = room.on("rollback", &[&second]).code(0);
    same(&room.dump(), &applied, "the later run alone is taken back");
    let _ = room
        .on("rollback", &[&run, "--export"])
        .code(4)
        .says(&["is pruned"]);
}
