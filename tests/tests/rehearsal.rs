//! `apply --rehearse`: apply, verify and roll back on a copy; the target is only read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::db::same;
use tests::postgres::{Database, kill};
use tests::{Case, Db, Done, Room, Target, command, finish, spawn};

tests::both!(
    the_certificate_holds_and_the_target_is_only_read,
    a_rehearsal_that_fails_says_so_and_leaves_the_target_alone,
    a_signal_ends_a_rehearsal_and_removes_the_copy,
);

/// Every file of a folder with its bytes.
fn files(room: &Room) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(room.path("")).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn certificate(room: &Room, code: i32) -> Value {
    let before = (files(room), whole(room));
    let done = room.on("apply", &["B", "--rehearse", "--json"]).code(code);
    assert!(files(room) == before.0, "a file of the folder changed");
    same(&whole(room), &before.1, "the target is as it was");
    assert_eq!(scratch(room), "", "the copy is gone");
    serde_json::from_str(&done.out).unwrap()
}

/// An example whose bundle is this test's own.
fn members(target: impl Into<Target>, test: &str) -> Room {
    let room = Room::example(target, "members");
    let plan = room.read("migration.toml");
    room.write("migration.toml", format!("{plan}\n# {test}\n"));
    room
}

/// All that a database on a server holds, sequences too.
fn whole(room: &Room) -> String {
    match &room.db {
        Db::Sqlite(_) => String::new(),
        Db::Postgres(database) => {
            let ledger = "SELECT to_regclass('switchback.runs') IS NULL";
            format!("{}\n{}", database.dump(), database.ask(ledger))
        }
    }
}

/// The scratch databases of this test's bundle.
fn scratch(room: &Room) -> String {
    match &room.db {
        Db::Sqlite(_) => String::new(),
        Db::Postgres(database) => database.ask(&format!(
            "SELECT datname FROM pg_database WHERE datname LIKE 'switchback_rehearsal_{}%'",
            &bundle_id(room)[..8]
        )),
    }
}

/// Tells whether a row is being inserted into such a database.
fn inserts(room: &Room) -> bool {
    let asked = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'switchback_rehearsal_{}%' \
         AND query LIKE '%INSERT INTO%item%'",
        &bundle_id(room)[..8]
    );
    room.db.postgres().ask(&asked) != "0"
}

fn bundle_id(room: &Room) -> String {
    contract::Digest::of(&fs::read(room.path("B/manifest.json")).unwrap()).to_string()
}

