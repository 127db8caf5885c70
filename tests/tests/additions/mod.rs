//! Columns and tables that a plan adds: there before the first row, gone with the run, and never
//! dropped with what others put there.

mod built_on;
mod kept;
mod schemas;
mod server;
mod there_and_back;

use serde_json::Value;
use tests::{Case, Done, Room};

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
 BEGIN UPDATE member SET updated = OLD.updated || '+' WHERE id = NEW.id; END;";

/// The same, with the hole of a column that was dropped.
const TABLES_POSTGRES: &str = "CREATE TABLE member (id TEXT PRIMARY KEY, gone INTEGER, name TEXT,
   updated TEXT NOT NULL DEFAULT 'made', CHECK (name <> ''));
 ALTER TABLE member DROP COLUMN gone;
 CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
   IF NEW.updated = OLD.updated THEN NEW.updated := OLD.updated || '+'; END IF; RETURN NEW; END $$;
 CREATE TRIGGER touch BEFORE UPDATE ON member FOR EACH ROW EXECUTE FUNCTION touch();";

const ROWS: &str =
    "INSERT INTO member VALUES ('1', 'Ann', 'x'), ('2', 'Robert', 'y'), ('3', 'Cy', 'z');";

/// A folder with a plan and its bundle, and the tables before it.
fn room_with(case: Case, plan: &str) -> Room {
    let sql = format!("{} {ROWS}", case.either(TABLES, TABLES_POSTGRES));
    let room = Room::with(case, plan, &[("members.csv", MEMBERS)], &sql);
    room.bundle("B");
    room
}

/// The members, some columns of each.
#[track_caller]
fn members(room: &Room, columns: &str) -> String {
    room.ask(&format!(
        "SELECT string_agg(concat_ws(' ', {columns}), ', ' ORDER BY id) FROM member"
    ))
}

fn room(case: Case) -> Room {
    room_with(case, PLAN)
}

/// Applies, and returns the dump before and the run.
fn applied(case: Case) -> (Room, String, String) {
    let room = room(case);
    let before = room.dump();
    let run = room.apply("B");
    (room, before, run)
}

fn last(done: &Done) -> Value {
    serde_json::from_str(done.out.lines().last().unwrap()).unwrap()
}
