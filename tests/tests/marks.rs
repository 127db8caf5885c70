//! Marks in the user's own tables: the tag in a list column, and the row that describes the run.

use tests::db::same;
use tests::{Case, Db, Room};

tests::both!(
    the_tag_is_appended_to_every_row_that_is_written_and_to_no_other,
    rollback_takes_the_tag_off_and_leaves_null_and_empty_lists_as_they_were,
    a_tag_that_others_added_since_survives_rollback,
    the_row_that_describes_the_run_is_kept_and_marked,
    the_row_that_describes_the_run_goes_where_the_plan_says_so,
    a_run_that_changes_nothing_adds_no_row,
    the_form_of_the_run_id_and_the_longest_tag_are_the_plans,
    what_the_target_lacks_is_named_with_the_line_of_the_plan,
);

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

/// The same with lists of PostgreSQL's own.
const SCHEMA_POSTGRES: &str = "
CREATE TABLE note (id TEXT PRIMARY KEY, body TEXT, tags TEXT[]);
CREATE TABLE log (id TEXT PRIMARY KEY, category TEXT, tags TEXT[], content JSONB);
INSERT INTO note VALUES ('a', 'old', NULL), ('b', 'old', '{}'), ('c', 'old', '{x,y}'), ('d', 'same', '{z}');
";

const CSV: &str = "id,body\na,new\nb,new\nc,new\nd,same\ne,new\n";

const RUN: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
const TAG: &str = "migration-run-id:0190163d8694739baea5966c26f8ad91";

fn room(case: Case, plan: &str) -> Room {
    let schema = case.either(SCHEMA, SCHEMA_POSTGRES);
    let room = Room::with(case, plan, &[("notes.csv", CSV)], schema);
    room.bundle("B");
    room
}

/// The tags of every note, as JSON.
fn tags(room: &Room) -> String {
    let tags = match room.db {
        Db::Sqlite(_) => "tags",
        Db::Postgres(_) => "CAST(array_to_json(tags) AS TEXT)",
    };
    room.ask(&format!(
        "SELECT string_agg(id || ' ' || coalesce({tags}, 'NULL'), ' ; ' ORDER BY id) FROM note"
    ))
}

fn the_tag_is_appended_to_every_row_that_is_written_and_to_no_other(case: Case) {
    let room = room(case, PLAN);
    room.on("apply", &["B", "--run-id", RUN])
        .code(0)
        .says(&["1 created, 3 updated, 1 unchanged"]);
    let expected = format!(
        "a [\"{TAG}\"] ; b [\"{TAG}\"] ; c [\"x\",\"y\",\"{TAG}\"] ; d [\"z\"] ; e [\"{TAG}\"]"
    );
    assert_eq!(tags(&room), expected);
    room.on("apply", &["B"])
        .code(0)
        .says(&["0 created, 0 updated, 5 unchanged"]);
}

fn rollback_takes_the_tag_off_and_leaves_null_and_empty_lists_as_they_were(case: Case) {
    let room = room(case, PLAN);
    let before = tags(&room);
    room.on("apply", &["B", "--run-id", RUN]).code(0);
    room.on("rollback", &[RUN]).code(0);
    let after = tags(&room);
    assert_eq!(after, before);
}

fn a_tag_that_others_added_since_survives_rollback(case: Case) {
    let room = room(case, PLAN);
    room.on("apply", &["B", "--run-id", RUN]).code(0);
    let more = case.either("json_insert(tags, '$[#]', 'mine')", "tags || '{mine}'");
    room.sql(&format!("UPDATE note SET tags = {more} WHERE id = 'c'"));
    room.on("rollback", &[RUN]).code(0);
    let expected = "a NULL ; b [] ; c [\"x\",\"y\",\"mine\"] ; d [\"z\"]";
    assert_eq!(tags(&room), expected);
    assert_eq!(room.ask("SELECT body FROM note WHERE id = 'c'"), "old");
}

fn the_row_that_describes_the_run_is_kept_and_marked(case: Case) {
    let room = room(case, PLAN);
    room.on("apply", &["B", "--run-id", RUN]).code(0);
    let field = |name: &str| room.ask(&format!("SELECT {name} FROM log"));
    assert_eq!(
        (field("content ->> 'run'"), field("content ->> 'status'")),
        (RUN.into(), "completed".into())
    );
    assert_eq!(field("(content -> 'counts') ->> 'updated'"), "3");
    let done = room.on("rollback", &[RUN]).code(0);
    done.says(&["log"]);
    assert_eq!(room.ask("SELECT count(*) FROM log"), "1", "it stays");
    assert_eq!(field("content ->> 'status'"), "rolled-back");
}

fn the_row_that_describes_the_run_goes_where_the_plan_says_so(case: Case) {
    let room = room(case, &PLAN.replace("\"keep\"", "\"delete\""));
    let before = room.dump();
    room.on("apply", &["B", "--run-id", RUN]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM log"), "1");
    room.on("rollback", &[RUN]).code(0);
    same(&room.dump(), &before, "nothing of the run is left");
}

fn a_run_that_changes_nothing_adds_no_row(case: Case) {
    let room = room(case, PLAN);
    room.on("apply", &["B"]).code(0);
    room.on("apply", &["B"]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM log"), "1");
}

fn the_form_of_the_run_id_and_the_longest_tag_are_the_plans(case: Case) {
    let hyphenated = PLAN.replace(
        "{run}\" }",
        "{run}\", form = \"hyphenated\", max_length = 53 }",
    );
    let room_53 = room(case, &hyphenated);
    room_53.on("apply", &["B", "--run-id", RUN]).code(0);
    assert!(tags(&room_53).starts_with(&format!("a [\"migration-run-id:{RUN}\"] ;")));
    let room_52 = room(case, &hyphenated.replace("53", "52"));
    let before = room_52.dump();
    room_52
        .on("apply", &["B"])
        .code(4)
        .says(&["the tag would have 53 characters, the target takes 52"]);
    same(&room_52.dump(), &before, "refused before any write");
}

fn what_the_target_lacks_is_named_with_the_line_of_the_plan(case: Case) {
    let room = room(case, &PLAN.replace("body = { from", "bodi = { from"));
    room.on("apply", &["B"])
        .code(4)
        .says(&["plan.toml:14: note: table note has no column `bodi`, is `body` meant?"]);
}
