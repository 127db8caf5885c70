//! Taking a run back in steps, each in one transaction with what the ledger says of it.

use std::time::{Duration, Instant};

use contract::plan::LoadedPlan;

use super::additions;
use super::check::page;
use super::finish::finish;
use super::judge::{Judged, judge};
use super::scene::Scene;
use super::verdict::{Finding, Verdict};
use super::watched::{attempt, reverse_watched, settle_watched, waiting};
use crate::error::again;
use crate::ledger::{self, Change, Holder, Kept, Lease, Run, RunStatus};
use crate::secrets::Secrets;
use crate::{Engine, Sql, StoreError};

/// What became of the wish to take a run back.
#[derive(Debug)]
pub enum Begun {
    /// It is being rolled back, by us.
    Started {
        /// The run as it stands.
        run: Box<Run>,
        /// The lock.
        lease: Lease,
    },
    /// It is rolled back, and nothing was kept.
    Already(Box<Run>),
}

/// What became of a batch.
#[derive(Debug)]
pub enum Step {
    /// It stands; so many changes were dealt with.
    Done(u64),
    /// There was nothing left to do.
    End,
    /// Rows were changed since the check: the batch was undone.
    Conflict(Vec<Finding>),
    /// It was undone because `stop` said so.
    Stopped,
}

/// How fast to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Changes in a batch.
    pub batch: usize,
    /// How long batches are gathered for one commit.
    pub gather: Duration,
}

/// A target that runs can be taken back from: the shape that a database's rows and a folder's files
/// share.
pub trait Undo {
    /// Returns the reading side: the ledger, the catalogue, rows.
    fn sql(&mut self) -> &mut dyn Sql;

    /// Takes the lock and says that the run is being rolled back.
    ///
    /// # Errors
    ///
    /// Somebody else has the lock; the run is unknown or may not be rolled back. Nothing was
    /// written.
    fn start(&mut self, id: &str, holder: &Holder, take_over: bool) -> Result<Begun, StoreError>;

    /// Undoes the next batches, newest change first, in one commit. `stop` is asked within each.
    ///
    /// # Errors
    ///
    /// The batches are undone; with [`StoreError::Unknown`] the ledger decides.
    fn step(
        &mut self,
        scene: &mut Scene,
        lease: Lease,
        pace: Pace,
        stop: &dyn Fn() -> bool,
    ) -> Result<Step, StoreError>;

    /// Changes the ledger alone, all or nothing.
    ///
    /// # Errors
    ///
    /// What `work` or the target said; nothing was written.
    fn note(
        &mut self,
        work: &mut dyn FnMut(&mut dyn Sql) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Gives the lock back; the run stays as it is and can be gone on with.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn pause(&mut self, lease: Lease) -> Result<(), StoreError>;

    /// Says that the run is rolled back: counters that nobody moved go back, rows that stay are
    /// marked, and the lock is given back.
    ///
    /// # Errors
    ///
    /// What the target said; the run is then still being rolled back.
    fn finish(
        &mut self,
        scene: &mut Scene,
        lease: Lease,
        holder: &Holder,
        reason: Option<&str>,
    ) -> Result<(), StoreError>;
}

impl<E: Engine> Undo for E {
    fn sql(&mut self) -> &mut dyn Sql {
        self
    }

    fn start(&mut self, id: &str, holder: &Holder, take_over: bool) -> Result<Begun, StoreError> {
        start(self, id, holder, take_over)
    }

    fn step(
        &mut self,
        scene: &mut Scene,
        lease: Lease,
        pace: Pace,
        stop: &dyn Fn() -> bool,
    ) -> Result<Step, StoreError> {
        let stepped = again(|| step(self, scene, lease, pace, stop));
        stepped.map_err(|error| Secrets::of(&scene.plan).masked(error))
    }

    fn note(
        &mut self,
        work: &mut dyn FnMut(&mut dyn Sql) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        whole(self, |engine| work(engine))
    }

    fn pause(&mut self, lease: Lease) -> Result<(), StoreError> {
        whole(self, |engine| ledger::release(engine, lease))
    }

