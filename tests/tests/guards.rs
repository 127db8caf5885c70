//! Guards: where a run may write, and how much. Each is caused, and left just below.

use tests::{Done, Room, Target};

const PLAN: &str = r#"
name = "items"
system = "shop"

[[environment]]
name = "copies"
match = ["sqlite:*/copies/*"]

[[environment]]
name = "live"
match = ["sqlite:*/live/*"]
production = true

[[entity]]
name = "item"
table = "Item"
id = { column = "id", from = "key" }
op = { from = "op", values = { put = "put", gone = "delete" } }
source = { format = "csv", files = ["items.csv"], key = "id" }
fields.name = { from = "name" }

[limits]
"#;

/// A shop whose 20 items an earlier run brought.
fn shop(limits: &str) -> Room {
    let sql = "CREATE TABLE Item (id TEXT PRIMARY KEY, name TEXT NOT NULL)";
    let room = Room::with(Target::Sqlite, &format!("{PLAN}{limits}\n"), &[], sql);
    items(&room, 0, 0);
    room.bundle("first");
    room.apply("first");
    room
}

/// Writes the source again: the first `changed` items have another name, the last `gone` are deleted.
fn items(room: &Room, changed: usize, gone: usize) {
    let line = |id: usize| {
        let op = if id > 20 - gone { "gone" } else { "put" };
        let name = if id <= changed { "new" } else { "old" };
        format!("{op},{id},{name}\n")
    };
    let lines: String = (1..=20).map(line).collect();
    room.write("items.csv", format!("op,id,name\n{lines}"));
}

/// Applies a bundle that changes and deletes so many of the 20 items.
fn run(limits: &str, changed: usize, gone: usize, flags: &[&str]) -> (Room, Done) {
    let room = shop(limits);
    items(&room, changed, gone);
    room.bundle("second");
    let args: Vec<&str> = ["second"].iter().chain(flags).copied().collect();
    let done = room.on("apply", &args);
    (room, done)
}

/// Runs below and above a limit: the one above is refused before any write, live and dry.
#[track_caller]
fn holds(limits: &str, at: (usize, usize), above: (usize, usize), says: &str) {
    let (room, done) = run(limits, at.0, at.1, &[]);
    done.code(0);
    let left = (20 - at.1).to_string();
    assert_eq!(room.ask("SELECT count(*) FROM Item"), left);
    for flags in [&[][..], &["--dry-run"], &["--batch-size=3"]] {
        let (room, done) = run(limits, above.0, above.1, flags);
        done.code(4).says(&[says, "nothing was written"]);
        assert_eq!(
            room.ask("SELECT count(*) FROM Item WHERE name = 'old'"),
            "20"
        );
        assert_eq!(
            room.ask("SELECT count(*) FROM switchback_runs"),
            "1",
            "no run was begun"
        );
    }
}

#[test]
fn change_rows_is_the_most_rows_of_a_table_that_a_run_updates() {
    holds(
        "change_rows = 5",
        (5, 8),
        (6, 0),
        "Item: 6 rows changed, change_rows is 5",
    );
}

#[test]
fn change_percent_is_of_the_rows_that_were_there() {
    let says = "Item: 6 of 20 rows changed (30.0 %), change_percent is 25";
    holds("change_percent = 25", (5, 8), (6, 0), says);
}

#[test]
fn delete_rows_is_the_most_rows_of_a_table_that_a_run_deletes() {
    holds(
        "delete_rows = 5",
        (8, 5),
        (0, 6),
        "Item: 6 rows deleted, delete_rows is 5",
    );
}

#[test]
fn delete_percent_is_of_the_rows_that_were_there() {
    let says = "Item: 6 of 20 rows deleted (30.0 %), delete_percent is 25";
    holds("delete_percent = 25", (8, 5), (0, 6), says);
}

#[test]
fn rows_that_the_run_inserts_count_for_no_limit() {
    let room = shop("change_rows = 0\nchange_percent = 0\ndelete_rows = 0\ndelete_percent = 0");
    room.write("items.csv", "op,id,name\nput,21,new\nput,22,new\n");
    room.bundle("more");
    room.apply("more");
    assert_eq!(room.ask("SELECT count(*) FROM Item"), "22");
}

