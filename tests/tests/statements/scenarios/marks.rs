//! Tags, the row that describes a run, hooks.

use crate::place::Place;

const PLAN: &str = r#"
name = "notes"
system = "team"
[[hook]]
on = ["started", "completed", "rolled-back"]
command = ["true"]
[[entity]]
name = "note"
source = { format = "csv", files = ["notes.csv"], key = "id" }
table = "note"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
tag = { column = "tags", text = "run:{run}" }
fields.body = { from = "body" }
[metadata]
table = "log"
id = { column = "id", from = "uuid" }
on_rollback = "keep"
status = "content"
[metadata.fields]
content = { run = "json", type = "json" }
"#;

pub fn of_a_run(place: Place) {
    let (list, json, one) = place.either(("TEXT", "TEXT", "[\"x\"]"), ("text[]", "jsonb", "{x}"));
    let encoding = place.either("PRAGMA encoding = 'UTF-16le';", "");
    let tables = format!(
        "{encoding} CREATE TABLE note (id TEXT PRIMARY KEY, body TEXT, tags {list});
         CREATE TABLE log (id TEXT PRIMARY KEY, content {json}); INSERT INTO note VALUES ('a', 'old', '{one}')"
    );
    let sources = [("notes.csv", "id,body\na,new\nb,new\n")];
    let place = &place.with(PLAN, &sources, &tables);
    let run = place.apply("B");
    place.on("verify", &[&run]).code(0);
    place.room.write("notes.csv", "id,body\na,newer\n");
    place.room.bundle("C");
    let later = place.apply("C");
    place.on("rollback", &[&run]).code(1);
    place.on("rollback", &[&later]).code(0);
    place.on("rollback", &[&run]).code(0);
    place.on("verify", &[&run]).code(0);
}
