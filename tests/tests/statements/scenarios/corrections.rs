//! Entries of the id map that point to another row.

use crate::place::Place;

const PLAN: &str = r#"
name = "club"
system = "old"
[[entity]]
name = "member"
source = { format = "csv", files = ["members.csv"], key = "id" }
table = "member"
id = { column = "id", from = "uuid" }
match = ["name"]
on_match = "update"
fields.name = { from = "name", required = true }
[[entity]]
name = "registration"
source = { format = "csv", files = ["registrations.csv"], key = "id" }
table = "registration"
id = { column = "id", from = "key" }
fields.member = { from = "member", ref = "member", required = true, outside = "target" }
"#;

const MOVED: &str = r#"
name = "mapping"
system = "old"
[[entity]]
name = "member"
source = { format = "csv", files = ["moved.csv"], key = "id" }
table = "member"
id = { column = "id", from = "uuid" }
op = "remap"
to = "to"
"#;

pub fn of_the_id_map(place: Place) {
    let tables = "
        CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT NOT NULL);
        CREATE TABLE registration (id TEXT PRIMARY KEY, member TEXT NOT NULL REFERENCES member (id));
        INSERT INTO member VALUES ('R1', 'Ann'), ('R2', 'Anne'), ('R3', 'Bob');";
    let sources = [
        ("members.csv", "id,name\nW1,Ann\nW2,Bob\n"),
        ("registrations.csv", "id,member\n1,W1\n2,W1\n3,W2\n"),
    ];
    let place = &place.with(PLAN, &sources, tables);
    place.apply("B");
    place
        .room
        .sql("INSERT INTO registration VALUES ('own', 'R1')");
    place.room.write("migration.toml", MOVED);
    place.room.write("moved.csv", "id,to\nW1,R2\nW9,R3\n");
    place.room.bundle("M");
    place.on("apply", &["M"]);
    place.room.write("moved.csv", "id,to\nW1,R2\n");
    place.room.bundle("N");
    let run = place.on("apply", &["N"]).code(0).id();
    place.on("verify", &[&run]);
    place.apply("B");
    let last = place
        .room
        .ask("SELECT id FROM switchback_runs ORDER BY seq DESC LIMIT 1");
    place.on("rollback", &[&last]);
    place.on("rollback", &[&run]).code(0);
}
