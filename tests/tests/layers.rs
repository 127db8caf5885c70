//! Which crate may name which: a library none above it, a program no program.

use std::process::Command;

use serde_json::Value;
use tests::repository;

/// The crates of the workspace from the ground up. Each may depend on those of the rows above its own alone.
const LAYERS: [&[&str]; 5] = [
    &["system"],
    &["contract"],
    &["store"],
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
