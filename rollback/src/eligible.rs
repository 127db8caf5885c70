//! Whether a run may be taken back at all, apart from its rows: its status, its age, what was pruned.

use std::io::{self, BufRead as _, IsTerminal as _};

use contract::plan::{LoadedPlan, Retention};
use contract::{Exit, Failure, Talk};
use serde_json::{Value, json};
use store::ledger::{self, Run, RunStatus};
use store::undo::Scene;
use store::{Snapshot, Sql, StoreError};

use crate::Args;

/// Changes undone in a second where the run's own apply does not tell: one that took no time, or was
/// interrupted.
const RATE: f64 = 2000.0;

const DAY: i64 = 86_400;

/// What is known of a run before its rows are looked at.
#[derive(Debug)]
pub(crate) struct Eligibility {
    /// Why it can't be taken back.
    pub reason: Option<String>,
    /// Whether it is older than its window: asked for twice, it can still be taken back.
    outside: bool,
    /// Whether that alone is the reason.
    asked: bool,
    days_since: i64,
    window: u32,
    seconds: u64,
    backup: bool,
}

impl Eligibility {
    /// Looks at the run, and at its snapshot if it has one.
    pub fn of(args: &Args, sql: &mut dyn Sql, run: &Run) -> Result<Self, StoreError> {
        let window = retention(run)?.window_days;
        let completed = ledger::completed(sql, run)?;
        let now = args.now().timestamp_millis();
        let age = now.div_euclid(1000) - completed.unwrap_or(run.started).div_euclid(1000);
        let begun = is_begun(run);
        let outside = completed.is_some() && !begun && is_outside(age, window);
        let days_since = age.div_euclid(DAY);
        let reason = if Scene::is_done(run) {
            Some(format!("run {} is already rolled back", run.id))
        } else if let Some(pruned) = pruned(sql, run)? {
            Some(pruned)
        } else {
            failed(sql, run)?.or_else(|| sql.barred())
        };
        let asked = reason.is_none() && outside && !args.outside_window;
        let window_closed = || {
            format!(
                "run {} ended {days_since} days ago, outside its window of {window} days",
                run.id
            )
        };
        let reason = reason.or_else(|| asked.then(window_closed));
        Ok(Self {
            reason,
            outside,
            asked,
            days_since,
            window,
            seconds: seconds(sql, run, completed)?,
            backup: Snapshot::of(run)?.is_some_and(|snapshot| snapshot.fault().is_none()),
        })
    }

    /// The answer of `--check`, but for what the rows say.
    pub fn to_json(&self, run: &Run, reason: Option<&str>) -> Value {
        let reason = reason.or(self.reason.as_deref());
        json!({
            "run": run.id,
            "status": run.status.word(),
            "canRollback": reason.is_none(),
            "reason": reason,
            "backupAvailable": self.backup,
            "estimatedTime": self.seconds,
            "daysSince": self.days_since,
            "window": self.window,
        })
    }

    /// Refuses a run that may not be taken back. One that is outside its window is asked about on a
    /// terminal.
    pub fn demand(&self, run: &Run, talk: &Talk) -> Result<(), Failure> {
        if self.outside {
            talk.warn(format!(
                "run {} ended {} days ago, its window is {} days: more may have been built on it since",
                run.id, self.days_since, self.window
            ));
        }
        let Some(reason) = &self.reason else {
            return Ok(());
        };
        let failure = Failure::new(Exit::Refused, reason.clone());
        if !self.asked {
            return Err(failure.hint(hint(run)));
        }
        if io::stdin().is_terminal() && io::stderr().is_terminal() {
            talk.say("type yes to roll it back nevertheless");
            let mut answer = String::new();
            if io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "yes" {
                return Ok(());
            }
        }
        Err(failure.hint("--outside-window rolls it back nevertheless"))
    }
}

/// What to do about a run that can't be taken back by its ID.
fn hint(run: &Run) -> String {
    match Snapshot::of(run) {
        Ok(Some(snapshot)) if snapshot.fault().is_none() => format!(
            "its snapshot takes the whole target back to before it: rollback --snapshot {}",
            snapshot.path
        ),
        _ => format!("verify report {} says what is known of it", run.id),
    }
}

/// Tells whether a rollback was begun and not ended.
pub(crate) fn is_begun(run: &Run) -> bool {
    matches!(
        run.status,
        RunStatus::RollingBack | RunStatus::RollbackFailed
    )
}

/// Exact to the second: the last second of the window is inside.
fn is_outside(age: i64, days: u32) -> bool {
    age > i64::from(days) * DAY
}

/// Returns the retention of a run's plan.
pub(crate) fn retention(run: &Run) -> Result<Retention, StoreError> {
    let plan = LoadedPlan::parse("the ledger's plan".as_ref(), run.plan.clone());
    plan.map(|plan| plan.plan.retention)
        .map_err(|error| StoreError::Damaged {
            message: error.to_string(),
        })
}

/// Says that what the run's rows were before was given up, if it was.
pub(crate) fn pruned(sql: &mut dyn Sql, run: &Run) -> Result<Option<String>, StoreError> {
    let since = ledger::pruned(sql, &run.id)?;
    Ok(since.map(|since| {
        let since = chrono::DateTime::from_timestamp_millis(since).unwrap_or_default();
        format!(
            "run {} is pruned since {}: what its rows were before is not kept any more",
            run.id,
            since.format("%Y-%m-%dT%H:%M:%SZ")
        )
    }))
}

/// Says which other run's rollback failed: until that is settled nothing else is done.
fn failed(sql: &mut dyn Sql, run: &Run) -> Result<Option<String>, StoreError> {
    let failed = |other: &Run| other.status == RunStatus::RollbackFailed && other.id != run.id;
    let other = ledger::list_runs(sql)?.into_iter().find(failed);
    Ok(other.map(|other| {
        format!(
            "the rollback of run {0} failed: nothing else is done before rollback --resume {0}, or \
             rollback {0} --resolve \"what was done by hand\"",
            other.id
        )
    }))
}

/// How long it will take: as long as the apply did, change by change.
fn seconds(sql: &mut dyn Sql, run: &Run, completed: Option<i64>) -> Result<u64, StoreError> {
    let left = match run.status {
        RunStatus::RolledBack => run.kept,
        _ => run.undo_seq.map_or(run.last_seq, |undone| undone - 1),
    };
    let resumed =
        "SELECT 1 FROM ledger.audit WHERE run = ?1 AND action = 'migration:resumed' LIMIT 1";
    let resumed = !sql.query(resumed, &[run.id.as_str().into()])?.is_empty();
    let lasted = completed.map_or(0, |completed| completed - run.started);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of up to 2^53 changes, above nought"
    )]
    let estimate = {
        let rate = if resumed || lasted <= 0 {
            RATE
        } else {
            run.last_seq as f64 * 1000.0 / lasted as f64
        };
        (left as f64 / rate.max(1.0)).ceil() as u64
    };
    Ok(estimate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_exact_to_the_second() {
        assert!(!is_outside(7 * DAY, 7));
        assert!(is_outside(7 * DAY + 1, 7));
        assert!(!is_outside(0, 0));
        assert!(is_outside(1, 0));
    }
}
