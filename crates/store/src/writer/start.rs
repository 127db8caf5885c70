//! Starting and resuming a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use contract::Digest;
use contract::plan::{HookEvent, LoadedPlan};
use serde_json::json;

use super::{Bound, Writer, lookups, preflight};
use crate::error::again;
use crate::fingerprint::fingerprint_up_to;
use crate::ledger::{self, Counts, Format, Holder, Numbers, Policy, Run, RunStatus};
use crate::{Binding, Engine, StoreError, fold_unplanned};

/// What a new run is.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The run ID, a UUID version 7.
    pub id: String,
    /// The bundle ID.
    pub bundle: Digest,
    /// Where the bundle is.
    pub bundle_path: Option<String>,
    /// Who runs it.
    pub operator: String,
    /// Name and version of the tool.
    pub tool: String,
    /// Records in a batch.
    pub batch_size: i64,
    /// When it starts, in milliseconds since 1970 (UTC).
    pub started: i64,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// How many records the bundle holds.
    pub records: u64,
    /// The environment that the plan recognised.
    pub environment: Option<String>,
    /// The snapshot that was taken before it, as JSON.
    pub snapshot: Option<String>,
    /// Whether to note what every table held before it; else only what small ones did.
    pub fingerprint: bool,
}

/// Tables of so many rows are noted whether that is asked for or not: one page.
const SMALL: u64 = 1000;

/// Which run to start.
#[derive(Debug, Clone)]
pub enum Which {
    /// A new one.
    New(Box<NewRun>),
    /// One that failed or was interrupted.
    Resume(Box<Run>),
}

impl Which {
    /// Returns the run's ID.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::New(run) => &run.id,
            Self::Resume(run) => &run.id,
        }
    }
}

/// The audit entry with which a run starts or goes on.
struct Entry {
    at: i64,
    action: &'static str,
    detail: serde_json::Value,
}

/// How to start.
#[derive(Debug, Clone)]
pub struct Start {
    /// A run of its own, or the one to resume.
    pub run: Which,
    /// Who asks: names the holder of the lock.
    pub operator: String,
    /// Take a void lease of another run.
    pub take_over: bool,
    /// Write nothing that lasts.
    pub dry: bool,
    /// How records that fail are dealt with.
    pub policy: Policy,
    /// How long batches are gathered for one commit; unless said, as the target would.
    pub gather: Option<Duration>,
}

impl<E: Engine> Writer<E> {
    pub(super) fn start_run(
        &mut self,
        plan: &LoadedPlan,
        start: &Start,
    ) -> Result<Run, StoreError> {
        again(|| self.try_start(plan, start.clone()))
    }

    fn try_start(&mut self, plan: &LoadedPlan, start: Start) -> Result<Run, StoreError> {
        self.dry = start.dry;
        self.gather = start.gather.unwrap_or(E::GATHER);
        self.engine.begin()?;
        match self.start_inside(plan, start) {
            Ok(run) if self.dry => Ok(run),
            Ok(run) => self.engine.commit().map(|()| run),
            Err(error) => {
                self.engine.rollback()?;
                Err(error)
            }
        }
    }

    fn start_inside(&mut self, plan: &LoadedPlan, start: Start) -> Result<Run, StoreError> {
        let id = start.run.id().to_owned();
        let holder = Holder::here(&start.operator, &id);
        if ledger::version(&mut self.engine)?.is_none() {
            self.engine.create_ledger()?;
        }
        ledger::upgrade(&mut self.engine, (&holder.operator, &holder.host))?;
        let (lease, taken_from) = ledger::take(&mut self.engine, &holder, start.take_over)?;
        if let Some(old) = taken_from {
            let why = format!("given up: run {id} took over");
            ledger::give_up_run(&mut self.engine, &old, &why, &holder)?;
        }
        let found = preflight::preflight(&mut self.engine, plan)?;
        if !found.problems.is_empty() {
            return Err(StoreError::refused(format!(
                "the target changed since it was checked: {}",
                found.problems.join("; ")
            )));
        }
        let (run, entry) = match start.run {
            Which::New(new) => self.new_run(plan, *new, start.policy, &holder)?,
            Which::Resume(run) => {
                self.resumed = true;
                self.resumed(&run.id, start.policy)?
            }
        };
        (self.holder, self.lease, self.run) = (Some(holder.clone()), Some(lease), Some(run));
        self.shapes.clear();
        self.add(&found.missing)?;
        self.bind(plan)?;
        let run = self.the_run()?.clone();
        self.note_start(&run, entry, &holder)?;
        Ok(run)
    }

