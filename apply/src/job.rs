//! The work: batch after batch, until the end or something stops it.

use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::time::{Duration, Instant};

use ::hooks::Permission;
use chrono::{DateTime, SecondsFormat, Utc};
use contract::bundle::{BatchSize, Bundle};
use contract::talk::counted;
use contract::{Exit, Failure, Record, Talk};
use store::ledger::{self, BatchStatus, Policy, Run, RunStatus};
use store::{Batch, End, StoreError, Target};
use system::{Signal, Signals};

use crate::Args;
use crate::args::OnFailure;
use crate::checkpoint::{Checkpoint, Sources, by_source};
use crate::cut::{self, Pass};
use crate::decide::Watch;
use crate::decisions::{Head, Save, decisions};
use crate::guard;
use crate::hooks;
use crate::report::Report;
use crate::throttle::Throttle;
use crate::trigger::Triggers;
use crate::which::refused;

/// How often the checkpoint file is written at most, while the work goes on: each time it is synced.
fn checkpoint_every() -> Duration {
    Duration::from_millis(system::crash_number!("SWITCHBACK_CHECKPOINT", 100))
}

/// Why the work stopped before its end.
pub(crate) enum Stop {
    /// A batch failed.
    Failed,
    /// A limit was exceeded.
    Limit(String),
    /// A signal came.
    Signal(Signal),
    /// The dry run took too long.
    Slow,
    /// A decision is not the one that was expected.
    Changed(String),
}

