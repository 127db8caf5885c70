//! The two lists of settings: those under which values are read, and those under which what users wrote is fired.
//! Names of tables and functions are the same for every login; a rollback's own writes keep the login's settings.

use tests::db::same;
use tests::{Case, Room};

mod postgres {
    tests::on_target!(
        Postgres,
        names_of_objects_are_the_same_for_every_search_path,
        names_inside_of_lists_and_rows_are_refused_before_the_first_write,
        a_users_type_is_the_same_by_its_name_with_and_without_the_schema,
        the_mark_of_a_rollback_fires_triggers_under_the_logins_settings,
        settings_that_change_no_value_change_nothing
    );
}

fn plan(table: &str) -> String {
    format!(
        r#"
name = "n"
system = "s"

[[entity]]
name = "odd"
table = "{table}"
id = {{ column = "id", from = "key" }}
match = ["id"]
on_match = "update"
source = {{ format = "csv", files = ["a.csv"], key = "id" }}
fields = {{ name = {{ from = "name" }}, about = {{ from = "about" }} }}

[[entity]]
name = "gone"
table = "{table}"
id = {{ column = "id", from = "key" }}
op = "delete"
source = {{ format = "csv", files = ["b.csv"], key = "id" }}
"#
    )
}

/// Rows that name objects: of a schema, of the server's own, one that is gone, none at all, and functions and
/// operators of which there are several by that name.
const ROWS: &str = r#"
CREATE SCHEMA app;
CREATE TABLE app."Odd one" (a int);
CREATE FUNCTION app.one(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.two(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.two(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE app.pair AS (a int, b int);
CREATE TEXT SEARCH CONFIGURATION app.plain (COPY = simple);
CREATE TEXT SEARCH DICTIONARY app.words (TEMPLATE = simple);
CREATE DOMAIN app.where_to AS regclass;
CREATE TABLE app.odd (id text PRIMARY KEY, name text, about regclass, domain app.where_to, kind regtype, kinds regtype,
  one regproc, two regproc, whole regprocedure, sign regoper, signs regoperator, config regconfig, words regdictionary);
INSERT INTO app.odd SELECT n::text, 'old', 'app."Odd one"', 'app.odd', 'app.pair', 'integer[]', 'app.one',
  'app.two(int)'::regprocedure::oid, 'app.two(text)', '!~~*(text,text)'::regoperator::oid, '+(int,int)', 'app.plain', 'app.words'
FROM generate_series(1, 3) n;
INSERT INTO app.odd (id, name, about, one, sign, kind, config) VALUES ('4', 'old', 987654321, '-', 0, 'text', 'pg_catalog.english');
INSERT INTO app.odd (id, name) VALUES ('5', 'old');
"#;

const LINES: [&str; 5] = [
    r#"{"entity":"odd","key":"1","fields":{"name":"new","about":"app.odd"}}"#,
    r#"{"entity":"odd","key":"4","fields":{"name":"new"}}"#,
    r#"{"entity":"odd","key":"9","fields":{"name":"new","about":"app.\"Odd one\""}}"#,
    r#"{"entity":"gone","key":"x","op":"delete","target":"2"}"#,
    r#"{"entity":"gone","key":"y","op":"delete","target":"5"}"#,
];

fn set(room: &Room, setting: &str, value: &str) {
    let name = &room.db.postgres().name;
    room.sql(&format!("ALTER DATABASE {name} SET {setting} = {value}"));
}

fn names_of_objects_are_the_same_for_every_search_path(case: Case) {
    for (then, now) in [
        ("app, public", "public"),
        ("public", "app, public"),
        ("public", "public"),
    ] {
        let room = Room::with(case, &plan("app.odd"), &[], ROWS);
        let before = room.dump();
        set(&room, "search_path", then);
        let bundle = room.seal(&LINES);
        let run = room.apply(&bundle);
        set(&room, "search_path", now);
        let _ = room.on("verify", &[&run]).code(0);
        let again = room.on("apply", &[&bundle]).code(0);
        let _ = again.says(&["0 created, 0 updated"]);
        let _ = room.on("rollback", &[&run, "--check"]).code(0);
        let done = room.on("rollback", &[&run]).code(0);
        let _ = done.says(&["Rolled back 5"]);
        set(&room, "search_path", "public");
        same(&room.dump(), &before, "every name is what it was");
        let _ = room.on("verify", &[&run]).code(0);
    }
}

fn names_inside_of_lists_and_rows_are_refused_before_the_first_write(case: Case) {
    for kind in ["regclass[]", "named"] {
        let sql = format!(
            "CREATE TYPE named AS (a int, b regproc);
             CREATE TABLE odd (id text PRIMARY KEY, name text, about text, more {kind})"
        );
        let room = Room::with(case, &plan("odd"), &[], &sql);
        let bundle = room.seal(&LINES[1..2]);
        let said = ["odd.more", kind, "search path"];
        let _ = room.on("apply", &[&bundle]).code(4).says(&said);
        assert!(!room.db.has_ledger());
    }
}

fn a_users_type_is_the_same_by_its_name_with_and_without_the_schema(case: Case) {
    let sql = "CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('sad', 'glad');
        CREATE TABLE app.odd (id text PRIMARY KEY, name text, about text, mood app.mood, moods app.mood[]);
        INSERT INTO app.odd VALUES ('1', 'old', 'x', 'sad', '{sad,glad}'), ('2', 'old', 'x', 'glad', '{}')";
    for (then, now) in [("app, public", "public"), ("public", "app, public")] {
        let room = Room::with(case, &plan("app.odd"), &[], sql);
        let before = room.dump();
        set(&room, "search_path", then);
        let run = room.apply(&room.seal(&[LINES[0], LINES[3]]));
        set(&room, "search_path", now);
        let _ = room.on("verify", &[&run]).code(0);
        let _ = room.on("rollback", &[&run]).code(0);
        set(&room, "search_path", "public");
        same(&room.dump(), &before, "taken back");
    }
}

fn the_mark_of_a_rollback_fires_triggers_under_the_logins_settings(case: Case) {
    let sql = "CREATE TABLE odd (id text PRIMARY KEY, name text, about text);
        CREATE TABLE imports (id uuid PRIMARY KEY, status jsonb, at timestamptz, seen text, local timestamp);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          NEW.seen := concat_ws(' ', TG_OP, current_setting('TimeZone'), current_setting('DateStyle'),
            current_setting('search_path'), NEW.at);
          NEW.local := NEW.at; RETURN NEW; END $$;
        CREATE TRIGGER see BEFORE INSERT OR UPDATE ON imports FOR EACH ROW EXECUTE FUNCTION see()";
    let metadata = r#"
accept_triggers = ["see"]
[metadata]
table = "imports"
id = { column = "id", from = "uuid" }
status = "status"
on_rollback = "keep"
[metadata.fields]
status = { run = "json" }
at = { run = "started_at" }
"#;
    let entities = plan("odd");
    let head = entities.find("[[entity]]").unwrap();
    let (head, entities) = entities.split_at(head);
    let accept = "accept_triggers = [\"see\"]\n";
    let rest = metadata.replace(accept, "");
    let room = Room::with(case, &format!("{head}{accept}{entities}{rest}"), &[], sql);
    set(&room, "TimeZone", "'Pacific/Auckland'");
    set(&room, "DateStyle", "'SQL, DMY'");
    set(&room, "search_path", "public, pg_temp");
    let run = room.apply(&room.seal(&LINES[1..2]));
    let seen = |operation: &str| {
        let same = "SELECT seen = concat_ws(' ', '{}', 'Pacific/Auckland', 'SQL, DMY', 'public, pg_temp', at) \
                    AND local = at AT TIME ZONE 'Pacific/Auckland', seen FROM imports";
        let answer = room.ask(&same.replace("{}", operation));
        assert!(
            answer.starts_with("true|") || answer.starts_with("t|"),
            "{answer}"
        );
    };
    seen("INSERT");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&["marked rolled-back"]);
    seen("UPDATE");
    assert_eq!(
        room.ask("SELECT status ->> 'status' FROM imports"),
        "rolled-back"
    );
}

/// Settings of a database that change no value of ours: each is overruled, or has nothing to do with values.
const HARMLESS: [(&str, &str); 14] = [
    ("xmlbinary", "'hex'"),
    ("default_transaction_isolation", "'serializable'"),
    ("default_transaction_deferrable", "on"),
    ("row_security", "on"),
    ("statement_timeout", "'10min'"),
    ("idle_in_transaction_session_timeout", "'500ms'"),
    ("lock_timeout", "'1min'"),
    ("client_encoding", "'LATIN1'"),
    ("default_text_search_config", "'pg_catalog.german'"),
    ("timezone_abbreviations", "'Australia'"),
    ("backslash_quote", "off"),
    ("escape_string_warning", "off"),
    ("client_min_messages", "'error'"),
    ("default_toast_compression", "'pglz'"),
];

fn settings_that_change_no_value_change_nothing(case: Case) {
    let sql = "CREATE TABLE odd (id text PRIMARY KEY, name text, about xml, words tsvector, raw bytea);
        INSERT INTO odd SELECT n::text, 'alt é ü \\', '<a>é</a>', 'a:1 b:2', '\\x00ff5c' FROM generate_series(1, 5) n";
    let room = Room::with(case, &plan("odd"), &[], sql);
    for (setting, value) in HARMLESS {
        set(&room, setting, value);
    }
    let rows = "SELECT id, name, about::text, words::text, encode(raw, 'hex') FROM odd ORDER BY id";
    let before = room.db.rows(rows);
    let lines = [
        r#"{"entity":"odd","key":"1","fields":{"name":"neu é \\ ' €","about":"<b/>"}}"#,
        LINES[3],
    ];
    let run = room.apply(&room.seal(&lines));
    assert_eq!(
        room.ask("SELECT encode(convert_to(name, 'UTF8'), 'hex') FROM odd WHERE id = '1'"),
        "6e657520c3a9205c202720e282ac"
    );
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.db.rows(rows), before);
}