fn the_certificate_holds_and_the_target_is_only_read(case: Case) {
    let room = members(case, case.test);
    let id = room.bundle("B");
    let said = certificate(&room, 0);
    assert_eq!(said["holds"], true);
    assert_eq!(said["bundle"], id);
    assert_eq!(said["target"], room.url());
    let steps = said["steps"].as_array().unwrap();
    let steps: Vec<_> = steps
        .iter()
        .map(|step| (step["program"].as_str().unwrap(), &step["exit"]))
        .collect();
    assert_eq!(
        steps,
        [
            ("apply", &Value::from(0)),
            ("verify", &0.into()),
            ("rollback", &0.into())
        ]
    );
    let tables = said["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 7);
    for table in tables {
        assert_eq!(table["before"], table["after"], "{table}");
    }
    let member = tables
        .iter()
        .find(|table| table["table"] == "Member")
        .unwrap();
    assert!(
        member["before"].as_str().unwrap().ends_with(", 6 rows"),
        "{member}"
    );
    // For people: the same in lines.
    let text = room.on("apply", &["B", "--rehearse"]).code(0).out;
    assert!(
        text.starts_with("Rehearsal: every table is as it was\n"),
        "{text}"
    );
    assert!(
        text.contains(&id) && text.contains("rollback exit 0"),
        "{text}"
    );
}

fn a_rehearsal_that_fails_says_so_and_leaves_the_target_alone(case: Case) {
    let room = members(case, case.test);
    room.bundle("B");
    room.sql(case.either(
        "CREATE TRIGGER never BEFORE INSERT ON EventRegistration WHEN NEW.status = 'CANCELLED' \
         BEGIN SELECT RAISE(ABORT, 'closed'); END",
        "ALTER TABLE \"EventRegistration\" ADD CONSTRAINT never CHECK (status <> 'CANCELLED') NOT VALID",
    ));
    let said = certificate(&room, 1);
    assert_eq!(said["holds"], false);
    assert_eq!(said["steps"][0]["exit"], 3);
    assert_eq!(
        said["steps"][1]["program"], "rollback",
        "what was applied was taken back all the same"
    );
    for table in said["tables"].as_array().unwrap() {
        assert_eq!(table["before"], table["after"], "{table}");
    }
}

/// A table on which every row takes its time.
const SLOW: &str =
    "CREATE TABLE item (id text PRIMARY KEY, name text CHECK (pg_sleep(0.2)::text IS NOT NULL))";

/// Slow on SQLite: what a row makes others wait for is a count over many.
const SLOW_FILE: &str = "CREATE TABLE item (id text PRIMARY KEY, name text); CREATE TABLE n (i INTEGER PRIMARY KEY); \
    WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000) INSERT INTO n SELECT i FROM c; \
    CREATE TRIGGER wait BEFORE INSERT ON item WHEN (SELECT count(*) FROM n a, n b WHERE a.i + b.i > 0) < 0 \
    BEGIN SELECT RAISE(ABORT, 'never'); END";

fn slow(case: Case) -> Room {
    let lines = (0..60).fold(String::new(), |text, n| text + &format!("i{n},Item {n}\n"));
    let plan = "\nname = \"items\"\nsystem = \"shop\"\n[[entity]]\nname = \"item\"\ntable = \"item\"\n\
                source = { format = \"csv\", files = [\"a.csv\"], key = \"id\" }\n\
                id = { column = \"id\", from = \"key\" }\n[entity.fields]\nname = { from = \"name\" }\n";
    let room = Room::with(
        case,
        &format!("# {}{plan}", case.test),
        &[("a.csv", &format!("id,name\n{lines}"))],
        case.either(SLOW_FILE, SLOW),
    );
    room.bundle("B");
    room
}

fn a_signal_ends_a_rehearsal_and_removes_the_copy(case: Case) {
    let room = slow(case);
    let temporary = room.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let url = room.url();
    let args = ["B", "--rehearse", "--to", &url];
    let mut apply = command("apply", &room.path(""), args);
    let child = spawn(apply.env("TMPDIR", &temporary));
    let began = Instant::now();
    // It is at work on the copy once the first batch was begun there.
    let working = || match &room.db {
        Db::Sqlite(_) => fs::read_dir(&temporary)
            .unwrap()
            .any(|entry| entry.unwrap().path().join("copy.db-journal").exists()),
        Db::Postgres(_) => inserts(&room),
    };
    while !working() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it did not begin"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    kill("TERM", &child.id().to_string());
    let told = Instant::now();
    let done = finish(child, None).code(143);
    assert!(told.elapsed() < Duration::from_secs(8));
    assert_eq!(done.out, "", "no certificate");
    let _ = done.says(&["the rehearsal was stopped; the target is as it was"]);
    assert_eq!(scratch(&room), "");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!room.db.has_ledger());
    assert_eq!(room.ask("SELECT count(*) FROM item"), "0");
}

fn with(room: &Room, bin: &str, args: &[&str]) -> Done {
    let mut command = command("apply", &room.path(""), args);
    finish(spawn(command.env("PG_BIN", room.path(bin))), None)
}

