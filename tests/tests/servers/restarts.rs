//! The server goes while a program is at work, and comes back.

use tests::lab::{Held, Lab, each, judge_exit, names, spread};
use tests::postgres::Server;

/// Holds apply at a step, has the server go, and come back before apply goes on or after.
fn while_apply_works(test: &str, enough: usize, go_away: fn(&Server)) {
    let server = Server::start("");
    let lab = Lab::on_server(&server);
    let place = lab.place("count");
    let steps = names(&mut lab.apply(&place), &place).len();
    let points = (1..=steps)
        .flat_map(|step| [format!("{step}:back"), format!("{step}:gone")])
        .collect();
    each(test, spread(points, enough), |point| {
        let (step, when) = point.split_once(':').unwrap();
        let place = lab.place(point);
        let held = Held::at(
            &mut lab.apply(&place),
            step.parse().unwrap(),
            &place.path("gate"),
        );
        go_away(&server);
        let done = if when == "back" {
            server.boot();
            held.go()
        } else {
            let done = held.go();
            server.boot();
            done
        };
        lab.judge(&place);
        judge_exit(&done, false, &place);
        lab.mend(&place);
        place.remove();
    });
}

#[test]
fn a_server_that_is_stopped_and_started_in_mid_run() {
    let test = "restarts::a_server_that_is_stopped_and_started_in_mid_run";
    while_apply_works(test, 5, |server| server.stop("fast"));
}

#[test]
fn a_server_that_is_killed_in_mid_run() {
    let test = "restarts::a_server_that_is_killed_in_mid_run";
    while_apply_works(test, 5, Server::kill);
}
