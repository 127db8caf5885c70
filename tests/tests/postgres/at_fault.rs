//! Who is at fault, where PostgreSQL alone refuses.

use tests::postgres::Database;
use tests::{Done, Room, Target};

use crate::on;

const PLAN: &str = r#"
name = "people"
system = "club"
accept_triggers = ["late", "guard"]
[[entity]]
name = "m"
source = { format = "csv", files = ["m.csv"], key = "id" }
table = "m"
id = { column = "id", from = "key" }
[entity.fields]
name = { from = "name" }
"#;

/// Applies three records, of which the second has this name, so that one at fault is set aside alone.
fn aside(database: &Database, name: &str) -> (Room, Done) {
    let csv = format!("id,name\n1,short\n2,{name}\n3,fine\n");
    let room = Room::with(
        Target::Sqlite,
        PLAN,
        &[("m.csv", &csv)],
        "CREATE TABLE other (id INTEGER PRIMARY KEY)",
    );
    room.bundle("B");
    let args = ["B", "--on-error=record", "--max-failed-percent=100"];
    let done = on(&room, database, "apply", &args).code(3);
    assert_eq!(
        database.ask("SELECT string_agg(id::text, ',' ORDER BY id) FROM m"),
        "1,3",
        "{}",
        done.err
    );
    (room, done)
}

#[test]
fn a_value_too_long_for_an_index_names_the_record_and_the_column() {
    let database = Database::with(
        "CREATE TABLE m (id integer PRIMARY KEY, name text); CREATE INDEX m_name ON m (name)",
    );
    // Letters that do not compress.
    let mut state = 1_u64;
    let letter = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b"abcdefghijklmnopqrstuvwxyz012345"[usize::try_from(state >> 59).unwrap()])
    };
    let long: String = (0..6000).map(letter).collect();
    let (_, done) = aside(&database, &long);
    let _ = done.says(&["m.csv:3: m 2: name: index row size", "\"m_name\""]);
}

#[test]
fn a_character_that_the_encoding_lacks_names_the_record_and_is_kept_escaped() {
    let database = Database::encoded(
        "LATIN1",
        "CREATE TABLE m (id integer PRIMARY KEY, name text)",
    );
    let (room, done) = aside(&database, "Łódź");
    let done = done.says(&["m.csv:3: m 2: name: character with byte sequence"]);
    let run = done.id();
    // The ledger holds the record all the same.
    let failures = room.read(".migration-failures.json");
    assert!(failures.contains("Łódź"), "{failures}");
    let line = database.ask("SELECT line FROM switchback.failures");
    assert!(line.contains("\\u0141\\u00f3d\\u017a"), "{line}");
    let report = on(&room, &database, "verify", &["report", &run, "--json"]).code(0);
    assert!(report.out.contains("Łódź"), "{}", report.out);
    let _ = on(&room, &database, "rollback", &[&run]).code(0);
    assert_eq!(database.ask("SELECT count(*) FROM m"), "0");
}

#[test]
fn a_source_key_that_the_encoding_lacks_names_the_record() {
    let database = Database::encoded("LATIN1", "CREATE TABLE m (id text PRIMARY KEY, name text)");
    let room = Room::with(
        Target::Sqlite,
        PLAN,
        &[("m.csv", "id,name\n1,Ann\nŁ,Bob\n3,Cid\n")],
        "CREATE TABLE other (id INTEGER PRIMARY KEY)",
    );
    room.bundle("B");
    let args = ["B", "--on-error=record", "--max-failed-percent=100"];
    let done = on(&room, &database, "apply", &args).code(3);
    let _ = done.says(&["m.csv:3: m Ł: "]);
    assert_eq!(
        database.ask("SELECT string_agg(id, ',' ORDER BY id) FROM m"),
        "1,3"
    );
    // A batch that is undone says why, in a ledger that lacks the character.
    let database = Database::encoded("LATIN1", "CREATE TABLE m (id text PRIMARY KEY, name text)");
    let done = on(&room, &database, "apply", &["B"]).code(3);
    let _ = done.says(&["m.csv:3: m Ł: ", "1 failed"]);
    assert_eq!(
        database.ask("SELECT count(*) FROM switchback.failures"),
        "1"
    );
}

#[test]
fn a_query_that_the_server_does_not_read_names_the_record_and_the_column() {
    let database = Database::with("CREATE TABLE m (id integer PRIMARY KEY, name tsquery)");
    let (_, done) = aside(&database, "a & & b");
    let _ = done.says(&["m.csv:3: m 2: name: syntax error in tsquery"]);
}

#[test]
fn a_deferred_trigger_with_a_code_of_its_own_names_the_record() {
    let database = Database::with(
        "CREATE TABLE m (id integer PRIMARY KEY, name text);
         CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF NEW.name = 'BAD' THEN RAISE EXCEPTION 'too late' USING ERRCODE = 'APP02'; END IF; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON m DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION late()",
    );
    let (_, done) = aside(&database, "BAD");
    let _ = done.says(&["m.csv:3: m 2: too late"]);
}

#[test]
fn a_right_that_the_login_lacks_for_one_row_is_that_records_fault() {
    let database = Database::with(
        "CREATE TABLE m (id integer PRIMARY KEY, name text);
         CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF NEW.name = 'BAD' THEN RAISE EXCEPTION 'not for you' USING ERRCODE = 'insufficient_privilege'; END IF;
           RETURN NEW; END $$;
         CREATE TRIGGER guard BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION guard()",
    );
    let (_, done) = aside(&database, "BAD");
    let _ = done.says(&["m.csv:3: m 2: not for you"]);
}
