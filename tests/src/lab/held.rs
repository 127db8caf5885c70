//! A program that is held at one of its steps, which a build for tests has (`contract::crash`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use super::{Place, run};
use crate::{Done, finish, spawn};

/// A program held at one of its steps.
#[derive(Debug)]
pub struct Held {
    child: Child,
    gate: PathBuf,
}

impl Held {
    /// Starts a command and waits until it is held at a step.
    pub fn at(command: &mut Command, step: u64, gate: &Path) -> Self {
        command.env(
            "SWITCHBACK_CRASH",
            format!("pause:{step}:{}", gate.display()),
        );
        let mut child = spawn(command);
        while !gate.with_extension("here").exists() {
            assert!(
                child.try_wait().unwrap().is_none(),
                "it ended before step {step}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let gate = gate.to_owned();
        Self { child, gate }
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Lets it go and waits for its end.
    pub fn go(self) -> Done {
        fs::write(&self.gate, "").unwrap();
        finish(self.child, None)
    }
}

/// Sends a signal to a program.
pub fn signal(child: &Child, name: &str) {
    crate::postgres::kill(name, &child.id().to_string());
}

/// Runs a command that counts its steps, and returns their names.
pub fn names(command: &mut Command, place: &Place) -> Vec<String> {
    let file = place.path("steps");
    let asked = format!("count:{}", file.display());
    let _ = run(command.env("SWITCHBACK_CRASH", asked), None).code(0);
    let steps = fs::read_to_string(file).unwrap();
    steps.lines().map(str::to_owned).collect()
}

/// Counts the steps of a command.
pub fn count(command: &mut Command, place: &Place) -> u64 {
    names(command, place).len() as u64
}

/// The place of the step that begins the `nth` transaction (1 is the run's, 2 the first batch's).
pub fn begins(steps: &[String], nth: usize) -> u64 {
    let begin = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| step.rsplit('.').next() == Some("BEGIN"))
        .nth(nth - 1);
    begin.unwrap().0 as u64 + 1
}
