//! The project's acceptance checks, one test each; `docs/acceptance.md` has their numbers. Those of the checkpoint file are
//! in `checkpoint.rs`, those of `verify` in `verify/`.

mod again;
mod conflicts;
mod ledger;
mod rollback;
mod sources;
mod stops;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Case, Db, Done, Room, command, spawn};

const PLAN: &str = r#"
name = "entries"
system = "notes"

[[entity]]
name = "entry"
source = { format = "csv", files = ["*.csv"], key = "id" }
table = "entry"
id = { column = "id", from = "uuid" }

[entity.fields]
code = { from = "id", required = true }
size = { from = "size", type = "integer", required = true }
"#;

const SCHEMA: &str = "CREATE TABLE entry (id TEXT PRIMARY KEY, code TEXT NOT NULL, size INTEGER NOT NULL CHECK (size < 1000))";

/// So many entries, one of them of a size that the database refuses.
fn entries(first: usize, last: usize, bad: usize) -> String {
    (first..=last).fold("id,size\n".to_owned(), |mut csv, n| {
        let size = if n == bad { 5000 } else { n };
        writeln!(csv, "k{n},{size}").unwrap();
        csv
    })
}

/// A room with a bundle of 200 entries.
fn room(case: Case, bad: usize) -> Room {
    let room = Room::with(case, PLAN, &[("a.csv", &entries(1, 200, bad))], SCHEMA);
    room.bundle("B");
    room
}

/// A room with a bundle of 900 entries and a constraint that is checked at COMMIT, so that each batch
/// has a commit of its own.
fn slow(case: Case) -> Room {
    let schema = SCHEMA.replace(
        " CHECK",
        " CHECK (size < 1000), up TEXT REFERENCES entry (id) DEFERRABLE INITIALLY DEFERRED, CHECK",
    );
    let room = Room::with(case, PLAN, &[("a.csv", &entries(1, 900, 0))], &schema);
    room.bundle("B");
    room
}

/// A room whose run stopped at its second batch, record 70 being refused, and the run.
fn stopped(case: Case) -> (Room, String) {
    let room = room(case, 70);
    let run = room.on("apply", &["B"]).code(3).id();
    (room, run)
}

/// Lets the database take what it refused.
fn mend(room: &Room) {
    match room.db {
        Db::Sqlite(_) => room.sql(
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, ' CHECK (size < 1000)', '') \
             WHERE name = 'entry'; PRAGMA writable_schema = RESET",
        ),
        Db::Postgres(_) => room.sql("ALTER TABLE entry DROP CONSTRAINT entry_size_check"),
    }
}

fn summary(done: &Done) -> Value {
    serde_json::from_str(done.out.lines().last().unwrap()).unwrap()
}

/// Starts apply, on a file in WAL mode, and waits until its first batch stands.
fn started(room: &Room, bundle: &str) -> std::process::Child {
    if let Db::Sqlite(_) = room.db {
        room.sql("PRAGMA journal_mode = WAL");
    }
    let url = room.url();
    let args = [bundle, "--to", &url, "--batch-size", "1"];
    let child = spawn(&mut command("apply", &room.path(""), args));
    let since = Instant::now();
    let stands =
        || room.db.has_ledger() && room.ask("SELECT count(*) FROM switchback_batches") != "0";
    while !stands() {
        assert!(since.elapsed() < Duration::from_secs(60), "it never began");
    }
    child
}
