//! Others at the same database: a second apply, a program that holds it, readers, a clock that jumps.

use std::fs;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use tests::lab::{Held, Lab, MARKS, Place, RUN, begins, run, tally};
use tests::{Case, Target, both, finish, spawn};

use crate::steps::steps;

const OTHER: &str = "01900000-0000-7000-8000-0000000000ff";

fn other(lab: &Lab, place: &Place) -> Command {
    let mut other = lab.apply(place);
    other.args(["--operator", "second"]);
    swap_run_id(&other)
}

/// The same command with another run ID.
fn swap_run_id(command: &Command) -> Command {
    let mut swapped = Command::new(command.get_program());
    swapped.args(
        command
            .get_args()
            .map(|arg| if arg == RUN { OTHER.as_ref() } else { arg }),
    );
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => swapped.env(name, value),
            None => swapped.env_remove(name),
        };
    }
    swapped.current_dir(command.get_current_dir().unwrap());
    swapped.stdin(std::process::Stdio::null());
    swapped
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    swapped
}

/// How often a race is run.
fn rounds(case: Case, sqlite: u64, postgres: u64) -> u64 {
    match case.target {
        Target::Sqlite => sqlite,
        Target::Postgres => postgres,
    }
}

fn of_two_applies_started_together_the_second_is_refused(case: Case) {
    let rounds = rounds(case, 50, 12);
    let lab = Lab::on(case.target);
    let steps = steps(&lab);
    // In its first batch, at another of its steps each time.
    let (first, second) = (begins(&steps, 2) + 1, begins(&steps, 3));
    for round in 0..rounds {
        let place = lab.place(&format!("round{round}"));
        let held = Held::at(
            &mut lab.apply(&place),
            first + round % (second - first),
            &place.path("gate"),
        );
        let refused = run(&mut other(&lab, &place), None).code(11);
        let _ = refused.says(&["Migration already in progress", RUN, "since"]);
        let _ = held.go().code(0);
        assert_eq!(place.db.dump(), lab.after);
        assert_eq!(place.db.ask("SELECT count(*) FROM switchback_runs"), "1");
        place.remove();
    }
    tally(case.test, rounds);
}

fn two_applies_that_race_leave_what_one_leaves(case: Case) {
    let rounds = rounds(case, 25, 8);
    let lab = Lab::on(case.target);
    for round in 0..rounds {
        let place = lab.place(&format!("round{round}"));
        let children = [
            spawn(&mut lab.apply(&place)),
            spawn(&mut other(&lab, &place)),
        ];
        let ends = children.map(|child| finish(child, None));
        let mut codes = ends.each_ref().map(|done| done.code);
        codes.sort_unstable();
        // The second is refused, or comes when the first is done, and finds nothing to do.
        assert!(matches!(codes, [0, 0 | 11]), "{ends:?}");
        assert_eq!(place.db.dump(), lab.after);
        place.remove();
    }
    tally(case.test, rounds);
}

fn a_process_stopped_past_its_lease_writes_nothing_more(case: Case) {
    let lab = Lab::on(case.target);
    let place = lab.place("stopped");
    let third_batch = begins(&steps(&lab), 4);
    let mut apply = lab.apply(&place);
    let held = Held::at(
        apply.env("SWITCHBACK_LEASE", "400"),
        third_batch,
        &place.path("gate"),
    );
    held.signal("STOP");
    let mut over = other(&lab, &place);
    over.arg("--take-over").env("SWITCHBACK_LEASE", "400");
    let early = run(&mut over, None);
    std::thread::sleep(Duration::from_millis(500));
    let _ = early.code(11).says(&["it is alive"]);
    let _ = run(&mut over, None).code(0);
    let (rows, ledger) = (place.db.dump(), tests::lab::ledger(&place.db));
    assert_eq!(rows, lab.after);
    held.signal("CONT");
    let _ = held.go().code(3).says(&["the lock was taken over"]);
    assert_eq!(place.db.dump(), rows, "it wrote rows");
    assert_eq!(
        tests::lab::ledger(&place.db),
        ledger,
        "it wrote to the ledger"
    );
    let status = format!("SELECT status FROM switchback_runs WHERE id = '{RUN}'");
    assert_eq!(place.db.ask(&status), "failed");
    for taken in [OTHER, RUN] {
        let _ = run(&mut Lab::rollback_by("rollback", &place, taken), None).code(0);
    }
    assert_eq!(place.db.dump(), lab.before);
}

both!(
    of_two_applies_started_together_the_second_is_refused,
    two_applies_that_race_leave_what_one_leaves,
    a_process_stopped_past_its_lease_writes_nothing_more,
);

/// Holds the database as another program would.
fn holding(place: &Place, how: &str) -> Connection {
    let connection = Connection::open(place.file()).unwrap();
    connection.execute_batch(how).unwrap();
    connection
}

fn busy_target(how: &str) {
    let lab = Lab::on(Target::Sqlite);
    let place = lab.place("busy");
    let held = holding(&place, how);
    let done = run(&mut lab.apply(&place), None);
    drop(held);
    let _ = done.code(5).says(&["busy", "another program"]);
    assert!(!place.run_is_there());
    assert_eq!(place.db.dump(), lab.before);
}

#[test]
fn a_database_that_another_program_writes_to_is_busy() {
    busy_target("BEGIN IMMEDIATE");
}