    fn finish(
        &mut self,
        scene: &mut Scene,
        lease: Lease,
        holder: &Holder,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        finish(self, scene, lease, holder, reason)
    }
}

/// Does something in a transaction, all or nothing.
pub(super) fn whole<E: Engine, T>(
    engine: &mut E,
    mut work: impl FnMut(&mut E) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    again(|| {
        engine.begin()?;
        match work(engine) {
            Ok(done) => engine.commit().map(|()| done),
            Err(error) => {
                engine.rollback().ok();
                Err(error)
            }
        }
    })
}

fn start<E: Engine>(
    engine: &mut E,
    id: &str,
    holder: &Holder,
    take_over: bool,
) -> Result<Begun, StoreError> {
    if let Some(run) = ledger::find_run(engine, id)?
        && let Ok(plan) = LoadedPlan::parse("the ledger's plan".as_ref(), run.plan)
        && Secrets::of(&plan.plan).is_any()
    {
        engine.overwrite_deleted()?;
    }
    whole(engine, |engine| {
        ledger::upgrade(engine, (&holder.operator, &holder.host))?;
        // Read under the lock of the transaction: somebody may have been faster.
        let run = ledger::find_run(engine, id)?;
        let mut run =
            run.ok_or_else(|| StoreError::refused(format!("Migration run {id} not found")))?;
        if Scene::is_done(&run) {
            return Ok(Begun::Already(Box::new(run)));
        }
        let (lease, taken_from) = ledger::take(engine, holder, take_over)?;
        if let Some(old) = taken_from {
            let why = format!("given up: the rollback of run {id} took over");
            ledger::give_up_run(engine, &old, &why, holder)?;
        }
        if !run.status.may_become(RunStatus::RollingBack) {
            let message = format!("run {id} is {}: it can't be rolled back", run.status);
            return Err(StoreError::refused(message));
        }
        for renamed in ledger::renamed_of(engine, &run)? {
            let by = (holder.operator.as_str(), holder.host.as_str());
            ledger::follow(engine, &renamed, id, by)?;
        }
        run.status = RunStatus::RollingBack;
        run.undo_seq = run.undo_seq.or(Some(run.last_seq + 1));
        ledger::update_run(engine, &run)?;
        Ok(Begun::Started {
            run: Box::new(run),
            lease,
        })
    })
}

fn step<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    lease: Lease,
    pace: Pace,
    stop: &dyn Fn() -> bool,
) -> Result<Step, StoreError> {
    let (run, kept, position) = (scene.run.clone(), scene.kept.clone(), scene.position);
    let (mut most, mut careful) = (usize::MAX, false);
    loop {
        let refused = scene.refused.len();
        engine.begin()?;
        let how = (pace, most, careful);
        let (done, batches) = gather(engine, scene, lease, how, stop);
        let done = done.and_then(|step| {
            if matches!(step, Step::Done(_)) {
                engine.commit()?;
            } else {
                engine.rollback()?;
            }
            Ok(step)
        });
        if matches!(done, Ok(Step::Done(_))) {
            return done;
        }
        engine.rollback().ok();
        scene.run = run.clone();
        scene.kept.clone_from(&kept);
        scene.position = position;
        if !scene.added.is_empty() {
            // What was taken away is there again.
            scene.look_again();
        }
        match done {
            Ok(Step::End) if scene.once_more() => {}
            // The batches before the one at fault are undone first.
            Err(StoreError::Constraint { .. } | StoreError::Statement { .. })
            | Ok(Step::Conflict(_))
                if batches > 0 =>
            {
                most = batches;
            }
            // A row that ends the whole transaction is left alone the next time.
            Err(StoreError::Constraint { .. } | StoreError::Statement { .. })
                if scene.refused.len() > refused =>
            {
                scene.retries += 1;
            }
            // Some row of the batch is at fault: the next attempt goes row by row and names it.
            Err(StoreError::Constraint { .. } | StoreError::Statement { .. }) if !careful => {
                (most, careful) = (1, true);
                scene.retries += 1;
            }
            Err(StoreError::Again { .. }) => {
                scene.retries += 1;
                return done;
            }
            other => return other,
        }
    }
}

/// Undoes batches until their time is over, there are `most` of them, or one can't be undone. Returns
/// how many came before that one.
fn gather<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    lease: Lease,
    (pace, most, careful): (Pace, usize, bool),
    stop: &dyn Fn() -> bool,
) -> (Result<Step, StoreError>, usize) {
    let began = Instant::now();
    let (mut batches, mut count) = (0, 0);
    loop {
        match batch(engine, scene, lease, pace.batch, careful, stop) {
            Ok(Step::Done(more)) => count += more,
            Ok(Step::End) if batches > 0 => return (Ok(Step::Done(count)), batches),
            other => return (other, batches),
        }
        batches += 1;
        if batches >= most || E::GATHER.is_zero() || began.elapsed() >= pace.gather {
            return (Ok(Step::Done(count)), batches);
        }
    }
}

