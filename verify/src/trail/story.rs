//! What the entries of one run say of it, the newest last.

use serde_json::Value;
use store::ledger::{AuditEntry, RunStatus};

use crate::finding::Fault;

/// What the trail says of a run. `None` of what no entry says.
#[derive(Default)]
pub(super) struct Story {
    /// The number of the newest entry.
    pub newest: i64,
    /// The entry with which it started, and what that confirms.
    pub started: Option<(AuditEntry, Value)>,
    /// The number of the newest entry with figures, and these; none where the run went on since.
    pub figures: Option<(i64, Value)>,
    pub status: Option<RunStatus>,
    pub ended: Option<Value>,
    pub reason: Option<Value>,
    pub kept: Option<Value>,
    /// The number of the entry that confirms what rollback kept, and the digest of that.
    pub kept_rows: Option<(i64, Value)>,
    pub undo_seq: Option<Value>,
    pub snapshot_pruned: bool,
    /// Whether its changes were given up.
    pub pruned: bool,
    /// The number of the newest entry of an end that has no figures.
    pub bare: Option<i64>,
    /// The number of the newest entry that gave a table another name: counters go by the names of tables.
    pub renamed: i64,
    /// Who works on it, on which host.
    by: Option<(String, String)>,
    /// How many entries it has.
    entries: i64,
    /// What of its figures two entries tell differently, or one by itself.
    pub faults: Vec<String>,
}

impl Story {
    /// Takes an entry of the run, and returns what is not right about the entry itself.
    pub(super) fn tell(&mut self, entry: &AuditEntry, detail: Value) -> Option<Fault> {
        self.newest = entry.seq;
        self.entries += 1;
        let told = |name: &str| Some(detail[name].clone());
        let what = entry.action.strip_prefix("migration:")?;
        match what {
            "started" => {
                self.status = Some(RunStatus::InProgress);
                self.ended = Some(Value::Null);
                self.reason = detail.get("reason").cloned();
                (self.kept, self.undo_seq) = (Some(0.into()), Some(Value::Null));
                self.by = Some((entry.operator.clone(), entry.host.clone()));
                self.started = Some((entry.clone(), detail));
            }
            "resumed" => {
                self.status = Some(RunStatus::InProgress);
                (self.ended, self.reason) = (Some(Value::Null), Some(Value::Null));
                self.figures = None;
                if let (Some((_, opening)), Some(shapes)) =
                    (&mut self.started, detail.get("shapes"))
                {
                    opening["shapes"] = shapes.clone();
                }
                self.by = Some((entry.operator.clone(), entry.host.clone()));
            }
            "completed" | "failed" | "interrupted" => {
                self.status = Some(match what {
                    "completed" => RunStatus::Completed,
                    "failed" => RunStatus::Failed,
                    _ => RunStatus::InProgress,
                });
                self.ended = Some(entry.at.into());
                self.reason = told("reason");
                let settled = detail["resolved"] == true;
                self.note(entry, detail);
                // Anybody may settle a run by a note.
                return self.stranger(entry).filter(|_| !settled);
            }
            "given-up" => {
                self.status = Some(RunStatus::Failed);
                self.reason = told("reason");
                self.note(entry, detail);
            }
            "mapping:corrected" => return self.stranger(entry),
            "rollback:level0" | "rollback:level1" | "rollback:resolved" => {
                self.taken_back(entry);
                let reason = ["reason", "note"].map(|name| &detail[name]);
                let reason = reason.into_iter().find(|reason| !reason.is_null());
                self.reason = reason.cloned().or(self.reason.take());
                self.kept = detail.get("kept").cloned();
                let records = detail["last_seq"].as_i64().zip(detail["kept"].as_i64());
                if let (Some((last, kept)), Some(told)) = (records, detail.get("records"))
                    && *told != last - kept
                {
                    self.faults.push(format!(
                        "entry {} tells another number of `records` than it kept changes of all",
                        entry.seq
                    ));
                }
                self.kept_rows = detail
                    .get("kept_rows")
                    .map(|rows| (entry.seq, rows.clone()));
                let named = detail["operator"].as_str().map(str::to_owned);
                let named = named.filter(|named| *named != entry.operator);
                self.note(entry, detail);
                return named.map(|named| {
                    Fault::error(format!(
                        "entry {} is by {}, its figures by {named}: the trail was changed",
                        entry.seq, entry.operator
                    ))
                });
            }
            "rollback:failed" => {
                self.status = Some(RunStatus::RollbackFailed);
                self.reason = told("error");
                self.undo_seq = detail["left"].as_i64().map(|left| (left + 1).into());
                self.note(entry, detail);
            }
            "pruned" => {
                (self.kept, self.kept_rows) = (Some(0.into()), None);
                self.pruned = true;
            }
            "snapshot:pruned" => self.snapshot_pruned = true,
            _ if detail.get("last_seq").or(detail.get("number")).is_some() => {
                return Some(Fault::error(format!(
                    "entry {} has the figures of a run, and is called {}",
                    entry.seq, entry.action
                )));
            }
            _ => {}
        }
        None
    }

    /// Takes an entry of a snapshot that was restored, which took the run back. `again`: its changes stand
    /// again.
    pub(super) fn restored(&mut self, entry: &AuditEntry, again: bool) {
        self.newest = entry.seq;
        let own = self
            .started
            .as_ref()
            .and_then(|(started, _)| started.run.as_ref());
        self.entries += i64::from(own.is_some() && own == entry.run.as_ref());
        if again {
            self.status = Some(RunStatus::RolledBack);
            self.undo_seq = Some(1.into());
        } else {
            self.taken_back(entry);
        }
        self.kept = (!again).then_some(0.into());
        (self.reason, self.kept_rows) = (None, None);
    }

    fn taken_back(&mut self, entry: &AuditEntry) {
        self.status = Some(RunStatus::RolledBack);
        self.ended = Some(entry.at.into());
        self.undo_seq = Some(1.into());
    }

    /// Takes the figures of an entry, where it has any: those of old ledgers have none.
    fn note(&mut self, entry: &AuditEntry, detail: Value) {
        if detail.get("last_seq").is_none() {
            self.bare = Some(entry.seq);
            return;
        }
        let before = self.entries - 1;
        // The first ones may have been pruned.
        if self.started.is_some() && detail["entries"] != before {
            self.faults.push(format!(
                "entry {} tells of {} before it, and there are {before}: some were taken out",
                entry.seq, detail["entries"]
            ));
        }
        if let Some((older, figures)) = &self.figures {
            // A rollback may have noted more changes of the run.
            if figures["last_seq"].as_i64() > detail["last_seq"].as_i64()
                || !figures["last_seq"].is_i64()
            {
                self.faults.push(format!(
                    "entry {older} tells of more changes than entry {}",
                    entry.seq
                ));
            }
            for name in ["plan", "counts", "counters", "batches", "failures"] {
                let renamed = name == "counters" && self.renamed > *older;
                if figures.get(name) != detail.get(name) && !renamed {
                    self.faults.push(format!(
                        "entries {older} and {} tell different `{name}`, and nothing went on between them",
                        entry.seq
                    ));
                }
            }
        }
        self.figures = Some((entry.seq, detail));
    }

    /// Who ends a run is who started it, or went on with it.
    fn stranger(&self, entry: &AuditEntry) -> Option<Fault> {
        let (operator, host) = self.by.as_ref()?;
        (*operator != entry.operator || *host != entry.host).then(|| {
            Fault::error(format!(
                "entry {} is by {} on {}, the entry before it of the same work by {operator} on {host}: the trail was changed",
                entry.seq, entry.operator, entry.host
            ))
        })
    }
}
