//! What apply says of a run: on stderr for people, with `--json` on stdout for programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use contract::bundle::Bundle;
use contract::talk::Progress;
use contract::talk::counted;
use contract::{RecordWriter, Reject, Talk, Visible};
use serde_json::json;
use store::ledger::{Added, Counts, Run, RunStatus};
use store::{Batch, Decided, Outcome, called};
use system::files::AtomicFile;

use crate::Args;
use crate::corrections::Corrections;

/// How many lines of a kind are said without `-v`.
const FEW: usize = 10;

/// Gathers what the run did.
pub(crate) struct Report<'a> {
    args: &'a Args,
    bundle: &'a Bundle,
    id: String,
    environment: Option<String>,
    progress: Option<Progress>,
    records: u64,
    batches: usize,
    entities: BTreeMap<String, Counts>,
    drifted: Vec<String>,
    overwritten: Vec<String>,
    corrected: Corrections,
    reason: Option<String>,
    decisions: Vec<String>,
    added: Vec<String>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(args: &'a Args, bundle: &'a Bundle, run: &Run) -> Self {
        Self {
            args,
            bundle,
            id: run.id.clone(),
            environment: run.environment.clone(),
            progress: None,
            records: 0,
            batches: 0,
            entities: BTreeMap::new(),
            drifted: Vec::new(),
            overwritten: Vec::new(),
            corrected: Corrections::default(),
            reason: None,
            decisions: Vec::new(),
            added: Vec::new(),
        }
    }

    /// Says the run ID, on stdout for scripts and on stderr for people. A closed stdout is only
    /// lost talk.
    pub(crate) fn announce(&mut self, out: &mut dyn Write, talk: &Talk) {
        let of = self.environment.as_ref();
        let of = of.map_or_else(String::new, |name| format!(" ({name})"));
        talk.say(format!("run {} into {}{of}", self.id, self.args.to));
        if !self.args.json {
            writeln!(out, "{}", self.id).and_then(|()| out.flush()).ok();
        }
        let total = self
            .bundle
            .manifest()
            .records
            .iter()
            .map(|file| file.records)
            .sum();
        self.progress = Some(talk.progress(Some(total)));
    }

    /// Says what the run added to the catalogue.
    pub(crate) fn added(&mut self, added: &[Added], talk: &Talk) {
        let verb = if self.args.dry_run {
            "would add"
        } else {
            "added"
        };
        for one in added {
            let name = called(&one.table, one.column.as_deref());
            talk.say(format!("{verb} {name}"));
            self.added.push(name);
        }
    }

    pub(crate) fn batch(
        &mut self,
        batch: &Batch<'_>,
        outcome: Outcome,
        talk: &Talk,
    ) -> anyhow::Result<()> {
        self.batches += 1;
        self.records += batch.records.len() as u64;
        self.entities
            .entry(batch.entity.to_owned())
            .or_default()
            .add(&outcome.counts);
        self.corrected.add(&outcome.corrected);
        for decided in &outcome.decisions {
            self.decided(batch, decided, talk);
        }
        for warning in &outcome.warnings {
            talk.warn(warning);
        }
        if let Some(error) = outcome.error {
            let of = format!(
                "batch {} ({}, {}) was undone",
                batch.no,
                batch.entity,
                counted(batch.records.len() as u64, "record")
            );
            talk.say(format!("{of}: {} at fault", outcome.rejects.len()));
            self.reason.get_or_insert(format!("{of}: {error}"));
        }
        for reject in &outcome.rejects {
            let other = self.place_of_other(reject)?;
            for error in &reject.errors {
                let field = error
                    .field
                    .as_ref()
                    .map(|field| format!("{field}: "))
                    .unwrap_or_default();
                let other = other.as_deref().unwrap_or_default();
                let line = format!(
                    "{}: {} {}: {field}{}{other}",
                    reject.at,
                    reject.entity,
                    key_of(reject),
                    error.message
                );
                talk.say(line);
            }
        }
        if let Some(progress) = &mut self.progress {
            progress.at("EXECUTING", self.records, batch.entity, &[]);
        }
        Ok(())
    }

    fn decided(&mut self, batch: &Batch<'_>, decided: &Decided, talk: &Talk) {
        let target = decided
            .target
            .as_ref()
            .map_or_else(|| "assigned by the target".into(), ToString::to_string);
        let line = |what: &str| format!("{}: {} {}: {what}", decided.at, batch.entity, decided.key);
        if !decided.drifted.is_empty() {
            self.drifted.push(line(&format!(
                "edited since, left so: {}",
                decided.drifted.join(", ")
            )));
        }
        if !decided.overwritten.is_empty() {
            self.overwritten.push(line(&format!(
                "edited since, overwritten: {}",
                decided.overwritten.join(", ")
            )));
        }
        if !matches!(decided.action, "created" | "unchanged") {
            talk.detail(line(&format!(
                "{} {target} {}",
                decided.action,
                decided.columns.join(", ")
            )));
        }
        if self.args.dry_run && self.args.json {
            let decision = json!({
                "entity": batch.entity, "key": decided.key, "at": decided.at, "batch": batch.no,
                "action": decided.action, "target": decided.target.as_ref().map(ToString::to_string),
                "columns": decided.columns, "drifted": decided.drifted, "overwritten": decided.overwritten,
            });
            self.decisions
                .push(json!({ "decision": decision }).to_string());
        }
    }

    /// Of a row that two records claim: where the other record stands.
    fn place_of_other(&self, reject: &Reject) -> anyhow::Result<Option<String>> {
        let claimed = reject.errors.iter().find(|error| error.rule == "claimed");
        let Some(other) = claimed.and_then(|error| error.caused_by.as_ref()) else {
            return Ok(None);
        };
        let mut place = None;
        let is_its = |entity: &str| entity == other.entity;
        crate::cut::scan(self.bundle, is_its, |record| {
            if record.key == other.key {
                place.get_or_insert_with(|| format!(" ({})", record.at));
            }
        })?;
        Ok(place)
    }

    /// Notes for what the run waits.
    pub(crate) fn waits(&mut self, why: &str) {
        if let Some(progress) = &mut self.progress {
            progress.at("EXECUTING", self.records, why, &[]);
        }
    }

    /// Notes which batches stand.
    pub(crate) fn stands(&mut self, batches: &[i64]) {
        if let (Some(progress), Some(last)) = (&mut self.progress, batches.last()) {
            progress.at(
                "EXECUTING",
                self.records,
                &format!("batch {last} is committed"),
                &[],
            );
        }
    }

    /// Returns why the run failed, if a batch did.
    pub(crate) fn reason(&self) -> Option<String> {
        self.reason.clone()
    }

    /// Says how the run ended.
    pub(crate) fn finish(
        &mut self,
        run: &Run,
        failures: &[Reject],
        out: &mut dyn Write,
        talk: &Talk,
    ) -> anyhow::Result<()> {
        if let Some(mut progress) = self.progress.take() {
            let stage = if run.status == RunStatus::Completed {
                "COMPLETED"
            } else {
                "FAILED"
            };
            progress.at(
                stage,
                self.records,
                "done",
                &run.reason.iter().cloned().collect::<Vec<_>>(),
            );
        }
        few(talk, &self.drifted, "rows that people edited since");
        few(
            talk,
            &self.overwritten,
            "edits that were overwritten, as the plan says",
        );
        few(
            talk,
            &self.corrected.moved,
            "moves of rows that refer to a corrected record",
        );
        few(
            talk,
            &self.corrected.left,
            "places that still point to the row from which a record was moved, left so",
        );
        for (entity, counts) in self.entities.iter().filter(|_| self.entities.len() > 1) {
            talk.say(format!("{entity}: {}", counts.words()));
        }
        let would = if self.args.dry_run {
            "dry run, nothing written: "
        } else {
            ""
        };
        talk.say(format!(
            "{would}{}: {}",
            counted(run.counts.total(), "record"),
            run.counts.words()
        ));
        self.write_failures(run, failures, talk)?;
        let accepted = self.bundle.plan().plan.no_undo();
        if !accepted.is_empty() {
            talk.warn(format!(
                "the plan accepts that rollback may not take back rows of {} (accept_no_undo)",
                accepted.iter().copied().collect::<Vec<_>>().join(", ")
            ));
        }
        if !self.args.dry_run {
            talk.say(format!("run {} is {}", run.id, run.status));
            if run.status != RunStatus::Completed {
                talk.say(format!(
                    "hint: apply --resume={0} goes on, rollback {0} takes it back",
                    run.id
                ));
            }
        }
        if self.args.json {
            let mut out = Visible::json(out);
            for decision in &self.decisions {
                writeln!(out, "{decision}").ok();
            }
            let summary = json!({
                "run": (!self.args.dry_run).then_some(&run.id), "bundle": run.bundle, "dry_run": self.args.dry_run,
                "environment": run.environment, "status": run.status, "counts": run.counts, "entities": self.entities, "added": self.added, "corrected": self.corrected.json, "accepted_no_undo": accepted, "failures": failures,
            });
            writeln!(out, "{summary}").and_then(|()| out.flush()).ok();
        }
        Ok(())
    }

    /// The latest run's failures, as `validate --from-rejects` reads them; the ledger keeps those of
    /// every run.
    fn write_failures(&self, run: &Run, failures: &[Reject], talk: &Talk) -> anyhow::Result<()> {
        let path: &Path = &self.args.failures;
        if self.args.dry_run || failures.is_empty() {
            return Ok(());
        }
        let sealed = self.bundle.manifest().seal();
        let records = |entity: &str, file: &str| {
            sealed
                .account(entity, file)
                .map_or(0, |account| account.records)
        };
        let mut seal = sealed.next("apply", records).map_err(anyhow::Error::msg)?;
        seal.run = Some(run.id.clone());
        let mut writer = RecordWriter::new(AtomicFile::create(path)?);
        for reject in failures {
            seal.refuse(&reject.entity, &reject.at.file);
            writer.reject(reject)?;
        }
        writer.seal(&seal)?.commit()?;
        talk.say(format!(
            "{} at fault: {}",
            counted(failures.len() as u64, "record"),
            path.display()
        ));
        Ok(())
    }
}

fn few(talk: &Talk, lines: &[String], what: &str) {
    if lines.is_empty() {
        return;
    }
    talk.say(format!("{} {what}:", lines.len()));
    for (place, line) in lines.iter().enumerate() {
        let line = format!("  {line}");
        if place < FEW {
            talk.say(line);
        } else {
            talk.detail(line);
        }
    }
    if lines.len() > FEW {
        talk.say(format!("  and {} more (-v lists all)", lines.len() - FEW));
    }
}

fn key_of(reject: &Reject) -> &str {
    reject.key.as_deref().unwrap_or("(no key)")
}
