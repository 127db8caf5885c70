//! The inverse of a run as record lines goes back through `validate | bundle | apply`.

use tests::db::same;
use tests::{Bulk, Case, Done, Room, Target};

tests::both!(
    the_inverse_of_inserts_updates_and_deletes_is_a_bundle_that_ends_where_the_run_began,
    the_inverse_of_the_members_ends_where_they_began,
    what_a_bundle_can_not_take_back_is_said,
    what_people_changed_since_is_not_overwritten_by_the_inverse,
);

/// Makes a bundle of the inverse of a run and applies it.
fn taken_back_by_lines(room: &Room, run: &str) -> Done {
    let lines = room
        .on(
            "rollback",
            &[run, "--export", "--save-plan", "inverse.toml"],
        )
        .code(0)
        .out;
    let good = room
        .feed("validate", &["--plan", "inverse.toml"], lines)
        .code(0)
        .out;
    let _ = room
        .feed("bundle", &["--plan", "inverse.toml", "-o", "inverse"], good)
        .code(0);
    room.on("apply", &["inverse"])
}

const PLAN: &str = r#"
name = "stock"
system = "shop"
accept_triggers = ["item_log"]

[[entity]]
name = "shelf"
source = { format = "csv", files = ["shelves.csv"], key = "no" }
table = "shelf"
id = { column = "no", from = "key" }
[entity.fields]
place = { from = "place" }

[[entity]]
name = "item"
source = { format = "csv", files = ["items.csv"], key = "code" }
table = "item"
id = { column = "id", from = "uuid" }
match = ["code"]
on_match = "update"
[entity.fields]
code = { from = "code", required = true }
shelf = { from = "shelf", ref = "shelf", required = true }
name = { from = "name", empty = "null" }
note = { from = "note", empty = "text" }
price = { from = "price", type = "decimal", exact = false }
stamp = { run = "started_at" }

[[entity]]
name = "gone"
source = { format = "csv", files = ["gone.csv"], key = "no" }
table = "old"
id = { column = "no", from = "key" }
op = "delete"
target = "no"
"#;

/// Tables with columns that the target computes, a trigger that stamps and one that is accepted.
fn schema(case: Case) -> String {
    let computed = case.either("VIRTUAL", "STORED");
    let triggers = case.either(
        "CREATE TRIGGER item_touch AFTER UPDATE ON item WHEN NEW.stamp IS OLD.stamp BEGIN
           UPDATE item SET stamp = 'touched' WHERE id = NEW.id; END;
         CREATE TRIGGER item_log AFTER UPDATE OF note ON item WHEN NEW.note = 'never' BEGIN
           INSERT INTO log VALUES (NEW.id); END;",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           NEW.stamp := 'touched'; RETURN NEW; END $$;
         CREATE TRIGGER item_touch BEFORE UPDATE ON item FOR EACH ROW
           WHEN (NEW.stamp IS NOT DISTINCT FROM OLD.stamp) EXECUTE FUNCTION touch();
         CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO log VALUES (NEW.id); RETURN NEW; END $$;
         CREATE TRIGGER item_log AFTER UPDATE OF note ON item FOR EACH ROW
           WHEN (NEW.note = 'never') EXECUTE FUNCTION log();",
    );
    format!(
        "CREATE TABLE shelf (no INTEGER PRIMARY KEY, place TEXT);
CREATE TABLE item (id TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE, shelf BIGINT NOT NULL REFERENCES shelf (no),
  name TEXT, note TEXT, price REAL, photo BLOB, stamp TEXT, loud TEXT GENERATED ALWAYS AS (upper(name)) {computed});
CREATE INDEX item_shelf ON item (shelf);
CREATE TABLE log (what TEXT);
{triggers}
CREATE TABLE old (no INTEGER PRIMARY KEY, text TEXT, amount REAL, photo BLOB, empty TEXT, big BIGINT,
  next BIGINT REFERENCES old (no), half REAL GENERATED ALWAYS AS (amount / 2) {computed});
CREATE INDEX old_next ON old (next);
INSERT INTO shelf VALUES (9, NULL);
INSERT INTO item VALUES ('a', 'A', 9, NULL, '', 0.1, x'00ff', '2020-01-01T00:00:00.123456Z'),
  ('b', 'B', 9, '', NULL, 3, NULL, NULL), ('c', 'C', 9, 'Same', 'x', 12.5, x'', '');
INSERT INTO old VALUES (1, 'it''s \"1\"\n', 0.1, x'00ff7f', '', 9223372036854775807, NULL),
  (2, NULL, -3, x'', NULL, -1, 1), (3, 'ü', 1e300, NULL, NULL, 0, 2);"
    )
}

