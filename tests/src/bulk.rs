//! Enough records to be interrupted: people and their visits, onto a table that knows some of them.

use std::fmt::Write as _;

use crate::{Db, Room, Target};

/// A room with many records, on a target of either kind.
#[derive(Debug)]
pub struct Bulk;

const PLAN: &str = r#"
name = "bulk"
system = "bulk"

[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "uuid" }
match = ["email"]
on_match = "update"
[entity.fields]
email = { from = "email", required = true }
name = { from = "name", required = true }
sponsor = { from = "sponsor", ref = "person", late = true }
updated = { run = "started_at" }

[[entity]]
name = "visit"
source = { format = "csv", files = ["visits.csv"], key = "id" }
table = "visit"
id = { column = "no", from = "target" }
[entity.fields]
person = { from = "person", ref = "person", required = true }
day = { from = "day", type = "date", required = true }

[[entity]]
name = "leaver"
source = { format = "csv", files = ["leavers.csv"], key = "no" }
table = "leaver"
id = { column = "no", from = "key" }
op = "delete"
target = "no"
"#;

const SCHEMA: &str = "
CREATE TABLE person (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  sponsor TEXT REFERENCES person (id), note TEXT DEFAULT 'none', updated TEXT NOT NULL);
CREATE INDEX person_sponsor ON person (sponsor);
CREATE TABLE visit (no INTEGER PRIMARY KEY AUTOINCREMENT, person TEXT NOT NULL REFERENCES person (id), day TEXT NOT NULL);
CREATE INDEX visit_person ON visit (person);
CREATE TABLE leaver (no INTEGER PRIMARY KEY, name TEXT, photo BLOB, size REAL);
";

/// A trigger that stamps what others update.
const TOUCH: &str = "
CREATE TRIGGER person_touch AFTER UPDATE ON person WHEN NEW.updated IS OLD.updated BEGIN
  UPDATE person SET updated = 'touched' WHERE id = NEW.id; END;";

/// The same on PostgreSQL, where a row with a number of its own does not move the counter.
const TOUCH_POSTGRES: &str = "
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.updated := 'touched'; RETURN NEW; END $$;
CREATE TRIGGER person_touch BEFORE UPDATE ON person FOR EACH ROW WHEN (NEW.updated = OLD.updated)
  EXECUTE FUNCTION touch();
ALTER TABLE visit ALTER no RESTART WITH 42;";

impl Bulk {
    /// Makes a room with `people` people, a visit each, and a tenth as many rows to delete. Every
    /// fourth person is in the database already, every eighth with another name.
    #[must_use]
    pub fn room(target: impl Into<Target>, people: u64) -> Room {
        let room = Room::new(target);
        Self::fill(&room, people);
        room
    }

    /// Fills a room, and its database, which is empty.
    pub fn fill(room: &Room, people: u64) {
        let touch = match room.db {
            Db::Sqlite(_) => TOUCH,
            Db::Postgres(_) => TOUCH_POSTGRES,
        };
        let mut csv = String::from("id,email,name,sponsor\n");
        let mut visits = String::from("id,person,day\n");
        let mut leavers = String::from("no\n");
        // A visit that is there already has moved the counter, as in any table in use.
        let mut sql = format!(
            "{SCHEMA} {touch} BEGIN;
             INSERT INTO person VALUES ('old', 'old@example.org', 'Old', NULL, NULL, 'long ago');
             INSERT INTO visit VALUES (41, 'old', '2001-01-01');"
        );
        for n in 0..people {
            let sponsor = if n % 3 == 0 {
                String::new()
            } else {
                format!("p{}", (n * 7 + 1) % people)
            };
            writeln!(csv, "p{n},p{n}@example.org,\"Person, {n}\",{sponsor}").unwrap();
            writeln!(visits, "v{n},p{n},2024-{:02}-{:02}", n % 12 + 1, n % 28 + 1).unwrap();
            if n % 4 == 0 {
                let name = if n % 8 == 0 {
                    format!("Somebody {n}")
                } else {
                    format!("Person, {n}")
                };
                write!(sql, "INSERT INTO person VALUES ('row{n}', 'p{n}@example.org', '{name}', NULL, 'kept {n}', '2020-01-01');").unwrap();
            }
            if n % 10 == 0 {
                writeln!(leavers, "{n}").unwrap();
                write!(
                    sql,
                    "INSERT INTO leaver VALUES ({n}, 'Leaver {n}', x'00ff{:02x}', {n}.1);",
                    n % 256
                )
                .unwrap();
            }
        }
        sql.push_str("COMMIT;");
        room.write("migration.toml", PLAN);
        room.write("people.csv", csv);
        room.write("visits.csv", visits);
        room.write("leavers.csv", leavers);
        room.sql(&sql);
    }
}
