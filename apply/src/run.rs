//! The run: checks, then batches, then the end.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::time::{Duration, Instant};

use contract::bundle::Bundle;
use contract::plan::Lookup;
use contract::signals::Signals;
use contract::{Exit, Failure, Talk};
use store::ledger::{self, BatchStatus, Counts, Run};
use store::{Batch, End, LookupCode, StoreError, Target, Which};

use crate::Args;
use crate::cut::{self, Pass};
use crate::report::Report;
use crate::which::{refused, which};

/// Applies a bundle.
///
/// # Errors
///
/// With the exit code of the table; after a write the ledger says what stands.
pub fn run(args: &Args, out: &mut dyn Write, talk: &Talk) -> anyhow::Result<Exit> {
    let signals = Signals::listen()?;
    let bundle = Bundle::open(&args.bundle)?;
    bundle.check()?;
    let mut target = args.to.open().map_err(refused)?;
    let problems = target.preflight(bundle.plan()).map_err(refused)?;
    if !problems.is_empty() {
        let message = format!("the target does not fit the plan:\n{}", problems.join("\n"));
        return Err(Failure::new(Exit::Refused, message)
            .hint("nothing was written; mend the plan or the target")
            .into());
    }
    let start = which(args, &bundle, target.sql())?;
    if let Which::New(_) = start.run {
        look_up(&bundle, target.as_mut())?;
    }
    if args.dry_run {
        talk.say(format!(
            "dry run: {} is locked for writing until it ends, {} s at most",
            args.to, args.max_seconds
        ));
    }
    let run = target.start(bundle.plan(), start).map_err(refused)?;
    let mut job = Job {
        args,
        talk,
        bundle: &bundle,
        signals,
        report: Report::new(args, &bundle, &run),
        wrote: false,
        began: Instant::now(),
        stopped: None,
    };
    if !args.dry_run {
        job.report.announce(out, talk);
    }
    job.work(target.as_mut(), &run, out)
}

/// Looks up every code of the bundle, each once.
fn look_up(bundle: &Bundle, target: &mut dyn Target) -> anyhow::Result<()> {
    let plan = &bundle.plan().plan;
    let mut codes: BTreeMap<(String, String, String), LookupCode> = BTreeMap::new();
    cut::scan(bundle, |record| {
        for (column, code) in &record.lookups {
            let field = plan
                .entity(&record.entity)
                .and_then(|entity| entity.fields.get(column));
            let Some(lookup): Option<&Lookup> = field.and_then(|field| field.lookup.as_ref())
            else {
                continue;
            };
            codes
                .entry((record.entity.clone(), column.clone(), code.clone()))
                .or_insert_with(|| LookupCode {
                    entity: record.entity.clone(),
                    column: column.clone(),
                    lookup: lookup.clone(),
                    code: code.clone(),
                    at: record.at.clone(),
                });
        }
    })?;
    let codes: Vec<LookupCode> = codes.into_values().collect();
    let faults = target.look_up(&codes).map_err(refused)?;
    if faults.is_empty() {
        return Ok(());
    }
    let line = |fault: &store::LookupFault| {
        format!(
            "{}: {}.{}: {}",
            fault.code.at, fault.code.entity, fault.code.column, fault.message
        )
    };
    let lines: Vec<String> = faults.iter().map(line).collect();
    let message = format!(
        "codes that the target does not know, or knows several times:\n{}",
        lines.join("\n")
    );
    Err(Failure::new(Exit::Refused, message)
        .hint("nothing was written; add the codes to the target, or map them")
        .into())
}

/// Why the work stopped before its end.
enum Stop {
    /// A batch failed.
    Failed,
    /// A signal came.
    Signal(Exit),
    /// The dry run took too long.
    Slow,
}

struct Job<'a> {
    args: &'a Args,
    talk: &'a Talk,
    bundle: &'a Bundle,
    signals: Signals,
    report: Report<'a>,
    /// Whether a batch stands.
    wrote: bool,
    began: Instant,
    stopped: Option<Stop>,
}

