//! A bank whose clerks go on moving money while a migration comes and goes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use postgres::error::SqlState;
use tests::postgres::Database;
use tests::{Done, Room, Seed, Target};

const PLAN: &str = r#"
name = "bank"
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
CREATE TABLE account (no integer PRIMARY KEY, owner text NOT NULL, balance bigint NOT NULL DEFAULT 0);
CREATE TABLE transfer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source integer, target integer, amount bigint);
INSERT INTO account SELECT no, 'nobody', 1000 FROM generate_series(1, 200) AS no;";

/// Every balance is what was there and what was moved since.
fn balanced(database: &Database) {
    // Who only looks is not to be what others fail to serialize with.
    let wrong = "BEGIN ISOLATION LEVEL REPEATABLE READ;
        SELECT count(*) FILTER (WHERE balance <> 1000
          + COALESCE((SELECT sum(amount) FROM transfer WHERE target = no), 0)
          - COALESCE((SELECT sum(amount) FROM transfer WHERE source = no), 0)), sum(balance)
        FROM account WHERE no <= 200";
    assert_eq!(database.ask(wrong), "0|200000", "money got lost");
}

/// Sends the clerks home, also when all else fails.
struct Closing<'a>(&'a AtomicBool);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Moves money until it is told to stop.
fn clerk(database: &Database, seed: u64, stop: &AtomicBool, moved: &AtomicU64) {
    let mut seed = Seed::fixed(seed);
    let mut session = database.session();
    while !stop.load(Ordering::SeqCst) {
        let (source, target) = (1 + seed.below(200), 1 + seed.below(200));
        if source == target {
            continue;
        }
        let transfer = format!(
            "BEGIN; UPDATE account SET balance = balance - 7 WHERE no = {source}; \
             UPDATE account SET balance = balance + 7 WHERE no = {target}; \
             INSERT INTO transfer (source, target, amount) VALUES ({source}, {target}, 7); COMMIT"
        );
        match session.batch_execute(&transfer) {
            Ok(()) => {
                moved.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                let expected = [
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::T_R_SERIALIZATION_FAILURE,
                ];
                assert!(expected.contains(error.code().unwrap()), "{error}");
                session.batch_execute("ROLLBACK").unwrap();
            }
        }
    }
}

#[test]
fn money_that_is_moved_during_apply_and_rollback_is_not_lost() {
    with_clerks(&Database::with(TABLES));
}

/// All who say nothing else work in serializable transactions.
#[test]
fn money_that_is_moved_in_serializable_transactions_is_not_lost() {
    let database = Database::with(TABLES);
    database.sql(&format!(
        "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'",
        database.name
    ));
    with_clerks(&database);
}

/// Applies and takes back while clerks are at work.
fn with_clerks(database: &Database) {
    let room = Room::new(Target::Sqlite);
    room.write("migration.toml", PLAN);
    let line = |no: u32| format!("{no},owner {no}\n");
    let lines: String = (1..=400).map(line).collect();
    room.write("accounts.csv", format!("no,owner\n{lines}"));
    room.bundle("B");
    let (stop, moved) = (AtomicBool::new(false), AtomicU64::new(0));
    let url = database.url();
    let during = |work: &dyn Fn() -> Done| {
        let before = moved.load(Ordering::SeqCst);
        let done = work().code(0);
        assert!(moved.load(Ordering::SeqCst) > before, "nobody was at work");
        balanced(database);
        done
    };
    std::thread::scope(|scope| {
        let _closing = Closing(&stop);
        for seed in 1..=3 {
            let (stop, moved) = (&stop, &moved);
            scope.spawn(move || clerk(database, seed, stop, moved));
        }
        let run = during(&|| room.run("apply", &["B", "--to", &url, "--batch-size", "10"])).id();
        let owners = "SELECT count(*) FROM account WHERE owner = 'owner ' || no";
        assert_eq!(database.ask(owners), "400");
        let back = ["--to", &url, "--batch-size", "10"];
        let _ = during(&|| room.run("rollback", &[&[&*run], &back[..]].concat()));
    });
    balanced(database);
    let kept = "SELECT count(*), count(*) FILTER (WHERE owner = 'nobody') FROM account";
    assert_eq!(database.ask(kept), "200|200");
}
