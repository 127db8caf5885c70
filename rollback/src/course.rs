//! How far a rollback is: progress while it runs, and each step with its outcome in the final report.

use std::time::Instant;

use contract::Talk;
use contract::talk::Progress;
use serde_json::{Value, json};

/// The steps of a rollback.
const STEPS: [&str; 3] = ["PREPARING", "EXECUTING", "VERIFYING"];

/// The way so far.
pub(crate) struct Course {
    talk: Talk,
    began: Instant,
    steps: Vec<Step>,
    /// What is shown, while something is.
    progress: Option<Progress>,
    /// Changes that the whole rollback deals with, in each of its steps.
    changes: u64,
    /// Batches that were tried once more.
    pub retries: u64,
}

struct Step {
    name: &'static str,
    began: Instant,
    seconds: Option<f64>,
    /// How many changes it deals with, and how many are dealt with.
    total: u64,
    done: u64,
}

impl Course {
    pub fn new(talk: &Talk) -> Self {
        Self {
            talk: talk.clone(),
            began: Instant::now(),
            steps: Vec::new(),
            progress: None,
            changes: 1,
            retries: 0,
        }
    }

    /// Begins a step that deals with so many changes; the one before it is done.
    pub fn begin(&mut self, name: &'static str, total: u64) {
        self.close();
        if self.steps.is_empty() {
            self.changes = total.max(1);
        }
        self.steps.push(Step {
            name,
            began: Instant::now(),
            seconds: None,
            total: total.max(1),
            done: 0,
        });
        let done = self.overall();
        let progress = self.talk.progress(Some(self.whole())).after(done);
        self.progress = Some(progress);
        self.show();
    }

    /// So many changes more are dealt with.
    pub fn done(&mut self, count: u64) {
        if let Some(step) = self.steps.last_mut() {
            step.done += count;
        }
        self.show();
    }

    /// Shows nothing for now: something is to be said.
    pub fn hide(&mut self) {
        self.progress = None;
    }

    /// Ends it, well or with an error.
    pub fn end(&mut self, error: Option<&str>) {
        if error.is_none() {
            self.close();
        }
        let (stage, done, errors) = match error {
            None => ("COMPLETED", self.whole(), vec![]),
            Some(error) => ("FAILED", self.overall(), vec![error.to_owned()]),
        };
        let step = self.steps.last().map_or("", |step| step.name);
        let mut progress = self.talk.progress(Some(self.whole()));
        progress.at(stage, done, step, &errors);
        self.progress = None;
    }

    /// The part of the final report: time, retries, and each step.
    pub fn to_json(&self, status: &str, error: Option<&str>) -> Value {
        let step = |step: &Step| {
            let error = error.filter(|_| step.seconds.is_none());
            json!({
                "step": step.name,
                "success": step.seconds.is_some(),
                "seconds": rounded(step.seconds.unwrap_or_else(|| step.began.elapsed().as_secs_f64())),
                "error": error,
            })
        };
        json!({
            "finalStatus": status,
            "totalTime": rounded(self.began.elapsed().as_secs_f64()),
            "retries": self.retries,
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "error": error,
        })
    }

    fn close(&mut self) {
        if let Some(step) = self.steps.last_mut()
            && step.seconds.is_none()
        {
            step.seconds = Some(step.began.elapsed().as_secs_f64());
        }
    }

    fn show(&mut self) {
        let done = self.overall();
        if let (Some(progress), Some(step)) = (&mut self.progress, self.steps.last()) {
            let words = match step.name {
                "PREPARING" => "checking rows",
                "EXECUTING" => "reversing changes",
                _ => "comparing rows with what they were",
            };
            progress.at(step.name, done, words, &[]);
        }
    }

    fn whole(&self) -> u64 {
        self.changes * STEPS.len() as u64
    }

    /// How far the whole is: each step counts the same.
    fn overall(&self) -> u64 {
        let Some(step) = self.steps.last() else {
            return 0;
        };
        let before = STEPS.iter().position(|name| *name == step.name);
        let part = step.done.min(step.total).saturating_mul(self.changes) / step.total;
        before.unwrap_or(0) as u64 * self.changes + part
    }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