#[test]
fn a_resumed_run_counts_what_it_changed_before() {
    let room = shop("change_rows = 5");
    items(&room, 5, 0);
    room.bundle("second");
    room.sql(
        "CREATE TRIGGER stop BEFORE UPDATE ON Item WHEN OLD.id = '4' BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    room.on("apply", &["second", "--batch-size=1"]).code(3);
    room.sql("DROP TRIGGER stop");
    room.on("apply", &["second", "--resume=auto"]).code(0);
    assert_eq!(
        room.ask("SELECT count(*) FROM Item WHERE name = 'new'"),
        "5"
    );
}

/// A shop in a folder, so that its path tells the environment.
fn shop_in(folder: &str) -> (Room, String) {
    let room = shop("");
    room.write(
        &format!("{folder}/t.db"),
        std::fs::read(room.path("t.db")).unwrap(),
    );
    let url = format!("sqlite:{}", room.path(&format!("{folder}/t.db")).display());
    items(&room, 3, 0);
    room.bundle("second");
    (room, url)
}

#[test]
fn production_is_written_only_when_asked_by_its_exact_name() {
    let (room, url) = shop_in("live");
    let runs = || {
        tests::db::ask(
            &room.path("live/t.db"),
            "SELECT count(*) FROM switchback_runs",
        )
    };
    let apply = |more: &[&str]| {
        let args: Vec<&str> = ["second", "--to", &url]
            .iter()
            .chain(more)
            .copied()
            .collect();
        room.run("apply", &args)
    };
    apply(&[])
        .code(4)
        .says(&["is live", "--allow-production live"]);
    for wrong in ["Live", "production", "", "liv"] {
        apply(&["--allow-production", wrong])
            .code(4)
            .says(&["is live"]);
    }
    apply(&["--dry-run"]).code(0);
    apply(&["--dry-run", "--allow-production", "other"]).code(4);
    assert_eq!(runs(), "1");
    let done = apply(&["--allow-production", "live"])
        .code(0)
        .says(&["(live)"]);
    let environment = format!(
        "SELECT environment FROM switchback_runs WHERE id = '{}'",
        done.id()
    );
    assert_eq!(
        tests::db::ask(&room.path("live/t.db"), &environment),
        "live"
    );
}

#[test]
fn a_run_is_taken_back_from_production_only_when_asked_by_name() {
    let (room, url) = shop_in("live");
    let rollback = |run: &str, more: &[&str]| {
        let args: Vec<&str> = [run, "--to", &url].iter().chain(more).copied().collect();
        room.run("rollback", &args)
    };
    let allow = ["--allow-production", "live"];
    let run = room
        .run("apply", &["second", "--to", &url, allow[0], allow[1]])
        .code(0)
        .id();
    rollback(&run, &[])
        .code(4)
        .says(&["is live", "--allow-production live"]);
    rollback(&run, &["--allow-production", "copies"]).code(4);
    rollback(&run, &["--check"]).code(0);
    let names = || {
        tests::db::ask(
            &room.path("live/t.db"),
            "SELECT count(*) FROM Item WHERE name = 'new'",
        )
    };
    assert_eq!(names(), "3");
    rollback(&run, &allow).code(0);
    assert_eq!(names(), "0");
    // By itself, after a failure: the leave to write is the leave to take back.
    tests::db::run(
        &room.path("live/t.db"),
        "CREATE TRIGGER no BEFORE UPDATE ON Item WHEN OLD.id = '3' BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    let args = [
        "second",
        "--to",
        &url,
        allow[0],
        allow[1],
        "--batch-size=1",
        "--on-failure=rollback",
    ];
    room.run("apply", &args).code(1);
    assert_eq!(names(), "0");
}

/// What writes to production beside a rollback by run ID asks for its name too; what only looks does not.
#[test]
fn a_restore_a_settlement_and_prune_ask_for_the_name_of_production_too() {
    let (room, url) = shop_in("live");
    let path = room.path("live/t.db");
    let allow = ["--allow-production", "live"];
    let run = ["second", "--snapshot", "--to", &url, allow[0], allow[1]];
    let run = room.run("apply", &run).code(0).id();
    let snapshot =
        format!("SELECT json_extract(snapshot, '$.path') FROM switchback_runs WHERE id = '{run}'");
    let snapshot = tests::db::ask(&path, &snapshot);
    let bytes = || std::fs::read(&path).unwrap();
    let asks = |args: &[&str], looks: Option<&str>| {
        let rollback = |more: &[&str]| {
            let args: Vec<&str> = args
                .iter()
                .chain(&["--to", &url])
                .chain(more)
                .copied()
                .collect();
            room.run("rollback", &args)
        };
        let before = bytes();
        let _ = rollback(&[])
            .code(4)
            .says(&["is live", "--allow-production live"]);
        let _ = rollback(&["--allow-production", "copies"]).code(4);
        if let Some(looks) = looks {
            let _ = rollback(&[looks]).code(0);
        }
        assert!(bytes() == before, "{args:?} wrote");
        assert!(std::path::Path::new(&snapshot).exists());
        let _ = rollback(&allow).code(0);
        assert!(bytes() != before, "{args:?} did nothing");
    };
    tests::db::run(
        &path,
        "UPDATE switchback_runs SET status = 'rollback-failed' WHERE seq = 2",
    );
    asks(&[&run, "--resolve", "by hand"], None);
    asks(&["--snapshot", &snapshot], Some("--check"));
    // The newest plan does not call it production; that of an earlier run does.
    room.mend("migration.toml", "production = true", "");
    items(&room, 5, 0);
    room.bundle("third");
    room.run("apply", &["third", "--to", &url]).code(0);
    asks(
        &["prune", "--now", "2999-01-01T00:00:00Z"],
        Some("--dry-run"),
    );
}

#[test]
fn a_rehearsal_is_no_production_even_where_every_path_is() {
    let room = shop("");
    room.mend("migration.toml", "sqlite:*/live/*", "sqlite:*");
    items(&room, 3, 0);
    room.bundle("second");
    room.on("apply", &["second"]).code(4);
    room.on("apply", &["second", "--rehearse"]).code(0);
}

#[test]
fn a_link_to_production_is_production() {
    let (room, _) = shop_in("live");
    std::os::unix::fs::symlink(room.path("live/t.db"), room.path("harmless.db")).unwrap();
    let url = format!("sqlite:{}", room.path("harmless.db").display());
    room.run("apply", &["second", "--to", &url])
        .code(4)
        .says(&["is live"]);
    room.run("apply", &["second", "--to", "sqlite:live/../live/t.db"])
        .code(4);
}

#[test]
fn the_first_environment_wins_and_a_name_that_is_not_the_targets_is_refused() {
    let (room, url) = shop_in("live/copies");
    room.run(
        "apply",
        &["second", "--to", &url, "--allow-production", "live"],
    )
    .code(4)
    .says(&["not production live", "it is copies"]);
    room.run("apply", &["second", "--to", &url])
        .code(0)
        .says(&["(copies)"]);
}
