//! Level 2 on PostgreSQL: a snapshot by `pg_dump` before the run, and the way back to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::db::same;
use tests::postgres::Database;
use tests::{Done, Room, command, finish, spawn};

use super::{members, on};

/// What a database in use has beside plain tables.
const MORE: &str = r#"
CREATE SCHEMA "Odd ""one""";
CREATE TABLE "Odd ""one"""."a b" ("select" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, twice int GENERATED ALWAYS AS ("two,2" * 2) STORED,
  "two,2" int, at timestamptz DEFAULT now(), raw bytea, tags text[], doc jsonb, f float8, span interval);
INSERT INTO "Odd ""one"""."a b" ("two,2", raw, tags, doc, f, span) VALUES (1, '\x00ff0a5c', '{"x, \"y\"",NULL,"\\."}', '{"a":[1.50]}', 'NaN', '36 hours'),
  (2, NULL, NULL, NULL, 0.1, '-1 mon');
CREATE TABLE hen (id serial PRIMARY KEY, egg int); CREATE TABLE egg (id serial PRIMARY KEY, hen int REFERENCES hen ON DELETE CASCADE);
ALTER TABLE hen ADD CONSTRAINT laid FOREIGN KEY (egg) REFERENCES egg DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT laid ON hen IS 'it''s a circle';
BEGIN; INSERT INTO hen (egg) VALUES (1); INSERT INTO egg (hen) VALUES (1); COMMIT;
CREATE TABLE measure (id int NOT NULL, day date NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE measure_24 PARTITION OF measure FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE measure_rest PARTITION OF measure DEFAULT;
CREATE TABLE reading (m int, d date, FOREIGN KEY (m, d) REFERENCES measure);
INSERT INTO measure VALUES (1, '2024-05-05'), (2, '1999-01-01'); INSERT INTO reading VALUES (1, '2024-05-05');
CREATE FUNCTION moved_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at = now(); RETURN NEW; END';
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON "Odd ""one"""."a b" FOR EACH ROW EXECUTE FUNCTION moved_at();
CREATE TRIGGER always BEFORE UPDATE ON "Odd ""one"""."a b" FOR EACH ROW EXECUTE FUNCTION moved_at();
ALTER TABLE "Odd ""one"""."a b" ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER never BEFORE INSERT ON "Odd ""one"""."a b" FOR EACH ROW EXECUTE FUNCTION moved_at();
ALTER TABLE "Odd ""one"""."a b" DISABLE TRIGGER never;
CREATE VIEW hens AS SELECT count(*) FROM hen; CREATE UNLOGGED TABLE cache (a int); INSERT INTO cache VALUES (1);
CREATE TABLE heap (a text); INSERT INTO heap VALUES ('x'), ('x'), (NULL), (E'a\tb\nc\\');
CREATE SEQUENCE bare START 7;
"#;

/// What people do after the run.
const LIFE: &str = r#"
INSERT INTO hen (id) VALUES (DEFAULT), (DEFAULT); DELETE FROM reading; UPDATE "Odd ""one"""."a b" SET f = 5;
INSERT INTO "Odd ""one"""."a b" ("two,2") VALUES (9); DELETE FROM measure; SELECT nextval('bare'), nextval('bare');
TRUNCATE heap; INSERT INTO cache VALUES (2); UPDATE "Member" SET phone = 'other';
"#;

/// The ledger's note of a run's snapshot.
fn kept(database: &Database, run: &str) -> Value {
    let sql = format!("SELECT snapshot FROM switchback.runs WHERE id = '{run}'");
    serde_json::from_str(&database.ask(&sql)).unwrap()
}

fn path(database: &Database, run: &str) -> String {
    kept(database, run)["path"].as_str().unwrap().to_owned()
}

fn folder(room: &Room) -> Vec<String> {
    let Ok(entries) = fs::read_dir(room.path(".switchback/snapshots")) else {
        return vec![];
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn no_ledger(database: &Database) -> bool {
    database.ask("SELECT to_regclass('switchback.runs') IS NULL") == "t"
}

/// An example with more, a snapshot of before its run, the snapshot's path, and the dump of before.
fn applied() -> (Room, Database, String, String, String) {
    let (room, database) = members();
    database.sql(MORE);
    let before = database.dump();
    let run = on(&room, &database, "apply", &["B", "--snapshot"])
        .code(0)
        .says(&["snapshot /", "bytes, sha256 "])
        .id();
    let path = path(&database, &run);
    (room, database, run, path, before)
}

#[test]
fn a_snapshot_takes_everything_back_and_keeps_the_history() {
    let (room, database, run, path, before) = applied();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(path.ends_with(&format!(".{run}.snapshot")), "{path}");
    database.sql(LIFE);
    let now = database.dump();
    let args = ["--snapshot", &path];
    let _ = on(
        &room,
        &database,
        "rollback",
        &[&args[..], &["--check"]].concat(),
    )
    .code(0)
    .says(&["can be restored"]);
    same(&database.dump(), &now, "--check writes nothing");
    let done = on(&room, &database, "rollback", &args).code(0);
    done.says(&["rows of 15 tables are those of the snapshot", &run]);
    same(&database.dump(), &before, "everything is as it was");
    assert_eq!(database.ask("SELECT nextval('bare')"), "7");
    let status = "SELECT status FROM switchback.runs";
    assert_eq!(database.ask(status), "rolled-back");
    assert_eq!(database.ask("SELECT count(*) FROM switchback.ids"), "0");
    let _ = on(&room, &database, "verify", &[&run]).code(0);
    let _ = on(&room, &database, "verify", &["audit"]).code(0);
    let safety: Vec<String> = folder(&room);
    assert_eq!(safety.len(), 2, "{safety:?}");
    let copy = |name: &String| name.contains(".before-restore-");
    assert!(safety.iter().any(copy), "{safety:?}");
    let _ = on(&room, &database, "rollback", &args).code(0);
    let again = on(&room, &database, "apply", &["B"]).code(0).id();
    let _ = on(&room, &database, "verify", &[&again]).code(0);
    let _ = on(&room, &database, "rollback", &[&again]).code(0);
    // What was kept long enough goes.
    let prune = ["prune", "--now", "2099-01-01T00:00:00Z"];
    let _ = on(&room, &database, "rollback", &prune).code(0);
    assert_eq!(folder(&room), [""; 0]);
}

#[test]
fn pg_restore_alone_reads_a_snapshot() {
    let (_room, _, _, path, before) = applied();
    let empty = Database::with("");
    let sql = empty.restored_by_hand(&path);
    assert!(sql.is_empty(), "{sql}");
    same(&empty.dump(), &before, "the archive is whole");
    assert!(no_ledger(&empty), "and knows nothing of the ledger");
}

#[test]
fn what_others_made_since_stays_and_what_would_be_lost_is_refused_by_name() {
    let (room, database, _, path, before) = applied();
    database.sql(
        "CREATE TABLE mine (id int PRIMARY KEY, hen int REFERENCES hen); INSERT INTO mine VALUES (1, 1);
         CREATE VIEW heaps AS SELECT a FROM heap; ALTER TABLE heap ADD COLUMN empty int;",
    );
    let args = ["--snapshot", &path];
    let _ = on(&room, &database, "rollback", &args)
        .code(0)
        .says(&["made since the snapshot, and left as they are: public.mine"]);
    assert_eq!(database.ask("SELECT hen FROM mine"), "1");
    assert_eq!(database.ask("SELECT count(*) FROM heaps"), "4");
    database.sql("DROP TABLE mine; DROP VIEW heaps; ALTER TABLE heap DROP COLUMN empty");
    same(&database.dump(), &before, "all else is as it was");

    database.sql(
        "ALTER TABLE heap ADD COLUMN new int DEFAULT 7; ALTER TABLE cache RENAME TO gone; DROP SEQUENCE bare;
         ALTER TABLE reading DROP COLUMN m",
    );
    let now = database.dump();
    for check in [&[][..], &["--check"]] {
        let args = [&args[..], check].concat();
        let _ = on(&room, &database, "rollback", &args).code(4).says(&[
            "column new of public.heap was added since: its values would be lost",
            "table public.cache is gone",
            "sequence public.bare is gone",
            "column m of public.reading is gone",
            "nothing was changed",
        ]);
    }
    same(&database.dump(), &now, "nothing was changed");
    assert_eq!(folder(&room).len(), 2, "one snapshot, one safety copy");
}

#[test]
fn a_row_of_others_that_needs_what_goes_stops_the_restore() {
    let (room, database, _, path, _) = applied();
    database.sql(
        "INSERT INTO hen (id) VALUES (77); CREATE TABLE chick (hen int CONSTRAINT mother REFERENCES hen); INSERT INTO chick VALUES (77)",
    );
    let now = database.dump();
    let done = on(&room, &database, "rollback", &["--snapshot", &path]);
    assert_ne!(done.code, 0);
    let _ = done.says(&["mother"]);
    same(
        &database.dump(),
        &now,
        "nothing was changed, sequences neither",
    );
}

/// Puts programs in a folder that stand for PostgreSQL's.
fn fake(room: &Room, dump: &str) -> PathBuf {
    let real = tests::postgres::bin();
    let restore = format!("exec '{}' \"$@\"", real.join("pg_restore").display());
    let version = "[ \"$1\" = --version ] && { echo 'pg_dump (PostgreSQL) 99.1'; exit; }";
    let dump = dump.replace("REAL", &real.join("pg_dump").display().to_string());
    for (name, text) in [("pg_dump", &dump), ("pg_restore", &restore)] {
        let name = format!("fake/{name}");
        room.write(&name, format!("#!/bin/sh\n{version}\n{text}\n"));
        fs::set_permissions(room.path(&name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    room.path("fake")
}

fn with(room: &Room, bin: &PathBuf, program: &str, args: &[&str]) -> Done {
    let mut command = command(program, &room.path(""), args);
    finish(spawn(command.env("PG_BIN", bin)), None)
}

#[test]
fn without_a_pg_dump_that_knows_the_server_nothing_starts() {
    let (room, database) = members();
    let before = database.dump();
    let url = database.url();
    let args = ["B", "--to", &url, "--snapshot"];
    let major = database.ask("SELECT current_setting('server_version_num')::int / 10000");
    fs::create_dir(room.path("empty")).unwrap();
    let package = format!("postgresql-client-{major}");
    let _ = with(&room, &room.path("empty"), "apply", &args)
        .code(4)
        .says(&["pg_dump and pg_restore", "none are found", &package]);
    let old = fake(&room, "exit 1");
    room.mend("fake/pg_dump", "99.1", "9.6.24");
    let _ = with(&room, &old, "apply", &args)
        .code(4)
        .says(&["has those of 9", &package]);
    assert!(no_ledger(&database) && folder(&room).is_empty());
    same(&database.dump(), &before, "nothing was written");
}

#[test]
fn a_pg_dump_that_dies_midway_leaves_no_run_and_no_file() {
    let (room, database) = members();
    let url = database.url();
    let args = ["B", "--to", &url, "--snapshot"];
    let half = "for a; do case $a in --file=*) f=${a#--file=};; esac; done; REAL \"$@\" && truncate -s 2000 \"$f\"";
    for (death, said) in [
        ("; kill -9 $$", "signal: 9"),
        ("; echo 'pg_dump: error: no room' >&2; exit 1", "no room"),
        // It says that all is well.
        ("; exit 0", "pg_restore"),
        // Ctrl-C reaches both.
        (
            "; kill -INT $PPID; sleep 0.5; exit 1",
            "stopped before the run began",
        ),
        ("; : >\"$f\"; exit 0", "pg_restore"),
    ] {
        let bin = fake(&room, &format!("{half}{death}"));
        let done = with(&room, &bin, "apply", &args);
        let code = if death.contains("INT") { 130 } else { 5 };
        assert_eq!(done.code, code, "{death}: {}", done.err);
        assert!(done.err.contains(said), "{death}: {}", done.err);
        assert_eq!(done.out, "", "no run");
        assert!(no_ledger(&database));
        assert_eq!(folder(&room), [""; 0], "{death}: a file is left");
    }
    // One that dies in a restore changes nothing.
    let run = on(&room, &database, "apply", &["B", "--snapshot"])
        .code(0)
        .id();
    let (path, now) = (path(&database, &run), database.dump());
    let bin = fake(&room, "exit 1");
    let args = ["--snapshot", &path, "--to", &url];
    let _ = with(&room, &bin, "rollback", &args).code(5);
    let bin = fake(&room, "exec REAL \"$@\"");
    room.mend(
        "fake/pg_restore",
        "exec",
        "case \"$1\" in --data-only) REAL \"$@\" | head -c 700; exit 1;; esac; exec",
    );
    let real = tests::postgres::bin().join("pg_restore");
    room.mend("fake/pg_restore", "REAL", real.to_str().unwrap());
    let done = with(&room, &bin, "rollback", &args);
    assert_eq!(done.code, 5, "{}", done.err);
    same(&database.dump(), &now, "nothing was changed");
    let names = folder(&room);
    assert!(!names.iter().any(|name| name.contains(".tmp")), "{names:?}");
}

#[test]
fn a_signal_ends_pg_dump_at_once_and_leaves_nothing() {
    let (room, database) = members();
    let url = database.url();
    let bin = fake(
        &room,
        "for a; do case $a in --file=*) f=${a#--file=};; esac; done; echo half >\"$f\"; exec sleep 60",
    );
    let args = ["B", "--to", &url, "--snapshot"];
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut apply = command("apply", &room.path(""), args);
        let child = spawn(apply.env("PG_BIN", &bin));
        let began = Instant::now();
        while folder(&room).is_empty() {
            assert!(began.elapsed() < Duration::from_secs(30), "no pg_dump");
        }
        tests::postgres::kill(signal, &child.id().to_string());
        let _ = finish(child, None)
            .code(code)
            .says(&["stopped before the run began"]);
        assert!(began.elapsed() < Duration::from_secs(30), "it waited");
        assert_eq!(folder(&room), [""; 0], "a file is left");
        assert!(no_ledger(&database));
    }
    // In a restore: the present is copied before anything is changed.
    let run = on(&room, &database, "apply", &["B", "--snapshot"])
        .code(0)
        .id();
    let (path, now) = (path(&database, &run), database.dump());
    let args = ["--snapshot", &path, "--to", &url];
    let mut rollback = command("rollback", &room.path(""), args);
    let child = spawn(rollback.env("PG_BIN", &bin));
    let began = Instant::now();
    while !folder(&room).iter().any(|name| name.contains(".tmp")) {
        assert!(began.elapsed() < Duration::from_secs(30), "no pg_dump");
    }
    tests::postgres::kill("TERM", &child.id().to_string());
    let _ = finish(child, None)
        .code(143)
        .says(&["stopped, and nothing was changed"]);
    assert_eq!(folder(&room).len(), 1, "the snapshot alone");
    same(&database.dump(), &now, "nothing was changed");
}

#[test]
fn the_password_is_in_no_process_list_and_no_output() {
    let (room, database) = members();
    let log = room.path("log");
    let note = format!(
        "{{ echo \"$@\"; env; }} >>'{}'; exec REAL \"$@\"",
        log.display()
    );
    let bin = fake(&room, &note);
    let url = database.url().replace("app@", "app:hunt%2Fer2@");
    let args = ["B", "--to", &url, "--snapshot"];
    let done = with(&room, &bin, "apply", &args).code(0);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("PGPASSWORD=hunt/er2"), "{log}");
    assert_eq!(log.matches("er2").count(), 1, "{log}");
    assert!(!done.err.contains("er2") && !done.out.contains("er2"));
    assert!(
        !database
            .ask("SELECT snapshot FROM switchback.runs")
            .contains("er2")
    );
}

#[test]
fn a_snapshot_is_one_state_while_others_write() {
    let (room, database) = members();
    database.sql("CREATE TABLE account (id int PRIMARY KEY, cents int); INSERT INTO account SELECT n, 100 FROM generate_series(1, 2000) n");
    let stop = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut moved = 0;
            while !stop.load(Ordering::Relaxed) {
                database.sql(
                    "BEGIN; UPDATE account SET cents = cents - 1 WHERE id = (SELECT 1 + (random() * 999)::int);
                     UPDATE account SET cents = cents + 1 WHERE id = (SELECT 1001 + (random() * 900)::int); COMMIT",
                );
                moved += 1;
            }
            moved
        });
        let run = on(&room, &database, "apply", &["B", "--snapshot"])
            .code(0)
            .id();
        stop.store(true, Ordering::Relaxed);
        assert!(writer.join().unwrap() > 0);
        run
    });
    let path = path(&database, &run);
    let _ = on(&room, &database, "rollback", &["--snapshot", &path]).code(0);
    assert_eq!(database.ask("SELECT sum(cents) FROM account"), "200000");
}

