//! The backend that serves a program is ended, or killed, while the program is at each of its steps.

use std::process::Command;

use tests::lab::{Held, Lab, Place, each, judge_exit, names, spread};
use tests::postgres::{Server, kill};
use tests::{Db, Target};

/// Ends our backends in the orderly way; the server goes on.
fn terminate(place: &Place) {
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name LIKE 'switchback%' AND datname = current_database()";
    let _ = place.db.ask(end);
}

/// Kills one of our backends: the server ends all others too, and recovers.
fn shoot(place: &Place) {
    let pids = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'switchback%' \
                AND datname = current_database()";
    let pids = place.db.rows(pids);
    if let (Db::Postgres(database), Some(row)) = (&place.db, pids.first()) {
        kill("KILL", &row[0]);
        database.server.recovered();
    }
}

fn points(steps: &[String], enough: usize) -> Vec<String> {
    assert!(steps.len() > 50, "are the crash points there?");
    spread(
        (1..=steps.len()).map(|step| step.to_string()).collect(),
        enough,
    )
}

fn held(command: &mut Command, point: &str, place: &Place) -> Held {
    Held::at(command, point.parse().unwrap(), &place.path("gate"))
}

fn apply_loses_its_backend(test: &str, lab: &Lab, enough: usize, how: fn(&Place)) {
    let place = lab.place("count");
    let steps = names(&mut lab.apply(&place), &place);
    each(test, points(&steps, enough), |point| {
        let place = lab.place(point);
        let held = held(&mut lab.apply(&place), point, &place);
        how(&place);
        let done = held.go();
        lab.judge(&place);
        judge_exit(&done, false, &place);
        lab.mend(&place);
        place.remove();
    });
}

fn rollback_loses_its_backend(test: &str, lab: &Lab, enough: usize, how: fn(&Place)) {
    let place = lab.applied("count");
    let steps = names(&mut Lab::rollback(&place), &place);
    each(test, points(&steps, enough), |point| {
        let place = lab.applied(point);
        let held = held(&mut Lab::rollback(&place), point, &place);
        how(&place);
        let done = held.go();
        assert!(
            matches!(done.code, 0 | 3 | 5),
            "exit {}: {}",
            done.code,
            done.err
        );
        lab.judge_undone(&place);
        lab.take_back(&place);
        place.remove();
    });
}

#[test]
fn apply_whose_backend_is_ended_at_any_step_is_resumed() {
    let test = "backends::apply_whose_backend_is_ended_at_any_step_is_resumed";
    apply_loses_its_backend(test, &Lab::on(Target::Postgres), 12, terminate);
}

#[test]
fn rollback_whose_backend_is_ended_at_any_step_is_resumed() {
    let test = "backends::rollback_whose_backend_is_ended_at_any_step_is_resumed";
    rollback_loses_its_backend(test, &Lab::on(Target::Postgres), 8, terminate);
}

#[test]
fn apply_whose_backend_is_killed_at_any_step_is_resumed() {
    let test = "backends::apply_whose_backend_is_killed_at_any_step_is_resumed";
    apply_loses_its_backend(test, &Lab::on_server(&Server::start("")), 6, shoot);
}

#[test]
fn rollback_whose_backend_is_killed_at_any_step_is_resumed() {
    let test = "backends::rollback_whose_backend_is_killed_at_any_step_is_resumed";
    rollback_loses_its_backend(test, &Lab::on_server(&Server::start("")), 4, shoot);
}