#[test]
fn without_the_right_or_the_tools_a_rehearsal_is_refused_and_the_other_way_named() {
    let room = members(Target::Postgres, "without_the_right_or_the_tools");
    room.bundle("B");
    let database = room.db.postgres();
    let role = database.owned_by_a_clerk();
    let before = whole(&room);
    let clerk = database.url().replace("app@", &format!("{role}@"));
    let args = ["B", "--rehearse", "--to", &clerk];
    let _ = room
        .run("apply", &args)
        .code(4)
        .says(&[&format!("ALTER ROLE {role} CREATEDB"), "--dry-run"]);
    database.sql(&format!("ALTER ROLE {role} CREATEDB"));
    fs::create_dir(room.path("empty")).unwrap();
    let _ = with(&room, "empty", &args).code(4).says(&[
        "a rehearsal of this server needs pg_dump and pg_restore",
        "none are found",
        "--dry-run",
    ]);
    // The owner needs no other right.
    let done = room.run("apply", &args).code(0);
    assert!(done.out.starts_with("Rehearsal: every table is as it was"));
    // What the login could not make again can't be copied.
    database.sql("CREATE TABLE theirs (id int PRIMARY KEY)");
    let _ = room
        .run("apply", &args)
        .code(5)
        .says(&["pg_dump", "permission denied for table theirs"]);
    database.sql(&format!("GRANT SELECT ON theirs TO {role}"));
    let _ = room.run("apply", &args).code(4).says(&[
        "pg_restore of the copy",
        "OWNER TO app",
        "must be able to make all that the database holds",
        "--dry-run",
    ]);
    database.sql("DROP TABLE theirs");
    assert_eq!(scratch(&room), "");
    same(&whole(&room), &before, "the target is as it was");
}

#[test]
fn the_copy_is_made_as_the_database_was() {
    let room = members(Target::Postgres, "the_copy_is_made_as");
    let plan = room.read("migration.toml");
    room.write(
        "migration.toml",
        format!("accept_triggers = [\"same\"]\n{plan}"),
    );
    room.bundle("B");
    let database = room.db.postgres();
    // Seen by the copy alone: what it is made with goes into a table that the rehearsal compares.
    let name = &database.name;
    database.sql(&format!(
        "CREATE ROLE holder_{name}; ALTER DATABASE {name} OWNER TO holder_{name}; \
         ALTER DATABASE {name} SET search_path = \"$user\", public, \"Odd, one\"; ALTER DATABASE {name} SET shop.till = '7';
         CREATE TABLE heap (a text); INSERT INTO heap VALUES ('x'), ('x'), (NULL);
         CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE here record; there record; BEGIN
           SELECT encoding, datcollate, datctype, datlocprovider, datdba INTO here FROM pg_database WHERE datname = current_database();
           SELECT encoding, datcollate, datctype, datlocprovider, datdba INTO there FROM pg_database WHERE datname = '{name}';
           IF here IS DISTINCT FROM there THEN RAISE 'another database: % %', here, there; END IF;
           IF current_setting('shop.till') <> '7' THEN RAISE 'another setting'; END IF;
           IF has_database_privilege('public', current_database(), 'CONNECT') AND current_database() <> '{name}'
             THEN RAISE 'open to others'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER same BEFORE INSERT ON \"Member\" FOR EACH ROW EXECUTE FUNCTION same();"
    ));
    let said = certificate(&room, 0);
    assert_eq!(said["holds"], true);
    let tables = said["tables"].as_array().unwrap();
    let heap = tables.iter().find(|table| table["table"] == "heap");
    let heap = heap.unwrap()["before"].as_str().unwrap();
    assert!(heap.ends_with(", 3 rows"), "{heap}");
}

