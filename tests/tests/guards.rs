//! Guards: where a run may write, and how much. Each is caused, and left just below.

use tests::{Case, Db, Done, Room};

tests::both!(
    change_rows_is_the_most_rows_of_a_table_that_a_run_updates,
    change_percent_is_of_the_rows_that_were_there,
    delete_rows_is_the_most_rows_of_a_table_that_a_run_deletes,
    delete_percent_is_of_the_rows_that_were_there,
    rows_that_the_run_inserts_count_for_no_limit,
    a_resumed_run_counts_what_it_changed_before,
    production_is_written_only_when_asked_by_its_exact_name,
    a_run_is_taken_back_from_production_only_when_asked_by_name,
    a_restore_a_settlement_and_prune_ask_for_the_name_of_production_too,
    a_rehearsal_is_no_production_even_where_every_path_is,
    a_link_to_production_is_production,
    the_first_environment_wins_and_a_name_that_is_not_the_targets_is_refused,
);

const PLAN: &str = r#"
name = "items"
system = "shop"

[[environment]]
name = "copies"
match = ["sqlite:*/copies/*", "postgres://*/*copies_*"]

[[environment]]
name = "live"
match = ["sqlite:*/live/*", "postgres://*/live_*"]
production = true

[[entity]]
name = "item"
table = "item"
id = { column = "id", from = "key" }
op = { from = "op", values = { put = "put", gone = "delete" } }
source = { format = "csv", files = ["items.csv"], key = "id" }
fields.name = { from = "name" }

[limits]
"#;