    fn new_run(
        &mut self,
        plan: &LoadedPlan,
        new: NewRun,
        policy: Policy,
        holder: &Holder,
    ) -> Result<(Run, Entry), StoreError> {
        if ledger::find_run(&mut self.engine, &new.id)?.is_some() {
            return Err(StoreError::refused(format!(
                "there is a run {} already",
                new.id
            )));
        }
        let fingerprints = match new.fingerprint {
            _ if self.dry => BTreeMap::new(),
            true => self.fingerprints(plan, u64::MAX)?,
            false => self.fingerprints(plan, SMALL)?,
        };
        let mut run = Run {
            seq: 0,
            id: new.id,
            bundle: new.bundle.to_string(),
            bundle_path: new.bundle_path,
            name: plan.plan.name.clone(),
            system: plan.plan.system.clone(),
            plan: plan.text.clone(),
            lookups: lookups::to_json(&self.lookups),
            counters: "{}".into(),
            status: RunStatus::InProgress,
            operator: new.operator,
            environment: new.environment,
            host: holder.host.clone(),
            target: self.engine.describe(),
            tool: new.tool,
            batch_size: new.batch_size,
            started: new.started,
            ended: None,
            counts: Counts {
                not_attempted: new.records,
                ..Counts::default()
            },
            last_seq: 0,
            undo_seq: None,
            kept: 0,
            snapshot: new.snapshot,
            reason: new.reason,
            format: Format::Two,
            tables: None,
        };
        ledger::insert_run(&mut self.engine, &mut run)?;
        ledger::note_hooks(
            &mut self.engine,
            &plan.plan.hook,
            run.seq,
            HookEvent::Started,
        )?;
        let entry = Entry {
            at: run.started,
            action: "migration:started",
            detail: json!({"records": new.records, "policy": policy, "fingerprints": fingerprints}),
        };
        Ok((run, entry))
    }

    /// What the plan's tables of at most so many rows hold.
    fn fingerprints(
        &mut self,
        plan: &LoadedPlan,
        most: u64,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let names = plan.plan.entity.iter().map(|entity| &entity.table);
        let names = names.chain(plan.plan.metadata.iter().map(|metadata| &metadata.table));
        let mut found = BTreeMap::new();
        for name in names.collect::<BTreeSet<_>>() {
            let Some(table) = self.engine.table(name)? else {
                continue;
            };
            if let Some(print) = fingerprint_up_to(&mut self.engine, &table, most)? {
                found.insert(table.id.to_string(), print.to_string());
            }
        }
        Ok(found)
    }

    /// Notes in the audit trail what the run starts or goes on with.
    fn note_start(&mut self, run: &Run, entry: Entry, holder: &Holder) -> Result<(), StoreError> {
        let mut shapes = std::mem::take(&mut self.shapes);
        shapes.extend(self.bound.values().map(|bound| bound.shape));
        let tables = ledger::shapes_noted(&mut self.engine, shapes)?;
        let detail = if entry.action == "migration:started" {
            ledger::with(ledger::opening(run, &tables), entry.detail)
        } else {
            let digest = |tables: &str| contract::Digest::of(tables.as_bytes());
            let shapes = run.tables.as_deref().map(digest);
            let more = json!({"tables": tables, "shapes": shapes});
            ledger::with(more, entry.detail)
        };
        self.audit(run, entry.at, entry.action, holder, &detail)
    }

