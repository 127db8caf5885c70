//! `crates/contract/FORMAT.md` numbers its rules, and each names the tests that hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The rules that the text states: `**F12**` where the rule stands.
fn stated(text: &str) -> Vec<u32> {
    let rules = text.split("**F").skip(1);
    rules
        .filter_map(|rest| rest.split_once("**")?.0.parse().ok())
        .collect()
}

/// The table of rules and tests: a row has the rule, and tests between backticks.
fn listed(text: &str) -> BTreeMap<u32, Vec<String>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| F"));
    rows.map(|row| {
        let (number, tests) = row.split_once('|').unwrap();
        let tests = tests
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        (number.trim().parse().unwrap(), tests)
    })
    .collect()
}

#[test]
fn every_rule_is_stated_once_and_names_tests_that_are_there() {
    let root = tests::repository();
    let text = fs::read_to_string(root.join("crates/contract/FORMAT.md")).unwrap();
    let stated = stated(&text);
    let expected: Vec<u32> = (1..=u32::try_from(stated.len()).unwrap()).collect();
    assert_eq!(
        stated, expected,
        "rules are numbered in the order of the text"
    );
    let listed = listed(&text);
    assert_eq!(listed.keys().copied().collect::<Vec<_>>(), expected);
    for (rule, names) in &listed {
        assert!(!names.is_empty(), "rule F{rule} names no test");
        for name in names {
            let (module, function) = name.rsplit_once("::").unwrap();
            let path = root.join(module);
            let source = fs::read_to_string(&path).unwrap_or_else(|_| panic!("F{rule}: {module}"));
            assert!(
                source.contains(&format!("fn {function}(")),
                "F{rule}: {name}"
            );
        }
    }
}

#[test]
fn the_second_reader_follows_rules_that_are_stated_and_shares_no_code() {
    let root = tests::repository();
    let rules: BTreeSet<u32> =
        stated(&fs::read_to_string(root.join("crates/contract/FORMAT.md")).unwrap())
            .into_iter()
            .collect();
    for entry in fs::read_dir(root.join("tests/tests/formats/reader")).unwrap() {
        let path = entry.unwrap().path();
        let source = fs::read_to_string(&path).unwrap();
        for program in ["contract::", "store::", "apply::", "verify::", "rollback::"] {
            assert!(
                !source.contains(program),
                "{} uses {program}",
                path.display()
            );
        }
        let words = source.split(|char: char| !char.is_ascii_alphanumeric());
        let cited = words.filter_map(|word| word.strip_prefix('F')?.parse::<u32>().ok());
        for rule in cited {
            assert!(rules.contains(&rule), "{}: F{rule}", path.display());
        }
    }
}
