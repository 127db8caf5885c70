//! Keys of every kind, with and without an index; lookups, late references, deletes; records and rows at fault,
//! and what is done about them.

use crate::place::Place;

const PLAN: &str = r#"
name = "odd"
system = "odd"
zone = "UTC"
accept_triggers = ["touch", "refuse"]
[limits]
change_rows = 1000
change_percent = 100
delete_percent = 100

[[entity]]
name = "status"
source = { format = "csv", files = ["status.csv"], key = "code" }
table = "status"
match = ["code"]
on_match = "update"
fields.code = { from = "code", required = true }
fields.label = { from = "label" }

[[entity]]
name = "person"
source = { format = "csv", files = ["person.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
match = ["email"]
match_null = "insert"
on_match = "update"
[entity.fields]
email = { from = "email" }
name = { from = "name" }
kind = { from = "kind", lookup = { table = "kind", by = "code" } }
boss = { from = "boss", ref = "person", late = true, outside = "target" }
at = { from = "at", type = "timestamp", formats = ["%Y-%m-%d"] }
words = { from = "words" }

[[entity]]
name = "legacy"
source = { format = "csv", files = ["legacy.csv"], key = "id" }
table = "legacy"
id = { column = "id", from = "target" }
via = { table = "legacy_map", key = "source", target = "target", where = { kind = "p" } }
on_match = "update"
fields.note = { from = "note" }

[[entity]]
name = "pair"
source = { format = "csv", files = ["pair.csv"], key = { all = ["a", "b"] } }
table = "pair"
match = ["a", "b"]
on_match = "update"
fields.a = { from = "a", required = true }
fields.b = { from = "b", required = true }
fields.note = { from = "note" }

[[entity]]
name = "ticket"
source = { format = "csv", files = ["ticket.csv"], key = "id" }
table = "ticket"
id = { column = "id", from = "target" }
fields.state = { from = "state", empty = "absent" }

[[entity]]
name = "leaver"
source = { format = "csv", files = ["leaver.csv"], key = "no" }
table = "leaver"
id = { column = "no", from = "key" }
op = "delete"
target = "no"
"#;

const TABLES: &str = "
CREATE TABLE kind (id INTEGER PRIMARY KEY, code TEXT UNIQUE); INSERT INTO kind (code) VALUES ('a'), ('b');
CREATE TABLE status (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT, label VARCHAR(5) CHECK (length(label) < 6));
CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT, name TEXT NOT NULL, kind BIGINT REFERENCES kind (id),
  boss BIGINT REFERENCES person (id) DEFERRABLE INITIALLY DEFERRED, at TIMESTAMPTZ, words WORDS);
INSERT INTO person (id, email, name) VALUES (900, 'ann@example.org', 'Old');
CREATE TABLE legacy (id INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT); INSERT INTO legacy (note) VALUES ('x');
CREATE TABLE legacy_map (source TEXT, target BIGINT, kind TEXT); INSERT INTO legacy_map VALUES ('1', 1, 'p');
CREATE TABLE pair (a TEXT, b TEXT, note TEXT, PRIMARY KEY (a, b)); INSERT INTO pair VALUES ('1', '1', 'old');
CREATE TABLE ticket (id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT DEFAULT 'new');
CREATE TABLE visit (id INTEGER PRIMARY KEY, person BIGINT REFERENCES person (id));
CREATE TABLE leaver (no INTEGER PRIMARY KEY, name TEXT); INSERT INTO leaver VALUES (1, 'x'), (2, 'y');
CREATE TABLE remark (leaver BIGINT REFERENCES leaver (no) ON DELETE CASCADE);
CREATE TABLE load (busy BOOLEAN); INSERT INTO load VALUES (false);";

const TOUCH: &str = "CREATE TRIGGER touch AFTER UPDATE ON person WHEN NEW.name IS NULL BEGIN
  UPDATE person SET name = '' WHERE id = NEW.id; END;";

const TOUCH_POSTGRES: &str = "
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := NEW.name || ''; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE pair SET note = note WHERE a = NEW.a AND b = NEW.b; RETURN NULL; END $$;
CREATE TRIGGER again AFTER INSERT ON pair FOR EACH ROW EXECUTE FUNCTION again();";

pub const PEOPLE: &str = "id,email,name,kind,boss,at,words\n1,ann@example.org,Ann,a,3,2024-01-01,x & y\n\
                          2,,Bob,b,1,2024-01-02,x\n3,cid@example.org,Cid,a,,,\n";

/// A place with these tables, empty bundles aside.
pub fn filled(place: Place, labels: &str) -> Place {
    let words = place.either("TEXT", "tsquery");
    let touch = place.either(TOUCH, TOUCH_POSTGRES);
    let tables = TABLES.replace(" WORDS", &format!(" {words}")) + touch;
    let sources = [
        ("status.csv", labels),
        ("person.csv", PEOPLE),
        ("legacy.csv", "id,note\n1,y\n2,new\n"),
        ("pair.csv", "a,b,note\n1,1,new\n1,2,more\n"),
        ("ticket.csv", "id,state\n1,\n2,open\n"),
        ("leaver.csv", "no\n1\n2\n"),
    ];
    place.with(PLAN, &sources, &tables)
}

pub fn of_every_kind(place: Place) {
    let place = &filled(place, "code,label\nN,New\nO,too long a label\n");
    let room = &place.room;
    place.on("apply", &["B", "--dry-run", "--save", "decisions"]);
    let args = [
        "B",
        "--on-error=record",
        "--max-failed-percent=100",
        "--throttle-query=SELECT busy FROM load",
        "--commit-every=100",
    ];
    let run = place.on("apply", &args).code(3).id();
    place.on("verify", &[&run]);
    place.on("verify", &["report", &run]).code(0);
    room.write("status.csv", "code,label\nN,New\nO,short\n");
    room.bundle("C");
    place.on("apply", &["B", "--resume"]);
    place.on("verify", &[&run]);
    room.sql("UPDATE person SET name = 'Edited' WHERE id = 3; INSERT INTO visit VALUES (1, 2)");
    place.on("rollback", &[&run, "--check", "--json"]).code(1);
    place.on("rollback", &[&run, "--skip-conflicts"]);
    place.on("verify", &[&run]);
    room.sql("DELETE FROM visit");
    place.on("rollback", &[&run, "--force"]);
    place.on("verify", &[&run]);
    settled(place);
}

/// Runs and rollbacks that fail, settled by a note.
fn settled(place: &Place) {
    let room = &place.room;
    room.write("status.csv", "code,label\nP,p\nQ,q\n");
    room.bundle("D");
    room.db.refuse("INSERT", "status", "NEW.code = 'Q'", "no");
    let args = ["D", "--continue-on-error", "--max-failed-percent=100"];
    let failed = place.on("apply", &args).id();
    place.on("apply", &["D", "--resolve", "as it is"]);
    room.db.allow("status");
    place.on("rollback", &[&failed, "--skip-conflicts"]);
    room.write("pair.csv", "a,b,note\n7,7,new\n");
    room.bundle("E");
    let run = place.on("apply", &["E", "--max-failed-percent=100"]).id();
    room.db.refuse("DELETE", "pair", "true", "never");
    place.on("rollback", &[&run]);
    place.on("rollback", &[&run, "--max-seconds=0"]);
    place.on("rollback", &[&run, "--resolve", "by hand"]);
    place.on("verify", &[&run]);
}
