//! Columns and tables that a plan adds: there before the first row, gone with the run, and never
//! dropped with what others put there.

use serde_json::Value;
use tests::db::same;
use tests::{Done, Room};

const PLAN: &str = r#"
name = "adds"
system = "adds"

[[add.column]]
table = "member"
column = "wa id"
type = "TEXT"

[[add.column]]
table = "member"
column = "level"
type = "INTEGER"
not_null = true
default = 0
initial = 1

[[add.table]]
table = "sync"
columns = { wa = { type = "TEXT" }, member = { type = "TEXT", not_null = true }, note = { type = "TEXT", default = "it's" } }
primary_key = ["wa"]
unique = [["member"]]
foreign_keys = [{ columns = ["member"], table = "member", to = ["id"] }]

[[entity]]
name = "member"
source = { format = "csv", files = ["members.csv"], key = "id" }
table = "member"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
[entity.fields]
name = { from = "name" }
"wa id" = { from = "wa" }
level = { from = "level", type = "integer" }

[[entity]]
name = "sync"
source = { format = "csv", files = ["members.csv"], key = "id" }
table = "sync"
match = ["wa"]
[entity.fields]
wa = { from = "wa", required = true }
member = { from = "id", ref = "member", required = true }
"#;

const MEMBERS: &str = "id,name,wa,level\n1,Ann,w1,5\n2,Bob,w2,1\n9,New,w9,0\n";

/// A layout that SQLite must bring back as it was, with a comment and a constraint after the columns.
const TABLES: &str = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT,
   updated TEXT NOT NULL DEFAULT 'made' -- a, comment
   , CHECK (name <> ''));
 CREATE TRIGGER touch AFTER UPDATE ON member WHEN NEW.updated IS OLD.updated
 BEGIN UPDATE member SET updated = OLD.updated || '+' WHERE id = NEW.id; END;
 INSERT INTO member VALUES ('1', 'Ann', 'x'), ('2', 'Robert', 'y'), ('3', 'Cy', 'z');";

fn room() -> Room {
    let room = Room::with(PLAN, &[("members.csv", MEMBERS)], TABLES);
    room.bundle("B");
    room
}

/// Applies, and returns the dump before and the run.
fn applied() -> (Room, String, String) {
    let room = room();
    let before = room.dump();
    let run = room.apply("B");
    (room, before, run)
}

fn last(done: &Done) -> Value {
    serde_json::from_str(done.out.lines().last().unwrap()).unwrap()
}

#[test]
fn columns_and_tables_come_with_the_run_and_go_with_it() {
    let room = room();
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
        room.ask("SELECT group_concat(concat_ws(' ', id, name, updated, \"wa id\", level), ', ') FROM member"),
        "1 Ann x+ w1 5, 2 Bob y+ w2 1, 3 Cy z 1, 9 New made w9 0",
        "rows that were there have the initial value, and no trigger fired for it"
    );
    assert_eq!(
        room.ask("SELECT group_concat(concat_ws(' ', wa, member, note), ', ') FROM sync"),
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

#[test]
fn what_is_there_already_stays_and_another_shape_is_refused() {
    let room = room();
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
            "column member.level is there already and is TEXT; the plan adds INTEGER NOT NULL DEFAULT 0",
        ),
        (
            "DROP TABLE sync; CREATE TABLE sync (wa TEXT PRIMARY KEY, member TEXT NOT NULL)",
            "plan.toml:18: ",
            "table sync is there already and is (\"wa\" TEXT, \"member\" TEXT NOT NULL, PRIMARY KEY (\"wa\")); the plan adds (",
        ),
    ] {
        room.sql(sql);
        let before = std::fs::read(room.path("t.db")).unwrap();
        for how in [&["B"][..], &["B", "--dry-run"]] {
            let _ = room.on("apply", how).code(4).says(&[line, says]);
        }
        assert!(before == std::fs::read(room.path("t.db")).unwrap());
    }
}

