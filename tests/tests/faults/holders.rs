//! Other programs at the same database: they hold it, read it, or put another in its place.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use ::postgres::Client;
use rusqlite::Connection;
use tests::lab::{Held, Lab, MARKS, Place, begins, judge_exit, run};
use tests::postgres::Database;
use tests::{Case, Db, Target, both, finish, spawn};

use crate::steps::steps;

/// Another program's session, which holds what it took as long as this lives.
enum Rival {
    Sqlite(Connection),
    Postgres(Client),
}

impl Rival {
    fn new(place: &Place, how: &str) -> Self {
        let mut rival = match &place.db {
            Db::Sqlite(file) => Self::Sqlite(Connection::open(file).unwrap()),
            Db::Postgres(database) => Self::Postgres(database.session()),
        };
        rival.does(how);
        rival
    }

    fn does(&mut self, sql: &str) {
        match self {
            Self::Sqlite(connection) => connection.execute_batch(sql).unwrap(),
            Self::Postgres(client) => client.batch_execute(sql).unwrap(),
        }
    }
}

/// Somebody has the database before the run begins: nothing is written but, on a server, that a run began.
fn busy_target(case: Case, how: &str, code: i32) {
    let lab = Lab::on(case.target);
    let mut place = lab.place("busy");
    place.url += case.either("", "?lock_timeout=300ms");
    let rival = Rival::new(&place, how);
    let done = run(&mut lab.apply(&place), None);
    drop(rival);
    judge_exit(&done, false, &place);
    let who = case.either("another program", "lock timeout");
    let _ = done.code(code).says(&["busy", who]);
    assert_eq!(lab.judge(&place), 0);
    lab.mend(&place);
}

fn a_database_that_another_program_writes_to_is_busy(case: Case) {
    let rows = "BEGIN; UPDATE person SET note = 'x'; UPDATE leaver SET name = 'x'";
    busy_target(
        case,
        case.either("BEGIN IMMEDIATE", rows),
        case.either(5, 3),
    );
}

fn a_database_that_another_program_locks_is_busy(case: Case) {
    let all = "BEGIN; LOCK TABLE person, visit, leaver IN ACCESS EXCLUSIVE MODE";
    busy_target(case, case.either("BEGIN EXCLUSIVE", all), 5);
}

/// Somebody takes the database in the middle of a run, for longer than we wait.
fn a_database_that_gets_busy_during_the_run_stops_it(case: Case) {
    let lab = Lab::on(case.target);
    let mut place = lab.place("busy");
    place.url += case.either("", "?lock_timeout=300ms");
    let third_batch = begins(&steps(&lab), 4);
    let held = Held::at(&mut lab.apply(&place), third_batch, &place.path("gate"));
    let tables = "BEGIN; LOCK TABLE visit IN EXCLUSIVE MODE";
    let rival = Rival::new(&place, case.either("BEGIN IMMEDIATE", tables));
    let done = held.go();
    drop(rival);
    let _ = done.code(3).says(&["busy", "--resume"]);
    assert_eq!(lab.judge(&place), 2);
    lab.mend(&place);
}

fn readers_see_whole_batches(target: Target, mode: &str) {
    let lab = Lab::on(target);
    let place = lab.place("read");
    let query = format!(
        "SELECT {}",
        MARKS.map(|(query, _)| format!("({query})")).join(", ")
    );
    let mut look: Box<dyn FnMut() -> Vec<i64>> = match &place.db {
        Db::Sqlite(file) => {
            place.db.sql(&format!("PRAGMA journal_mode = {mode}"));
            let reader = Connection::open(file).unwrap();
            reader.busy_timeout(Duration::from_secs(5)).unwrap();
            Box::new(move || {
                let marks = reader.query_row(&query, [], |row| {
                    (0..MARKS.len()).map(|at| row.get(at)).collect()
                });
                marks.unwrap()
            })
        }
        Db::Postgres(database) => {
            let mut reader = database.session();
            Box::new(move || {
                let row = reader.query_one(&query, &[]).unwrap();
                (0..MARKS.len()).map(|at| row.get(at)).collect()
            })
        }
    };
    let mut child = spawn(&mut lab.apply(&place));
    let mut seen = BTreeSet::new();
    while child.try_wait().unwrap().is_none() {
        let marks = look();
        let stand = marks.iter().take_while(|mark| **mark != 0).count();
        for (at, (mark, (_, whole))) in marks.iter().zip(MARKS).enumerate() {
            let expected = if at < stand { whole } else { "0" };
            assert_eq!(mark.to_string(), expected, "batch {}", at + 1);
        }
        seen.insert(stand);
    }
    assert!(seen.len() > 1, "seen were only {seen:?} batches");
    let _ = finish(child, None).code(0);
    assert_eq!(place.db.dump(), lab.after);
}

