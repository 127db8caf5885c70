//! Applying a bundle: one writer for all SQL databases, behind [`Target`].

mod additions;
mod batch;
mod carry;
mod column;
mod culprits;
mod decide;
mod delete;
mod dependents;
mod finish;
mod locate;
mod lookups;
mod lost;
mod moves;
mod notes;
mod preflight;
mod remap;
mod resolve;
mod retry;
mod rows;
mod stamps;
mod start;
mod target_key;
mod trial;
mod triggers;
mod wave;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use contract::plan::LoadedPlan;
use contract::{At, Record, Reject};

use crate::catalogue::Children;
use crate::ledger::{self, Counts, Holder, Lease, Phase, Run};
use crate::secrets::Secrets;
use crate::{About, Binding, Cell, Engine, Key, Sql, StoreError, Table};

pub use lookups::{LookupCode, LookupFault};
pub use rows::derived_id;
pub(crate) use wave::late_digest;

pub use start::{NewRun, Start, Which};

/// A target that can be written: the shape that a database's rows and a folder's files share.
pub trait Target {
    /// Returns the reading side: the ledger, the catalogue, rows.
    fn sql(&mut self) -> &mut dyn Sql;

    /// Checks the plan against the live catalogue, reading alone, and returns all that does not
    /// fit, one line each.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn preflight(&mut self, plan: &LoadedPlan) -> Result<Vec<String>, StoreError>;

    /// Looks codes up, reading alone, and keeps the answers for the run. Returns the codes that
    /// find no row, or several.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn look_up(&mut self, codes: &[LookupCode]) -> Result<Vec<LookupFault>, StoreError>;

    /// Starts or resumes a run: makes the ledger where there is none, takes the lock, checks the
    /// catalogue again, and writes the run, all at once. A dry run does so in a transaction that
    /// [`Target::abandon`] undoes.
    ///
    /// # Errors
    ///
    /// Nothing was written.
    fn start(&mut self, plan: &LoadedPlan, start: Start) -> Result<Run, StoreError>;

    /// Applies a batch, or undoes it and says who is at fault. It stands once
    /// [`Target::commit`] has returned its number.
    ///
    /// # Errors
    ///
    /// The batch is undone, and so are those that [`Target::commit`] did not return yet.
    fn apply(&mut self, batch: &Batch<'_>) -> Result<Outcome, StoreError>;

    /// Commits the batches at hand, if enough time has passed or `now` says so, and returns the
    /// numbers of those that stand since.
    ///
    /// # Errors
    ///
    /// None of the batches at hand stands, or, with [`StoreError::Unknown`], the ledger decides.
    fn commit(&mut self, now: bool) -> Result<Vec<i64>, StoreError>;

    /// Ends the run: writes the metadata row, status, counts and audit entry, and gives the lock
    /// back.
    ///
    /// # Errors
    ///
    /// What the target said; the run is then still in progress.
    fn finish(&mut self, end: &End) -> Result<Run, StoreError>;

    /// Undoes all that was not committed: the end of a dry run.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn abandon(&mut self) -> Result<(), StoreError>;
}

/// Records to be applied together or not at all.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// 1-based number in the run.
    pub no: i64,
    /// The pass.
    pub phase: Phase,
    /// The entity.
    pub entity: &'a str,
    /// The records.
    pub records: &'a [Record],
    /// The corrections of the id map in the batches after it, each with its batch: those of a run are
    /// written together, with the first batch that holds one.
    pub remaps: &'a [(i64, Record)],
    /// Whether records at fault are set aside and the others applied; else the batch is undone.
    pub quarantine: bool,
    /// Whether the batch stands but for these records, which are tried again: what it did stays.
    pub again: bool,
    /// Of records that are tried again: the number of the batch that writes their late references, if it
    /// stands. It is to be tried again, too.
    pub late: Option<i64>,
    /// Asked before each record: whether to undo the batch at once.
    pub abort: &'a dyn Fn() -> bool,
    /// Asked once all is decided, and with it who is at fault, before the batch is kept: whether it
    /// may be; else it is undone.
    pub judge: &'a dyn Fn(&[Decided], &[Reject]) -> bool,
}

/// What became of a batch.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Whether it was applied; else it was undone.
    pub applied: bool,
    /// Whether it was undone because `abort` or `judge` said so; the ledger knows nothing of it.
    pub aborted: bool,
    /// What became of its records.
    pub counts: Counts,
    /// The same by source.
    pub files: BTreeMap<String, Counts>,
    /// The records at fault.
    pub rejects: Vec<Reject>,
    /// What was decided, record by record; of an undone batch, nothing.
    pub decisions: Vec<Decided>,
    /// The corrections of the id map that were written with it.
    pub corrected: Vec<Corrected>,
    /// Why it was undone.
    pub error: Option<String>,
    /// What people should know of it.
    pub warnings: Vec<String>,
}

