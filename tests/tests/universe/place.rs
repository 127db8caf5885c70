//! Where a round is played, and what the programs answer there.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;
use tests::postgres::{Database, Server};
use tests::{Db, Done, Room, Target};

thread_local! {
    /// The database of a thread: made once, as that takes a server long, and emptied for each round.
    static DATABASE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes a folder and an empty database.
pub fn room(target: Target) -> Room {
    if target == Target::Sqlite {
        return Room::new(target);
    }
    let server = Server::shared();
    let name = DATABASE.with_borrow(Clone::clone).unwrap_or_else(|| {
        let made = Database::with("");
        DATABASE.set(Some(made.name.clone()));
        made.name
    });
    let mut room = Room::new(Target::Sqlite);
    let database = Database::named(&server, &name);
    database.sql(&format!(
        "DROP SCHEMA IF EXISTS public, club, switchback CASCADE; CREATE SCHEMA public; ALTER DATABASE {name} RESET ALL"
    ));
    room.db = Db::Postgres(database);
    room
}

/// The last line of JSON that a program printed.
pub fn last(done: &Done) -> Result<Value, String> {
    let line = done.out.lines().last().ok_or("it printed nothing")?;
    serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))
}

/// Table and key of the rows that rollback names.
pub fn named(done: &Done) -> Result<BTreeSet<(String, String)>, String> {
    let mut named = BTreeSet::new();
    for line in done.out.lines() {
        let line: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let verdict = line["verdict"].as_str().unwrap_or("reversible");
        if !matches!(verdict, "reversible" | "gone" | "marked" | "as-before") {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            named.insert((text("table"), text("key")));
        }
    }
    Ok(named)
}

/// The checks that fail, of what verify prints.
pub fn failing(report: &str) -> Vec<&str> {
    let lines = report.lines();
    let failing = lines.filter_map(|line| line.trim().strip_prefix("FAIL "));
    failing
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}