fn stock(case: Case) -> Room {
    let sources = [
        ("shelves.csv", "no,place\n1,left\n2,\n"),
        (
            "items.csv",
            "code,shelf,name,note,price\nA,1,Apple,fresh,0.30\nB,2,Pear,,7\nC,1,Same,x,12.5\nD,2,New,,1\n",
        ),
        ("gone.csv", "no\n3\n2\n1\n"),
    ];
    let room = Room::with(case, PLAN, &sources, &schema(case));
    room.bundle("B");
    room
}

fn the_inverse_of_inserts_updates_and_deletes_is_a_bundle_that_ends_where_the_run_began(
    case: Case,
) {
    let room = stock(case);
    let before = room.dump();
    let run = room.apply("B");
    assert_eq!(room.ask("SELECT count(*) FROM item"), "4");
    assert_eq!(room.ask("SELECT count(*) FROM old"), "0");
    let applied = room.dump();
    let done = taken_back_by_lines(&room, &run).code(0);
    same(&room.dump(), &before, "value for value");
    // It is a run like any other.
    let inverse = done.id();
    let _ = room.on("verify", &[&inverse]).code(0);
    let _ = room
        .on("apply", &["inverse"])
        .code(0)
        .says(&["0 created, 0 updated"]);
    let _ = room.on("rollback", &[&inverse]).code(0);
    same(&room.dump(), &applied, "and back again");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "by its ID too");
}

fn the_inverse_of_the_members_ends_where_they_began(case: Case) {
    let room = Room::example(case, "members");
    let before = room.dump();
    room.bundle("B");
    let run = room.apply("B");
    if case.target == Target::Postgres {
        // There a trigger stamps whatever is written: a value that does not stand is no inverse.
        let applied = room.dump();
        let _ = taken_back_by_lines(&room, &run)
            .code(3)
            .says(&["member WA020: updatedAt: ", "the target changed it"]);
        same(&room.dump(), &applied, "nothing was written");
        room.sql("ALTER TABLE \"Member\" DISABLE TRIGGER \"Member_touch\"");
    }
    let _ = taken_back_by_lines(&room, &run).code(0);
    room.sql(case.either("", "ALTER TABLE \"Member\" ENABLE TRIGGER \"Member_touch\""));
    same(&room.dump(), &before, "value for value");
}

fn what_a_bundle_can_not_take_back_is_said(case: Case) {
    let room = Bulk::room(case, 30);
    room.bundle("B");
    let run = room.apply("B");
    let _ = room
        .on(
            "rollback",
            &[&run, "--export", "--save-plan", "inverse.toml"],
        )
        .code(0)
        .says(&[
            "warning: 15 rows that the run inserted got late references",
            &format!("rollback {run} does"),
        ]);
    let plan = room.read("inverse.toml");
    let _ = room
        .on(
            "rollback",
            &[&run, "--export", "--save-plan", "inverse.toml"],
        )
        .code(0);
    assert_eq!(room.read("inverse.toml"), plan, "the same bytes");
}

fn what_people_changed_since_is_not_overwritten_by_the_inverse(case: Case) {
    let room = stock(case);
    let run = room.apply("B");
    room.sql("UPDATE item SET name = 'Mine' WHERE id = 'a'; INSERT INTO old (no, text) VALUES (2, 'mine')");
    let _ = taken_back_by_lines(&room, &run).code(3).says(&[
        &format!("run-{run}:"),
        "item A",
        "changed in the source",
    ]);
    assert_eq!(room.ask("SELECT name FROM item WHERE id = 'a'"), "Mine");
}