#[test]
fn what_could_not_be_added_or_taken_away_is_refused_before_the_first_write() {
    for (sql, says) in [
        ("DROP TABLE member", "there is no table `member`"),
        (
            "CREATE VIEW broken AS SELECT none FROM member",
            "rollback could not take it away again: error in view broken",
        ),
        (
            "CREATE VIEW sync AS SELECT 1",
            "view \"sync\" already exists\n",
        ),
    ] {
        let room = room();
        room.sql(sql);
        let before = std::fs::read(room.path("t.db")).unwrap();
        let _ = room.on("apply", &["B"]).code(4).says(&["plan.toml:", says]);
        assert!(before == std::fs::read(room.path("t.db")).unwrap(), "{sql}");
    }
}

#[test]
fn values_that_others_gave_a_column_keep_it_unless_forced() {
    let (room, before, run) = applied();
    room.sql("UPDATE member SET level = 7, updated = updated WHERE id = '3'");
    let says = ["column member.level: 1 rows hold values that the run did not leave there (3: 7)"];
    let check = room.on("rollback", &[&run, "--check", "--json"]).code(1);
    assert_eq!(last(&check.says(&says))["conflicts"], 1);
    let at = room.dump();
    let _ = room.on("rollback", &[&run]).code(1).says(&says);
    same(&room.dump(), &at, "nothing was written");
    let skipped = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    let _ = skipped.says(&["column member.level is kept", "column member.wa id is gone"]);
    assert_eq!(
        room.ask("SELECT group_concat(concat_ws(' ', id, name, level), ', ') FROM member"),
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

    let (room, before, run) = applied();
    room.sql("UPDATE member SET level = 7 WHERE id = '3'; UPDATE member SET updated = 'z' WHERE id = '3'");
    let _ = room.on("rollback", &[&run, "--force"]).code(0).says(&says);
    same(&room.dump(), &before, "forced");
}

#[test]
fn what_others_built_on_it_is_never_dropped() {
    for (sql, says, undo) in [
        (
            "CREATE INDEX \"by level\" ON member (level)",
            "column member.level: can't go before these: index by level",
            "DROP INDEX \"by level\"",
        ),
        (
            "CREATE VIEW v AS SELECT m.id, m.\"wa id\" FROM member m; CREATE TRIGGER t AFTER INSERT ON member BEGIN
             UPDATE member SET name = NEW.\"wa id\" WHERE id = NEW.id; END",
            "column member.wa id: can't go before these: view v, trigger t",
            "DROP VIEW v; DROP TRIGGER t",
        ),
        (
            "INSERT INTO sync (wa, member) VALUES ('theirs', '3')",
            "table sync: can't go before these: 1 rows that stay in it, the first theirs",
            "DELETE FROM sync WHERE wa = 'theirs'",
        ),
        (
            "CREATE INDEX sync_note ON sync (note); CREATE VIEW w AS SELECT * FROM main.\"sync\";
             CREATE TABLE more (wa TEXT REFERENCES sync (wa))",
            "table sync: can't go before these: index sync_note, table more, view w",
            "DROP INDEX sync_note; DROP VIEW w; DROP TABLE more",
        ),
        (
            "ALTER TABLE sync ADD COLUMN theirs TEXT",
            "table sync: can't go before these: its definition was changed since",
            "ALTER TABLE sync DROP COLUMN theirs",
        ),
    ] {
        let (room, before, run) = applied();
        room.sql(sql);
        let at = room.dump();
        let _ = room.on("rollback", &[&run]).code(1).says(&[says]);
        same(&room.dump(), &at, "nothing was written");
        for choice in ["--skip-conflicts", "--force"] {
            let kept = room.on("rollback", &[&run, choice]).code(0).says(&["is kept"]);
            assert!(!kept.err.contains("NOT what"), "{}", kept.err);
        }
        assert_eq!(room.ask("SELECT count(*) FROM switchback_kept"), "1", "{sql}");
        room.sql(undo);
        let _ = room.on("rollback", &[&run]).code(0);
        same(&room.dump(), &before, sql);
    }
}

#[test]
fn a_row_that_is_kept_keeps_the_column_that_it_has_a_value_in() {
    let (room, before, run) = applied();
    room.sql("UPDATE member SET name = 'edited', updated = 'y+' WHERE id = '2'");
    let kept = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    let _ = kept.says(&[
        "column member.wa id: can't go before these: 1 rows that are kept, and hold values of the run",
        "member 2 (members.csv:3): was changed since",
        "column member.wa id is kept",
        "column member.level is gone",
    ]);
    assert_eq!(
        room.ask("SELECT group_concat(concat_ws(' ', id, name, \"wa id\"), ', ') FROM member"),
        "1 Ann, 2 edited w2, 3 Cy"
    );
    room.sql("UPDATE member SET name = 'Bob', updated = 'y+' WHERE id = '2'");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "the rest");
}

