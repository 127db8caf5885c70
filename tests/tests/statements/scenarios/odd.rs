//! Tables whose columns or triggers the programs ask more about.

use crate::place::Place;

const PLAN: &str = r#"
name = "odd"
system = "odd"
[[entity]]
name = "thing"
source = { format = "csv", files = ["t.csv"], key = "id" }
table = "thing"
id = { column = "id", from = "key" }
match = ["name"]
on_match = "update"
fields.name = { from = "name" }
fields.note = { from = "note" }
"#;

pub fn of_odd_tables(place: Place) {
    let tables = if place.is_on_server() {
        "CREATE TABLE thing (id TEXT PRIMARY KEY, name TEXT UNIQUE, note TEXT, kind regclass, maker regproc);
         INSERT INTO thing VALUES ('0', 'Ann', 'old', 'thing', 'now');"
    } else {
        "CREATE TABLE thing (id TEXT PRIMARY KEY, name TEXT UNIQUE, note TEXT, at TEXT) WITHOUT ROWID;
         INSERT INTO thing VALUES ('0', 'Ann', 'old', NULL);
         CREATE TRIGGER touch AFTER UPDATE OF note ON thing BEGIN UPDATE thing SET at = 'now' WHERE id = NEW.id; END;
         CREATE TRIGGER born AFTER INSERT ON thing BEGIN UPDATE thing SET at = 'now' WHERE id = NEW.id; END;"
    };
    let sources = [("t.csv", "id,name,note\na,Ann,new\nb,Bob,new\n")];
    let place = &place.with(PLAN, &sources, tables);
    let run = place.apply("B");
    if place.is_on_server() {
        place.room.sql("CREATE TABLE heir () INHERITS (thing)");
    }
    place.on("verify", &[&run]).code(0);
    place.on("rollback", &[&run]).code(0);
}
