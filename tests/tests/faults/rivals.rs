//! Other runs at the same database, and a clock that jumps.

use std::process::Command;
use std::time::Duration;

use tests::lab::{Held, Lab, Place, RUN, begins, run, tally};
use tests::{Case, both, finish, spawn};

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

fn of_two_applies_started_together_the_second_is_refused(case: Case) {
    let rounds = case.either(50, 12);
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
    let rounds = case.either(25, 8);
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

const TEN_YEARS: &str = "315360000000";

fn a_clock_set_back_or_forward_keeps_nobody_out(case: Case) {
    let lab = Lab::on(case.target);
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

both!(
    of_two_applies_started_together_the_second_is_refused,
    two_applies_that_race_leave_what_one_leaves,
    a_process_stopped_past_its_lease_writes_nothing_more,
    a_clock_set_back_or_forward_keeps_nobody_out,
);