    fn resumed(&mut self, id: &str, policy: Policy) -> Result<(Run, Entry), StoreError> {
        // Read again under the lock: somebody may have gone on with it, or rolled it back.
        let mut run = ledger::find_run(&mut self.engine, id)?
            .ok_or_else(|| StoreError::refused(format!("Migration run {id} not found")))?;
        if !run.status.may_become(RunStatus::InProgress) {
            return Err(StoreError::refused(format!(
                "run {} is {}: it can't be resumed",
                run.id, run.status
            )));
        }
        ledger::confirm(&mut self.engine, &run)?;
        let later = ledger::list_runs(&mut self.engine)?
            .into_iter()
            .find(|later| later.seq > run.seq && later.last_seq > 0);
        if let Some(later) = later {
            let message = format!(
                "run {} has written since: run {} can't be resumed any more",
                later.id, run.id
            );
            return Err(StoreError::refused(message));
        }
        self.lookups = lookups::from_json(&run.lookups)?;
        run.status = RunStatus::InProgress;
        (run.ended, run.reason) = (None, None);
        ledger::update_run(&mut self.engine, &run)?;
        let now = self.engine.now()?;
        let entry = Entry {
            at: now,
            action: "migration:resumed",
            detail: json!({"last_change": run.last_seq, "policy": policy}),
        };
        Ok((run, entry))
    }

    pub(super) fn audit(
        &mut self,
        run: &Run,
        at: i64,
        action: &str,
        holder: &Holder,
        detail: &serde_json::Value,
    ) -> Result<(), StoreError> {
        ledger::append_audit(
            &mut self.engine,
            at,
            action,
            Some(&run.id),
            (&holder.operator, &holder.host),
            detail,
        )
    }

    fn bind(&mut self, plan: &LoadedPlan) -> Result<(), StoreError> {
        let metadata = plan
            .plan
            .metadata
            .as_ref()
            .map(contract::plan::Metadata::as_entity);
        let run = self.the_run()?.clone();
        if let Some(holder) = self.holder.clone() {
            for renamed in ledger::renamed(&mut self.engine, &plan.plan)? {
                let by = (holder.operator.as_str(), holder.host.as_str());
                ledger::follow(&mut self.engine, &renamed, &run.id, by)?;
            }
        }
        let mut tables = BTreeMap::new();
        for entity in plan.plan.entity.iter().chain(&metadata) {
            let binding = Binding::new(&mut self.engine, entity)?
                .map_err(|problems| StoreError::refused(problems.join("; ")))?;
            if self.resumed
                && let Some(table) = ledger::table_of(&mut self.engine, &run, entity)?
                && table.id != binding.table.id
            {
                return Err(StoreError::refused(format!(
                    "run {} wrote {} to {}, and here `{}` is {}: resume it where the name means the same",
                    run.id, entity.name, table.id, entity.table, binding.table.id
                )));
            }
            ledger::check_table(&mut self.engine, &plan.plan.system, &binding.table)?;
            let Numbers {
                entity: number,
                claim,
                shape,
            } = ledger::numbers(
                &mut self.engine,
                &plan.plan.system,
                &entity.name,
                (&binding.table, &binding.key),
            )?;
            tables.insert(entity.name.clone(), shape);
            let mut binding = binding;
            // A run of format 1 hashes wide values whole.
            if run.format == Format::Two {
                fold_unplanned(&mut binding.table, &plan.plan);
            }
            let bound = Bound {
                entity: number,
                claim,
                shape,
                binding,
            };
            self.single |= bound.binding.table.deferred;
            self.bound.insert(entity.name.clone(), bound);
        }
        self.single |= self.engine.may_end_transactions()?;
        self.plan = Some(plan.clone());
        let run = self.the_run()?;
        run.tables = Some(serde_json::to_string(&tables).unwrap_or_default());
        let run = run.clone();
        ledger::update_run(&mut self.engine, &run)
    }
}
