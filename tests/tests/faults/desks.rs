//! Snapshots, restores and hooks: layer 1 (crash points) and layer 2 (system calls) for `apply
//! --snapshot`, `rollback` and `rollback --snapshot`, each with hooks.

use tests::Done;
use tests::lab::{Place, count, each, long, run};

use crate::calls;
use crate::desk::{Desk, Task};
use crate::steps::points;

fn at_every_step(test: &str, task: Task, kind: &str) {
    let desk = Desk::new();
    let program = format!("crash/{}", task.program());
    let place = desk.place(task, "count");
    let steps = count(&mut desk.command(&program, task, &place), &place);
    each(test, points(kind, steps), |point| {
        let place = desk.place(task, point);
        let mut command = desk.command(&program, task, &place);
        let done = run(command.env("SWITCHBACK_CRASH", point), None);
        judge(&desk, task, &place, &done, point);
    });
}

/// Calls that only the program itself makes, not what its hooks start: they are seen wherever they go,
/// as the names of files under way are not known before.
const CALLS: &[&str] = &[
    "pwrite64",
    "fsync",
    "unlink",
    "ftruncate",
    "rename",
    "chmod",
];

/// The plain program at every call of each kind.
fn at_every_call(test: &str, task: Task, kinds: &[(&str, &[&str])]) {
    let desk = Desk::new();
    let command = |place: &Place, call: &str| {
        let mut command = desk.command(task.program(), task, place);
        // Hooks write, too: left out here, they are due for whoever goes on.
        command.args((call == "write").then_some("--no-hooks"));
        command
    };
    let mut all = Vec::new();
    for (what, calls) in kinds {
        for call in *calls {
            let place = desk.place(task, &format!("count-{what}-{call}"));
            let log = desk.path("log");
            let counted = calls::count(&command(&place, call), &[], &[call], &log, None);
            // Pages within a transaction are alike.
            let every = if long() || *call != "pwrite64" { 1 } else { 6 };
            all.extend(
                calls::points(&[(what, &[call])], &counted)
                    .into_iter()
                    .step_by(every),
            );
        }
    }
    each(test, all, |point| {
        let place = desk.place(task, point);
        let call = point.split(':').nth(1).unwrap();
        let done = run(&mut calls::inject(&command(&place, call), &[], point), None);
        judge(&desk, task, &place, &done, point);
    });
}

fn judge(desk: &Desk, task: Task, place: &Place, done: &Done, point: &str) {
    let hooks = desk.judge(task, place, done, point);
    desk.mend(task, place, &hooks);
    std::fs::remove_dir_all(&place.folder).unwrap();
}

#[test]
fn apply_with_a_snapshot_and_hooks_killed_at_every_step() {
    let test = "desks::apply_with_a_snapshot_and_hooks_killed_at_every_step";
    at_every_step(test, Task::Apply, "kill");
}

#[test]
fn apply_with_a_snapshot_and_hooks_with_every_call_failing_once() {
    let test = "desks::apply_with_a_snapshot_and_hooks_with_every_call_failing_once";
    at_every_step(test, Task::Apply, "fail");
}

#[test]
fn apply_with_a_snapshot_and_hooks_with_all_calls_failing_from_every_step_on() {
    let test = "desks::apply_with_a_snapshot_and_hooks_with_all_calls_failing_from_every_step_on";
    at_every_step(test, Task::Apply, "dead");
}

#[test]
fn rollback_with_hooks_killed_at_every_step() {
    let test = "desks::rollback_with_hooks_killed_at_every_step";
    at_every_step(test, Task::Rollback, "kill");
}

#[test]
fn rollback_with_hooks_with_every_call_failing_once() {
    let test = "desks::rollback_with_hooks_with_every_call_failing_once";
    at_every_step(test, Task::Rollback, "fail");
}

#[test]
fn rollback_with_hooks_with_all_calls_failing_from_every_step_on() {
    let test = "desks::rollback_with_hooks_with_all_calls_failing_from_every_step_on";
    at_every_step(test, Task::Rollback, "dead");
}

#[test]
fn restore_killed_at_every_step() {
    let test = "desks::restore_killed_at_every_step";
    at_every_step(test, Task::Restore, "kill");
}

#[test]
fn restore_with_every_call_failing_once() {
    let test = "desks::restore_with_every_call_failing_once";
    at_every_step(test, Task::Restore, "fail");
}

#[test]
fn restore_with_all_calls_failing_from_every_step_on() {
    let test = "desks::restore_with_all_calls_failing_from_every_step_on";
    at_every_step(test, Task::Restore, "dead");
}

#[test]
fn apply_with_a_snapshot_and_hooks_killed_or_given_an_error_at_every_system_call() {
    let test =
        "desks::apply_with_a_snapshot_and_hooks_killed_or_given_an_error_at_every_system_call";
    at_every_call(test, Task::Apply, &kinds());
}

#[test]
fn rollback_with_hooks_killed_or_given_an_error_at_every_system_call() {
    let test = "desks::rollback_with_hooks_killed_or_given_an_error_at_every_system_call";
    at_every_call(test, Task::Rollback, &kinds());
}

#[test]
fn restore_killed_or_given_an_error_at_every_system_call() {
    let test = "desks::restore_killed_or_given_an_error_at_every_system_call";
    at_every_call(test, Task::Restore, &kinds());
}

/// Running out of room is EIO's twin here: the long form has it, too.
fn kinds() -> Vec<(&'static str, &'static [&'static str])> {
    let mut kinds: Vec<(_, &[_])> = vec![("KILL", CALLS), ("KILL", &["write"]), ("EIO", CALLS)];
    if long() {
        kinds.push(("ENOSPC", &["pwrite64"]));
    }
    kinds
}
