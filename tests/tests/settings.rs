//! Settings of a PostgreSQL login or database: none of them changes a value on its way out and back, and the
//! defaults and triggers of users see those that users see.

use tests::db::same;
use tests::{Case, Room};

mod postgres {
    tests::on_target!(
        Postgres,
        no_setting_changes_a_value_on_its_way_out_and_back,
        a_value_is_the_same_when_settings_change_between_apply_and_rollback,
        defaults_and_triggers_see_the_logins_zone_and_style,
        what_waits_for_the_commit_sees_the_logins_zone_too,
        a_login_whose_triggers_do_not_fire_is_refused
    );
}

/// What a database may be set to that changes the text of values.
const ODD: [(&str, &str); 11] = [
    ("TimeZone", "Pacific/Auckland"),
    ("DateStyle", "SQL, DMY"),
    ("IntervalStyle", "sql_standard"),
    ("array_nulls", "off"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-3"),
    ("xmloption", "document"),
    ("quote_all_identifiers", "on"),
    ("standard_conforming_strings", "off"),
    ("transform_null_equals", "on"),
    ("lc_monetary", "C"),
];

const PLAN: &str = r#"
name = "n"
system = "s"
zone = "UTC"

[[entity]]
name = "odd"
table = "odd"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["a.csv"], key = "id" }

[entity.fields]
name = { from = "name" }
day = { from = "day", type = "date" }
at = { from = "at", type = "timestamp" }
local = { from = "local", type = "timestamp" }
span = { from = "span" }
tags = { from = "tags", type = "list" }

[[entity]]
name = "gone"
table = "odd"
id = { column = "id", from = "key" }
op = "delete"
source = { format = "csv", files = ["b.csv"], key = "id" }
"#;

/// A row of many types, three times: one is updated, one deleted, one left alone.
const ODD_ROWS: &str = r#"
CREATE TYPE pair AS (at timestamptz, n int);
CREATE TABLE odd (id text PRIMARY KEY, name text, day date, at timestamptz, local timestamp, span tstzrange, tags text[],
  moments timestamptz[], dates daterange, couple pair, clock timetz, lasts interval, cost money, raw bytea, exact float8,
  rough float4, paper xml, UNIQUE (span), UNIQUE (at));
INSERT INTO odd SELECT n::text, 'old', DATE '2024-02-01' + n, TIMESTAMPTZ '2024-01-02 03:04:05.6+00' + n * interval '1 day',
  TIMESTAMP '2024-02-01 03:04:05', tstzrange('2024-01-01 00:00:00+00', TIMESTAMPTZ '2024-02-03 00:00:00+00' + n * interval '1 day'),
  '{a,NULL,"NULL"}', ARRAY[TIMESTAMPTZ '0044-03-15 12:00:00+00 BC', NULL, 'infinity'],
  daterange('2024-02-01', '2024-03-04'), ROW(TIMESTAMPTZ '2024-05-06 07:08:09+00', 7)::pair, '08:00:00+13',
  '-1 year 2 mons -3 days', '$1234.50', '\x00ff5c', 0.1::float8 + 0.2, 0.1, 'a <b/>'
FROM generate_series(1, 3) n;
INSERT INTO odd (id, day, at, local) VALUES ('4', 'infinity', '-infinity', '0044-03-15 00:00:00 BC');
"#;

const LINES: [&str; 5] = [
    r#"{"entity":"odd","key":"1","fields":{"name":"new","day":"2024-12-11","at":"2024-10-09T08:07:06.5Z","local":"2024-10-09T08:07:06Z","span":"[\"2024-07-01 00:00:00+00\",\"2024-08-02 00:00:00+00\")","tags":["a",null,"NULL"]}}"#,
    r#"{"entity":"odd","key":"9","fields":{"name":"new","day":"2024-12-11","at":"2024-10-10T08:07:06.5Z","local":"2024-10-09T08:07:06Z","span":"[\"2024-09-01 00:00:00+00\",\"2024-10-02 00:00:00+00\")","tags":[]}}"#,
    r#"{"entity":"odd","key":"4","fields":{"name":"new","day":"0001-01-01","at":"2024-10-11T08:07:06Z","local":"9999-12-31T23:59:59.999999Z"}}"#,
    r#"{"entity":"gone","key":"x","op":"delete","target":"2"}"#,
    r#"{"entity":"gone","key":"y","op":"delete","target":"3"}"#,
];

fn set(room: &Room, settings: &[(&str, &str)]) {
    let name = &room.db.postgres().name;
    for (setting, value) in settings {
        room.sql(&format!("ALTER DATABASE {name} SET {setting} = '{value}'"));
    }
}

fn reset(room: &Room) {
    let name = &room.db.postgres().name;
    room.sql(&format!("ALTER DATABASE {name} RESET ALL"));
}

fn odd(case: Case) -> Room {
    Room::with(case, PLAN, &[], ODD_ROWS)
}

