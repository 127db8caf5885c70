//! Columns and tables that a run adds, and what others do with them.

use super::snapshot;
use crate::place::Place;

const PLAN: &str = r#"
name = "adds"
system = "adds"
[[add.column]]
table = "member"
column = "level"
type = "INTEGER"
not_null = true
default = 0
initial = 1
[[add.column]]
table = "member"
column = "first"
type = "TEXT"
initial = "yes"
[[add.table]]
table = "sync"
columns = { wa = { type = "TEXT" }, member = { type = "TEXT", not_null = true }, note = { type = "TEXT", default = "it's" } }
primary_key = ["wa"]
unique = [["member"]]
foreign_keys = [{ columns = ["member"], table = "member", to = ["id"], on_delete = "cascade" }]
[[entity]]
name = "member"
source = { format = "csv", files = ["members.csv"], key = "id" }
table = "member"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
fields.level = { from = "level", type = "integer" }
"#;

pub fn come_and_go(place: Place) {
    let sources = [("members.csv", "id,level\n1,5\n2,1\n")];
    let tables = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT); INSERT INTO member VALUES ('1', 'Ann'), ('9', 'Zoe');";
    let place = &place.with(PLAN, &sources, tables);
    let room = &place.room;
    let run = place.on("apply", &["B", "--snapshot"]).code(0).id();
    place.on("verify", &[&run]).code(0);
    room.sql("UPDATE member SET level = 9 WHERE id = '9'; CREATE INDEX levels ON member (level)");
    place.on("rollback", &[&run]).code(1);
    place.on("verify", &[&run]);
    room.sql("UPDATE member SET level = 1 WHERE id = '9'; DROP INDEX levels");
    place.on("rollback", &[&run]).code(0);
    place.on("verify", &[&run]).code(0);
    let run = place.on("apply", &["B", "--snapshot"]).code(0).id();
    let file = snapshot(place, &run);
    // What is added is there already.
    place.apply("B");
    place.on("rollback", &["--snapshot", &file]).code(0);
}
