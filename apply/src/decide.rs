//! The decision pass: what a live run would do now, by the code of the dry run, before its first
//! write. The limits on rows and the decisions that were expected are held against it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;

use contract::bundle::Bundle;
use contract::{Exit, Failure, Talk};
use store::ledger::{self, BatchStatus};
use store::{Batch, Start, Target};
use system::Signals;

use crate::Args;
use crate::cut::{self, Pass};
use crate::decisions::{Decision, Expected, Head, decisions, differences};
use crate::guard;
use crate::job::Job;
use crate::which::refused;

/// How many differences are named.
const FEW: usize = 10;

/// Decides everything once, in a transaction that is undone, and refuses the run (4) where it is not
/// what was expected or goes beyond the plan's limits. `target` has looked codes up, and is used up.
pub(crate) fn decide(
    (args, bundle, talk): (&Args, &Bundle, &Talk),
    mut target: Box<dyn Target>,
    start: Start,
    passes: &[Pass<'_>],
    signals: &Signals,
) -> anyhow::Result<()> {
    talk.detail("deciding everything once, before the first write");
    let mut expected = args.expect.as_deref().map(Expected::open).transpose()?;
    let policy = start.policy;
    let start = Start { dry: true, ..start };
    let run = target.start(bundle.plan(), start).map_err(refused)?;
    let mut found = Vec::new();
    if let (Some(path), Some(expected)) = (&args.expect, &expected) {
        let head = Head::of(bundle, &args.to, target.sql(), &run)?;
        let lines = expected.head.differences(&head);
        if !lines.is_empty() {
            return Err(unexpected(path, &lines).into());
        }
    }
    let mut done = HashSet::new();
    ledger::each_batch(target.sql(), run.seq, |batch| {
        if batch.status == BatchStatus::Applied {
            done.insert(batch.no);
        }
    })
    .map_err(refused)?;
    let size = run.batches();
    let remaps = Job::remaps(args, bundle, passes, size, &done)?;
    for pass in passes {
        let on = cut::batches(bundle, *pass, size, |no, records| {
            if done.contains(&no) || args.only_batch.is_some_and(|only| only != no) {
                return Ok(true);
            }
            if let Some(signal) = signals.stop() {
                return Err(Failure::new(signal.into(), "stopped before the first write").into());
            }
            let batch = Batch {
                no,
                phase: pass.phase,
                entity: &pass.file.entity,
                records,
                remaps: &remaps[remaps.partition_point(|(batch, _)| *batch <= no)..],
                quarantine: policy.by_record,
                again: false,
                late: None,
                abort: &|| signals.at_once(),
                judge: &|_, _| true,
            };
            let outcome = target.apply(&batch).map_err(refused)?;
            if let Some(expected) = &mut expected {
                let now = (no, batch.entity);
                let now = decisions(bundle, now, &outcome.decisions, &outcome.rejects);
                found.extend(differences(&expected.batch(no)?, &now));
            }
            Ok(found.len() < FEW && (outcome.applied || policy.continues))
        })?;
        if !on {
            break;
        }
    }
    if found.is_empty() {
        guard::check_extent(target.sql(), run.seq, &bundle.plan().plan.limits)?;
    }
    target.abandon().map_err(refused)?;
    match (&args.expect, found.is_empty()) {
        (Some(path), false) => Err(unexpected(path, &found).into()),
        _ => Ok(()),
    }
}

fn unexpected(path: &Path, found: &[String]) -> Failure {
    let more = (found.len() > FEW).then(|| "and more".to_owned());
    let message = format!("the run would not do what {} expects:", path.display());
    Failure::new(Exit::Refused, message)
        .rows(found.iter().take(FEW).cloned().chain(more))
        .hint("nothing was written; look at what a new dry run says: apply --dry-run --save FILE")
}

/// Holds what the live run decides against the decisions that were expected, batch by batch.
#[derive(Default)]
pub(crate) struct Watch {
    expected: Option<Expected>,
    found: RefCell<Vec<String>>,
}

impl Watch {
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self {
            expected: path.map(Expected::open).transpose()?,
            found: RefCell::default(),
        })
    }

    /// Reads what is expected of a batch; none where nothing is.
    pub(crate) fn batch(&mut self, no: i64) -> anyhow::Result<Option<Vec<Decision>>> {
        self.expected
            .as_mut()
            .map(|expected| expected.batch(no))
            .transpose()
    }

    /// Tells whether what was decided is what was expected, and keeps what is not.
    pub(crate) fn agrees(
        &self,
        expected: Option<&[Decision]>,
        found: impl FnOnce() -> Vec<Decision>,
    ) -> bool {
        let Some(expected) = expected else {
            return true;
        };
        let lines = differences(expected, &found());
        let agrees = lines.is_empty();
        self.found.borrow_mut().extend(lines);
        agrees
    }

    /// Says what is otherwise than expected.
    pub(crate) fn difference(&self) -> Option<String> {
        let found = self.found.borrow();
        let first = found.first()?;
        let more = match found.len() {
            1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        Some(format!(
            "a decision changed since the run began: {first}{more}"
        ))
    }
}