#[test]
fn the_owner_needs_no_other_rights() {
    let (room, database) = members();
    let role = database.owned_by_a_clerk();
    let clerk = database.url().replace("app@", &format!("{role}@"));
    let before = database.dump();
    let run = room
        .run("apply", &["B", "--snapshot", "--to", &clerk])
        .code(0)
        .id();
    let path = path(&database, &run);
    let _ = room
        .run("rollback", &["--snapshot", &path, "--to", &clerk])
        .code(0);
    same(&database.dump(), &before, "restored by its owner");
}

#[test]
fn a_snapshot_or_a_restore_that_is_killed_at_any_step_can_be_repeated() {
    let (room, database, run, path, before) = applied();
    let now = database.dump();
    let url = database.url();
    let stride = if tests::lab::long() { 1 } else { 9 };
    let mut steps = 0;
    for n in (1..).step_by(stride) {
        let args = ["--snapshot", &path, "--to", &url];
        let mut rollback = command("crash/rollback", &room.path(""), args);
        let done = finish(
            spawn(rollback.env("SWITCHBACK_CRASH", format!("kill:{n}"))),
            None,
        );
        let found = database.dump();
        let status = database.ask("SELECT status FROM switchback.runs");
        if done.code == 0 {
            same(&found, &before, "the last one ends it");
            break;
        }
        assert_eq!(done.code, 134, "{}", done.err);
        let past = status == "rolled-back";
        same(
            &found,
            if past { &before } else { &now },
            "the present or the past",
        );
        steps = n;
        if past {
            break;
        }
    }
    assert!(steps > 10, "only {steps} steps");
    let _ = on(&room, &database, "rollback", &["--snapshot", &path]).code(0);
    same(&database.dump(), &before, "and can be repeated");
    let _ = on(&room, &database, "verify", &[&run]).code(0);

    for name in folder(&room) {
        fs::remove_file(room.path(".switchback/snapshots").join(name)).unwrap();
    }
    for n in (1..).step_by(stride) {
        let args = ["B", "--snapshot", "--to", &url];
        let mut apply = command("crash/apply", &room.path(""), args);
        let done = finish(
            spawn(apply.env("SWITCHBACK_CRASH", format!("kill:{n}"))),
            None,
        );
        let runs = database.ask("SELECT count(*) FROM switchback.runs");
        if runs != "1" {
            assert!(n > 6, "only {n} steps before the run began");
            break;
        }
        assert_eq!(done.code, 134, "{}", done.err);
        same(&database.dump(), &before, "no run, nothing written");
    }
}