#[test]
fn a_row_that_is_kept_without_a_value_in_the_column_is_taken_back_without_it() {
    let (room, before, run) = applied();
    // The run wrote no new value into its level; its wa id goes by hand.
    room.sql("UPDATE member SET name = 'edited', \"wa id\" = NULL, updated = 'y+' WHERE id = '2'");
    let _ = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    assert_eq!(
        room.ask("SELECT count(*) FROM pragma_table_info('member')"),
        "3"
    );
    room.sql("UPDATE member SET name = 'Bob', updated = 'y+' WHERE id = '2'");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "the rest");
    let _ = room.on("verify", &[&run]).code(0);
}

#[test]
fn a_later_run_that_wrote_to_the_table_goes_first() {
    let (room, before, run) = applied();
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

#[test]
fn a_rehearsal_and_expected_decisions_know_what_is_to_be_added() {
    let room = room();
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

#[test]
fn the_inverse_by_hand_and_a_snapshot_know_them_too() {
    let room = room();
    let before = room.dump();
    let run = room.on("apply", &["B", "--snapshot"]).code(0).id();
    let export = room.on("rollback", &[&run, "--export"]).code(0);
    let _ = export.says(&[
        "ALTER TABLE \"member\" DROP COLUMN \"wa id\";",
        "DROP TABLE \"sync\";",
    ]);
    let folder = room.path(".switchback/snapshots");
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    let file = file.path().display().to_string();
    let _ = room.on("rollback", &["--snapshot", &file]).code(0);
    same(&room.dump(), &before, "level 2");
    let _ = room.on("verify", &[&run]).code(0);
}

#[test]
fn the_row_that_describes_the_run_may_be_in_a_table_of_the_run() {
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
    let room = Room::with(&plan, &[("members.csv", MEMBERS)], TABLES);
    room.bundle("B");
    let before = room.dump();
    let run = room.apply("B");
    assert_eq!(room.ask("SELECT count(*) FROM runs"), "1");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "rolled back");
    room.mend("migration.toml", "\"delete\"", "\"keep\"");
    let parse = room.run("parse", &[]).code(2);
    let _ = parse.says(&["rollback drops this table"]);
}

#[test]
fn a_column_that_somebody_dropped_meanwhile_is_added_again_by_resume() {
    let room = room();
    let before = room.dump();
    room.sql("CREATE TRIGGER stop BEFORE INSERT ON member BEGIN SELECT RAISE(ABORT, 'no'); END");
    let run = room.on("apply", &["B"]).code(3).id();
    room.sql("DROP TRIGGER stop; ALTER TABLE member DROP COLUMN level");
    let _ = room.on("apply", &["B", "--resume"]).code(0);
    assert_eq!(
        room.ask("SELECT group_concat(level) FROM member"),
        "5,1,1,0"
    );
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "rolled back");
}
