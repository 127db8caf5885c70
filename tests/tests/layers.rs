//! Which crate may name which: a library none above it, a program no program; and what the pages for contributors say of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure here is a failed test"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::{packages, repository};

/// The crates of the workspace from the ground up. Each may depend on those of the rows above its own alone.
const LAYERS: [&[&str]; 6] = [
    &["system"],
    &["contract"],
    &["store"],
    &["hooks"],
    &["parse", "validate", "bundle", "apply", "verify", "rollback"],
    // Tools for tests may name whatever they try.
    &["fuzz", "tests"],
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the crates of the workspace, each with those that it depends on, but for its tests.
fn crates() -> Vec<(String, Vec<String>)> {
    let names = |list: &Value, filter: fn(&Value) -> bool| -> Vec<String> {
        let list = list.as_array().unwrap().iter().filter(|one| filter(one));
        list.map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let metadata = metadata();
    let all = names(&metadata["packages"], |_| true);
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .zip(&all)
        .map(|(package, name)| {
            let mut needs = names(&package["dependencies"], |need| need["kind"] != "dev");
            needs.retain(|need| all.contains(need));
            (name.clone(), needs)
        })
        .collect()
}

fn layer(name: &str) -> usize {
    let place = LAYERS.iter().position(|layer| layer.contains(&name));
    place.unwrap_or_else(|| panic!("{name} has no place among the layers of this test"))
}

/// Returns what is wrong with the dependencies of crates.
fn wrong(crates: &[(String, Vec<String>)]) -> Vec<String> {
    let tools = LAYERS.len() - 1;
    let mut wrong = Vec::new();
    for (name, needs) in crates.iter().filter(|(name, _)| layer(name) < tools) {
        let above = needs.iter().filter(|need| layer(need) >= layer(name));
        wrong.extend(above.map(|need| format!("{name} depends on {need}")));
    }
    wrong
}

#[test]
fn a_crate_depends_on_crates_below_it_alone() {
    let crates = crates();
    assert_eq!(wrong(&crates), [""; 0]);
    let known: usize = LAYERS.iter().map(|layer| layer.len()).sum();
    assert_eq!(crates.len(), known, "a crate of this test is not there");
}

#[test]
fn a_program_that_depends_on_a_program_is_found() {
    let of = |name: &str, needs: &[&str]| {
        let needs = needs.iter().map(|&need| need.to_owned());
        (name.to_owned(), needs.collect())
    };
    let crates = [
        of("apply", &["contract", "rollback"]),
        of("contract", &["store"]),
        of("fuzz", &["parse"]),
    ];
    assert_eq!(
        wrong(&crates),
        ["apply depends on rollback", "contract depends on store"]
    );
}

/// Returns what stands between backquotes in a page.
fn code(page: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join(page)).unwrap();
    let spans = text.split('`').skip(1).step_by(2);
    spans.map(str::to_owned).collect()
}

/// Returns the paths of the repository's files, but for what is built.
fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "target" || name.starts_with("target-") || name == ".git" {
            continue;
        }
        let path_in = path.strip_prefix(repository()).unwrap().display();
        if path.is_dir() {
            found.push(format!("/{path_in}/"));
            files(&path, found);
        } else {
            found.push(format!("/{path_in}"));
        }
    }
}

#[test]
fn the_pages_for_contributors_name_files_that_are_there() {
    let mut there = Vec::new();
    files(&repository(), &mut there);
    let mut named = 0;
    for page in ["CONTRIBUTING.md", "docs/architecture.md"] {
        let paths = code(page).into_iter().filter(|span| {
            let plain = !span.contains([' ', '*', '…', '<', '\n']);
            plain && [".rs", "/"].iter().any(|end| span.ends_with(end))
        });
        for path in paths {
            let end = format!("/{path}");
            assert!(
                there.iter().any(|file| file.ends_with(&end)),
                "{page}: no {path}"
            );
            named += 1;
        }
    }
    assert!(named > 25, "{named}");
}

#[test]
fn the_architecture_has_a_row_for_each_crate() {
    let text = fs::read_to_string(repository().join("docs/architecture.md")).unwrap();
    for package in packages() {
        let path = package
            .strip_prefix(repository())
            .unwrap()
            .display()
            .to_string();
        let row = |line: &str| line.starts_with('|') && line.contains(&format!("`{path}`"));
        assert!(text.lines().any(row), "no row for {path}");
    }
}

#[test]
fn hosted_machines_call_recipes_that_are_there() {
    let recipes = fs::read_to_string(repository().join("justfile")).unwrap();
    let mut called = 0;
    for file in [
        ".github/workflows/ci.yml",
        ".gitlab-ci.yml",
        ".ci/run",
        "CONTRIBUTING.md",
    ] {
        let text = fs::read_to_string(repository().join(file)).unwrap();
        let commands = text.lines().filter_map(|line| {
            let line = line
                .trim_start_matches(['-', ' '])
                .trim_start_matches("run: ");
            line.strip_prefix("just ")?.split_whitespace().next()
        });
        for recipe in commands {
            let is = |line: &str| {
                let rest = line.strip_prefix(recipe);
                rest.is_some_and(|rest| rest.starts_with([':', ' ']))
            };
            assert!(recipes.lines().any(is), "{file}: no recipe {recipe}");
            called += 1;
        }
    }
    assert!(called >= 8, "{called}");
}

#[test]
fn every_acceptance_check_names_tests_that_are_there() {
    let page = fs::read_to_string(repository().join("docs/acceptance.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| K"));
    let mut checks = 0;
    for row in rows {
        let tests = row.split('`').skip(1).step_by(2);
        let mut named = 0;
        for (file, name) in tests.filter_map(|test| test.split_once(".rs::")) {
            let path = repository().join(format!("{file}.rs"));
            let text = fs::read_to_string(&path).unwrap_or_default();
            assert!(text.contains(&format!("fn {name}(")), "{row}: no {name}");
            named += 1;
        }
        assert!(named > 0, "{row}");
        checks += row.split(" | ").next().unwrap().matches('K').count();
    }
    assert_eq!(checks, 52, "K51 and K52 alone are open");
}
