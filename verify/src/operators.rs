//! Runs and seconds by operator, from the audit trail.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use store::ledger::AuditEntry;

/// What an operator did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Work {
    /// Who.
    pub operator: String,
    /// Runs that were started.
    pub runs: u64,
    /// Seconds from a start or a resumption to the end that followed.
    pub seconds: i64,
    /// Runs that were taken back.
    pub rollbacks: u64,
}

/// Sums up what each operator did from a moment on (milliseconds since 1970), by name.
pub(crate) fn by_operator(entries: &[AuditEntry], since: i64) -> Vec<Work> {
    let mut all: BTreeMap<&str, Work> = BTreeMap::new();
    let mut begun: HashMap<&str, &AuditEntry> = HashMap::new();
    for entry in entries.iter().filter(|entry| entry.at >= since) {
        let Some(run) = entry.run.as_deref() else {
            continue;
        };
        let work = all.entry(&entry.operator).or_default();
        match entry.action.as_str() {
            "migration:started" | "migration:resumed" => {
                work.runs += u64::from(entry.action == "migration:started");
                begun.insert(run, entry);
            }
            "migration:completed" | "migration:failed" | "migration:interrupted" => {
                if let Some(start) = begun.remove(run) {
                    let work = all.entry(&start.operator).or_default();
                    work.seconds += (entry.at - start.at).max(0) / 1000;
                }
            }
            action if is_rollback(action) => work.rollbacks += 1,
            _ => {}
        }
    }
    let named = |(name, work): (&str, Work)| Work {
        operator: name.to_owned(),
        ..work
    };
    all.into_iter().map(named).collect()
}

/// Tells whether an entry is about a run that was taken back.
pub(crate) fn is_rollback(action: &str) -> bool {
    action.starts_with("migration:rollback:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: i64, action: &str, run: &str, operator: &str) -> AuditEntry {
        AuditEntry {
            seq: 0,
            at,
            action: format!("migration:{action}"),
            run: Some(run.into()),
            operator: operator.into(),
            host: "h".into(),
            detail: "{}".into(),
            hash: vec![],
        }
    }

    #[test]
    fn an_operator_has_the_seconds_between_a_start_and_the_end_that_followed() {
        let trail = [
            entry(1_000, "started", "a", "ann"),
            entry(4_000, "interrupted", "a", "ann"),
            entry(100_000, "resumed", "a", "bo"),
            entry(102_000, "completed", "a", "bo"),
            entry(200_000, "started", "b", "ann"),
            entry(205_000, "failed", "b", "ann"),
            entry(300_000, "rollback:level1", "b", "bo"),
        ];
        let work = |operator: &str, runs, seconds, rollbacks| Work {
            operator: operator.into(),
            runs,
            seconds,
            rollbacks,
        };
        assert_eq!(
            by_operator(&trail, 0),
            [work("ann", 2, 8, 0), work("bo", 0, 2, 1)]
        );
        assert_eq!(
            by_operator(&trail, 150_000),
            [work("ann", 1, 5, 0), work("bo", 0, 0, 1)]
        );
    }
}