#[test]
fn what_a_kill_leaves_is_named_by_the_next() {
    let room = slow(Case::new(Target::Postgres, "killed"));
    let database = room.db.postgres();
    let url = room.url();
    let args = ["B", "--rehearse", "--to", &url];
    let mut child = spawn(&mut command("apply", &room.path(""), args));
    let began = Instant::now();
    while scratch(&room).is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it did not begin"
        );
    }
    child.kill().unwrap();
    let _ = finish(child, None);
    let left = scratch(&room);
    assert_eq!(left.lines().count(), 1, "{left}");
    let mut child = spawn(&mut command("apply", &room.path(""), args));
    while !inserts(&room) {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
    }
    kill("INT", &child.id().to_string());
    let _ = finish(child, None).code(130).says(&[
        "left by a rehearsal that was killed",
        &format!("DROP DATABASE {left}"),
    ]);
    assert_eq!(scratch(&room), left, "it removes its own alone");
    Database::named(&database.server, &left).remove();
}

#[test]
fn a_signal_while_the_copy_is_made_removes_it() {
    let room = members(Target::Postgres, "a_signal_while_the_copy");
    room.bundle("B");
    let bin = tests::postgres::bin();
    fs::create_dir(room.path("fake")).unwrap();
    for (name, then) in [("pg_dump", ""), ("pg_restore", "; exec sleep 60")] {
        let real = bin.join(name);
        let version = format!(
            "[ \"$1\" = --version ] && exec '{}' --version",
            real.display()
        );
        let run = format!("'{}' \"$@\"{then}", real.display());
        room.write(
            &format!("fake/{name}"),
            format!("#!/bin/sh\n{version}\n{run}\n"),
        );
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(room.path(&format!("fake/{name}")), mode).unwrap();
    }
    let url = room.url();
    let mut apply = command("apply", &room.path(""), ["B", "--rehearse", "--to", &url]);
    let child = spawn(apply.env("PG_BIN", room.path("fake")));
    let began = Instant::now();
    while scratch(&room).is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it did not begin"
        );
    }
    kill("TERM", &child.id().to_string());
    let done = finish(child, None).code(143);
    assert!(began.elapsed() < Duration::from_secs(20));
    let _ = done.says(&["the rehearsal was stopped"]);
    assert_eq!(scratch(&room), "");
}

#[test]
fn what_others_committed_to_a_wal_is_in_the_copy() {
    let room = Room::example(Target::Sqlite, "members");
    room.bundle("B");
    let other = rusqlite::Connection::open(room.path("t.db")).unwrap();
    other
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; DELETE FROM PaymentIntent; BEGIN; DELETE FROM Event WHERE 0")
        .unwrap();
    let done = room.on("apply", &["B", "--rehearse", "--json"]).code(0);
    let said: Value = serde_json::from_str(&done.out).unwrap();
    let tables = said["tables"].as_array().unwrap();
    let payments = tables
        .iter()
        .find(|table| table["table"] == "PaymentIntent")
        .unwrap();
    assert!(
        payments["before"].as_str().unwrap().ends_with(", 0 rows"),
        "{payments}"
    );
}

#[test]
fn the_hot_journal_of_another_crash_is_refused_by_name() {
    let room = Room::example(Target::Sqlite, "members");
    room.bundle("B");
    let writer = rusqlite::Connection::open(room.path("t.db")).unwrap();
    writer
        .execute_batch(
            "PRAGMA cache_size = 1; BEGIN; CREATE TABLE filler (a); \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) \
             INSERT INTO filler SELECT randomblob(2000) FROM n; UPDATE Member SET phone = '1'",
        )
        .unwrap();
    // What a crash would leave at this moment.
    fs::create_dir(room.path("crashed")).unwrap();
    for file in ["t.db", "t.db-journal"] {
        fs::copy(room.path(file), room.path("crashed").join(file)).unwrap();
    }
    let read =
        || ["t.db", "t.db-journal"].map(|file| fs::read(room.path("crashed").join(file)).unwrap());
    let before = read();
    room.run("apply", &["B", "--rehearse", "--to", "sqlite:crashed/t.db"])
        .code(4)
        .says(&["crashed/t.db-journal is the hot journal of another program's crash"]);
    assert!(read() == before, "the crashed files were touched");
}
