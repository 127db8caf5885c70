//! Layer 1: the crash points in `store` and `contract`. The program dies, or a call fails, once or
//! from then on, at the Nth of all its steps.

use tests::lab::{Lab, count, each, forget_numbers, judge_exit, long, names, run, some};
use tests::{Case, Seed, both};

/// Returns the steps of an undisturbed apply.
pub fn steps(lab: &Lab) -> Vec<String> {
    let place = lab.place("steps");
    names(&mut lab.apply(&place), &place)
}

pub fn points(kind: &str, steps: u64) -> Vec<String> {
    assert!(
        steps > 50,
        "only {steps} steps: are the crash points there?"
    );
    (1..=steps).map(|step| format!("{kind}:{step}")).collect()
}

/// Tells whether a point ends the program.
pub fn kills(point: &str) -> bool {
    point.to_lowercase().starts_with("kill")
}

fn apply_at_every_step(case: Case, kind: &str, enough: usize) {
    let lab = Lab::on(case.target);
    let place = lab.place("count");
    let steps = count(&mut lab.apply(&place), &place);
    each(
        case.test,
        some(case, points(kind, steps), enough),
        |point| {
            let place = lab.place(point);
            let done = run(lab.apply(&place).env("SWITCHBACK_CRASH", point), None);
            lab.judge(&place);
            judge_exit(&done, kills(point), &place);
            lab.mend(&place);
            place.remove();
        },
    );
}

fn apply_killed_at_every_step(case: Case) {
    apply_at_every_step(case, "kill", 24);
}

fn apply_with_every_call_failing_once(case: Case) {
    apply_at_every_step(case, "fail", 16);
}

fn apply_with_all_calls_failing_from_every_step_on(case: Case) {
    apply_at_every_step(case, "dead", 8);
}

/// Two faults: the first stops the run, the second what goes on with it.
fn a_resumed_apply_killed_again(case: Case) {
    let lab = Lab::on(case.target);
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
    each(case.test, some(case, pairs, 12), |point| {
        let place = lab.place(point);
        let (first, second) = point.split_once('+').unwrap();
        let _ = run(lab.apply(&place).env("SWITCHBACK_CRASH", first), None);
        let stood = lab.judge(&place);
        forget_numbers(&place.db);
        let _ = run(lab.go_on(&place).env("SWITCHBACK_CRASH", second), None);
        assert!(lab.judge(&place) >= stood, "a batch that stood is gone");
        lab.mend(&place);
        place.remove();
    });
}

fn rollback_at_every_step(case: Case, kind: &str, enough: usize) {
    let lab = Lab::on(case.target);
    let place = lab.applied("count");
    let steps = count(&mut Lab::rollback(&place), &place);
    each(
        case.test,
        some(case, points(kind, steps), enough),
        |point| {
            let place = lab.applied(point);
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
        },
    );
}

fn rollback_killed_at_every_step(case: Case) {
    rollback_at_every_step(case, "kill", 16);
}

fn rollback_with_every_call_failing_once(case: Case) {
    rollback_at_every_step(case, "fail", 8);
}

both!(
    apply_killed_at_every_step,
    apply_with_every_call_failing_once,
    apply_with_all_calls_failing_from_every_step_on,
    a_resumed_apply_killed_again,
    rollback_killed_at_every_step,
    rollback_with_every_call_failing_once,
);