fn no_setting_changes_a_value_on_its_way_out_and_back(case: Case) {
    let room = odd(case);
    set(&room, &ODD);
    let before = room.dump();
    let bundle = room.seal(&LINES);
    let run = room.apply(&bundle);
    let _ = room.on("verify", &[&run]).code(0);
    let again = room.on("apply", &[&bundle]).code(0);
    let _ = again.says(&["0 created, 0 updated"]);
    let _ = room.on("rollback", &[&run, "--check"]).code(0);
    let done = room.on("rollback", &[&run]).code(0);
    let _ = done.says(&["Rolled back 5", "odd: 5 of 5 rows are what they were"]);
    same(&room.dump(), &before, "every value is what it was");
    let _ = room.on("verify", &[&run]).code(0);
}

fn a_value_is_the_same_when_settings_change_between_apply_and_rollback(case: Case) {
    for odd_first in [true, false] {
        let room = odd(case);
        let before = room.dump();
        if odd_first {
            set(&room, &ODD);
        }
        let run = room.apply(&room.seal(&LINES));
        if odd_first {
            reset(&room);
        } else {
            set(&room, &ODD);
        }
        let _ = room.on("verify", &[&run]).code(0);
        let _ = room.on("rollback", &[&run]).code(0);
        reset(&room);
        same(&room.dump(), &before, "every value is what it was");
    }
}

/// A table whose defaults and triggers say under which settings they ran.
const SEEN: &str = r"
CREATE TABLE seen (id text PRIMARY KEY, name text, note text, span tstzrange,
  at timestamp DEFAULT '2024-01-15 08:00:00+00'::timestamptz,
  zone text DEFAULT current_setting('TimeZone'), style text DEFAULT current_setting('DateStyle'),
  path text DEFAULT current_setting('search_path'));
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.note := concat_ws(' ', current_setting('TimeZone'), current_setting('DateStyle'), DATE '2024-02-01'); RETURN NEW; END $$;
CREATE TRIGGER note BEFORE INSERT OR UPDATE ON seen FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO seen (id, name, span) VALUES ('1', 'old', '[2024-01-01 00:00:00+00,2024-01-02 00:00:00+00)');
";

fn seen_plan() -> String {
    let plan = PLAN.split("day = ").next().unwrap().replace("odd", "seen");
    format!("accept_triggers = [\"note\", \"zone\"]\n{plan}")
}

const SEEN_LINES: [&str; 2] = [
    r#"{"entity":"seen","key":"1","fields":{"name":"new"}}"#,
    r#"{"entity":"seen","key":"2","fields":{"name":"new"}}"#,
];

fn defaults_and_triggers_see_the_logins_zone_and_style(case: Case) {
    let room = Room::with(case, &seen_plan(), &[], SEEN);
    set(&room, &ODD[..2]);
    let before = room.dump();
    let bundle = room.seal(&SEEN_LINES);
    for batch in ["--batch-size=1", "--batch-size=50"] {
        let run = room.on("apply", &[&bundle, batch]).code(0).id();
        // 08:00 in UTC is 21:00 in Auckland's summer.
        assert_eq!(
            room.ask("SELECT at::text || ' ' || zone || ' ' || style || ' ' || path FROM seen WHERE id = '2'"),
            "15/01/2024 21:00:00 Pacific/Auckland SQL, DMY \"$user\", public"
        );
        for row in room.db.rows("SELECT note FROM seen") {
            assert_eq!(row[0], "Pacific/Auckland SQL, DMY 01/02/2024");
        }
        let _ = room.on("verify", &[&run]).code(0);
        let _ = room.on("rollback", &[&run]).code(0);
        same(&room.dump(), &before, "taken back");
    }
}

fn what_waits_for_the_commit_sees_the_logins_zone_too(case: Case) {
    let waits = "CREATE FUNCTION zone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          IF current_setting('TimeZone') <> 'Pacific/Auckland' THEN RAISE EXCEPTION 'it is %', current_setting('TimeZone'); END IF;
          RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER zone AFTER INSERT OR UPDATE OR DELETE ON seen DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION zone();";
    let room = Room::with(case, &seen_plan(), &[], SEEN);
    set(&room, &ODD[..2]);
    room.sql(waits);
    let before = room.dump();
    let run = room.apply(&room.seal(&SEEN_LINES));
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "taken back");
}

fn a_login_whose_triggers_do_not_fire_is_refused(case: Case) {
    let room = Room::with(case, &seen_plan(), &[], SEEN);
    let bundle = room.seal(&SEEN_LINES);
    let replica = [("session_replication_role", "replica")];
    let said = ["session_replication_role is replica"];
    set(&room, &replica);
    let before = room.dump();
    for args in [&[&*bundle][..], &[&bundle, "--dry-run"]] {
        let _ = room.on("apply", args).code(4).says(&said);
    }
    assert!(!room.db.has_ledger());
    same(&room.dump(), &before, "nothing was written");
    reset(&room);
    let run = room.apply(&bundle);
    set(&room, &replica);
    let applied = room.dump();
    let _ = room.on("rollback", &[&run]).code(4).says(&said);
    let _ = room.on("rollback", &[&run, "--check"]).code(1).says(&said);
    same(&room.dump(), &applied, "nothing was written");
    let _ = room.on("verify", &[&run]).code(0);
}
