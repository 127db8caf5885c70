//! Rows of others that refer to those of a run, more than a page of them, with and without an index.

use crate::place::Place;

const PLAN: &str = r#"
name = "ties"
system = "ties"
[[entity]]
name = "member"
source = { format = "csv", files = ["m.csv"], key = "id" }
table = "member"
id = { column = "id", from = "key" }
fields.name = { from = "name" }
"#;

pub fn of_other_rows(place: Place) {
    let tables = "
        CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, mentor TEXT REFERENCES member (id) ON DELETE SET NULL);
        CREATE TABLE audit (id INTEGER PRIMARY KEY, who TEXT REFERENCES member (id) ON DELETE SET NULL);
        CREATE TABLE seat (no INTEGER PRIMARY KEY, who TEXT REFERENCES member (id) ON DELETE SET NULL);
        CREATE INDEX seat_who ON seat (who);";
    let place = &place.with(PLAN, &[("m.csv", "id,name\na,Ann\nb,Bob\n")], tables);
    let run = place.apply("B");
    let numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)";
    place.room.sql(&format!(
        "{numbers} INSERT INTO audit SELECT n, 'a' FROM n; {numbers} INSERT INTO seat SELECT n, 'b' FROM n;
         INSERT INTO member VALUES ('own', 'Own', 'a')"
    ));
    place.on("rollback", &[&run]).code(1);
    place.on("rollback", &[&run, "--detach", "--check"]).code(0);
    place
        .on("rollback", &[&run, "--detach", "--batch-size=1"])
        .code(0);
    place.on("verify", &[&run]).code(0);
    place.on("rollback", &[&run, "--export"]);
    if !place.is_on_server() {
        place.room.sql(
            "CREATE TRIGGER broken AFTER INSERT ON member BEGIN INSERT INTO gone VALUES (1); END",
        );
        place.on("apply", &["B"]).code(4);
    }
}