/// A correction of the id map that was written, and what became of the rows that refer to the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Corrected {
    /// Where the correction stands.
    pub at: At,
    /// The record's entity.
    pub entity: String,
    /// Its source key.
    pub key: String,
    /// The key of the row that it was, if it was one.
    pub old: Option<Key>,
    /// The key of the row that it is from now on.
    pub new: Key,
    /// How many rows were moved with it, by table.
    pub moved: BTreeMap<String, u64>,
    /// The rows that still point to the old one.
    pub left: Vec<Left>,
}

/// Rows that still point to a row from which a record was moved: the id map does not know them, or people
/// edited them.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// Their table.
    pub table: String,
    /// The columns by which they do.
    pub columns: String,
    /// How many.
    pub count: u64,
    /// The keys of some.
    pub some: Vec<Key>,
}

impl Left {
    fn new(table: &Table, columns: &[usize]) -> Self {
        let name = |place: &usize| table.columns[*place].name.as_str();
        Self {
            table: table.name.clone(),
            columns: columns.iter().map(name).collect::<Vec<_>>().join(", "),
            count: 0,
            some: Vec::new(),
        }
    }

    fn add(&mut self, key: Key, most: usize) {
        self.count += 1;
        if self.some.len() < most {
            self.some.push(key);
        }
    }
}

/// What was decided for a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// Where the record stands.
    pub at: At,
    /// Its source key.
    pub key: String,
    /// A fixed word: `created`, `updated`, `unchanged`, `skipped`, `deleted`, `linked`, `remapped`.
    pub action: &'static str,
    /// The row's key; none where the target would assign it later.
    pub target: Option<Key>,
    /// The hash of its row as it was before the run, if there was one.
    pub before: Option<[u8; 16]>,
    /// Columns that were written by an update.
    pub columns: Vec<String>,
    /// Columns that others changed since: left as they are.
    pub drifted: Vec<String>,
    /// Columns that others changed since: written all the same, as the plan says.
    pub overwritten: Vec<String>,
}

/// How a run ends.
#[derive(Debug, Clone)]
pub struct End {
    /// Records of the bundle.
    pub records: u64,
    /// Batches that the whole run has.
    pub batches: usize,
    /// Whether it was stopped by a signal or a trigger: it stays in progress, and can be resumed.
    pub interrupted: bool,
    /// Why it failed or was stopped.
    pub reason: Option<String>,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
}

/// An entity with its numbers in the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub binding: Binding,
    pub entity: i64,
    pub claim: i64,
    pub shape: i64,
}

impl Bound {
    /// Tells whether the values of a column are secret.
    pub(crate) fn is_secret(&self, column: &str) -> bool {
        let field = self.binding.entity.fields.get(column);
        field.is_some_and(|field| field.secret)
    }
}

/// What the row that describes the run is called among the entities.
const METADATA: &str = "metadata";

/// Codes that were looked up: entity -> column -> code -> value.
pub(crate) type Lookups = BTreeMap<String, BTreeMap<String, BTreeMap<String, Cell>>>;

/// Writes to a SQL database.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with one another"
)]
pub struct Writer<E> {
    pub(crate) engine: E,
    plan: Option<LoadedPlan>,
    bound: HashMap<String, Bound>,
    lookups: Lookups,
    run: Option<Run>,
    holder: Option<Holder>,
    lease: Option<Lease>,
    /// A dry run: one transaction around everything, never committed.
    dry: bool,
    /// Batches of the open transaction, and since when it is open.
    open: Option<(Instant, Vec<i64>)>,
    /// Batches that stand, and that nobody was told of yet.
    stand: Vec<i64>,
    /// How long batches are gathered for one commit.
    gather: Duration,
    /// One batch a commit.
    single: bool,
    /// Whether the run is known to be as the ledger has it.
    sure: bool,
    /// Whether batches of the run were tried before.
    resumed: bool,
    /// When the transaction began, by the target's clock.
    clock: i64,
    /// Corrections of the id map that were written in the batch in hand.
    corrected: Vec<Corrected>,
    /// Of which tables the undo of an insert, update or delete was tried.
    tried: HashSet<(String, i64)>,
    /// Whether the undo of the row that describes the run was tried.
    described: bool,
    /// What refers to a table, by its name, read when first needed.
    children: HashMap<String, Rc<Children>>,
    /// The tables as they were when something was added to them.
    shapes: Vec<i64>,
    /// Secret values of the batches at hand.
    secrets: Secrets,
}

