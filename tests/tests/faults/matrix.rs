//! `docs/faults.md` names the tests; here it is held to what is there.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::lab::say;
use tests::suite::{Suite, listed};
use tests::{packages, repository};

/// Adds the names of all tests below a folder.
fn tests_below(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let tests = text.split("#[test]").skip(1);
            let name = |test: &str| {
                test.split_once("fn ")?
                    .1
                    .split('(')
                    .next()
                    .map(str::to_owned)
            };
            names.extend(tests.filter_map(name));
            // Those that run on both targets.
            let both = text.split("both!(").skip(1);
            let both = both.flat_map(|list| list.split(')').next().unwrap().split(','));
            names.extend(both.flat_map(|name| {
                let name = name.rsplit(']').next().unwrap().trim();
                [format!("postgres::{name}"), name.to_owned()]
            }));
            // Those that are of one.
            let one = text.split("on_target!(").skip(1);
            let one = one.flat_map(|list| list.split(')').next().unwrap().split(',').skip(1));
            names.extend(one.map(|name| name.trim().to_owned()));
        }
    }
}

/// One suite, two targets: prints how many tests each has.
#[test]
fn what_runs_on_one_target_runs_on_the_other() {
    let me = std::env::current_exe().unwrap();
    let list = Command::new(me).arg("--list").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let suite = Suite::of("faults", &listed(&list));
    say(&format!("tests by target: {suite}"));
    assert!(suite.faults.is_empty(), "{:#?}", suite.faults);
    // A test without a twin is told, with or without a target.
    for lonely in ["rivals::sqlite::alone", "rivals::plain"] {
        let faults = Suite::of("faults", &[lonely.to_owned()]).faults;
        assert!(faults[0].contains(lonely), "{faults:?}");
    }
}

#[test]
fn every_row_of_the_matrix_names_a_test_that_is_there() {
    let root = repository();
    let mut names = Vec::new();
    for package in packages() {
        for folder in ["src", "tests"] {
            let folder = package.join(folder);
            if folder.is_dir() {
                tests_below(&folder, &mut names);
            }
        }
    }
    let doc = fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let mut rows = Vec::new();
    for line in doc.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(number) = cells.first().and_then(|cell| cell.parse::<u32>().ok()) else {
            continue;
        };
        rows.push(number);
        let tests = cells[3];
        let cited: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(
            !cited.is_empty() || tests.starts_with("moot"),
            "row {number} names nothing"
        );
        for name in cited {
            assert!(
                names.iter().any(|test| test == name),
                "row {number}: there is no test {name}"
            );
        }
    }
    let expected: Vec<u32> = (1..=70).chain(76..=78).chain(80..=92).collect();
    assert_eq!(rows, expected);
}
