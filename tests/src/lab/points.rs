//! Going through fault points: every one is tried, each failure says how to have it again.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::{Case, Target};

/// Points gone through so far, by layer.
static DONE: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());

/// Tells whether the long form was asked for: `just faults`.
pub fn long() -> bool {
    std::env::var("SWITCHBACK_FAULTS").is_ok_and(|form| form == "full")
}

/// Goes through the points of a layer and prints their number. `$SWITCHBACK_POINT` takes one alone.
pub fn each(test: &str, points: impl IntoIterator<Item = String>, check: impl Fn(&str)) {
    let only = std::env::var("SWITCHBACK_POINT").ok();
    let (mut count, mut failed) = (0, Vec::new());
    let mut points: Vec<String> = points.into_iter().collect();
    if only.is_none() {
        points = spread(points, MOST);
    }
    for point in points {
        if only.as_ref().is_some_and(|only| *only != point) {
            continue;
        }
        count += 1;
        if catch_unwind(AssertUnwindSafe(|| check(&point))).is_err() {
            say(&format!(
                "reproduce with: SWITCHBACK_POINT={point} cargo test -p tests --test {} -- --exact {test}",
                program()
            ));
            failed.push(point);
        }
    }
    tally(test, count);
    assert!(
        failed.is_empty(),
        "{} of {count} points fail: {failed:?}",
        failed.len()
    );
}

/// Notes the number of points and prints all that is known by now: the last print is the whole.
pub fn tally(test: &str, count: u64) {
    let mut done = DONE.lock().unwrap();
    done.push((test.to_owned(), count));
    let sum: u64 = done.iter().map(|(_, count)| count).sum();
    say(&format!("fault points: {count:5} {test} ({sum} so far)"));
}

/// Prints a line that the test runner does not keep to itself.
pub fn say(line: &str) {
    io::stderr()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

/// Returns the name of this test program, as cargo knows it.
fn program() -> String {
    let me = std::env::current_exe().unwrap();
    let name = me.file_name().unwrap().to_string_lossy().into_owned();
    name.rsplit_once('-')
        .map_or(name.clone(), |(name, _)| name.to_owned())
}

/// Takes `enough` of the points, spread over all of them, unless the long form was asked for.
pub fn spread(points: Vec<String>, enough: usize) -> Vec<String> {
    if long() || points.len() <= enough {
        return points;
    }
    let count = points.len();
    let taken = |at: usize| at * enough / count != (at + 1) * enough / count;
    points
        .into_iter()
        .enumerate()
        .filter(|(at, _)| taken(*at))
        .map(|(_, point)| point)
        .collect()
}

/// The most points of any test that the short form takes, and of one on a file.
const MOST: usize = 60;
const OF_A_FILE: usize = MOST;

/// The same, by target: a file is quicker than a server.
pub fn some(case: Case, points: Vec<String>, enough: usize) -> Vec<String> {
    match case.target {
        Target::Sqlite => spread(points, OF_A_FILE),
        Target::Postgres => spread(points, enough),
    }
}
