//! The row of a run against what its entries say.

use contract::Digest;
use serde_json::{Value, json};
use store::ledger::{Rename, Run, RunStatus, former_counters};

use super::story::Story;
use crate::finding::{Check, Fault};

/// Compares the row of a run with its entries. `until`: entries of up to this time were pruned.
pub(super) fn row(
    run: &Run,
    story: Option<&Story>,
    until: Option<i64>,
    renames: &[Rename],
    check: &mut Check,
) {
    let pruned = |at: i64| until.is_some_and(|until| at <= until);
    let nothing = Story::default();
    let story = story.unwrap_or(&nothing);
    let mut faults = Faults {
        run,
        check,
        whole: run.format as i64 >= 2,
    };
    for fault in &story.faults {
        faults.check.add(of(run, Fault::error(fault)));
    }
    if let Some(entry) = story.bare.filter(|_| faults.whole) {
        faults.add(
            "counts",
            &format!("entry {entry} of the audit trail has no figures"),
        );
    }
    match &story.started {
        Some((entry, detail)) => {
            let of = |name: &str| (entry.seq, detail.get(name).cloned());
            let at = |value: Value| (entry.seq, Some(value));
            faults.same("started", at(entry.at.into()), run.started.into());
            faults.same("operator", at(json!(entry.operator)), json!(run.operator));
            faults.same("host", at(json!(entry.host)), json!(run.host));
            faults.same("seq", of("number"), run.seq.into());
            faults.same("name", of("name"), json!(run.name));
            faults.same("system", of("system"), json!(run.system));
            faults.same("plan", of("plan"), digest(&run.plan));
            faults.same("lookups", of("lookups"), digest(&run.lookups));
            faults.same("bundle", of("bundle"), json!(run.bundle));
            faults.same("bundle_path", of("bundle_path"), json!(run.bundle_path));
            faults.same("environment", of("environment"), json!(run.environment));
            faults.same("target", of("target"), json!(run.target));
            faults.same("tool", of("tool"), json!(run.tool));
            faults.same("format", of("format"), (run.format as i64).into());
            faults.same(
                "tables",
                of("shapes"),
                json!(run.tables.as_deref().map(digest)),
            );
            faults.same("batch_size", of("batch_size"), run.batch_size.into());
            if let Some((_, figures)) = &story.figures
                && figures.get("counts") == Some(&json!(run.counts))
            {
                faults.same("counts", of("records"), run.counts.total().into());
            }
            let (snapshot, removed) = snapshot(run);
            faults.same("snapshot", of("snapshot"), snapshot);
            if removed != story.snapshot_pruned {
                faults.add(
                    "snapshot",
                    "the row and the audit trail differ on whether it was removed",
                );
            }
        }
        None if pruned(run.started) => {}
        None => faults.add("started", "the audit trail has no entry of its start"),
    }
    if let Some((entry, figures)) = &story.figures {
        let of = |name: &str| (*entry, figures.get(name).cloned());
        faults.same("plan", of("plan"), digest(&run.plan));
        faults.same("counts", of("counts"), json!(run.counts));
        faults.same("last_seq", of("last_seq"), run.last_seq.into());
        let counters = former_counters(&run.counters, renames, *entry);
        faults.same("counters", of("counters"), digest(&counters));
    }
    life(
        run,
        story,
        pruned(run.ended.unwrap_or(run.started)),
        &mut faults,
    );
}

/// Compares where the run stands, since when and why.
fn life(run: &Run, story: &Story, pruned: bool, faults: &mut Faults<'_>) {
    let newest = |value: Value| (story.newest, Some(value));
    let Some(status) = story.status else {
        let ended = !matches!(run.status, RunStatus::InProgress | RunStatus::RollingBack);
        if ended && !pruned {
            faults.add("status", "the audit trail has no entry of its end");
        }
        return;
    };
    // That a rollback began is in no entry; what it had done so far, the row alone says.
    if run.status == RunStatus::RollingBack {
        return;
    }
    faults.same(
        "status",
        newest(json!(status.word())),
        json!(run.status.word()),
    );
    if run.status != status {
        return;
    }
    if let Some(ended) = &story.ended {
        faults.same("ended", newest(ended.clone()), json!(run.ended));
    }
    // In a database that lacks characters the row has them spelled out.
    let spelled = |reason: &str| run.reason.as_ref() == Some(&plain(reason));
    if let Some(reason) = &story.reason
        && !reason.as_str().is_some_and(spelled)
    {
        faults.same("reason", newest(reason.clone()), json!(run.reason));
    }
    if let Some(kept) = &story.kept {
        faults.same("kept", newest(kept.clone()), run.kept.into());
    }
    if let Some(undo_seq) = &story.undo_seq {
        faults.same("undo_seq", newest(undo_seq.clone()), json!(run.undo_seq));
    }
}

fn plain(text: &str) -> String {
    let spell = |c: char| {
        if c.is_ascii() {
            c.to_string()
        } else {
            c.escape_unicode().to_string()
        }
    };
    text.chars().map(spell).collect()
}

fn digest(text: &str) -> Value {
    json!(Digest::of(text.as_bytes()))
}

/// The snapshot as it was when the run started, and whether it was removed since.
fn snapshot(run: &Run) -> (Value, bool) {
    let Some(json) = &run.snapshot else {
        return (Value::Null, false);
    };
    let mut snapshot: Value = serde_json::from_str(json).unwrap_or_else(|_| json.clone().into());
    let pruned = snapshot
        .as_object_mut()
        .and_then(|all| all.remove("pruned"));
    (snapshot, pruned.is_some())
}

/// Names the run in a fault.
pub(super) fn of(run: &Run, mut fault: Fault) -> Fault {
    fault.message = format!("run {}: {}", run.id, fault.message);
    fault
}

/// Where faults of a run go.
struct Faults<'a> {
    run: &'a Run,
    check: &'a mut Check,
    /// Whether an entry that says nothing of a column is at fault: those of old ledgers say less.
    whole: bool,
}

impl Faults<'_> {
    fn add(&mut self, column: &str, message: &str) {
        let fault = Fault {
            column: Some(column.to_owned()),
            ..Fault::error(message)
        };
        self.check.add(of(self.run, fault));
    }

    /// Compares what an entry says, if it says it, with what the row says.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "most of what the row says is made for it"
    )]
    fn same(&mut self, column: &str, (entry, expected): (i64, Option<Value>), found: Value) {
        let Some(expected) = expected else {
            if self.whole {
                let message = format!("entry {entry} of the audit trail says nothing of it");
                self.add(column, &message);
            }
            return;
        };
        if expected == found {
            return;
        }
        let message = format!("its row is not as entry {entry} of the audit trail says");
        let fault = Fault::error(message).values(column, shown(&expected), shown(&found));
        self.check.add(of(self.run, fault));
    }
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
