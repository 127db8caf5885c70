//! Undoing, batch by batch.

use std::time::{Duration, Instant};

use contract::talk::counted;
use contract::{Exit, Failure};
use store::TargetUrl;
use store::ledger::{self, Holder, Lease, Run};
use store::undo::{Begun, Pace, Scene, Step, Undo, Verdict, give_up};
use store::{StoreError, undo};
use system::Signals;

use crate::Args;
use crate::evidence::Evidence;
use crate::report::Report;
use crate::run::{after, locked, refused, what_to_do};
use crate::words::they_are;

/// Fewer changes in a batch cost more waiting for the disk than they are worth.
const LEAST: usize = 500;

/// So long batches are gathered for one commit, as apply does.
const GATHER: Duration = Duration::from_millis(200);

/// How it ended.
pub(crate) enum Ended {
    RolledBack(Box<Run>, Box<Scene>),
    /// Somebody else was faster.
    Already(Box<Run>),
    /// By a signal: the run can be gone on with.
    Stopped(Exit),
    /// It took too long, where nothing of it lasts.
    Slow,
}

/// Undoes what the check found nothing in the way of; not after `until`.
pub(crate) fn undo(
    args: &Args,
    url: &TargetUrl,
    target: &mut Box<dyn Undo>,
    mut scene: Scene,
    (signals, until): (&Signals, Option<Instant>),
    report: &mut Report<'_>,
) -> anyhow::Result<Ended> {
    let id = scene.run.id.clone();
    let holder = Holder::here(&args.operator(), &id);
    let (run, lease) = match target.start(&id, &holder, args.take_over) {
        Ok(Begun::Started { run, lease }) => (run, lease),
        Ok(Begun::Already(run)) => return Ok(Ended::Already(run)),
        Err(StoreError::Locked { holder }) => {
            let held = ledger::holder(target.sql()).map_err(refused)?;
            let run = held.map(|held| held.holder.run).unwrap_or_default();
            return Err(locked(target.sql(), &run, &holder).into());
        }
        Err(error) => return Err(refused(error).into()),
    };
    let pace = pace(args, &run);
    scene.begin(*run);
    let mut work = Work {
        url,
        target,
        scene,
        lease,
        pace,
    };
    report.begin("EXECUTING", work.scene.left());
    loop {
        if let Some(signal) = signals.stop() {
            return work.pause(signal.into(), report);
        }
        if until.is_some_and(|until| Instant::now() > until) {
            return Ok(Ended::Slow);
        }
        match work.step(signals) {
            Ok(Step::Done(count)) => report.done(count),
            Ok(Step::End) => {
                report.course.retries = work.scene.retries;
                break;
            }
            Ok(Step::Stopped) => {
                let exit = signals.stop().map_or(Exit::Partial, Exit::from);
                return work.pause(exit, report);
            }
            Ok(Step::Conflict(findings)) => {
                let refused = findings.iter().find_map(|finding| match &finding.verdict {
                    Verdict::Failed(why) => {
                        Some(format!("{} {}: {why}", finding.table, finding.key))
                    }
                    _ => None,
                });
                match &refused {
                    Some(why) => give_up(work.target.as_mut(), &id, lease, &holder, why),
                    None => work.target.pause(lease),
                }
                .map_err(after)?;
                report.forget();
                for finding in findings {
                    report.finding(finding, true).map_err(after)?;
                }
                let run = &work.scene.run;
                report.conclude(&mut Evidence::open(args.bundle.as_deref(), run)?)?;
                let message = format!(
                    "the rollback of run {id} stopped: {} can't be reversed as {} now; the batches before it are committed",
                    counted(report.conflicts(), "row"),
                    they_are(report.conflicts())
                );
                let hint = match refused {
                    Some(_) => what_to_do(&id),
                    None => format!("look at them, then: rollback --resume {id}"),
                };
                return Err(Failure::new(Exit::Partial, message).hint(hint).into());
            }
            Err(
                error @ (StoreError::Damaged { .. }
                | StoreError::Refused { .. }
                | StoreError::Constraint { .. }),
            ) => {
                return Err(work.ends_for_good(error, &holder)?.into());
            }
            Err(error) => {
                // What was undone stands in the ledger; the lock is void once this process is gone.
                let failure = stopped(error, &id, report);
                return Err(failure.into());
            }
        }
    }
    let reason = args.reason.as_deref();
    let finished = work.target.finish(&mut work.scene, lease, &holder, reason);
    match finished {
        Ok(()) => {}
        Err(error @ StoreError::Irreversible { .. }) => {
            return Err(work.ends_for_good(error, &holder)?.into());
        }
        Err(error) => return Err(stopped(error, &id, report).into()),
    }
    let run = Box::new(work.scene.run.clone());
    Ok(Ended::RolledBack(run, Box::new(work.scene)))
}

/// How many changes are undone together: as many as are asked for, else as many as the run wrote together.
fn pace(args: &Args, run: &Run) -> Pace {
    let size = |size: i64| usize::try_from(size).unwrap_or(LEAST);
    match args.batch_size {
        Some(asked) => Pace {
            batch: size(asked.into()),
            gather: Duration::ZERO,
        },
        None => Pace {
            batch: size(run.batch_size).max(LEAST),
            gather: GATHER,
        },
    }
}

/// An error of the target while the run is undone.
fn stopped(error: StoreError, id: &str, report: &Report<'_>) -> Failure {
    if report.lasts() {
        after(error).hint(format!("go on with: rollback --resume {id}"))
    } else {
        refused(error)
    }
}

struct Work<'a> {
    url: &'a TargetUrl,
    target: &'a mut Box<dyn Undo>,
    scene: Scene,
    lease: Lease,
    pace: Pace,
}

impl Work<'_> {
    /// Notes that the rollback failed for good, and returns what is said of it.
    fn ends_for_good(&mut self, error: StoreError, holder: &Holder) -> Result<Failure, Failure> {
        let id = self.scene.run.id.clone();
        let why = error.to_string();
        give_up(self.target.as_mut(), &id, self.lease, holder, &why).map_err(after)?;
        Ok(after(error).hint(what_to_do(&id)))
    }

    /// Undoes a batch. Where it can't be told whether it stands, the ledger decides, on a fresh
    /// connection: what stands is not undone twice, as work goes on from what it says.
    fn step(&mut self, signals: &Signals) -> Result<Step, StoreError> {
        let step = self
            .target
            .step(&mut self.scene, self.lease, self.pace, &|| {
                signals.at_once()
            });
        if !matches!(step, Err(StoreError::Unknown { .. })) {
            return step;
        }
        *self.target = self.url.open_to_undo()?;
        let run = ledger::find_run(self.target.sql(), &self.scene.run.id)?;
        let run = run.ok_or_else(|| StoreError::Damaged {
            message: "the run is missing".into(),
        })?;
        let (choice, again) = (self.scene.choice(), self.scene.again());
        let retries = self.scene.retries + 1;
        self.scene = undo::Scene::read(self.target.sql(), run, choice, again)?;
        self.scene.retries = retries;
        self.target
            .step(&mut self.scene, self.lease, self.pace, &|| {
                signals.at_once()
            })
    }

    fn pause(&mut self, exit: Exit, report: &Report<'_>) -> anyhow::Result<Ended> {
        self.target.pause(self.lease).map_err(after)?;
        if report.is_heard() {
            report.talk.warn(format!(
                "stopped by a signal with {} left; go on with: rollback --resume {}",
                counted(self.scene.left(), "change"),
                self.scene.run.id
            ));
        }
        Ok(Ended::Stopped(exit))
    }
}
