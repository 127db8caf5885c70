//! Columns and tables come with a run and go with it, or nothing is written.

use tests::Case;
use tests::db::same;

use super::{PLAN, last, members, room, room_with};

tests::both!(
    columns_and_tables_come_with_the_run_and_go_with_it,
    what_is_there_already_stays_and_another_shape_is_refused,
    what_could_not_be_added_or_taken_away_is_refused_before_the_first_write,
    a_rehearsal_and_expected_decisions_know_what_is_to_be_added,
    the_row_that_describes_the_run_may_be_in_a_table_of_the_run,
    a_column_that_somebody_dropped_meanwhile_is_added_again_by_resume,
);

fn columns_and_tables_come_with_the_run_and_go_with_it(case: Case) {
    let room = room(case);
    let before = room.dump();
    let told = ["table sync", "column member.wa id", "column member.level"];
    let dry = room.on("apply", &["B", "--dry-run"]).code(0);
    let _ = dry.says(
        &told
            .map(|name| format!("would add {name}"))
            .each_ref()
            .map(String::as_str),
    );
    same(&room.dump(), &before, "a dry run adds nothing");
    let run = room.on("apply", &["B"]).code(0);
    let run = run.says(
        &told
            .map(|name| format!("added {name}"))
            .each_ref()
            .map(String::as_str),
    );
    let run = run.id();
    assert_eq!(
        members(&room, "id, name, updated, \"wa id\", level"),
        "1 Ann x+ w1 5, 2 Bob y+ w2 1, 3 Cy z 1, 9 New made w9 0",
        "rows that were there have the initial value, and no trigger fired for it"
    );
    assert_eq!(
        room.ask("SELECT string_agg(concat_ws(' ', wa, member, note), ', ' ORDER BY wa) FROM sync"),
        "w1 1 it's, w2 2 it's, w9 9 it's"
    );
    let _ = room.on("verify", &[&run]).code(0);
    let again = room.on("apply", &["B"]).code(0).says(&["6 unchanged"]);
    assert!(!again.err.contains("added"), "{}", again.err);
    let again = room.on("rollback", &[&again.id()]).code(0);
    let _ = again.says(&["it wrote nothing"]);
    let check = last(&room.on("rollback", &[&run, "--check", "--json"]).code(0));
    assert_eq!((&check["rows"], &check["added"]), (&6.into(), &3.into()));
    let back = room.on("rollback", &[&run, "--json", "--batch-size", "2"]);
    let back = back.code(0).says(&[
        "member: 3 of 3 rows are what they were",
        "sync: 3 of 3 rows are what they were",
        "table sync is gone",
        "column member.level is gone, the definition of the table is what it was",
    ]);
    assert_eq!(last(&back)["finalStatus"], "SUCCESS");
    same(&room.dump(), &before, "the text of the schema too");
    let _ = room.on("verify", &[&run]).code(0);
    let again = room.on("rollback", &[&run]).code(0);
    let _ = again.says(&["nothing was changed"]);
    // The same bundle once more, and back.
    let run = room.apply("B");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "after the second time");
}

fn what_is_there_already_stays_and_another_shape_is_refused(case: Case) {
    let room = room(case);
    room.sql(
        "ALTER TABLE member ADD COLUMN level integer not null default 0;
         CREATE TABLE sync (wa TEXT PRIMARY KEY, member TEXT NOT NULL UNIQUE REFERENCES member (id), note TEXT DEFAULT 'it''s')",
    );
    let before = room.dump();
    let done = room.on("apply", &["B"]).code(0);
    assert!(!done.err.contains("level"), "{}", done.err);
    let _ = room.on("rollback", &[&done.id()]).code(0);
    same(&room.dump(), &before, "what was there before the run stays");
    for (sql, line, says) in [
        (
            "ALTER TABLE member DROP COLUMN level; ALTER TABLE member ADD COLUMN level TEXT",
            "plan.toml:10: ",
            case.either(
                "column member.level is there already and is TEXT; the plan adds INTEGER NOT NULL DEFAULT 0",
                "column member.level is there already and is text; the plan adds integer NOT NULL DEFAULT 0",
            ),
        ),
        (
            "DROP TABLE sync; CREATE TABLE sync (wa TEXT PRIMARY KEY, member TEXT NOT NULL)",
            "plan.toml:18: ",
            case.either(
                "table sync is there already and is (\"wa\" TEXT, \"member\" TEXT NOT NULL, PRIMARY KEY (\"wa\")); the plan adds (",
                "table sync is there already and is (\"wa\" text NOT NULL, \"member\" text NOT NULL, PRIMARY KEY (wa)); \
                 the plan adds (",
            ),
        ),
    ] {
        room.sql(sql);
        let before = room.db.everything();
        for how in [&["B"][..], &["B", "--dry-run"]] {
            let _ = room.on("apply", how).code(4).says(&[line, says]);
        }
        assert!(room.db.everything() == before);
    }
}