/// A run under way.
pub(crate) struct Job<'a> {
    pub(crate) args: &'a Args,
    pub(crate) talk: &'a Talk,
    pub(crate) bundle: &'a Bundle,
    /// Which hooks may run.
    pub(crate) permission: &'a Permission,
    signals: Signals,
    pub(crate) report: Report<'a>,
    triggers: Triggers,
    throttle: Throttle<'a>,
    began: Instant,
    pub(crate) stopped: Option<Stop>,
    failed: u64,
    /// The run's number in the ledger.
    pub(crate) run: i64,
    /// How records that fail are dealt with.
    policy: Policy,
    /// Batches that stand but for records at fault: those are tried again.
    partial: BTreeSet<i64>,
    /// Batches of late references that are to be tried again with records that were at fault.
    reopened: HashSet<i64>,
    /// Batches applied but not committed: number, and records by source in their order; a batch of late
    /// references has none, its records are counted where they were put.
    pending: Vec<(i64, Vec<(String, u64)>)>,
    /// The batch that was tried last.
    pub(crate) trying: Option<i64>,
    pub(crate) checkpoint: Checkpoint,
    /// What the checkpoint has not counted as committed yet.
    sources: Sources,
    /// When its file was written last.
    written: Option<Instant>,
    /// What `--expect` expects.
    watch: Watch,
    /// Where `--save` keeps the decisions.
    save: Option<Save>,
    /// Whether a batch was undone because it could not be taken back later.
    pub(crate) irreversible: Cell<bool>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(
        args: &'a Args,
        talk: &'a Talk,
        bundle: &'a Bundle,
        permission: &'a Permission,
        signals: Signals,
        run: &Run,
        policy: Policy,
    ) -> anyhow::Result<Self> {
        let started = DateTime::from_timestamp_millis(run.started).unwrap_or_default();
        Ok(Self {
            args,
            talk,
            bundle,
            permission,
            signals,
            report: Report::new(args, bundle, run),
            triggers: Triggers::new(args, &bundle.plan().plan.limits, records(bundle)),
            throttle: Throttle::new(args, &run.id),
            began: Instant::now(),
            stopped: None,
            failed: 0,
            run: run.seq,
            policy,
            partial: BTreeSet::new(),
            reopened: HashSet::new(),
            pending: Vec::new(),
            trying: None,
            checkpoint: Checkpoint::new(
                &run.id,
                &run.bundle,
                &started.to_rfc3339_opts(SecondsFormat::Secs, true),
                RunStatus::InProgress.word(),
            ),
            sources: Sources::of(bundle.manifest()),
            written: None,
            watch: Watch::open(args.expect.as_deref())?,
            save: None,
            irreversible: Cell::new(false),
        })
    }

    pub(crate) fn announce(&mut self, out: &mut dyn Write) {
        self.report.announce(out, self.talk);
    }

    /// Says what the run added to the catalogue.
    pub(crate) fn added(&mut self, target: &mut dyn Target, run: &Run) -> Result<(), StoreError> {
        let plan = &self.bundle.plan().plan;
        let added = ledger::added(target.sql(), run.seq, plan)?;
        self.report.added(&added, self.talk);
        Ok(())
    }

    pub(crate) fn work(
        &mut self,
        target: &mut dyn Target,
        run: &Run,
        passes: &[Pass<'_>],
        resumed: bool,
        out: &mut dyn Write,
    ) -> anyhow::Result<Exit> {
        let mut done = self.standing(target, run, resumed)?;
        if let Some(path) = &self.args.save {
            let head = Head::of(self.bundle, &self.args.to, target.sql(), run)?;
            self.save = Some(Save::create(path, head)?);
        }
        let size = run.batches();
        let remaps = Self::remaps(self.args, self.bundle, passes, size, &done)?;
        for pass in passes {
            let late = passes.iter().find(|late| late.puts == Some(pass.first));
            let late = late.map(|late| late.first - pass.first);
            match self.pass(target, (*pass, late), size, &mut done, &remaps) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return self.give_up(target, run, &error),
            }
        }
        self.commit(target, true)
            .map_err(|error| self.lost(&error))?;
        let end = End {
            records: records(self.bundle),
            batches: usize::try_from(passes.iter().map(|pass| pass.batches).sum::<u64>())?,
            interrupted: matches!(self.stopped, Some(Stop::Signal(_))),
            reason: self.reason(),
            at: self.args.now.unwrap_or_else(Utc::now).timestamp_millis(),
        };
        let run = target.finish(&end).map_err(|error| self.lost(&error))?;
        let failures =
            ledger::failures(target.sql(), run.seq).map_err(|error| self.lost(&error))?;
        let mut extent = Ok(());
        if self.args.dry_run {
            let limits = &self.bundle.plan().plan.limits;
            extent = guard::check_extent(target.sql(), run.seq, limits);
            target.abandon().map_err(refused)?;
        }
        if let Some(Stop::Limit(reason) | Stop::Changed(reason)) = &self.stopped {
            self.talk.warn(reason);
        }
        // What stands, stands, also where it can't be told.
        let told = self.report.finish(&run, &failures, out, self.talk);
        told.map_err(|error| Failure::new(Exit::Partial, format!("{error:#}")))?;
        self.end_checkpoint(&run);
        let told = hooks::run(self.args, target.sql(), &run.id, self.permission, self.talk);
        if run.counts.total() != records(self.bundle) {
            let message = format!(
                "a bug: {} records are accounted for, the bundle has {}",
                run.counts.total(),
                end.records
            );
            return Err(Failure::new(Exit::Partial, message).into());
        }
        self.keep_decisions()?;
        extent?;
        let exit = self.exit(&run);
        if exit != Exit::Done && self.args.on_failure == OnFailure::Rollback && !self.args.dry_run {
            return self.roll_back(&run);
        }
        Ok(told.exit(exit))
    }

    /// Gives the file of decisions its name, if the dry run went as far as a live run would.
    fn keep_decisions(&mut self) -> anyhow::Result<()> {
        let (Some(save), Some(path)) = (self.save.take(), &self.args.save) else {
            return Ok(());
        };
        if !matches!(self.stopped, None | Some(Stop::Failed)) {
            let message = format!("{} is not written: the dry run did not end", path.display());
            self.talk.warn(message);
            return Ok(());
        }
        let count = save.commit().map_err(|error| {
            Failure::new(Exit::Unreachable, format!("{}: {error}", path.display()))
        })?;
        self.talk
            .say(format!("{count} decisions are in {}", path.display()));
        Ok(())
    }

    /// Returns the batches that stand, and says where the checkpoint file disagrees with them.
    fn standing(
        &mut self,
        target: &mut dyn Target,
        run: &Run,
        resumed: bool,
    ) -> anyhow::Result<HashSet<i64>> {
        let mut done = HashSet::new();
        let (checkpoint, sources) = (&mut self.checkpoint, &mut self.sources);
        ledger::each_batch(target.sql(), run.seq, |batch| {
            if batch.status == BatchStatus::Applied {
                done.insert(batch.no);
                checkpoint.current_batch = checkpoint.current_batch.max(batch.no);
                if batch.phase != ledger::Phase::Late.word() {
                    for (file, counts) in &batch.files {
                        checkpoint.committed(sources, file, counts.total());
                    }
                }
            }
        })
        .map_err(|error| self.lost(&error))?;
        if resumed {
            let failed = ledger::batches_with_failures(target.sql(), run.seq);
            self.partial = failed.map_err(|error| self.lost(&error))?;
            self.partial.retain(|no| done.contains(no));
        }
        if resumed && !self.args.dry_run {
            let oddity = Checkpoint::oddity(
                &self.args.checkpoint,
                &run.id,
                self.checkpoint.current_batch,
            );
            if let Some(message) = oddity {
                self.talk.say(message);
            }
            self.talk.say(format!(
                "{} applied already",
                counted(done.len() as u64, "batch")
            ));
            if !self.partial.is_empty() {
                self.talk.say(format!(
                    "records at fault in {} of them are tried again",
                    self.partial.len()
                ));
            }
        }
        Ok(done)
    }

    /// Applies the batches of a pass that do not stand yet. `late`: by how much the number of the batch is
    /// higher that writes the late references of one. Returns whether to go on.
    fn pass(
        &mut self,
        target: &mut dyn Target,
        (pass, late): (Pass<'_>, Option<i64>),
        size: BatchSize,
        done: &mut HashSet<i64>,
        remaps: &[(i64, Record)],
    ) -> anyhow::Result<bool> {
        let bundle = self.bundle;
        cut::batches(bundle, pass, size, |no, records| {
            let again = self.partial.contains(&no);
            let asked = self.args.only_batch.is_none_or(|only| only == no);
            let asked = asked || self.reopened.contains(&no);
            if !asked || (done.contains(&no) && !again) {
                return Ok(true);
            }
            let failed = if again {
                self.failed_of(target, no, records)?
            } else {
                Vec::new()
            };
            if again && failed.is_empty() {
                return Ok(true);
            }
            let records = if again { &failed } else { records };
            // Records that do not stand have no late references yet: a resumed run writes them.
            let puts = pass.puts.map(|first| first + no - pass.first);
            if puts.is_some_and(|puts| !done.contains(&puts)) {
                return Ok(true);
            }
            if let Some(stop) = self.wait(target) {
                self.stopped = Some(stop);
                return Ok(false);
            }
            let signals = self.signals.clone();
            let expected = self.watch.batch(no)?;
            let (watch, expected) = (&self.watch, expected.as_deref());
            let entity = (no, pass.file.entity.as_str());
            let batch = Batch {
                no,
                phase: pass.phase,
                entity: &pass.file.entity,
                records,
                remaps: &remaps[remaps.partition_point(|(batch, _)| *batch <= no)..],
                quarantine: self.policy.by_record || again,
                again,
                late: late
                    .map(|late| no + late)
                    .filter(|late| again && done.contains(late)),
                abort: &|| signals.at_once(),
                judge: &|decided, rejects| {
                    watch.agrees(expected, || decisions(bundle, entity, decided, rejects))
                },
            };
            self.trying = Some(no);
            let outcome = target.apply(&batch).map_err(|error| self.lost(&error))?;
            if outcome.aborted {
                let signal = || self.signals.stop().map(Stop::Signal);
                self.stopped = watch.difference().map(Stop::Changed).or_else(signal);
                return Ok(false);
            }
            let applied = outcome.applied;
            let now = || decisions(bundle, entity, &outcome.decisions, &outcome.rejects);
            let agrees = applied || watch.agrees(expected, now);
            if let Some(save) = &mut self.save {
                save.add(&now())?;
            }
            let late = pass.phase == ledger::Phase::Late;
            self.failed += outcome.counts.failed;
            self.throttle.wrote(&outcome.counts);
            if again {
                self.partial.remove(&no);
                if let Some(late) = batch.late.filter(|_| !outcome.decisions.is_empty()) {
                    done.remove(&late);
                    self.reopened.insert(late);
                }
            }
            if applied {
                done.insert(no);
                let counted = late || again;
                self.pending.push((
                    no,
                    if counted {
                        Vec::new()
                    } else {
                        by_source(records)
                    },
                ));
            }
            self.report.batch(&batch, outcome, self.talk)?;
            self.commit(target, !applied || self.throttle.is_set())
                .map_err(|error| self.lost(&error))?;
            if let Some(reason) = self.triggers.fired(self.failed) {
                self.stopped = Some(Stop::Limit(reason));
                return Ok(false);
            }
            if let Some(message) = self.watch.difference().filter(|_| !agrees) {
                self.stopped = Some(Stop::Changed(message));
                return Ok(false);
            }
            if applied || self.policy.continues {
                return Ok(true);
            }
            self.stopped = Some(Stop::Failed);
            Ok(false)
        })
    }

    /// The corrections of the id map in the batches that do not stand yet. Where one batch alone is to be
    /// written, none of the others'.
    pub(crate) fn remaps(
        args: &Args,
        bundle: &Bundle,
        passes: &[Pass<'_>],
        size: BatchSize,
        done: &HashSet<i64>,
    ) -> anyhow::Result<Vec<(i64, Record)>> {
        if args.only_batch.is_some() {
            return Ok(Vec::new());
        }
        let mut remaps = cut::remaps(bundle, passes, size)?;
        remaps.retain(|(batch, _)| !done.contains(batch));
        Ok(remaps)
    }

    /// Waits until the next batch may begin, or says what stops the run before that.
    fn wait(&mut self, target: &mut dyn Target) -> Option<Stop> {
        let mut stop = self.stop();
        while stop.is_none() && self.throttle.is_set() {
            let sql = target.sql();
            let Some(why) = self.throttle.wait(sql, &self.signals, self.talk) else {
                break;
            };
            self.report.waits(&why);
            stop = self.stop();
            if stop.is_none() {
                stop = self.triggers.fired(self.failed).map(Stop::Limit);
            }
        }
        stop
    }

    /// Says what stops the run before its next batch.
    fn stop(&mut self) -> Option<Stop> {
        if let Some(signal) = self.signals.stop() {
            return Some(Stop::Signal(signal));
        }
        let limit = Duration::from_secs(self.args.max_seconds);
        if self.args.dry_run && self.began.elapsed() > limit {
            return Some(Stop::Slow);
        }
        None
    }

    fn commit(&mut self, target: &mut dyn Target, now: bool) -> Result<(), StoreError> {
        let stand = target.commit(now)?;
        if stand.is_empty() {
            return Ok(());
        }
        self.report.stands(&stand);
        for (no, records) in self.pending.drain(..) {
            self.checkpoint.current_batch = no;
            for (file, count) in records {
                self.checkpoint.committed(&mut self.sources, &file, count);
            }
        }
        if !self.args.dry_run {
            self.checkpoint.last_checkpoint_at =
                Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
            if self
                .written
                .is_none_or(|at| at.elapsed() >= checkpoint_every())
            {
                self.write_checkpoint();
                self.written = Some(Instant::now());
            }
        }
        Ok(())
    }

    /// The file is a convenience: that it can't be written stops nothing.
    fn write_checkpoint(&self) {
        if let Err(error) = self.checkpoint.write(&self.args.checkpoint) {
            self.talk.detail(format!(
                "{}: {error}: the ledger has it all",
                self.args.checkpoint.display()
            ));
        }
    }

    pub(crate) fn end_checkpoint(&mut self, run: &Run) {
        if self.args.dry_run {
            return;
        }
        if run.status == RunStatus::Completed {
            Checkpoint::remove(&self.args.checkpoint, &run.id).ok();
        } else {
            run.status.word().clone_into(&mut self.checkpoint.status);
            self.write_checkpoint();
        }
    }
}

pub(crate) fn records(bundle: &Bundle) -> u64 {
    bundle
        .manifest()
        .records
        .iter()
        .map(|file| file.records)
        .sum()
}
