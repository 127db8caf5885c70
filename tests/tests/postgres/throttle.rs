//! A run that gives way to others: on both targets it waits, keeps the lock, and never fails for it.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::postgres::Database;
use tests::{Done, Room, Target, command, db, finish, spawn};

const PLAN: &str = "name = \"n\"\nsystem = \"s\"\n[[entity]]\nname = \"item\"\ntable = \"item\"\nid = { column = \"id\", from = \"key\" }\n\
                    source = { format = \"csv\", files = [\"a.csv\"], key = \"id\" }\nfields.name = { from = \"name\" }\n";
const SCHEMA: &str = "CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT NOT NULL); CREATE TABLE load (busy BOOLEAN NOT NULL);";
const QUERY: &str = "SELECT busy FROM load";

/// The same room with each of the two targets.
struct Place {
    room: Room,
    database: Option<Database>,
}

impl Place {
    fn url(&self) -> String {
        self.database
            .as_ref()
            .map_or_else(|| self.room.url(), Database::url)
    }

    fn sql(&self, sql: &str) {
        match &self.database {
            Some(database) => database.sql(sql),
            None => db::run(&self.room.path("t.db"), sql),
        }
    }

    fn ask(&self, sql: &str) -> String {
        match &self.database {
            Some(database) => database.ask(&sql.replace("switchback_", "switchback.")),
            None => self.room.ask(sql),
        }
    }

    fn items(&self) -> String {
        self.ask("SELECT count(*) FROM item")
    }

    fn apply(&self, args: &[&str]) -> Command {
        self.by("apply", args)
    }

    fn by(&self, program: &str, args: &[&str]) -> Command {
        let url = self.url();
        let common = ["B", "--to", &url, "--batch-size", "10"];
        let args = common.iter().chain(args);
        command(program, &self.room.path(""), args)
    }

    fn done(&self, args: &[&str]) -> Done {
        finish(spawn(&mut self.apply(args)), None)
    }