fn what_could_not_be_added_or_taken_away_is_refused_before_the_first_write(case: Case) {
    let broken = (
        "CREATE VIEW broken AS SELECT none FROM member",
        "rollback could not take it away again: error in view broken",
    );
    let held = (
        "CREATE TYPE sync AS ENUM ('a')",
        "plan.toml:18: type \"sync\" already exists",
    );
    for (sql, says) in [
        ("DROP TABLE member", "there is no table `member`"),
        (
            "CREATE VIEW sync AS SELECT 1",
            case.either("view \"sync\" already exists\n", "sync is a view"),
        ),
        case.either(broken, held),
    ] {
        let room = room(case);
        room.sql(sql);
        let before = room.db.everything();
        let _ = room.on("apply", &["B"]).code(4).says(&["plan.toml:", says]);
        assert!(room.db.everything() == before, "{sql}");
    }
}

fn a_rehearsal_and_expected_decisions_know_what_is_to_be_added(case: Case) {
    let room = room(case);
    let before = room.dump();
    let done = room.on("apply", &["B", "--rehearse"]).code(0);
    assert!(
        done.out.contains("every table is as it was"),
        "{}",
        done.out
    );
    same(&room.dump(), &before, "a rehearsal");
    let _ = room.on("apply", &["B", "--dry-run", "--save", "D"]).code(0);
    let run = room.on("apply", &["B", "--expect", "D"]).code(0).id();
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "as expected");
}

fn the_row_that_describes_the_run_may_be_in_a_table_of_the_run(case: Case) {
    let plan = PLAN.replace(
        "\n[[entity]]\nname = \"member\"",
        r#"
[[add.table]]
table = "runs"
columns = { id = { type = "TEXT" }, what = { type = "TEXT" } }
primary_key = ["id"]

[metadata]
table = "runs"
id = { column = "id", from = "uuid" }
on_rollback = "delete"
fields.what = { run = "json" }

[[entity]]
name = "member""#,
    );
    let room = room_with(case, &plan);
    let before = room.dump();
    let run = room.apply("B");
    assert_eq!(room.ask("SELECT count(*) FROM runs"), "1");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "rolled back");
    room.mend("migration.toml", "\"delete\"", "\"keep\"");
    let parse = room.run("parse", &[]).code(2);
    let _ = parse.says(&["rollback drops this table"]);
}

fn a_column_that_somebody_dropped_meanwhile_is_added_again_by_resume(case: Case) {
    let room = room(case);
    let before = room.dump();
    room.sql(case.either(
        "CREATE TRIGGER stop BEFORE INSERT ON member BEGIN SELECT RAISE(ABORT, 'no'); END",
        "ALTER TABLE member ADD CONSTRAINT stop CHECK (id <> '9')",
    ));
    let run = room.on("apply", &["B"]).code(3).id();
    room.sql(case.either(
        "DROP TRIGGER stop; ALTER TABLE member DROP COLUMN level",
        "ALTER TABLE member DROP CONSTRAINT stop, DROP COLUMN level",
    ));
    let _ = room.on("apply", &["B", "--resume"]).code(0);
    assert_eq!(members(&room, "level"), "5, 1, 1, 0");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "rolled back");
}