impl Job<'_> {
    fn work(
        &mut self,
        target: &mut dyn Target,
        run: &Run,
        out: &mut dyn Write,
    ) -> anyhow::Result<Exit> {
        let size = u64::try_from(run.batch_size)?;
        let passes = cut::passes(self.bundle, size);
        let known = ledger::list_batches(target.sql(), run.seq).map_err(refused)?;
        let done: HashSet<i64> = known
            .iter()
            .filter(|batch| batch.status == BatchStatus::Applied)
            .map(|batch| batch.no)
            .collect();
        let all: u64 = passes.iter().map(|pass| pass.batches).sum();
        if let Some(no) = self
            .args
            .only_batch
            .filter(|no| *no < 1 || no.unsigned_abs() > all)
        {
            let message = format!("the run has batches 1 to {all}, not {no}");
            return self.give_up(target, run, &Failure::new(Exit::Usage, message).into());
        }
        self.wrote = !done.is_empty();
        for pass in &passes {
            match self.pass(target, run, *pass, usize::try_from(size)?, &done) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return self.give_up(target, run, &error),
            }
        }
        self.commit(target, true)
            .map_err(|error| self.lost(run, &error))?;
        let end = End {
            records: self
                .bundle
                .manifest()
                .records
                .iter()
                .map(|file| file.records)
                .sum(),
            batches: usize::try_from(all)?,
            interrupted: matches!(self.stopped, Some(Stop::Signal(_))),
            reason: self.report.reason(),
            at: self
                .args
                .now
                .unwrap_or_else(chrono::Utc::now)
                .timestamp_millis(),
        };
        let run = target
            .finish(&end)
            .map_err(|error| self.lost(run, &error))?;
        let failures = ledger::failures(target.sql(), run.seq).map_err(refused)?;
        if self.args.dry_run {
            target.abandon().map_err(refused)?;
        }
        self.report.finish(&run, &failures, out, self.talk)?;
        Ok(self.exit(&run.counts))
    }

    /// Applies the batches of a pass that do not stand yet. Returns whether to go on.
    fn pass(
        &mut self,
        target: &mut dyn Target,
        run: &Run,
        pass: Pass<'_>,
        size: usize,
        done: &HashSet<i64>,
    ) -> anyhow::Result<bool> {
        let bundle = self.bundle;
        cut::batches(bundle, pass, size, |no, records| {
            if done.contains(&no) || self.args.only_batch.is_some_and(|only| only != no) {
                return Ok(true);
            }
            if let Some(exit) = self.signals.stop() {
                self.stopped = Some(Stop::Signal(exit));
                return Ok(false);
            }
            if self.args.dry_run
                && self.began.elapsed() > Duration::from_secs(self.args.max_seconds)
            {
                self.stopped = Some(Stop::Slow);
                return Ok(false);
            }
            let batch = Batch {
                no,
                phase: pass.phase,
                entity: &pass.file.entity,
                records,
            };
            let outcome = target
                .apply(&batch)
                .map_err(|error| self.lost(run, &error))?;
            let applied = outcome.applied;
            self.report.batch(&batch, outcome, self.talk)?;
            self.commit(target, !applied)
                .map_err(|error| self.lost(run, &error))?;
            if applied || self.args.continue_on_error {
                return Ok(true);
            }
            self.stopped = Some(Stop::Failed);
            Ok(false)
        })
    }

    fn commit(&mut self, target: &mut dyn Target, now: bool) -> Result<(), StoreError> {
        let stand = target.commit(now)?;
        self.wrote |= !stand.is_empty();
        self.report.stands(&stand);
        Ok(())
    }

    /// An error of the target while the run is under way.
    fn lost(&self, run: &Run, error: &StoreError) -> Failure {
        let hint = format!(
            "the ledger says what stands: apply --resume={0} goes on, rollback {0} takes it back",
            run.id
        );
        if self.args.dry_run {
            return Failure::new(error.exit(), format!("dry run: {error}"));
        }
        Failure::new(Exit::Partial, error.to_string()).hint(hint)
    }

    /// Ends a run that can't go on, as well as the target lets us.
    fn give_up(
        &self,
        target: &mut dyn Target,
        run: &Run,
        error: &anyhow::Error,
    ) -> anyhow::Result<Exit> {
        if self.args.dry_run {
            target.abandon().map_err(refused)?;
            return Err(Failure::new(contract::code_of(error), format!("{error:#}")).into());
        }
        let end = End {
            records: self
                .bundle
                .manifest()
                .records
                .iter()
                .map(|file| file.records)
                .sum(),
            batches: usize::MAX,
            interrupted: false,
            reason: Some(format!("{error:#}")),
            at: chrono::Utc::now().timestamp_millis(),
        };
        if let Err(second) = target
            .commit(true)
            .map(|_| ())
            .and_then(|()| target.finish(&end).map(|_| ()))
        {
            self.talk
                .warn(format!("the run could not be ended either: {second}"));
        }
        let code = if contract::code_of(error) == Exit::Usage {
            Exit::Usage
        } else {
            Exit::Partial
        };
        let hint = format!(
            "apply --resume={0} goes on, rollback {0} takes it back",
            run.id
        );
        Err(Failure::new(code, format!("{error:#}")).hint(hint).into())
    }

    fn exit(&self, counts: &Counts) -> Exit {
        match self.stopped {
            Some(Stop::Signal(exit)) => exit,
            _ if counts.failed == 0 && counts.not_attempted == 0 && self.stopped.is_none() => {
                Exit::Done
            }
            _ if self.args.dry_run => Exit::No,
            _ => Exit::Partial,
        }
    }
}
