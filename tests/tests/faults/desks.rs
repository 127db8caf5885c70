//! Snapshots, restores and hooks: layer 1 (crash points) and layer 2 (system calls) for `apply
//! --snapshot`, `rollback` and `rollback --snapshot`, each with hooks.

use std::collections::BTreeMap;

use tests::lab::{Place, count, each, long, run, some};
use tests::{Case, Done, both};

use crate::calls;
use crate::desk::{Desk, Task};
use crate::steps::points;

fn at_every_step(case: Case, task: Task, kind: &str) {
    let desk = Desk::new(case);
    let program = format!("crash/{}", task.program());
    let place = desk.place(task, "count");
    let steps = count(&mut desk.command(&program, task, &place), &place);
    each(case.test, some(case, points(kind, steps), 3), |point| {
        let place = desk.place(task, point);
        let mut command = desk.command(&program, task, &place);
        let done = run(command.env("SWITCHBACK_CRASH", point), None);
        judge(&desk, task, place, &done, point);
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

/// What is done to which calls.
type Kinds = Vec<(&'static str, &'static [&'static str])>;

/// Tells whether hooks make such calls, too.
fn hooks_make(call: &str) -> bool {
    call == "write" || calls::TALK.contains(&call)
}

/// The plain program at every call of each kind.
fn at_every_call(case: Case, task: Task) {
    let desk = Desk::new(case);
    let command = |place: &Place, of_hooks: bool| {
        let mut command = desk.command(task.program(), task, place);
        // Left out here, they are due for whoever goes on.
        command.args(of_hooks.then_some("--no-hooks"));
        command
    };
    let kinds = case.either(of_file(), of_server());
    let mut counted = BTreeMap::new();
    for of_hooks in [false, true] {
        let calls = kinds.iter().flat_map(|(_, calls)| calls.iter().copied());
        let calls: Vec<&str> = calls.filter(|call| hooks_make(call) == of_hooks).collect();
        let place = desk.place(task, &format!("count-{of_hooks}"));
        let log = desk.path("log");
        let found = calls::count(&command(&place, of_hooks), &[], &calls, &log, None);
        counted.extend(found);
    }
    let mut all = Vec::new();
    for (what, calls) in kinds {
        for call in calls {
            // Pages within a transaction are alike.
            let every = if long() || *call != "pwrite64" { 1 } else { 6 };
            all.extend(
                calls::points(&[(what, &[*call])], &counted)
                    .into_iter()
                    .step_by(every),
            );
        }
    }
    each(case.test, some(case, all, 6), |point| {
        let place = desk.place(task, point);
        let call = point.split(':').nth(1).unwrap();
        let command = command(&place, hooks_make(call));
        let done = run(&mut calls::inject(&command, &[], point), None);
        judge(&desk, task, place, &done, point);
    });
}

fn judge(desk: &Desk, task: Task, place: Place, done: &Done, point: &str) {
    let hooks = desk.judge(task, &place, done, point);
    desk.mend(task, &place, &hooks);
    place.remove();
}

fn apply_with_a_snapshot_and_hooks_killed_at_every_step(case: Case) {
    at_every_step(case, Task::Apply, "kill");
}

fn apply_with_a_snapshot_and_hooks_with_every_call_failing_once(case: Case) {
    at_every_step(case, Task::Apply, "fail");
}

fn apply_with_a_snapshot_and_hooks_with_all_calls_failing_from_every_step_on(case: Case) {
    at_every_step(case, Task::Apply, "dead");
}

fn rollback_with_hooks_killed_at_every_step(case: Case) {
    at_every_step(case, Task::Rollback, "kill");
}

fn rollback_with_hooks_with_every_call_failing_once(case: Case) {
    at_every_step(case, Task::Rollback, "fail");
}

fn rollback_with_hooks_with_all_calls_failing_from_every_step_on(case: Case) {
    at_every_step(case, Task::Rollback, "dead");
}

fn restore_killed_at_every_step(case: Case) {
    at_every_step(case, Task::Restore, "kill");
}

fn restore_with_every_call_failing_once(case: Case) {
    at_every_step(case, Task::Restore, "fail");
}

fn restore_with_all_calls_failing_from_every_step_on(case: Case) {
    at_every_step(case, Task::Restore, "dead");
}

fn apply_with_a_snapshot_and_hooks_killed_or_given_an_error_at_every_system_call(case: Case) {
    at_every_call(case, Task::Apply);
}

fn rollback_with_hooks_killed_or_given_an_error_at_every_system_call(case: Case) {
    at_every_call(case, Task::Rollback);
}

fn restore_killed_or_given_an_error_at_every_system_call(case: Case) {
    at_every_call(case, Task::Restore);
}

/// Running out of room is EIO's twin here: the long form has it, too.
fn of_file() -> Kinds {
    let mut kinds: Kinds = vec![("KILL", CALLS), ("KILL", &["write"]), ("EIO", CALLS)];
    if long() {
        kinds.push(("ENOSPC", &["pwrite64"]));
    }
    kinds
}

/// What is said to a server and what it says, and the files beside.
fn of_server() -> Kinds {
    vec![
        ("KILL", calls::TALK),
        ("KILL", &["fsync", "rename", "unlink"]),
        ("ECONNRESET", calls::TALK),
        ("EIO", &["fsync", "rename"]),
    ]
}

both!(
    apply_with_a_snapshot_and_hooks_killed_at_every_step,
    apply_with_a_snapshot_and_hooks_with_every_call_failing_once,
    apply_with_a_snapshot_and_hooks_with_all_calls_failing_from_every_step_on,
    rollback_with_hooks_killed_at_every_step,
    rollback_with_hooks_with_every_call_failing_once,
    rollback_with_hooks_with_all_calls_failing_from_every_step_on,
    restore_killed_at_every_step,
    restore_with_every_call_failing_once,
    restore_with_all_calls_failing_from_every_step_on,
    apply_with_a_snapshot_and_hooks_killed_or_given_an_error_at_every_system_call,
    rollback_with_hooks_killed_or_given_an_error_at_every_system_call,
    restore_killed_or_given_an_error_at_every_system_call,
);
