//! Layer 2 on a server: the programs under `strace`, killed or given an error at the Nth time that they
//! say something to it or hear from it.

use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tests::lab::{Held, Lab, Place, RUN, each, judge_exit, names, run, spread};
use tests::{Done, Target};

use crate::calls::{TALK, count, inject, points};
use crate::mount::as_root;
use crate::steps::kills;

type Kinds<'a> = &'a [(&'a str, &'a [&'a str])];

const KILLED: Kinds<'_> = &[("KILL", TALK)];
const CUT: Kinds<'_> = &[
    ("ECONNRESET", TALK),
    ("EPIPE", &["sendto"]),
    ("ETIMEDOUT", TALK),
];

/// Who is at work: `apply`, or `rollback` of what it did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Apply,
    Rollback,
}

impl Stage {
    fn place(self, lab: &Lab, name: &str) -> Place {
        match self {
            Self::Apply => lab.place(name),
            Self::Rollback => lab.applied(name),
        }
    }

    /// The plain program, or with `crash/` the one that can be held at a step.
    fn command(self, build: &str, lab: &Lab, place: &Place) -> Command {
        match self {
            Self::Apply => lab.apply_by(&format!("{build}apply"), place),
            Self::Rollback => Lab::rollback_by(&format!("{build}rollback"), place, RUN),
        }
    }

    /// Judges what a fault left, and goes on from there.
    fn judge(self, lab: &Lab, place: Place, done: &Done, killed: bool) {
        if self == Self::Apply {
            lab.judge(&place);
            judge_exit(done, killed, &place);
            lab.mend(&place);
        } else {
            let right = matches!(done.code, 0 | 3 | 5) || killed && done.code == 137;
            assert!(right, "exit {}: {}", done.code, done.err);
            lab.judge_undone(&place);
            if done.code == 0 {
                assert_eq!(place.status(), "rolled-back");
            }
            lab.take_back(&place);
        }
        place.remove();
    }
}

/// The plain program, at calls that are spread over all it makes.
fn at_every_call(test: &str, stage: Stage, kinds: Kinds<'_>, enough: usize) {
    let lab = Lab::on(Target::Postgres);
    let place = stage.place(&lab, "count");
    let command = stage.command("", &lab, &place);
    let counted = count(&command, &[], TALK, &lab.path("log"), None);
    let calls: u64 = counted.values().sum();
    assert!(calls > 100, "only {calls} calls: does it talk otherwise?");
    let met = Cell::new(0);
    let points = spread(points(kinds, &counted), enough);
    let most = points.len() as u64 - 2;
    each(test, points, |point| {
        let place = stage.place(&lab, point);
        let command = stage.command("", &lab, &place);
        let done = run(&mut inject(&command, &[], point), None);
        met.set(met.get() + u64::from(done.code != 0));
        stage.judge(&lab, place, &done, kills(point));
    });
    // One that comes when all is said is no harm.
    let alone = std::env::var("SWITCHBACK_POINT").is_ok();
    assert!(met.get() >= most || alone, "{} were met", met.get());
}

/// COMMIT has a thread of its own, whose calls are counted by themselves: the program is held before one,
/// and what comes next is broken.
fn at_every_commit(test: &str, stage: Stage, enough: usize) {
    let lab = Lab::on(Target::Postgres);
    let place = stage.place(&lab, "count");
    let steps = names(&mut stage.command("crash/", &lab, &place), &place);
    let mut all = Vec::new();
    for (at, _) in (1..)
        .zip(&steps)
        .filter(|(_, step)| *step == "postgres.COMMIT")
    {
        for kind in [
            "KILL:sendto",
            "KILL:recvfrom",
            "ECONNRESET:sendto",
            "ECONNRESET:recvfrom",
        ] {
            all.push(format!("{kind}:{at}"));
        }
    }
    assert!(all.len() > 16, "only {} points", all.len());
    let missed = Cell::new(0);
    each(test, spread(all, enough), |point| {
        let (fault, step) = point.rsplit_once(':').unwrap();
        let mut met = false;
        // On a busy machine a program may have a step more or less than when its steps were counted; the fault then comes
        // where no word follows, and is put in again.
        for _ in 0..4 {
            let place = stage.place(&lab, point);
            let mut command = stage.command("crash/", &lab, &place);
            let held = Held::at(&mut command, step.parse().unwrap(), &place.path("gate"));
            let mut strace = attached(held.pid(), fault);
            let done = held.go();
            strace.wait().unwrap();
            met = !kills(point) || done.code != 0;
            stage.judge(&lab, place, &done, kills(point));
            if met {
                break;
            }
        }
        missed.set(missed.get() + u32::from(!met));
    });
    assert!(missed.get() <= 1, "{} were not met", missed.get());
}

/// Has strace break the next call of a kind in each thread of a process.
fn attached(pid: u32, fault: &str) -> Child {
    let (what, call) = fault.split_once(':').unwrap();
    let what = match what {
        "KILL" => "signal=KILL".to_owned(),
        error => format!("error={error}"),
    };
    let mut strace = as_root("strace");
    strace.args(["-f", "-o", "/dev/null", "-p", &pid.to_string()]);
    strace.args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:{what}:when=1")]);
    let mut strace = strace.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(strace.stderr.take().unwrap());
    lines.read_line(&mut said).unwrap();
    assert!(said.contains("attached"), "{said}");
    strace
}

#[test]
fn apply_killed_at_any_word_to_or_from_the_server() {
    let test = "talk::apply_killed_at_any_word_to_or_from_the_server";
    at_every_call(test, Stage::Apply, KILLED, 12);
}

#[test]
fn apply_cut_off_at_any_word_to_or_from_the_server() {
    let test = "talk::apply_cut_off_at_any_word_to_or_from_the_server";
    at_every_call(test, Stage::Apply, CUT, 10);
}

#[test]
fn rollback_killed_at_any_word_to_or_from_the_server() {
    let test = "talk::rollback_killed_at_any_word_to_or_from_the_server";
    at_every_call(test, Stage::Rollback, KILLED, 8);
}

#[test]
fn rollback_cut_off_at_any_word_to_or_from_the_server() {
    let test = "talk::rollback_cut_off_at_any_word_to_or_from_the_server";
    at_every_call(test, Stage::Rollback, CUT, 6);
}

#[test]
fn apply_killed_or_cut_off_at_the_word_or_the_answer_of_a_commit() {
    let test = "talk::apply_killed_or_cut_off_at_the_word_or_the_answer_of_a_commit";
    at_every_commit(test, Stage::Apply, 10);
}

#[test]
fn rollback_killed_or_cut_off_at_the_word_or_the_answer_of_a_commit() {
    let test = "talk::rollback_killed_or_cut_off_at_the_word_or_the_answer_of_a_commit";
    at_every_commit(test, Stage::Rollback, 6);
}