/// A shop whose 20 items an earlier run brought.
fn shop(case: Case, limits: &str) -> Room {
    let sql = "CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT NOT NULL)";
    let room = Room::with(case, &format!("{PLAN}{limits}\n"), &[], sql);
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
fn run(case: Case, limits: &str, changed: usize, gone: usize, flags: &[&str]) -> (Room, Done) {
    let room = shop(case, limits);
    items(&room, changed, gone);
    room.bundle("second");
    let args: Vec<&str> = ["second"].iter().chain(flags).copied().collect();
    let done = room.on("apply", &args);
    (room, done)
}

/// Runs below and above a limit: the one above is refused before any write, live and dry.
#[track_caller]
fn holds(case: Case, limits: &str, at: (usize, usize), above: (usize, usize), says: &str) {
    let (room, done) = run(case, limits, at.0, at.1, &[]);
    done.code(0);
    let left = (20 - at.1).to_string();
    assert_eq!(room.ask("SELECT count(*) FROM item"), left);
    for flags in [&[][..], &["--dry-run"], &["--batch-size=3"]] {
        let (room, done) = run(case, limits, above.0, above.1, flags);
        done.code(4).says(&[says, "nothing was written"]);
        assert_eq!(
            room.ask("SELECT count(*) FROM item WHERE name = 'old'"),
            "20"
        );
        assert_eq!(
            room.ask("SELECT count(*) FROM switchback_runs"),
            "1",
            "no run was begun"
        );
    }
}

fn change_rows_is_the_most_rows_of_a_table_that_a_run_updates(case: Case) {
    holds(
        case,
        "change_rows = 5",
        (5, 8),
        (6, 0),
        "item: 6 rows changed, change_rows is 5",
    );
}

fn change_percent_is_of_the_rows_that_were_there(case: Case) {
    let says = "item: 6 of 20 rows changed (30.0 %), change_percent is 25";
    holds(case, "change_percent = 25", (5, 8), (6, 0), says);
}

fn delete_rows_is_the_most_rows_of_a_table_that_a_run_deletes(case: Case) {
    holds(
        case,
        "delete_rows = 5",
        (8, 5),
        (0, 6),
        "item: 6 rows deleted, delete_rows is 5",
    );
}

fn delete_percent_is_of_the_rows_that_were_there(case: Case) {
    let says = "item: 6 of 20 rows deleted (30.0 %), delete_percent is 25";
    holds(case, "delete_percent = 25", (8, 5), (0, 6), says);
}

fn rows_that_the_run_inserts_count_for_no_limit(case: Case) {
    let room = shop(
        case,
        "change_rows = 0\nchange_percent = 0\ndelete_rows = 0\ndelete_percent = 0",
    );
    room.write("items.csv", "op,id,name\nput,21,new\nput,22,new\n");
    room.bundle("more");
    room.apply("more");
    assert_eq!(room.ask("SELECT count(*) FROM item"), "22");
}

fn a_resumed_run_counts_what_it_changed_before(case: Case) {
    let room = shop(case, "change_rows = 5");
    items(&room, 5, 0);
    room.bundle("second");
    room.db.refuse("UPDATE", "item", "OLD.id = '4'", "no");
    room.on("apply", &["second", "--batch-size=1"]).code(3);
    room.db.allow("item");
    room.on("apply", &["second", "--resume=auto"]).code(0);
    assert_eq!(
        room.ask("SELECT count(*) FROM item WHERE name = 'new'"),
        "5"
    );
}

/// A shop whose path, or whose database's name, tells the environment.
fn shop_in(case: Case, folder: &str) -> Room {
    let mut room = shop(case, "");
    room.db = match &room.db {
        Db::Sqlite(_) => {
            room.write(&format!("{folder}/.keep"), "");
            room.db.copy(&room.path(&format!("{folder}/t.db")))
        }
        Db::Postgres(database) => {
            let name = format!("{}_{}", folder.replace('/', "_"), database.name);
            Db::Postgres(database.renamed(&name))
        }
    };
    items(&room, 3, 0);
    room.bundle("second");
    room
}

const NEW: &str = "SELECT count(*) FROM item WHERE name = 'new'";

fn production_is_written_only_when_asked_by_its_exact_name(case: Case) {
    let room = shop_in(case, "live");
    let apply = |more: &[&str]| room.on("apply", &[&["second"], more].concat());
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
    assert_eq!(room.ask("SELECT count(*) FROM switchback_runs"), "1");
    let done = apply(&["--allow-production", "live"])
        .code(0)
        .says(&["(live)"]);
    let environment = format!(
        "SELECT environment FROM switchback_runs WHERE id = '{}'",
        done.id()
    );
    assert_eq!(room.ask(&environment), "live");
}

fn a_run_is_taken_back_from_production_only_when_asked_by_name(case: Case) {
    let room = shop_in(case, "live");
    let rollback = |run: &str, more: &[&str]| room.on("rollback", &[&[run], more].concat());
    let allow = ["--allow-production", "live"];
    let run = room.on("apply", &["second", allow[0], allow[1]]);
    let run = run.code(0).id();
    rollback(&run, &[])
        .code(4)
        .says(&["is live", "--allow-production live"]);
    rollback(&run, &["--allow-production", "copies"]).code(4);
    rollback(&run, &["--check"]).code(0);
    assert_eq!(room.ask(NEW), "3");
    rollback(&run, &allow).code(0);
    assert_eq!(room.ask(NEW), "0");
    // By itself, after a failure: the leave to write is the leave to take back.
    room.db.refuse("UPDATE", "item", "OLD.id = '3'", "no");
    let args = [
        "second",
        allow[0],
        allow[1],
        "--batch-size=1",
        "--on-failure=rollback",
    ];
    room.on("apply", &args).code(1);
    assert_eq!(room.ask(NEW), "0");
}

/// What writes to production beside a rollback by run ID asks for its name too; what only looks does not.
fn a_restore_a_settlement_and_prune_ask_for_the_name_of_production_too(case: Case) {
    let room = shop_in(case, "live");
    let allow = ["--allow-production", "live"];
    let run = ["second", "--snapshot", allow[0], allow[1]];
    let run = room.on("apply", &run).code(0).id();
    let snapshot = room.ask(&format!(
        "SELECT snapshot ->> 'path' FROM switchback_runs WHERE id = '{run}'"
    ));
    let asks = |args: &[&str], looks: Option<&str>| {
        let rollback = |more: &[&str]| room.on("rollback", &[args, more].concat());
        let before = room.db.everything();
        let _ = rollback(&[])
            .code(4)
            .says(&["is live", "--allow-production live"]);
        let _ = rollback(&["--allow-production", "copies"]).code(4);
        if let Some(looks) = looks {
            let _ = rollback(&[looks]).code(0);
        }
        assert!(room.db.everything() == before, "{args:?} wrote");
        assert!(std::path::Path::new(&snapshot).exists());
        let _ = rollback(&allow).code(0);
        assert!(room.db.everything() != before, "{args:?} did nothing");
    };
    room.sql("UPDATE switchback_runs SET status = 'rollback-failed' WHERE seq = 2");
    asks(&[&run, "--resolve", "by hand"], None);
    asks(&["--snapshot", &snapshot], Some("--check"));
    // The newest plan does not call it production; that of an earlier run does.
    room.mend("migration.toml", "production = true", "");
    items(&room, 5, 0);
    room.bundle("third");
    room.apply("third");
    asks(
        &["prune", "--now", "2999-01-01T00:00:00Z"],
        Some("--dry-run"),
    );
}

fn a_rehearsal_is_no_production_even_where_every_path_is(case: Case) {
    let room = shop(case, "");
    let pattern = case.either(["sqlite:*/live/*", "sqlite:*"], ["*/live_*", "*"]);
    room.mend("migration.toml", pattern[0], pattern[1]);
    items(&room, 3, 0);
    room.bundle("second");
    room.on("apply", &["second"]).code(4);
    room.on("apply", &["second", "--rehearse"]).code(0);
    assert_eq!(room.ask(NEW), "0");
}

fn a_link_to_production_is_production(case: Case) {
    let room = shop_in(case, "live");
    let others = match &room.db {
        Db::Sqlite(path) => {
            std::os::unix::fs::symlink(path, room.path("harmless.db")).unwrap();
            let link = format!("sqlite:{}", room.path("harmless.db").display());
            [link, "sqlite:live/../live/t.db".into()]
        }
        Db::Postgres(database) => [
            database.socket_url(),
            room.url().replace("127.0.0.1", "localhost"),
        ],
    };
    for url in others {
        room.run("apply", &["second", "--to", &url])
            .code(4)
            .says(&["is live"]);
    }
}

fn the_first_environment_wins_and_a_name_that_is_not_the_targets_is_refused(case: Case) {
    let room = shop_in(case, "live/copies");
    room.on("apply", &["second", "--allow-production", "live"])
        .code(4)
        .says(&["not production live", "it is copies"]);
    room.on("apply", &["second"]).code(0).says(&["(copies)"]);
}