fn a_reader_sees_whole_batches_only(case: Case) {
    readers_see_whole_batches(case.target, "DELETE");
}

#[test]
fn a_reader_of_a_wal_database_sees_whole_batches_only() {
    readers_see_whole_batches(Target::Sqlite, "WAL");
}

/// A reader that stays keeps a rollback journal's commit waiting, and no longer than we wait; on a server
/// it keeps nobody waiting, and goes on to see what it saw.
fn a_reader_that_stays_is_waited_for(case: Case) {
    let lab = Lab::on(case.target);
    let place = lab.place("read");
    let begin = case.either("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ");
    let mut reader = Rival::new(&place, &format!("{begin}; SELECT * FROM person"));
    let child = spawn(&mut lab.apply(&place));
    match &mut reader {
        Rival::Sqlite(connection) => {
            std::thread::sleep(Duration::from_millis(700));
            connection.execute_batch("COMMIT").unwrap();
            let _ = finish(child, None).code(0);
        }
        Rival::Postgres(client) => {
            let _ = finish(child, None).code(0);
            let count = client.query_one("SELECT count(*) FROM person", &[]);
            assert_eq!(count.unwrap().get::<_, i64>(0), 1);
        }
    }
    assert_eq!(place.db.dump(), lab.after);
}

/// Puts another database, as it was before the run, in the place of the one that apply has open, and the
/// way back. From a server's nobody is let go but by the server.
fn replaced(lab: &Lab, place: &Place, nth: usize) -> Box<dyn Fn()> {
    match &place.db {
        Db::Sqlite(file) => {
            let (file, old) = (file.clone(), place.path("old.db"));
            fs::rename(&file, &old).unwrap();
            fs::copy(lab.path("before.db"), &file).unwrap();
            Box::new(move || fs::rename(&old, &file).unwrap())
        }
        Db::Postgres(database) => {
            let other = lab.place(&format!("other{nth}"));
            let (name, other) = (database.name.clone(), other.db.postgres().name.clone());
            let server = Database::named(&database.server, "postgres");
            let end = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            );
            server.sql(&end);
            database.settle();
            let swap = move || {
                server.sql(&format!(
                    "ALTER DATABASE {name} RENAME TO swap; ALTER DATABASE {other} RENAME TO {name};
                     ALTER DATABASE swap RENAME TO {other}"
                ));
            };
            swap();
            Box::new(swap)
        }
    }
}

/// The database is replaced by another one while apply has it open.
fn a_database_that_is_replaced_meanwhile_is_not_written(case: Case) {
    let lab = Lab::on(case.target);
    let steps = steps(&lab);
    for (nth, code) in [(1, 5), (4, 3)] {
        let place = lab.place(&format!("replaced{nth}"));
        let held = Held::at(
            &mut lab.apply(&place),
            begins(&steps, nth),
            &place.path("gate"),
        );
        let put_back = replaced(&lab, &place, nth);
        let says = case.either("replaced", "administrator command");
        let _ = held.go().code(code).says(&[says]);
        assert_eq!(place.db.dump(), lab.before);
        assert!(!place.run_is_there());
        put_back();
        assert_eq!(lab.judge(&place), nth as u64 * 2 / 3);
        lab.mend(&place);
    }
}

both!(
    a_database_that_another_program_writes_to_is_busy,
    a_database_that_another_program_locks_is_busy,
    a_database_that_gets_busy_during_the_run_stops_it,
    a_reader_sees_whole_batches_only,
    a_reader_that_stays_is_waited_for,
    a_database_that_is_replaced_meanwhile_is_not_written,
);
