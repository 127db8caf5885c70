//! Planted faults: one thing is changed behind the programs' back, in a target that verify has passed, in one
//! that was rolled back, and in one whose run failed. verify must find each, or the list says why it can't.
//!
//! `SWITCHBACK_FAULTS=full` plants every one, `$SEED` draws others, `PLANT='…'` plants one.

mod audit;
mod excuses;
mod plants;
mod scenes;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::{Case, Seed};

use plants::Plant;
use scenes::Scene;

tests::both!(
    every_fault_that_is_planted_in_a_verified_target_is_found,
    every_fault_that_is_planted_in_a_target_that_was_rolled_back_is_found,
    every_fault_that_is_planted_in_a_run_that_failed_is_found,
);

fn every_fault_that_is_planted_in_a_verified_target_is_found(case: Case) {
    plant_all(case, &Scene::verified(case));
}

fn every_fault_that_is_planted_in_a_target_that_was_rolled_back_is_found(case: Case) {
    plant_all(case, &Scene::rolled_back(case));
}

fn every_fault_that_is_planted_in_a_run_that_failed_is_found(case: Case) {
    plant_all(case, &Scene::failed(case));
}

/// How many faults are planted of each column of a table, and of each kind of others, unless all are.
const DRAWN: usize = 1;

/// What verify said of the runs of a scene.
struct Said {
    codes: Vec<i32>,
    /// Each finding, with its severity first.
    findings: BTreeSet<String>,
    errors: Vec<String>,
}

impl Said {
    fn of(scene: &Scene) -> Self {
        let mut said = Self {
            codes: Vec::new(),
            findings: BTreeSet::new(),
            errors: Vec::new(),
        };
        for run in &scene.runs {
            let done = scene.room.on("verify", &[run, "--json"]);
            said.codes.push(done.code);
            let report: Value = serde_json::from_str(&done.out).unwrap_or_default();
            for check in report["checks"].as_array().into_iter().flatten() {
                for row in check["rows"].as_array().into_iter().flatten() {
                    let severity = row["severity"].as_str().unwrap_or_default();
                    let name = check["name"].as_str().unwrap_or_default();
                    said.findings.insert(format!("{severity} {name} {row}"));
                }
            }
            if report.is_null() {
                said.errors.push(done.err);
            }
        }
        said
    }

    /// Tells how a fault was found, by what is said now and was not said before.
    fn found(&self, before: &Self) -> Option<Found> {
        if self.codes.iter().any(|code| *code >= 100) {
            return None;
        }
        if self.errors.iter().any(|error| !error.trim().is_empty()) {
            return Some(Found::Refused);
        }
        let new = || self.findings.difference(&before.findings);
        if new().any(|finding| finding.starts_with("error")) {
            Some(Found::Error)
        } else if new().next().is_some() {
            Some(Found::Warning)
        } else {
            None
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// A check fails, and names it.
    Error,
    /// A check warns of it.
    Warning,
    /// verify ends before its checks, and says why.
    Refused,
}

/// Plants faults in a scene, one at a time.
fn plant_all(case: Case, scene: &Scene) {
    let before = Said::of(scene);
    assert!(before.errors.is_empty(), "{:?}", before.errors);
    assert_eq!(before.codes, scene.codes, "{:#?}", before.findings);
    let only = std::env::var("PLANT").ok();
    let full = std::env::var("SWITCHBACK_FAULTS").is_ok_and(|how| how == "full");
    let all = Plant::all(scene);
    let drawn: Vec<&Plant> = match &only {
        Some(only) => all.iter().filter(|plant| plant.name == *only).collect(),
        None if full => all.iter().collect(),
        None => draw(&all),
    };
    let (mut figures, mut missed, mut used) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    let mut refused = 0;
    for plant in &drawn {
        if !scene.plant(plant) {
            refused += 1;
            scene.restore(plant);
            continue;
        }
        let said = Said::of(scene);
        let found = said.found(&before);
        let excuse = excuses::of(scene.name, &plant.name);
        match (found, excuse) {
            (Some(found), _) => *figures.entry(format!("{found:?}")).or_insert(0) += 1,
            (None, Some(excuse)) => {
                used.insert(excuse.pattern);
                *figures.entry("excused".to_owned()).or_insert(0) += 1;
            }
            (None, None) => missed.push(plant.name.clone()),
        }
        if only.is_some() {
            let new: Vec<&String> = said.findings.difference(&before.findings).collect();
            eprintln!(
                "{}\n{found:?} {new:#?} {:?}",
                plant.sql.join(";\n"),
                said.errors
            );
        }
        scene.restore(plant);
    }
    let after = Said::of(scene);
    assert_eq!(after.codes, before.codes, "the scene is not what it was");
    eprintln!(
        "{} on {:?}: {} of {} planted, {figures:?}, {refused} refused by the target",
        scene.name,
        case.target,
        drawn.len(),
        all.len()
    );
    for name in &missed {
        eprintln!(
            "not found: {name}\n  PLANT='{name}' cargo test -p tests --test pipeline -- --exact --nocapture {}",
            case.test
        );
    }
    assert!(missed.is_empty(), "{} faults were not found", missed.len());
    if full {
        let idle = excuses::idle(scene.name, &used);
        let idle = idle.into_iter().filter(|pattern| {
            // What one target refuses is planted in the other.
            !all.iter().any(|plant| excuses::fits(pattern, &plant.name)) || refused == 0
        });
        let idle: Vec<&str> = idle.collect();
        eprintln!("excuses of no use here: {idle:?}");
    }
}

/// Draws some faults of each kind.
fn draw(all: &[Plant]) -> Vec<&Plant> {
    let mut seed = Seed::from_env();
    let mut kinds: BTreeMap<&str, Vec<&Plant>> = BTreeMap::new();
    for plant in all {
        kinds.entry(&plant.kind).or_default().push(plant);
    }
    let mut drawn = Vec::new();
    for plants in kinds.values_mut() {
        for _ in 0..DRAWN.min(plants.len()) {
            let at = usize::try_from(seed.below(plants.len() as u64)).unwrap();
            drawn.push(plants.swap_remove(at));
        }
    }
    drawn
}
