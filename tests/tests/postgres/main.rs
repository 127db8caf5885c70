//! Whole pipelines onto a PostgreSQL server of the tests' own.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_collect,
    reason = "tests: a failure here is a failed test"
)]

mod at_fault;
mod dry;
mod schemas;
mod snapshots;
mod strangers;
mod throttle;
mod vectors;

use tests::db::same;
use tests::postgres::Database;
use tests::{Done, Room, Target, example_rows};

fn example(name: &str, schema: &str) -> (Room, Database) {
    example_on(Database::with, name, schema)
}

fn example_on(make: fn(&str) -> Database, name: &str, schema: &str) -> (Room, Database) {
    let room = Room::example(Target::Sqlite, name);
    let database = make(&format!("{schema}\n{}", example_rows(name)));
    room.bundle("B");
    (room, database)
}

fn members() -> (Room, Database) {
    example("members", include_str!("members.sql"))
}

fn on(room: &Room, database: &Database, name: &str, args: &[&str]) -> Done {
    let url = database.url();
    let args: Vec<&str> = args.iter().copied().chain(["--to", &url]).collect();
    room.run(name, &args)
}

fn there_and_back(room: &Room, database: &Database, sum: &str, again: &str) {
    let before = database.dump();
    let dry = format!("dry run, nothing written: {sum}");
    let _ = on(room, database, "apply", &["B", "--dry-run"])
        .code(0)
        .says(&[&dry]);
    same(&database.dump(), &before, "a dry run writes nothing");
    assert_eq!(
        database.ask("SELECT to_regclass('switchback.runs') IS NULL"),
        "t",
        "no ledger either"
    );

    let live = on(room, database, "apply", &["B"]).code(0);
    let run = live.says(&[&format!("apply: {sum}\n")]).id();
    let _ = on(room, database, "verify", &[&run]).code(0);

    let applied = database.dump();
    let _ = on(room, database, "apply", &["B"]).code(0).says(&[again]);
    same(
        &database.dump(),
        &applied,
        "a second apply changed something",
    );

    let _ = on(room, database, "rollback", &[&run]).code(0);
    same(&database.dump(), &before, "rollback restores every value");
    let _ = on(room, database, "verify", &[&run]).code(0);
}

#[test]
fn members_go_there_and_back() {
    let (room, database) = members();
    there_and_back(
        &room,
        &database,
        "302 records: 297 created, 1 updated, 4 unchanged",
        "302 records: 0 created, 0 updated, 302 unchanged\n",
    );
}

#[test]
fn lessons_with_arrays_of_tags_go_there_and_back() {
    let (room, database) = example("lessons", include_str!("lessons.sql"));
    there_and_back(
        &room,
        &database,
        "40 records: 38 created, 1 updated, 1 unchanged",
        "40 records: 0 created, 0 updated, 40 unchanged\n",
    );
}

#[test]
fn every_row_that_a_run_writes_carries_its_tag() {
    let (room, database) = example("lessons", include_str!("lessons.sql"));
    let run = on(&room, &database, "apply", &["B"]).code(0).id();
    let tag = format!("migration-run-id:{}", run.replace('-', ""));
    let tagged = format!(
        "SELECT (SELECT count(*) FROM knowledge_entries WHERE '{tag}' = ANY (tags))
              + (SELECT count(*) FROM lessons_learned WHERE '{tag}' = ANY (tags))
              + (SELECT count(*) FROM adrs WHERE '{tag}' = ANY (tags))"
    );
    assert_eq!(database.ask(&tagged), "39");
}

#[test]
fn a_payment_added_later_keeps_its_registration() {
    let (room, database) = members();
    let run = on(&room, &database, "apply", &["B"]).code(0).id();
    database.sql(
        "INSERT INTO \"PaymentIntent\" SELECT gen_random_uuid(), id, 'later', 100 FROM \"EventRegistration\"
         WHERE \"registeredAt\" <> '2024-03-02T20:11:05' ORDER BY id LIMIT 1",
    );
    let applied = database.dump();
    let _ = on(&room, &database, "rollback", &[&run])
        .code(1)
        .says(&["PaymentIntent"]);
    same(&database.dump(), &applied, "nothing was written");
    let _ = on(&room, &database, "rollback", &[&run, "--skip-conflicts"]).code(0);
    assert_eq!(database.ask("SELECT count(*) FROM \"PaymentIntent\""), "2");
    assert_eq!(
        database.ask("SELECT count(*) FROM \"EventRegistration\""),
        "2"
    );
}

