//! The connection is cut in each direction, a COMMIT or its answer gets lost, or nothing is said any
//! more.

use std::time::{Duration, Instant};

use tests::Target;
use tests::lab::{Lab, Place, RUN, each, forget_numbers, judge_exit, run, spread};

use crate::proxy::{Break, Proxy};

/// Puts a proxy before a place's server.
fn by(place: &mut Place, broken: Break) -> Proxy {
    let database = place.db.postgres();
    let proxy = Proxy::new(database.server.port, broken);
    place.url = format!("{}?commit_timeout=1", database.url_at(proxy.port));
    proxy
}

fn cuts((up, down): (u64, u64), enough: usize) -> Vec<String> {
    let mut points = Vec::new();
    for (way, bytes) in [("up", up), ("down", down)] {
        for how in ["end", "reset"] {
            let all = (0..bytes).map(|at| format!("{way}:{how}:{at}")).collect();
            points.extend(spread(all, enough));
        }
    }
    points
}

fn parsed(point: &str) -> Break {
    let words: Vec<&str> = point.split(':').collect();
    Break::Byte {
        up: words[0] == "up",
        at: words[2].parse().unwrap(),
        reset: words[1] == "reset",
    }
}

#[test]
fn apply_cut_at_any_byte_is_resumed() {
    let lab = Lab::on(Target::Postgres);
    let mut place = lab.place("count");
    let proxy = by(&mut place, Break::Never);
    let _ = run(&mut lab.apply_by("apply", &place), None).code(0);
    let test = "cuts::apply_cut_at_any_byte_is_resumed";
    each(test, cuts(proxy.bytes(), 5), |point| {
        let mut place = lab.place(point);
        let direct = place.url.clone();
        let _proxy = by(&mut place, parsed(point));
        let done = run(&mut lab.apply_by("apply", &place), None);
        // What was not met by now would break what follows.
        place.url = direct;
        lab.judge(&place);
        judge_exit(&done, false, &place);
        lab.mend(&place);
        place.remove();
    });
}

#[test]
fn rollback_cut_at_any_byte_is_resumed() {
    let lab = Lab::on(Target::Postgres);
    let mut place = lab.applied("count");
    let proxy = by(&mut place, Break::Never);
    let _ = run(&mut Lab::rollback_by("rollback", &place, RUN), None).code(0);
    let test = "cuts::rollback_cut_at_any_byte_is_resumed";
    each(test, cuts(proxy.bytes(), 3), |point| {
        let mut place = lab.applied(point);
        let direct = place.url.clone();
        let _proxy = by(&mut place, parsed(point));
        let done = run(&mut Lab::rollback_by("rollback", &place, RUN), None);
        place.url = direct;
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

/// Breaks apply's connection at a COMMIT, and judges what it then says.
fn at_each_commit(test: &str, enough: usize, broken: impl Fn(u64) -> Break) {
    let lab = Lab::on(Target::Postgres);
    let mut place = lab.place("count");
    let proxy = by(&mut place, Break::Never);
    let _ = run(&mut lab.apply_by("crash/apply", &place), None).code(0);
    let all = (1..=proxy.commits()).map(|nth| nth.to_string()).collect();
    each(test, spread(all, enough), |point| {
        let mut place = lab.place(point);
        let proxy = by(&mut place, broken(point.parse().unwrap()));
        let began = Instant::now();
        let done = run(&mut lab.apply_by("crash/apply", &place), None);
        assert!(began.elapsed() < Duration::from_secs(30), "it waits");
        assert!(proxy.broke());
        // What stands is not known, or was found out on a fresh connection.
        if done.code != 0 {
            let _ = done.clone().code(3).says(&["--resume"]);
        }
        if let Break::CommitInHole(_) = broken(1) {
            // Nobody told the server that its client is gone.
            let idle = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                        WHERE application_name LIKE 'switchback%' AND datname = current_database()";
            let _ = place.db.ask(idle);
        }
        lab.judge(&place);
        forget_numbers(&place.db);
        lab.mend(&place);
        place.remove();
    });
}

#[test]
fn a_commit_that_is_lost_is_decided_by_the_ledger() {
    let test = "cuts::a_commit_that_is_lost_is_decided_by_the_ledger";
    at_each_commit(test, 4, Break::Commit);
}

#[test]
fn a_commit_whose_answer_is_lost_is_decided_by_the_ledger() {
    let test = "cuts::a_commit_whose_answer_is_lost_is_decided_by_the_ledger";
    at_each_commit(test, 6, Break::Answer);
}

#[test]
fn a_commit_that_nobody_answers_ends_at_its_deadline() {
    let test = "cuts::a_commit_that_nobody_answers_ends_at_its_deadline";
    at_each_commit(test, 2, Break::CommitInHole);
}

#[test]
fn a_commit_whose_answer_never_comes_ends_at_its_deadline() {
    let test = "cuts::a_commit_whose_answer_never_comes_ends_at_its_deadline";
    at_each_commit(test, 3, Break::AnswerInHole);
}
