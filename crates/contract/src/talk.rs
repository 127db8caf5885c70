//! The manners of stderr: what people read. Every line begins with the stage's name; a line that
//! can't be written is only lost talk.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::visible::{self, inline, without_passwords};

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProgressMode {
    /// A line that is redrawn, on a terminal only.
    #[default]
    Auto,
    /// One JSON object a second, for programs.
    Json,
    /// Nothing.
    Off,
}

/// Returns a number with what it counts: `1 row`, `2 rows`, `1 entry`, `2 entries`.
#[must_use]
pub fn counted(count: u64, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        _ if what.ends_with("ch") => format!("{count} {what}es"),
        _ => format!("{count} {what}s"),
    }
}

/// A stage's voice on stderr.
#[derive(Debug, Clone)]
pub struct Talk {
    stage: &'static str,
    quiet: bool,
    verbose: bool,
    progress: ProgressMode,
}

impl Talk {
    /// Makes a voice: `quiet` leaves only errors and warnings, `verbose` adds details.
    #[must_use]
    pub fn new(stage: &'static str, quiet: bool, verbose: bool, progress: ProgressMode) -> Self {
        Self {
            stage,
            quiet,
            verbose,
            progress,
        }
    }

    /// Says what was done.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.line(text.as_ref());
        }
    }

    /// Says a detail that only `-v` asks for.
    pub fn detail(&self, text: impl AsRef<str>) {
        if self.verbose && !self.quiet {
            self.line(text.as_ref());
        }
    }

    /// Says what should be looked at; never silenced.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.line(&format!("warning: {}", text.as_ref()));
    }

    /// Says why the program stops, with its causes, and what to do next.
    pub fn fail(&self, error: &anyhow::Error) {
        self.line(&format!("{error:#}"));
        for row in crate::exit::rows_of(error) {
            self.line(row);
        }
        if let Some(hint) = crate::exit::hint_of(error) {
            self.line(&format!("hint: {hint}"));
        }
    }

    /// Starts to show progress towards `total` (records, batches, …), if it is known.
    #[must_use]
    pub fn progress(&self, total: Option<u64>) -> Progress {
        let drawn =
            self.progress == ProgressMode::Auto && !self.quiet && io::stderr().is_terminal();
        let bar = drawn.then(|| {
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let form = if total.is_some() {
                "{prefix}: {msg} {pos}/{len} {eta}"
            } else {
                "{prefix}: {msg} {pos}"
            };
            if let Ok(style) = ProgressStyle::with_template(form) {
                bar.set_style(style);
            }
            bar.set_prefix(self.stage);
            bar
        });
        let json = self.progress == ProgressMode::Json;
        Progress {
            bar,
            json,
            total,
            started: Instant::now(),
            before: 0,
            spoke: None,
        }
    }

    /// All that is said is one line, so that no text of others can look like a line of ours.
    fn line(&self, text: &str) {
        let line = without_passwords(text);
        writeln!(io::stderr().lock(), "{}: {}", self.stage, inline(&line)).ok();
    }
}

/// Progress of one stage.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    json: bool,
    total: Option<u64>,
    started: Instant,
    /// Work that was done before it started.
    before: u64,
    spoke: Option<Instant>,
}

impl Progress {
    /// Goes on where so much of the work was done before.
    #[must_use]
    pub fn after(mut self, done: u64) -> Self {
        self.before = done;
        self
    }

    /// Says how far the work is. `stage` is one of PREPARING, EXECUTING, VERIFYING, COMPLETED and
    /// FAILED; only a change of it is sure to be emitted, otherwise once a second.
    pub fn at(&mut self, stage: &str, done: u64, step: &str, errors: &[String]) {
        if let Some(bar) = &self.bar {
            bar.set_message(inline(step).into_owned());
            bar.set_position(done);
        }
        let last = matches!(stage, "COMPLETED" | "FAILED");
        let due = self
            .spoke
            .is_none_or(|spoke| spoke.elapsed() >= Duration::from_secs(1));
        if !self.json || !(due || last) {
            return;
        }
        self.spoke = Some(Instant::now());
        let total = self.total.unwrap_or(0).max(1);
        let percent = if stage == "COMPLETED" {
            100
        } else {
            (done * 100 / total).min(100)
        };
        let left = self.total.filter(|_| done > self.before).map(|total| {
            self.started
                .elapsed()
                .as_secs()
                .saturating_mul(total.saturating_sub(done))
                / (done - self.before)
        });
        let line = json!({"stage": stage, "progress": percent, "currentStep": step, "estimatedTimeRemaining": left, "errors": errors});
        let line = line.to_string();
        writeln!(io::stderr().lock(), "{}", visible::json(&line)).ok();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
