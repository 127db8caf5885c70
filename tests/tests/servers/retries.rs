//! What the server takes back to serve another (40P01, 40001) is done once more, whole.

use std::time::{Duration, Instant};

use tests::postgres::{Database, Server};
use tests::{Done, Room, Target};

const PLAN: &str = r#"
name = "accounts"
system = "bank"
[[entity]]
name = "account"
source = { format = "csv", files = ["accounts.csv"], key = "no" }
table = "account"
id = { column = "no", from = "key" }
match = ["no"]
on_match = "update"
[entity.fields]
owner = { from = "owner", required = true }
"#;

const TABLES: &str = "
CREATE TABLE account (no integer PRIMARY KEY, owner text NOT NULL, balance bigint NOT NULL DEFAULT 1000);
INSERT INTO account (no, owner) SELECT no, 'nobody' FROM generate_series(1, 20) AS no;";

const OWNED: &str = "SELECT count(*) FROM account WHERE owner = 'owner ' || no";

/// Twenty accounts that get owners.
fn room() -> Room {
    let room = Room::new(Target::Sqlite);
    room.write("migration.toml", PLAN);
    let line = |no: u32| format!("{no},owner {no}\n");
    let lines: String = (1..=20).map(line).collect();
    room.write("accounts.csv", format!("no,owner\n{lines}"));
    room
}

/// Waits until somebody's statement waits for a lock.
fn somebody_waits(database: &Database) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND datname = current_database()";
    let end = Instant::now() + Duration::from_secs(20);
    while database.ask(waiting) == "0" {
        assert!(Instant::now() < end, "nobody waits");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Does something while another session holds a row, and then wants all that is held meanwhile.
fn crossed(database: &Database, work: impl Fn() -> Done + Sync) -> Done {
    let deadlocks = || -> u64 {
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        database.ask(sql).parse().unwrap()
    };
    let before = deadlocks();
    let mut other = database.session();
    let pay = "UPDATE account SET balance = balance + 1 WHERE no";
    // Of the two the program is the one that is ended.
    let begin = format!("SET deadlock_timeout = '1min'; BEGIN; {pay} = 10");
    other.batch_execute(&begin).unwrap();
    let done = std::thread::scope(|scope| {
        let work = scope.spawn(&work);
        somebody_waits(database);
        other
            .batch_execute(&format!("{pay} <> 10; COMMIT"))
            .unwrap();
        work.join().unwrap()
    });
    database.settle();
    assert_eq!(deadlocks(), before + 1, "there was no deadlock");
    done
}

#[test]
fn a_batch_that_is_ended_for_a_deadlock_is_done_again() {
    let (room, database) = (room(), Database::with(TABLES));
    room.bundle("B");
    // Shorter than the time that a lock is waited for, long enough for the other to come.
    database.sql(&format!(
        "ALTER DATABASE {} SET deadlock_timeout = '2s'",
        database.name
    ));
    let url = database.url();
    let run = crossed(&database, || room.run("apply", &["B", "--to", &url]));
    let run = run.code(0).id();
    assert_eq!(database.ask(OWNED), "20");
    let counts =
        "SELECT records, count(*) OVER () FROM switchback.batches WHERE status = 'applied'";
    assert_eq!(database.ask(counts), "20|1");
    let back = ["--to", &url, &run];
    let _ = crossed(&database, || room.run("rollback", &back)).code(0);
    let kept = "SELECT count(*) FROM account WHERE owner = 'nobody' AND balance = 1002";
    assert_eq!(database.ask(kept), "20");
}

/// A trigger of the target writes to another database, in whose transactions nobody may have changed
/// the row since: a serialization failure there is one here.
#[test]
fn a_batch_that_fails_to_serialize_is_done_again() {
    let server = Server::start("");
    let far = Database::on(
        &server,
        "CREATE TABLE tally (n int); INSERT INTO tally VALUES (0)",
    );
    let near = Database::on(&server, TABLES);
    near.sql(&format!(
        "CREATE EXTENSION postgres_fdw;
         CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{}', port '{}', dbname '{}');
         CREATE USER MAPPING FOR app SERVER far OPTIONS (user 'app', password_required 'false');
         CREATE FOREIGN TABLE tally (n int) SERVER far;
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN UPDATE tally SET n = n + 1; RETURN NULL; END';
         CREATE TRIGGER tell AFTER UPDATE ON account FOR EACH ROW EXECUTE FUNCTION tell();",
        server.folder.display(),
        server.port,
        far.name
    ));
    let (room, url) = (room(), near.url());
    let system = "system = \"bank\"";
    let accepted = format!("{system}\naccept_triggers = [\"tell\"]");
    room.mend("migration.toml", system, &accepted);
    room.bundle("B");
    let mut other = far.session();
    other
        .batch_execute("BEGIN; UPDATE tally SET n = n + 100")
        .unwrap();
    let run = std::thread::scope(|scope| {
        let apply = scope.spawn(|| room.run("apply", &["B", "--to", &url]));
        somebody_waits(&far);
        other.batch_execute("COMMIT").unwrap();
        apply.join().unwrap()
    });
    let log = std::fs::read_to_string(server.folder.join("log")).unwrap();
    let word = "could not serialize access due to concurrent update";
    assert!(log.contains(word), "there was no such failure");
    let run = run.code(0).id();
    assert_eq!(near.ask(OWNED), "20");
    // What it counted in vain went with its batch.
    assert_eq!(far.ask("SELECT n FROM tally"), "120");
    let _ = room
        .run("verify", &[&run, "--bundle", "B", "--to", &url])
        .code(0);
    let _ = room.run("rollback", &[&run, "--to", &url]).code(0);
    let kept = "SELECT count(*) FROM account WHERE owner = 'nobody' AND balance = 1000";
    assert_eq!(near.ask(kept), "20");
}