    /// Waits until something is so.
    #[track_caller]
    fn until(&self, what: &str, sql: &str, answer: &str) {
        let began = Instant::now();
        while !self.begun() || self.ask(sql) != answer {
            assert!(began.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn begun(&self) -> bool {
        if let Some(database) = &self.database {
            return database.ask("SELECT to_regclass('switchback.runs') IS NULL") == "f";
        }
        let sql = "SELECT count(*) FROM sqlite_master WHERE name = 'switchback_runs'";
        self.room.ask(sql) == "1"
    }
}

/// 60 records in batches of 10, onto a target of each kind.
fn places() -> [Place; 2] {
    let lines: String = (0..60).map(|n| format!("i{n},Item {n}\n")).collect();
    let csv = format!("id,name\n{lines}");
    let make = |postgres: bool| {
        let room = Room::with(Target::Sqlite, PLAN, &[("a.csv", &csv)], SCHEMA);
        room.bundle("B");
        let database = postgres.then(|| Database::with(SCHEMA));
        Place { room, database }
    };
    [make(false), make(true)]
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn no_more_rows_a_second_than_asked_are_written() {
    for place in places() {
        let began = Instant::now();
        let done = place.done(&["--max-rows-per-second", "30", "--progress", "json"]);
        let done = done.code(0);
        // The first batch goes at once, the end waits for nothing.
        assert!(began.elapsed() >= Duration::from_millis(50_000 / 30));
        assert_eq!(place.items(), "60");
        let said = "apply: waiting: no more than 30 rows a second\n";
        assert_eq!(count(&done.err, said), 1, "{}", done.err);
        let began = Instant::now();
        let _ = place.done(&["--max-rows-per-second", "1"]).code(0);
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "what writes nothing waits for nothing"
        );
    }
}

#[test]
fn a_file_holds_the_run_between_two_batches_and_others_write_meanwhile() {
    for place in places() {
        place.room.write("wait", "");
        let child = spawn(&mut place.apply(&["--throttle-file", "wait", "--progress", "json"]));
        let running = "SELECT status FROM switchback_runs";
        place.until("the run began", running, "in-progress");
        for n in 0..8 {
            std::thread::sleep(Duration::from_millis(200));
            place.sql(&format!("INSERT INTO item VALUES ('mine{n}', 'x')"));
            assert_eq!(place.items(), (n + 1).to_string(), "nothing but mine");
        }
        if let Some(database) = &place.database {
            let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
            assert_eq!(database.ask(idle), "0", "no transaction is open");
        }
        fs::remove_file(place.room.path("wait")).unwrap();
        let done = finish(child, None).code(0);
        let said = "apply: waiting: wait is there\n";
        assert_eq!(count(&done.err, said), 1, "{}", done.err);
        let done = done.says(&[
            "going on after",
            "\"currentStep\":\"waiting: wait is there\"",
        ]);
        assert_eq!(place.items(), "68");
        assert!(done.err.contains("60 created"), "{}", done.err);
    }
}

#[test]
fn a_query_holds_the_run_while_it_is_true_and_never_fails_it() {
    for place in places() {
        place.sql("INSERT INTO load VALUES (true)");
        let child = spawn(&mut place.apply(&["--throttle-query", QUERY]));
        let running = "SELECT status FROM switchback_runs";
        place.until("the run began", running, "in-progress");
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(place.items(), "0");
        place.sql("UPDATE load SET busy = false");
        let done = finish(child, None).code(0);
        let said = "waiting: the target is busy, says --throttle-query";
        assert_eq!(count(&done.err, said), 1, "{}", done.err);
        assert_eq!(place.items(), "60");
    }
    for place in places() {
        place.sql("INSERT INTO load VALUES (true)");
        let child = spawn(&mut place.apply(&["--throttle-query", QUERY]));
        let running = "SELECT status FROM switchback_runs";
        place.until("the run began", running, "in-progress");
        place.sql("DROP TABLE load");
        let done = finish(child, None).code(0);
        let said = "warning: --throttle-query:";
        assert_eq!(count(&done.err, said), 1, "{}", done.err);
        assert_eq!(place.items(), "60");
    }
}

#[test]
fn a_query_that_is_no_question_is_refused_before_the_first_write() {
    for place in places() {
        place.sql("INSERT INTO load VALUES (false)");
        for (query, postgres) in [
            ("SELECT busy FROM loud", true),
            ("SELECT busy, busy FROM load", true),
            (
                "SELECT busy FROM load UNION ALL SELECT busy FROM load",
                true,
            ),
            ("SELECT busy FROM load WHERE busy", true),
            ("SELECT NULL", true),
            ("SELECT 'yes'", true),
            ("SELECT 1", false),
            ("", true),
            ("DELETE FROM load RETURNING busy", true),
            ("COMMIT", true),
        ] {
            if place.database.is_none() && !postgres {
                continue;
            }
            for dry in [&[][..], &["--dry-run"]] {
                let args = [&["--throttle-query", query], dry].concat();
                let done = place.done(&args);
                assert_eq!(done.code, 4, "{query}: {}", done.err);
                let _ = done.says(&["--throttle-query", "nothing was written"]);
            }
            assert!(!place.begun(), "{query}: no ledger");
            assert_eq!(place.ask("SELECT count(*) FROM load"), "1");
        }
        let _ = place
            .done(&["--dry-run", "--throttle-query", QUERY])
            .code(0);
    }
}

#[test]
fn a_signal_ends_a_wait_and_the_run_is_resumed() {
    for place in places() {
        place.room.write("wait", "");
        let child = spawn(&mut place.apply(&["--throttle-file", "wait"]));
        let running = "SELECT status FROM switchback_runs";
        place.until("the run began", running, "in-progress");
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        let done = finish(child, None).code(130);
        assert_eq!(place.items(), "0");
        assert!(done.err.contains("--resume"), "{}", done.err);
        let _ = place.done(&["--resume"]).code(0);
        assert_eq!(place.items(), "60");
    }
}

#[test]
fn the_lock_is_kept_however_long_the_wait() {
    for place in places() {
        place.room.write("wait", "");
        let mut apply = place.by("crash/apply", &["--throttle-file", "wait"]);
        let child = spawn(apply.env("SWITCHBACK_LEASE", "1500"));
        let running = "SELECT status FROM switchback_runs";
        place.until("the run began", running, "in-progress");
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(4) {
            let mut other = place.by("crash/apply", &["--take-over"]);
            let _ = finish(spawn(other.env("SWITCHBACK_LEASE", "1500")), None).code(11);
        }
        fs::remove_file(place.room.path("wait")).unwrap();
        let _ = finish(child, None).code(0);
        assert_eq!(place.items(), "60");
    }
}