impl<E: Engine> Writer<E> {
    /// Wraps an open target.
    pub fn new(engine: E) -> Self {
        Self {
            engine,
            plan: None,
            bound: HashMap::new(),
            lookups: Lookups::new(),
            run: None,
            holder: None,
            lease: None,
            dry: false,
            open: None,
            stand: Vec::new(),
            gather: E::GATHER,
            single: false,
            sure: false,
            resumed: false,
            clock: 0,
            corrected: Vec::new(),
            tried: HashSet::new(),
            described: false,
            children: HashMap::new(),
            shapes: Vec::new(),
            secrets: Secrets::default(),
        }
    }

    fn the_run(&mut self) -> Result<&mut Run, StoreError> {
        self.run
            .as_mut()
            .ok_or_else(|| StoreError::refused("no run was started"))
    }

    /// Makes sure, in the transaction at hand, that the lock is still ours, and takes the run as the
    /// ledger has it: after an error what we remember may be of batches that do not stand.
    fn hold(&mut self) -> Result<(), StoreError> {
        if self.dry {
            return Ok(());
        }
        if let Some(lease) = self.lease {
            self.clock = ledger::renew(&mut self.engine, lease)?;
        }
        if self.sure {
            return Ok(());
        }
        let id = self.the_run()?.id.clone();
        let found = ledger::find_run(&mut self.engine, &id)?;
        self.run = Some(found.ok_or_else(|| StoreError::damaged("the run is missing"))?);
        self.sure = true;
        Ok(())
    }
}

/// Why a record or a batch could not be written.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Records are at fault, each named by its place among those that were to be written.
    Records(Vec<(usize, Vec<contract::FieldError>)>),
    /// Some record is at fault, by a check of our own that does not say which.
    Some(String),
    /// The target refused a statement.
    Refused(Refusal),
    /// It was asked to stop.
    Aborted,
    /// The target failed.
    Store(StoreError),
}

impl Fault {
    /// These records are at fault.
    fn of(faults: locate::Faults) -> Self {
        Self::Records(locate::merged(faults))
    }

    /// The only record there is is at fault.
    fn one(error: contract::FieldError) -> Self {
        Self::Records(vec![(0, vec![error])])
    }
}

/// A statement that the target refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// Why, in the target's words.
    pub message: String,
    /// What else the target said.
    pub about: Box<About>,
    /// Whether the statement may be at fault rather than a value in it.
    pub either: bool,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Constraint { message, about } => Self::Refused(Refusal {
                message,
                about,
                either: false,
            }),
            StoreError::Statement { message, about } => Self::Refused(Refusal {
                message,
                about,
                either: true,
            }),
            other => Self::Store(other),
        }
    }
}

impl<E: Engine> Target for Writer<E> {
    fn sql(&mut self) -> &mut dyn Sql {
        &mut self.engine
    }

    fn preflight(&mut self, plan: &LoadedPlan) -> Result<Vec<String>, StoreError> {
        Ok(preflight::preflight(&mut self.engine, plan)?.problems)
    }

    fn look_up(&mut self, codes: &[LookupCode]) -> Result<Vec<LookupFault>, StoreError> {
        lookups::look_up(&mut self.engine, codes, &mut self.lookups)
    }

    fn start(&mut self, plan: &LoadedPlan, start: Start) -> Result<Run, StoreError> {
        self.secrets = Secrets::of(&plan.plan);
        if self.secrets.is_any() {
            self.engine.overwrite_deleted()?;
        }
        let started = self.start_run(plan, &start);
        started.map_err(|error| self.secrets.masked(error))
    }

    fn apply(&mut self, batch: &Batch<'_>) -> Result<Outcome, StoreError> {
        self.learn_secrets(batch);
        let applied = self.apply_batch(batch);
        applied.map_err(|error| self.secrets.masked(error))
    }

    fn commit(&mut self, now: bool) -> Result<Vec<i64>, StoreError> {
        let committed = self.commit_group(now);
        committed.map_err(|error| self.secrets.masked(error))
    }

    fn finish(&mut self, end: &End) -> Result<Run, StoreError> {
        let finished = self.finish_run(end);
        finished.map_err(|error| self.secrets.masked(error))
    }

    fn abandon(&mut self) -> Result<(), StoreError> {
        self.open = None;
        self.engine.rollback()
    }
}