#[test]
fn codes_that_the_target_lacks_are_refused_before_the_first_write() {
    let (room, database) = members();
    database.sql("UPDATE \"MembershipStatus\" SET code = lower(code)");
    let before = database.dump();
    let _ = on(&room, &database, "apply", &["B"])
        .code(4)
        .says(&["NEWCOMER", "MembershipStatus"]);
    same(&database.dump(), &before, "nothing was written");
    assert_eq!(
        database.ask("SELECT to_regclass('switchback.runs') IS NULL"),
        "t"
    );
}

#[test]
fn a_socket_and_the_environment_lead_to_the_same_database() {
    let (room, database) = members();
    let run = on(&room, &database, "apply", &["B"]).code(0).id();
    let _ = room
        .run("verify", &[&run, "--to", &database.socket_url()])
        .code(0);
}

#[test]
fn a_password_shows_nowhere() {
    let room = Room::new(Target::Sqlite);
    let bad = "postgres://u:hunter2@127.0.0.1:1/d";
    for url in [
        bad,
        "postgres://u:hunter2/x@h/d",
        "postgres://u:hunter2",
        "postgres://u:%hunter2@h/d",
    ] {
        let done = room.run("verify", &["runs", "--to", url]);
        assert_ne!(done.code, 0);
        assert!(
            !done.err.contains("hunter2") && !done.out.contains("hunter2"),
            "{}",
            done.err
        );
    }
}

/// Extreme values, NULLs and names beyond ASCII; the first row is there already.
const TYPES: &str = r#"{"k":"alt","small":-32768,"big":9223372036854775807,"num":-0.000000000000000000000000000001,"words":["a","b c"]}
{"k":"neu","small":32767,"big":-9223372036854775808,"num":12345678901234567890123456789.50,"money_like":9999999999.90,"f4":0.1,"f8":1.7976931348623157e99,"flag":false,"day":"1000-01-01","at":"9999-12-31T23:59:59.999Z","atz":"2024-03-31T02:30:00.000001+02:00","clock":"23:59:59.5","span":"36 hours","uid":"5A000000-0000-4000-8000-0000000000FF","raw":"\\x00ff5c","j":{"b":[1.50,null],"a":"ü\u2028"},"jb":{"z":1e3,"a":12345678901234567890.10},"words":["x, \"y\"","{}","NULL","\\","ü"],"ints":[1,-2147483648],"mood":"Ünfroh","cents":0,"short":"fünf5","code":"ab","address":"192.168.1.1/32","net":"10.0.0.0/8","mac":"08-00-2b-01-02-03","range":"[1,5]","search":"fat:2 cat:1","bits":"0110","pair":"(7,\"a b\")"}
{"k":"nichts"}
"#;

#[test]
fn every_type_goes_in_is_changed_and_comes_back() {
    torture(&Database::with(include_str!("types.sql")));
}

fn torture(database: &Database) {
    let room = Room::new(Target::Sqlite);
    room.write("migration.toml", include_str!("types.toml"));
    room.write("a.ndjson", TYPES);
    room.bundle("B");
    let before = database.dump();
    let sum = "3 records: 2 created, 1 updated, 0 unchanged";
    let first = on(&room, database, "apply", &["B"])
        .code(0)
        .says(&[sum])
        .id();
    let _ = on(&room, database, "verify", &[&first]).code(0);
    let again = "3 records: 0 created, 0 updated, 3 unchanged";
    let _ = on(&room, database, "apply", &["B"]).code(0).says(&[again]);

    let between = database.dump();
    room.mend("a.ndjson", "36 hours", "37 hours");
    room.mend(
        "a.ndjson",
        "{\"k\":\"nichts\"}",
        "{\"k\":\"nichts\",\"jb\":[],\"words\":[],\"raw\":\"\\\\x\",\"mood\":\"sad\"}",
    );
    room.bundle("C");
    let sum = "3 records: 0 created, 2 updated, 1 unchanged";
    let second = on(&room, database, "apply", &["C"])
        .code(0)
        .says(&[sum])
        .id();
    let _ = on(&room, database, "verify", &[&second]).code(0);

    let _ = on(&room, database, "rollback", &[&second]).code(0);
    same(&database.dump(), &between, "the second run is taken back");
    let _ = on(&room, database, "rollback", &[&first]).code(0);
    let content = |dump: &str| -> String {
        let lines = dump
            .lines()
            .filter(|line| !line.contains("pg_catalog.setval"));
        lines.collect::<Vec<_>>().join("\n")
    };
    same(
        &content(&database.dump()),
        &content(&before),
        "the first run is taken back",
    );
}

