//! Signals, and streams that nobody reads or that are full.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::lab::{Held, Lab, begins, each, long, run, signal, some};
use tests::{Case, Seed, Target, both, command, finish, spawn};

use crate::steps::steps;

/// On a disk, where a run takes long enough to be met anywhere.
fn signals_at_random_moments_stop_between_batches(case: Case) {
    let lab = match case.target {
        Target::Sqlite => Lab::sqlite(tempfile::tempdir().unwrap()),
        Target::Postgres => Lab::on(case.target),
    };
    let place = lab.place("length");
    let began = Instant::now();
    let _ = run(&mut lab.apply(&place), None).code(0);
    let took = u64::try_from(began.elapsed().as_micros()).unwrap();
    let mut seed = Seed::fixed(3);
    let moments: Vec<String> = (0..if long() { 400 } else { 40 })
        .map(|_| {
            format!(
                "{}:{}",
                ["INT", "TERM"][usize::from(seed.below(2) == 1)],
                seed.below(took)
            )
        })
        .collect();
    each(case.test, some(case, moments, 10), |point| {
        let place = lab.place(point);
        let (name, moment) = point.split_once(':').unwrap();
        let child = spawn(&mut lab.apply(&place));
        std::thread::sleep(Duration::from_micros(moment.parse().unwrap()));
        signal(&child, name);
        let done = finish(child, None);
        let stopped = if name == "INT" { 130 } else { 143 };
        assert!(
            done.code == 0 || done.code == stopped,
            "exit {}: {}",
            done.code,
            done.err
        );
        let stand = lab.judge(&place);
        assert_eq!(
            done.code == 0,
            stand == tests::lab::BATCHES && place.status() == "completed"
        );
        lab.mend(&place);
        place.remove();
    });
}

/// One signal lets the batch in hand be finished, a second one undoes it.
fn a_second_signal_undoes_the_batch_in_hand(case: Case) {
    let lab = Lab::on(case.target);
    let in_third_batch = begins(&steps(&lab), 4) + 1;
    for (signals, stand) in [(1, 3), (2, 2)] {
        let place = lab.place(&format!("signals{signals}"));
        let held = Held::at(&mut lab.apply(&place), in_third_batch, &place.path("gate"));
        for _ in 0..signals {
            held.signal("TERM");
            // Two of a kind that wait together count as one.
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = held.go().code(143).says(&["--resume"]);
        assert_eq!(lab.judge(&place), stand);
        lab.mend(&place);
    }
}

/// Runs a command with redirections of the shell.
fn redirected(plain: &Command, how: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec \"$0\" \"$@\" {how}"));
    shell
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(plain.get_current_dir().unwrap());
    shell
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    shell
}

fn apply_and_rollback_finish_when_nobody_can_hear_them(case: Case) {
    let lab = Lab::on(case.target);
    for (at, how) in [
        ">/dev/full",
        ">&-",
        "2>/dev/full",
        "2>&-",
        ">/dev/full 2>/dev/full",
        ">&- 2>&-",
    ]
    .iter()
    .enumerate()
    {
        let place = lab.place(&format!("deaf{at}"));
        let apply = lab.apply_by("apply", &place);
        // The run ID is the answer: where it is lost, that is no success.
        let lost = how.starts_with(">/dev/full");
        let _ = run(&mut redirected(&apply, how), None).code(if lost { 3 } else { 0 });
        assert_eq!(place.db.dump(), lab.after, "apply {how}");
        let rollback = Lab::rollback_by("rollback", &place, tests::lab::RUN);
        let _ = run(&mut redirected(&rollback, how), None).code(0);
        assert_eq!(place.db.dump(), lab.before, "rollback {how}");
    }
}

both!(
    signals_at_random_moments_stop_between_batches,
    a_second_signal_undoes_the_batch_in_hand,
    apply_and_rollback_finish_when_nobody_can_hear_them,
);

#[test]
fn a_filter_whose_stdout_is_full_fails_without_a_panic() {
    let lab = Lab::on(Target::Sqlite);
    let stream = lab.stream();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for (program, args) in [
        ("parse", &[][..]),
        ("validate", &[]),
        ("bundle", &["-o", "full"]),
    ] {
        let mut filter = command(program, lab.root(), args);
        let done = run(
            filter.stdin(Stdio::piped()).stdout(full()),
            Some(stream.clone()),
        );
        assert_eq!(done.code, 5, "{program}: {}", done.err);
        assert!(
            done.err.contains("No space left"),
            "{program}: {}",
            done.err
        );
    }
}

#[test]
fn a_filter_whose_reader_left_ends_quietly() {
    let lab = Lab::on(Target::Sqlite);
    let stream = lab.stream();
    for (program, args) in [
        ("parse", &["--quiet"][..]),
        ("validate", &["--quiet"]),
        ("bundle", &["--quiet", "-o", "left"]),
    ] {
        let mut filter = command(program, lab.root(), args);
        let mut child = spawn(filter.stdin(Stdio::piped()));
        drop(child.stdout.take());
        let done = finish(child, Some(stream.clone()));
        assert_eq!((done.code, &*done.err), (141, ""), "{program}");
    }
}