fn batch<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    lease: Lease,
    limit: usize,
    careful: bool,
    stop: &dyn Fn() -> bool,
) -> Result<Step, StoreError> {
    ledger::renew(engine, lease)?;
    let mut position = scene.position;
    let changes = page(engine, scene, &mut position, limit)?;
    let Some(oldest) = changes.last().map(|change| change.seq) else {
        return Ok(Step::End);
    };
    let count = changes.len() as u64;
    let mut waits = None;
    for wave in waves(changes, if careful { 1 } else { limit }) {
        if stop() {
            return Ok(Step::Stopped);
        }
        let wave: Vec<Change> = wave
            .into_iter()
            .filter(|change| !scene.stays(change))
            .collect();
        let conflicts = match wave.first() {
            Some(change) if additions::is_one(change) => take_away(engine, scene, change)?,
            _ => {
                let (mut conflicts, mut rest) = (Vec::new(), wave);
                while !rest.is_empty() {
                    let judged;
                    (judged, rest) = judge(engine, scene, rest)?;
                    waits = waits.or_else(|| waiting(&judged));
                    conflicts.extend(undo(engine, scene, judged, careful)?);
                }
                conflicts
            }
        };
        if !conflicts.is_empty() {
            return Ok(Step::Conflict(conflicts));
        }
    }
    if let Some(layout) = waits {
        settle_watched(engine, scene, &layout)?;
    }
    if !scene.again {
        scene.run.undo_seq = Some(oldest);
    }
    scene.position = position;
    ledger::update_run(engine, &scene.run)?;
    Ok(Step::Done(count))
}

/// Parts changes so that all of a part are of one kind, and no row is in it twice.
pub(super) fn waves(changes: Vec<Change>, limit: usize) -> Vec<Vec<Change>> {
    let mut waves: Vec<Vec<Change>> = Vec::new();
    for change in changes {
        let entity = |change: &Change| change.identity.as_ref().map(|(entity, _)| *entity);
        let joins = |wave: &&mut Vec<Change>| {
            let first = &wave[0];
            wave.len() < limit
                && !additions::is_one(first)
                && first.shape == change.shape
                && first.action == change.action
                && entity(first) == entity(&change)
                // A later change of the same row ends the part.
                && change.later.is_none_or(|later| later > first.seq)
        };
        match waves.last_mut().filter(joins) {
            Some(wave) => wave.push(change),
            None => waves.push(vec![change]),
        }
    }
    waves
}

/// Takes away what the run added, or leaves it, and returns what is in the way.
fn take_away<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    change: &Change,
) -> Result<Vec<Finding>, StoreError> {
    let mut finding = additions::judge(engine, scene, change)?;
    if scene.choice.takes(&finding.verdict) {
        match additions::take_away(engine, scene, &finding)? {
            None if finding.verdict == Verdict::Gone => {
                note(engine, scene.run.seq, change.seq, &finding)?;
            }
            None if scene.again => ledger::remove_kept(engine, scene.run.seq, change.seq)?,
            None => {}
            Some(message) => {
                finding.verdict = Verdict::Failed(message);
                scene.kept.insert(change.seq);
            }
        }
    }
    if scene.choice.takes(&finding.verdict) {
        return Ok(vec![]);
    }
    if scene.choice.leaves(&finding.verdict) {
        note(engine, scene.run.seq, change.seq, &finding)?;
        return Ok(vec![]);
    }
    Ok(vec![finding])
}

/// Reverses what can be, leaves what may be left, and returns what is in the way.
fn undo<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    judged: Vec<Judged>,
    careful: bool,
) -> Result<Vec<Finding>, StoreError> {
    let run = scene.run.seq;
    let (mut reversible, mut conflicts) = (Vec::new(), Vec::new());
    for mut row in judged {
        let verdict = &row.finding.verdict;
        if scene.choice.takes(verdict) {
            if careful && let Some(message) = attempt(engine, scene, &row)? {
                row.finding.verdict = Verdict::Failed(message);
                scene.kept.extend(row.chain.seqs());
            } else {
                reversible.push(row);
                continue;
            }
        }
        if scene.choice.leaves(&row.finding.verdict) {
            scene.leave(&row.finding);
            for seq in row.chain.seqs() {
                note(engine, run, seq, &row.finding)?;
            }
        } else {
            conflicts.push(row.finding);
        }
    }
    if !conflicts.is_empty() {
        return Ok(conflicts);
    }
    if !careful {
        reverse_watched(engine, scene, &reversible.iter().collect::<Vec<_>>())?;
    }
    for row in &reversible {
        let seq = row.chain.newest().seq;
        if row.finding.verdict == Verdict::Gone {
            note(engine, run, seq, &row.finding)?;
        } else if scene.again {
            ledger::remove_kept(engine, run, seq)?;
        }
    }
    Ok(conflicts)
}

/// Notes in the ledger that a change stays in place, or had nothing left to reverse.
pub(super) fn note<E: Engine>(
    engine: &mut E,
    run: i64,
    seq: i64,
    finding: &Finding,
) -> Result<(), StoreError> {
    let kept = Kept {
        seq,
        reason: finding.verdict.word().into(),
        detail: finding.to_json().to_string(),
    };
    ledger::add_kept(engine, run, &kept)
}