#[test]
fn a_value_that_the_target_would_change_fails_its_record() {
    for (wrong, why) in [
        (r#""money_like":1.005"#, "reads back"),
        (r#""at":"2024-01-01T00:00:00.0001Z""#, "reads back"),
        (r#""short":"sechs6""#, "too long"),
        (r#""mood":"happy""#, "mood"),
        (r#""cents":-1"#, "cents"),
        (r#""small":32768"#, "out of range"),
        (r#""range":"[5,1]""#, "range"),
        (r#""address":"localhost""#, "inet"),
    ] {
        let database = Database::with(include_str!("types.sql"));
        let room = Room::new(Target::Sqlite);
        room.write("migration.toml", include_str!("types.toml"));
        room.write(
            "a.ndjson",
            format!("{{\"k\":\"gut\"}}\n{{\"k\":\"schlecht\",{wrong}}}\n"),
        );
        room.bundle("B");
        let before = database.ask("SELECT count(*) FROM \"Göttinger Schule\".\"Typen \"\" alle\"");
        let _ = on(&room, &database, "apply", &["B"])
            .code(3)
            .says(&["a.ndjson:2", why]);
        let after = database.ask("SELECT count(*) FROM \"Göttinger Schule\".\"Typen \"\" alle\"");
        assert_eq!(after, before, "the batch is undone");
    }
}

/// The same rows, as each of the two keeps them.
const BOTH: &str = r#"{"k":"one","n":9007199254740993,"flag":true,"amount":12.50,"at":"2024-03-31T02:30:00.120+02:00","day":"1000-01-01","doc":{"b":[1.50,null],"a":"ü"},"tags":["x, \"y\"","NULL","{}"],"uid":"5A000000-0000-4000-8000-0000000000FF","note":""}
{"k":"two","n":-1,"flag":false,"at":"2024-01-15T08:00:00Z","tags":[]}
"#;

#[test]
fn both_databases_give_the_same_hash_for_the_same_rows() {
    let fields = "type = \"integer\" n, type = \"boolean\" flag, type = \"decimal\" amount, type = \"timestamp\" at, \
                  type = \"date\" day, type = \"json\" doc, type = \"list\" tags, type = \"uuid\" uid, empty = \"text\" note";
    let field = |field: &str| {
        let (kind, name) = field.rsplit_once(' ').unwrap();
        format!("{name} = {{ from = \"{name}\", {} }}\n", kind.trim())
    };
    let plan = format!(
        "name = \"n\"\nsystem = \"s\"\nzone = \"UTC\"\n[[entity]]\nname = \"e\"\ntable = \"thing\"\nid = {{ column = \"id\", from = \"key\" }}\n\
         source = {{ format = \"json\", files = [\"a.ndjson\"], key = \"k\" }}\n[entity.fields]\n{}",
        fields.split(", ").map(field).collect::<String>()
    );
    let columns = "id TEXT PRIMARY KEY, n BIGINT, flag BOOLEAN, amount DEC, at STAMP, day DATE, doc JSONB, tags LIST, uid UUID, \
                   note TEXT, ratio DOUBLE PRECISION, raw BYTES";
    let with = |types: [&str; 4]| {
        let names = ["DEC", "STAMP", "LIST", "BYTES"];
        let columns = names
            .iter()
            .zip(types)
            .fold(columns.to_owned(), |text, (name, kind)| {
                text.replace(name, kind)
            });
        format!("CREATE TABLE thing ({columns});")
    };
    let sources = [("a.ndjson", BOTH)];
    let room = Room::with(
        Target::Sqlite,
        &plan,
        &sources,
        &with(["TEXT", "TEXT", "TEXT", "BLOB"]),
    );
    let database = Database::with(&with(["NUMERIC", "TIMESTAMPTZ", "TEXT[]", "BYTEA"]));
    for setting in [
        "TimeZone TO 'Asia/Kathmandu'",
        "DateStyle TO 'German'",
        "extra_float_digits TO -5",
    ] {
        database.sql(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$",
            setting.replace('\'', "''")
        ));
    }
    room.bundle("B");
    let mut hashes = Vec::new();
    let urls = [room.url(), database.url()];
    for url in &urls {
        let _ = room.run("apply", &["B", "--to", url]).code(0);
    }
    let others = "UPDATE thing SET ratio = 0.1, raw = ";
    room.sql(&format!("{others} x'00ff' WHERE id = 'one'"));
    database.sql(&format!("{others} '\\x00ff' WHERE id = 'one'"));
    room.write("a.ndjson", format!("{BOTH}{{\"k\":\"three\"}}\n"));
    room.bundle("C");
    for url in &urls {
        let run = room.run("apply", &["C", "--to", url]).code(0).id();
        let back = room
            .run("rollback", &[&run, "--to", url, "--fingerprint"])
            .code(0)
            .says(&["thing: 1 of 1 row is what it was; table equal (sha256 "]);
        let hash = back.err.split("sha256 ").nth(1).unwrap();
        hashes.push(hash.split(')').next().unwrap().to_owned());
    }
    assert!(hashes[0].ends_with(", 2 rows"), "{hashes:?}");
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn the_application_goes_on_after_explicit_ids() {
    let database = Database::with(
        "CREATE TABLE item (id serial PRIMARY KEY, name text NOT NULL); INSERT INTO item (name) VALUES ('a')",
    );
    let room = Room::new(Target::Sqlite);
    room.write(
        "migration.toml",
        "name = \"n\"\nsystem = \"s\"\n[[entity]]\nname = \"item\"\ntable = \"item\"\nid = { column = \"id\", from = \"key\" }\n\
         [entity.source]\nformat = \"csv\"\nfiles = [\"a.csv\"]\nkey = \"id\"\n[entity.fields]\nname = { from = \"name\" }\n",
    );
    room.write("a.csv", "id,name\n7,b\n9,c\n");
    room.bundle("B");
    let run = on(&room, &database, "apply", &["B"]).code(0).id();
    assert_eq!(
        database.ask("INSERT INTO item (name) VALUES ('d') RETURNING id"),
        "10"
    );
    let _ = on(&room, &database, "rollback", &[&run]).code(0);
    assert_eq!(
        database.ask("SELECT string_agg(name, '' ORDER BY id) FROM item"),
        "ad"
    );
}

#[test]
fn a_view_is_refused_before_the_first_write_and_what_a_trigger_writes_before_it_is_committed() {
    let (room, database) = members();
    database.sql(
        "CREATE TABLE log (at timestamptz); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN INSERT INTO log VALUES (now()); RETURN NEW; END';
         CREATE TRIGGER note BEFORE INSERT ON \"Event\" FOR EACH ROW EXECUTE FUNCTION note();
         ALTER TABLE \"EventTag\" RENAME TO tags; CREATE VIEW \"EventTag\" AS SELECT * FROM tags;",
    );
    let _ = on(&room, &database, "apply", &["B"])
        .code(4)
        .says(&["EventTag is a view"]);
    database.sql("DROP VIEW \"EventTag\"; ALTER TABLE tags RENAME TO \"EventTag\"");
    let before = database.dump();
    let run = on(&room, &database, "apply", &["B"])
        .code(3)
        .says(&[
            "trigger `note` wrote",
            "rows of log, when Event was written",
        ])
        .id();
    assert_eq!(database.ask("SELECT count(*) FROM log"), "0");
    let _ = on(&room, &database, "rollback", &[&run]).code(0);
    same(&database.dump(), &before, "what stood is taken back");
}

#[test]
fn a_login_that_may_not_do_all_of_it_is_told_so_before_the_first_write() {
    let (room, database) = members();
    database.sql(
        "CREATE ROLE limited LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO limited;
         GRANT INSERT, UPDATE, DELETE ON \"Member\" TO limited;
         GRANT INSERT (\"memberId\") ON \"EventRegistration\" TO limited",
    );
    let limited = database.url().replace("app@", "limited@");
    let before = database.dump();
    let apply = |exit| {
        let done = room.run("apply", &["B", "--to", &limited]);
        done.code(exit)
    };
    let done = apply(4);
    let _ = done.says(&[
        "may not insert, update, delete rows of EventRegistration",
        "GRANT INSERT, UPDATE, DELETE ON \"public\".\"EventRegistration\" TO \"limited\"",
        "the login lacks CREATE on database",
    ]);
    same(&database.dump(), &before, "nothing was written");
    let name = database.ask("SELECT current_database()");
    database.sql(&format!(
        "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited;
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO limited; GRANT CREATE ON DATABASE {name} TO limited;
         ALTER TABLE \"Member\" ENABLE ROW LEVEL SECURITY"
    ));
    let _ = apply(4).says(&["row-level security hides rows of Member"]);
    database.sql("ALTER TABLE \"Member\" DISABLE ROW LEVEL SECURITY");
    let _ = apply(4).says(&[
        "may rewrite what rollback restores",
        "GRANT SET ON PARAMETER",
    ]);
    database.sql("GRANT SET ON PARAMETER session_replication_role TO limited");
    let before = database.dump();
    let run = apply(0).id();
    let _ = room.run("rollback", &[&run, "--to", &limited]).code(0);
    same(
        &database.dump(),
        &before,
        "what a trigger touches is restored too",
    );
}

#[test]
fn a_deadlock_with_the_application_is_tried_again() {
    let (room, database) = members();
    room.mend(
        "migration.toml",
        "system = ",
        "accept_triggers = [\"clash\"]\nsystem = ",
    );
    room.bundle("B2");
    // The server's word for it, as the application's locks would bring it about.
    database.sql(
        "CREATE SEQUENCE tried;
         CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF nextval('tried') = 1 THEN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END IF;
           RETURN NEW; END $$;
         CREATE TRIGGER clash BEFORE INSERT ON \"Event\" FOR EACH ROW EXECUTE FUNCTION clash()",
    );
    let run = on(&room, &database, "apply", &["B2"])
        .code(0)
        .says(&["302 records: 297 created, 1 updated, 4 unchanged"])
        .id();
    assert_ne!(database.ask("SELECT last_value FROM tried"), "1");
    let _ = on(&room, &database, "verify", &[&run]).code(0);
}

#[test]
fn a_failed_run_is_taken_back_with_all_that_the_url_says() {
    let database = Database::with(
        "CREATE SCHEMA own; CREATE TABLE own.thing (id text PRIMARY KEY, n int NOT NULL)",
    );
    let plan = "name = \"n\"\nsystem = \"s\"\n[[entity]]\nname = \"e\"\ntable = \"thing\"\n\
                source = { format = \"csv\", files = [\"a.csv\"], key = \"id\" }\n\
                id = { column = \"id\", from = \"key\" }\n[entity.fields]\nn = { from = \"n\", type = \"integer\" }\n";
    let room = Room::new(Target::Sqlite);
    room.write("migration.toml", plan);
    room.write("a.csv", "id,n\na,1\nb,2\nc,99999999999\n");
    room.bundle("B");
    let url = format!(
        "{}?schema=own",
        database.url().replace("app@", "app:pass%77ord@")
    );
    let args = [
        "B",
        "--batch-size",
        "1",
        "--on-failure",
        "rollback",
        "--to",
        &url,
    ];
    let done = room.run("apply", &args).code(1);
    assert!(!done.err.contains("password"), "{}", done.err);
    assert_eq!(database.ask("SELECT count(*) FROM own.thing"), "0");
    let status = database.ask("SELECT status FROM switchback.runs");
    assert_eq!(status, "rolled-back");
}

#[test]
fn a_run_is_resumed_under_another_name_of_the_server() {
    let (room, database) = members();
    database.sql("ALTER TABLE \"EventRegistration\" ADD CONSTRAINT closed CHECK (false) NOT VALID");
    let run = on(&room, &database, "apply", &["B"]).code(3).id();
    database.sql("ALTER TABLE \"EventRegistration\" DROP CONSTRAINT closed");
    let socket = database.socket_url();
    let resume = ["B", "--resume", "--to", &socket];
    assert_eq!(room.run("apply", &resume).code(0).id(), run);
    let _ = on(&room, &database, "verify", &[&run]).code(0);
}
