//! Marks in the user's own tables: the tag in a list column, and the row that describes the run.

use tests::db::same;
use tests::{Room, Target};

const PLAN: &str = r#"
name = "notes"
system = "team"

[[entity]]
name = "note"
source = { format = "csv", files = ["notes.csv"], key = "id" }
table = "note"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
tag = { column = "tags", text = "migration-run-id:{run}" }
[entity.fields]
body = { from = "body" }

[metadata]
table = "log"
id = { column = "id", from = "uuid" }
on_rollback = "keep"
status = "content"
[metadata.fields]
category = { value = "migration-metadata" }
tags = { value = ["migration-run"], type = "list" }
content = { run = "json", type = "json" }
"#;

const SCHEMA: &str = r#"
CREATE TABLE note (id TEXT PRIMARY KEY, body TEXT, tags TEXT);
CREATE TABLE log (id TEXT PRIMARY KEY, category TEXT, tags TEXT, content TEXT);
INSERT INTO note VALUES ('a', 'old', NULL), ('b', 'old', '[]'), ('c', 'old', '["x", "y"]'), ('d', 'same', '["z"]');
"#;

const CSV: &str = "id,body\na,new\nb,new\nc,new\nd,same\ne,new\n";

const RUN: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
const TAG: &str = "migration-run-id:0190163d8694739baea5966c26f8ad91";

fn room(plan: &str) -> Room {
    let room = Room::with(Target::Sqlite, plan, &[("notes.csv", CSV)], SCHEMA);
    room.bundle("B");
    room
}

#[test]
fn the_tag_is_appended_to_every_row_that_is_written_and_to_no_other() {
    let room = room(PLAN);
    room.on("apply", &["B", "--run-id", RUN])
        .code(0)
        .says(&["1 created, 3 updated, 1 unchanged"]);
    let tags = room
        .ask("SELECT group_concat(id || ' ' || tags, ' ; ') FROM (SELECT * FROM note ORDER BY id)");
    let expected = format!(
        "a [\"{TAG}\"] ; b [\"{TAG}\"] ; c [\"x\",\"y\",\"{TAG}\"] ; d [\"z\"] ; e [\"{TAG}\"]"
    );
    assert_eq!(tags, expected);
    room.on("apply", &["B"])
        .code(0)
        .says(&["0 created, 0 updated, 5 unchanged"]);
}

#[test]
fn rollback_takes_the_tag_off_and_leaves_null_and_empty_lists_as_they_were() {
    let room = room(PLAN);
    let before = room.ask(
        "SELECT group_concat(id || ' ' || quote(tags), ';') FROM (SELECT * FROM note ORDER BY id)",
    );
    room.on("apply", &["B", "--run-id", RUN]).code(0);
    room.on("rollback", &[RUN]).code(0);
    let after = room.ask(
        "SELECT group_concat(id || ' ' || quote(tags), ';') FROM (SELECT * FROM note ORDER BY id)",
    );
    assert_eq!(after, before);
}

#[test]
fn a_tag_that_others_added_since_survives_rollback() {
    let room = room(PLAN);
    room.on("apply", &["B", "--run-id", RUN]).code(0);
    room.sql("UPDATE note SET tags = json_insert(tags, '$[#]', 'mine') WHERE id = 'c'");
    room.on("rollback", &[RUN]).code(0);
    assert_eq!(
        room.ask("SELECT tags FROM note WHERE id = 'c'"),
        "[\"x\",\"y\",\"mine\"]"
    );
    assert_eq!(room.ask("SELECT body FROM note WHERE id = 'c'"), "old");
}

#[test]
fn the_row_that_describes_the_run_is_kept_and_marked() {
    let room = room(PLAN);
    room.on("apply", &["B", "--run-id", RUN]).code(0);
    let field = |name: &str| {
        room.ask(&format!(
            "SELECT json_extract(content, '$.{name}') FROM log"
        ))
    };
    assert_eq!(
        (field("run"), field("status")),
        (RUN.into(), "completed".into())
    );
    assert_eq!(field("counts.updated"), "3");
    let done = room.on("rollback", &[RUN]).code(0);
    done.says(&["log"]);
    assert_eq!(room.ask("SELECT count(*) FROM log"), "1", "it stays");
    assert_eq!(field("status"), "rolled-back");
}

#[test]
fn the_row_that_describes_the_run_goes_where_the_plan_says_so() {
    let room = room(&PLAN.replace("\"keep\"", "\"delete\""));
    let before = room.dump();
    room.on("apply", &["B", "--run-id", RUN]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM log"), "1");
    room.on("rollback", &[RUN]).code(0);
    same(&room.dump(), &before, "nothing of the run is left");
}

#[test]
fn a_run_that_changes_nothing_adds_no_row() {
    let room = room(PLAN);
    room.on("apply", &["B"]).code(0);
    room.on("apply", &["B"]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM log"), "1");
}

#[test]
fn the_form_of_the_run_id_and_the_longest_tag_are_the_plans() {
    let hyphenated = PLAN.replace(
        "{run}\" }",
        "{run}\", form = \"hyphenated\", max_length = 53 }",
    );
    let room_53 = room(&hyphenated);
    room_53.on("apply", &["B", "--run-id", RUN]).code(0);
    assert_eq!(
        room_53.ask("SELECT tags FROM note WHERE id = 'a'"),
        format!("[\"migration-run-id:{RUN}\"]")
    );
    let room_52 = room(&hyphenated.replace("53", "52"));
    let before = room_52.dump();
    room_52
        .on("apply", &["B"])
        .code(4)
        .says(&["the tag would have 53 characters, the target takes 52"]);
    same(&room_52.dump(), &before, "refused before any write");
}

#[test]
fn what_the_target_lacks_is_named_with_the_line_of_the_plan() {
    let room = room(&PLAN.replace("body = { from", "bodi = { from"));
    room.on("apply", &["B"])
        .code(4)
        .says(&["plan.toml:14: note: table note has no column `bodi`, is `body` meant?"]);
}