#[test]
fn a_database_that_another_program_locks_is_busy() {
    busy_target("BEGIN EXCLUSIVE");
}

/// Somebody takes the database in the middle of a run, for longer than we wait.
#[test]
fn a_database_that_gets_busy_during_the_run_stops_it() {
    let lab = Lab::on(Target::Sqlite);
    let place = lab.place("busy");
    let third_batch = begins(&steps(&lab), 4);
    let held = Held::at(&mut lab.apply(&place), third_batch, &place.path("gate"));
    let rival = holding(&place, "BEGIN IMMEDIATE");
    let done = held.go();
    drop(rival);
    let _ = done.code(3).says(&["busy", "--resume"]);
    assert_eq!(lab.judge(&place), 2);
    lab.mend(&place);
}

fn readers_see_whole_batches(mode: &str) {
    let lab = Lab::on(Target::Sqlite);
    let place = lab.place("read");
    place.db.sql(&format!("PRAGMA journal_mode = {mode}"));
    let query = format!(
        "SELECT {}",
        MARKS.map(|(query, _)| format!("({query})")).join(", ")
    );
    let reader = Connection::open(place.file()).unwrap();
    reader.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut child = spawn(&mut lab.apply(&place));
    let mut looks = 0;
    while child.try_wait().unwrap().is_none() {
        let row: Vec<String> = reader
            .query_row(&query, [], |row| {
                (0..MARKS.len())
                    .map(|at| row.get::<_, i64>(at).map(|n| n.to_string()))
                    .collect()
            })
            .unwrap();
        let stand = row.iter().take_while(|mark| *mark != "0").count();
        for (at, (mark, (_, whole))) in row.iter().zip(MARKS).enumerate() {
            assert_eq!(
                mark,
                if at < stand { whole } else { "0" },
                "batch {}",
                at + 1
            );
        }
        looks += 1;
    }
    assert!(looks > 0);
    let _ = finish(child, None).code(0);
    assert_eq!(place.db.dump(), lab.after);
}

#[test]
fn a_reader_sees_whole_batches_only() {
    readers_see_whole_batches("DELETE");
}

#[test]
fn a_reader_of_a_wal_database_sees_whole_batches_only() {
    readers_see_whole_batches("WAL");
}

/// A reader that stays keeps a rollback journal's commit waiting, and no longer than we wait.
#[test]
fn a_reader_that_stays_is_waited_for() {
    let lab = Lab::on(Target::Sqlite);
    let place = lab.place("read");
    let reader = holding(&place, "BEGIN; SELECT * FROM person");
    let child = spawn(&mut lab.apply(&place));
    std::thread::sleep(Duration::from_millis(700));
    reader.execute_batch("COMMIT").unwrap();
    let _ = finish(child, None).code(0);
    assert_eq!(place.db.dump(), lab.after);
}

/// The database is replaced by another file while apply has it open.
#[test]
fn a_database_that_is_replaced_meanwhile_is_not_written() {
    let lab = Lab::on(Target::Sqlite);
    let steps = steps(&lab);
    for (nth, code) in [(1, 5), (4, 3)] {
        let place = lab.place(&format!("replaced{nth}"));
        let held = Held::at(
            &mut lab.apply(&place),
            begins(&steps, nth),
            &place.path("gate"),
        );
        fs::rename(place.file(), place.path("old.db")).unwrap();
        fs::copy(lab.path("before.db"), place.file()).unwrap();
        let _ = held.go().code(code).says(&["replaced"]);
        assert_eq!(place.db.dump(), lab.before);
        assert!(!place.run_is_there());
        fs::rename(place.path("old.db"), place.file()).unwrap();
        assert_eq!(lab.judge(&place), nth as u64 * 2 / 3);
        lab.mend(&place);
    }
}

const TEN_YEARS: &str = "315360000000";

#[test]
fn a_clock_set_back_or_forward_keeps_nobody_out() {
    let lab = Lab::on(Target::Sqlite);
    let step = (begins(&steps(&lab), 4) + 3).to_string();
    for (then, now) in [("0", TEN_YEARS), (TEN_YEARS, "0")] {
        for (then, now) in [
            (then.to_owned(), now.to_owned()),
            (format!("-{then}"), format!("-{now}")),
        ] {
            let place = lab.place(&format!("clock{then}to{now}"));
            let mut apply = lab.apply(&place);
            apply
                .env("SWITCHBACK_CLOCK", &then)
                .env("SWITCHBACK_CRASH", format!("kill:{step}"));
            let _ = run(&mut apply, None).code(134);
            assert_eq!(lab.judge(&place), 2);
            let _ = run(lab.go_on(&place).env("SWITCHBACK_CLOCK", &now), None).code(0);
            assert_eq!(place.db.dump(), lab.after);
            // A run of a later number is newer, whatever the clock said.
            let mut again = other(&lab, &place);
            again.env("SWITCHBACK_CLOCK", &then);
            let _ = run(&mut again, None).code(0);
            let list = run(
                &mut tests::command("rollback", &place.folder, ["--to", &place.url]),
                None,
            );
            let (newer, older) = (list.err.find(OTHER).unwrap(), list.err.find(RUN).unwrap());
            assert!(newer < older, "{}", list.err);
            let _ = run(Lab::rollback(&place).env("SWITCHBACK_CLOCK", &then), None).code(0);
            assert_eq!(place.db.dump(), lab.before);
        }
    }
}
