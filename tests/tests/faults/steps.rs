//! Layer 1: the crash points in `store` and `contract`. The program dies, or a call fails, once or
//! from then on, at the Nth of all its steps.

use std::fs;
use std::process::Command;

use tests::{Done, Seed};

use crate::lab::{Lab, Place, run};
use crate::points::{each, long};

/// Runs a command that counts its steps, and returns their names.
fn names(command: &mut Command, place: &Place) -> Vec<String> {
    let file = place.0.join("steps");
    let asked = format!("count:{}", file.display());
    let _ = run(command.env("SWITCHBACK_CRASH", asked), None).code(0);
    let steps = fs::read_to_string(file).unwrap();
    steps.lines().map(str::to_owned).collect()
}

pub fn count(command: &mut Command, place: &Place) -> u64 {
    names(command, place).len() as u64
}

/// Returns the steps of an undisturbed apply.
pub fn steps(lab: &Lab) -> Vec<String> {
    let place = lab.place("steps");
    names(&mut lab.apply(&place), &place)
}

pub fn points(kind: &str, steps: u64) -> impl Iterator<Item = String> {
    assert!(
        steps > 50,
        "only {steps} steps: are the crash points there?"
    );
    let kind = kind.to_owned();
    (1..=steps).map(move |step| format!("{kind}:{step}"))
}

/// What an exit code says must be so.
pub fn judge_exit(done: &Done, point: &str, place: &Place) {
    match done.code {
        0 => assert_eq!(place.status(), "completed"),
        5 => assert!(
            !place.run_is_there(),
            "exit 5, but the run has begun: {}",
            done.err
        ),
        3 => assert!(place.run_is_there(), "exit 3, but nothing was written"),
        134 | 137 if point.to_lowercase().starts_with("kill") => {}
        other => panic!("exit {other}: {}", done.err),
    }
}

fn apply_at_every_step(test: &str, kind: &str) {
    let lab = Lab::new();
    let place = lab.place("count");
    let steps = count(&mut lab.apply(&place), &place);
    each(test, points(kind, steps), |point| {
        let place = lab.place(point);
        let done = run(lab.apply(&place).env("SWITCHBACK_CRASH", point), None);
        lab.judge(&place);
        judge_exit(&done, point, &place);
        lab.mend(&place);
        place.remove();
    });
}

#[test]
fn apply_killed_at_every_step() {
    apply_at_every_step("steps::apply_killed_at_every_step", "kill");
}

#[test]
fn apply_with_every_call_failing_once() {
    apply_at_every_step("steps::apply_with_every_call_failing_once", "fail");
}

#[test]
fn apply_with_all_calls_failing_from_every_step_on() {
    apply_at_every_step(
        "steps::apply_with_all_calls_failing_from_every_step_on",
        "dead",
    );
}

/// Two faults: the first stops the run, the second what goes on with it.
#[test]
fn a_resumed_apply_killed_again() {
    let lab = Lab::new();
    let place = lab.place("count");
    let steps = count(&mut lab.apply(&place), &place);
    let mut seed = Seed::fixed(2);
    let pairs: Vec<String> = (0..if long() { 2000 } else { 100 })
        .map(|_| {
            let kind = ["kill", "fail"][usize::from(seed.below(2) == 1)];
            format!(
                "kill:{}+{kind}:{}",
                1 + seed.below(steps),
                1 + seed.below(steps)
            )
        })
        .collect();
    each("steps::a_resumed_apply_killed_again", pairs, |point| {
        let place = lab.place(point);
        let (first, second) = point.split_once('+').unwrap();
        let _ = run(lab.apply(&place).env("SWITCHBACK_CRASH", first), None);
        let stood = lab.judge(&place);
        let _ = run(lab.go_on(&place).env("SWITCHBACK_CRASH", second), None);
        assert!(lab.judge(&place) >= stood, "a batch that stood is gone");
        lab.mend(&place);
        place.remove();
    });
}

fn rollback_at_every_step(test: &str, kind: &str) {
    let lab = Lab::new();
    let place = lab.copy_of("after.db", "count");
    let steps = count(&mut Lab::rollback(&place), &place);
    each(test, points(kind, steps), |point| {
        let place = lab.copy_of("after.db", point);
        let done = run(Lab::rollback(&place).env("SWITCHBACK_CRASH", point), None);
        assert!(
            matches!(done.code, 0 | 3 | 5 | 134),
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
fn rollback_killed_at_every_step() {
    rollback_at_every_step("steps::rollback_killed_at_every_step", "kill");
}

#[test]
fn rollback_with_every_call_failing_once() {
    rollback_at_every_step("steps::rollback_with_every_call_failing_once", "fail");
}
