//! Signals, and streams that nobody reads or that are full.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Seed, command, db, finish, spawn};

use crate::lab::{Lab, run};
use crate::points::{each, long};
use crate::rivals::{Held, begins, signal};
use crate::steps::steps;

/// On a disk, where a run takes long enough to be met anywhere.
#[test]
fn signals_at_random_moments_stop_between_batches() {
    let lab = Lab::in_folder(tempfile::tempdir().unwrap());
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
    each(
        "manners::signals_at_random_moments_stop_between_batches",
        moments,
        |point| {
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
                stand == crate::lab::BATCHES && place.status() == "completed"
            );
            lab.mend(&place);
            place.remove();
        },
    );
}

/// One signal lets the batch in hand be finished, a second one undoes it.
#[test]
fn a_second_signal_undoes_the_batch_in_hand() {
    let lab = Lab::new();
    let in_third_batch = begins(&steps(&lab), 4) + 4;
    for (signals, stand) in [(1, 3), (2, 2)] {
        let place = lab.place(&format!("signals{signals}"));
        let held = Held::at(
            &mut lab.apply(&place),
            in_third_batch,
            &place.0.join("gate"),
        );
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

#[test]
fn apply_and_rollback_finish_when_nobody_can_hear_them() {
    let lab = Lab::new();
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
        let _ = run(&mut redirected(&apply, how), None).code(0);
        assert_eq!(db::dump(&place.db()), lab.after, "apply {how}");
        let rollback = Lab::rollback_by("rollback", &place, crate::lab::RUN);
        let _ = run(&mut redirected(&rollback, how), None).code(0);
        assert_eq!(db::dump(&place.db()), lab.before, "rollback {how}");
    }
}

#[test]
fn a_filter_whose_stdout_is_full_fails_without_a_panic() {
    let lab = Lab::new();
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
    let lab = Lab::new();
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
