//! The universe of plans: every key of the plan's schema is drawn, with schemas, rows, sources, edits, a second run and
//! its rollback; what holds is judged by complete dumps that the databases' own shells made, and by the states alone.
//!
//! `$ROUND` plays one round again, `$ROUNDS` other than the usual ones (`FROM..TO`), `SWITCHBACK_UNIVERSE=full` plays
//! the long form.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure here is a failed test"
)]
#![allow(missing_docs, reason = "a test program")]

mod additions;
mod columns;
mod dice;
mod draw;
mod edits;
mod entities;
mod expect;
mod extras;
mod formats;
mod keys;
mod kinds;
mod lists;
mod model;
mod more_columns;
mod more_kinds;
mod notes;
mod obstacles;
mod place;
mod rows;
mod run;
mod schema;
mod shell;
mod source;
mod state;
mod toml;
mod top;
mod triggers;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tests::{Case, Target};

use crate::dice::Dice;
use crate::run::Tally;

tests::both!(every_run_comes_back_and_every_report_is_true);

/// The rounds to be played: from, and up to, not including.
fn rounds(case: Case) -> (u64, u64) {
    let number = |text: &str| text.parse::<u64>().unwrap();
    if let Ok(round) = std::env::var("ROUND") {
        return (number(&round), number(&round) + 1);
    }
    if let Ok(rounds) = std::env::var("ROUNDS") {
        let (from, to) = rounds.split_once("..").unwrap();
        return (number(from), number(to));
    }
    let full = std::env::var("SWITCHBACK_UNIVERSE").is_ok_and(|word| word == "full");
    let count = if full {
        case.either(10_000, 2_000)
    } else {
        case.either(300, 100)
    };
    (1, count + 1)
}

fn every_run_comes_back_and_every_report_is_true(case: Case) {
    let (from, to) = rounds(case);
    let next = AtomicU64::new(from);
    let tally = Mutex::new(Tally::default());
    let failures = Mutex::new(Vec::new());
    let most = std::env::var("FAILURES").map_or(3, |text| text.parse().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= to || failures.lock().unwrap().len() >= most {
                        return;
                    }
                    let played = catch_unwind(AssertUnwindSafe(|| {
                        let world = draw::world(case.target, round);
                        run::play(&world, &mut Dice::of(round + 1_000_000))
                    }));
                    let played = played.unwrap_or_else(|_| Err("it panicked, see above".into()));
                    match played {
                        Ok(more) => tally.lock().unwrap().add(&more),
                        Err(why) => {
                            let command = again(case.target, round);
                            eprintln!("{command}: {}", why.lines().next().unwrap_or_default());
                            failures.lock().unwrap().push(format!("{command}\n{why}"));
                        }
                    }
                }
            });
        }
    });
    let (tally, failures) = (tally.into_inner().unwrap(), failures.into_inner().unwrap());
    eprintln!("{tally:?}");
    let rounds = usize::try_from(to - from).unwrap();
    let Tally {
        completed,
        failed,
        second,
        edited,
        kept,
    } = tally;
    let all_happens = completed > rounds / 2
        && [failed, second, edited, kept]
            .iter()
            .all(|count| *count > 0);
    assert!(
        all_happens || rounds < 100 || !failures.is_empty(),
        "the rounds say little: {tally:?}"
    );
    assert!(
        failures.is_empty(),
        "{} rounds failed\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

/// The command that plays a round again.
fn again(target: Target, round: u64) -> String {
    let module = match target {
        Target::Sqlite => "sqlite",
        Target::Postgres => "postgres",
    };
    format!("ROUND={round} cargo test -p tests --test universe -- {module}::")
}

impl Tally {
    fn add(&mut self, more: &Self) {
        self.completed += more.completed;
        self.failed += more.failed;
        self.second += more.second;
        self.edited += more.edited;
        self.kept += more.kept;
    }
}
