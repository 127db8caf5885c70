//! What the checks work on: the target, the run, its plan and its bundle.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use contract::bundle::{Bundle, RecordsFile};
use contract::plan::LoadedPlan;
use contract::{Exit, Failure, Op, Talk};
use serde_json::Value;
use store::ledger::{self, Added, BatchRow, BatchStatus, Phase, Run, RunStatus};
use store::{Binding, Cell, Key, Row, Sql, StoreError, Table};

/// An entity of the plan, as far as the live table and the ledger know it.
pub(crate) struct Room {
    pub name: String,
    /// The table as the plan names it.
    pub table: String,
    /// What does not fit, if it does not.
    pub binding: Result<Binding, Vec<String>>,
    /// The entity's number in the ledger.
    pub entity: Option<i64>,
    /// The number under which rows of the table are claimed.
    pub claim: Option<i64>,
}

/// Codes that were looked up: entity -> column -> code -> value.
type Lookups = BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>;

pub(crate) struct Scene<'a> {
    pub sql: Box<dyn Sql>,
    pub run: Run,
    pub plan: LoadedPlan,
    pub bundle: Option<Bundle>,
    pub rooms: Vec<Room>,
    pub batches: Vec<BatchRow>,
    /// What the run added to the catalogue.
    pub added: Vec<Added>,
    pub talk: &'a Talk,
    /// The answers that the run got before its first write.
    lookups: Lookups,
    applied: HashSet<i64>,
    tables: HashMap<String, Option<Table>>,
}

/// An error of the target.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn target_error(error: StoreError) -> Failure {
    Failure::new(error.exit(), error.to_string())
}

/// Returns a run, or says that there is none of this ID.
pub(crate) fn find_run(sql: &mut dyn Sql, id: &str) -> anyhow::Result<Run> {
    let found = match ledger::version(sql).map_err(target_error)? {
        Some(_) => ledger::find_run(sql, id).map_err(target_error)?,
        None => None,
    };
    found.ok_or_else(|| {
        Failure::new(Exit::Refused, format!("Migration run {id} not found"))
            .hint("`verify runs` lists the runs of a target")
            .into()
    })
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        mut sql: Box<dyn Sql>,
        id: &str,
        bundle: Option<&Path>,
        talk: &'a Talk,
    ) -> anyhow::Result<Self> {
        let run = find_run(sql.as_mut(), id)?;
        let bundle = find_bundle(&run, bundle)?;
        let path = Path::new("the plan kept with the run");
        let plan = LoadedPlan::parse(path, run.plan.clone())?;
        let lookups = serde_json::from_str(&run.lookups)
            .map_err(|error| Failure::new(Exit::Refused, format!("the run's lookups: {error}")))?;
        let added = ledger::added(sql.as_mut(), run.seq, &plan.plan).map_err(target_error)?;
        let batches = ledger::list_batches(sql.as_mut(), run.seq).map_err(target_error)?;
        let mut scene = Self {
            applied: batches
                .iter()
                .filter(|batch| batch.status == BatchStatus::Applied)
                .map(|batch| batch.no)
                .collect(),
            rooms: Vec::new(),
            tables: HashMap::new(),
            sql,
            run,
            plan,
            bundle,
            batches,
            added,
            talk,
            lookups,
        };
        scene.bind().map_err(target_error)?;
        Ok(scene)
    }

    fn bind(&mut self) -> Result<(), StoreError> {
        let taken_back = self.taken_back();
        let sql = self.sql.as_mut();
        for entity in &self.plan.plan.entity {
            let binding = match sql.table(&entity.table) {
                Ok(Some(table)) if taken_back => {
                    Binding::new(sql, &Added::without(&self.added, entity, &table))?
                }
                _ => Binding::new(sql, entity)?,
            };
            let table = binding
                .as_ref()
                .map_or(&entity.table, |binding| &binding.table.name);
            let claim = store::claim_name(&self.plan.plan, table);
            let name = store::entity_name(&self.plan.plan, &entity.name);
            self.rooms.push(Room {
                name: entity.name.clone(),
                table: table.clone(),
                entity: ledger::find_name(sql, "entity", &name)?,
                claim: ledger::find_name(sql, "claim", &claim)?,
                binding,
            });
        }
        Ok(())
    }

    /// Tells whether what the run added may be gone: it is being rolled back, or was.
    pub(crate) fn taken_back(&self) -> bool {
        let statuses = [
            RunStatus::RollingBack,
            RunStatus::RollbackFailed,
            RunStatus::RolledBack,
        ];
        statuses.contains(&self.run.status)
    }

    /// Tells whether the run created a table and may have dropped it again.
    pub(crate) fn made(&self, table: &str) -> bool {
        self.taken_back() && Added::made(&self.added, table)
    }

    pub(crate) fn room(&self, entity: &str) -> Option<&Room> {
        self.rooms.iter().find(|room| room.name == entity)
    }

    /// Returns a table of the user's, read once.
    pub(crate) fn table(&mut self, name: &str) -> Result<Option<Table>, StoreError> {
        if let Some(known) = self.tables.get(name) {
            return Ok(known.clone());
        }
        let table = match self.sql.table(name) {
            Err(StoreError::Refused { .. }) => None,
            other => other?,
        };
        self.tables.insert(name.to_owned(), table.clone());
        Ok(table)
    }

    /// Returns the answer that the run got for a code.
    pub(crate) fn lookup(&self, entity: &str, column: &str, code: &str) -> Option<Cell> {
        match self.lookups.get(entity)?.get(column)?.get(code)? {
            Value::String(text) => Some(Cell::Text(text.clone())),
            Value::Number(number) => number.as_i64().map(Cell::Int),
            other => {
                let bytes: Option<Vec<u8>> = other
                    .get("cell")?
                    .as_array()?
                    .iter()
                    .map(|byte| u8::try_from(byte.as_u64()?).ok())
                    .collect();
                store::decode_all(&bytes?).ok()?.pop()
            }
        }
    }

    /// Returns the row of each key, `None` where there is none.
    pub(crate) fn rows(
        &mut self,
        table: &Table,
        key: &[usize],
        keys: &[Key],
    ) -> Result<Vec<Option<Row>>, StoreError> {
        let keys: Vec<Vec<Cell>> = keys.iter().map(|key| key.0.clone()).collect();
        let found = self.sql.fetch(table, key, &keys)?;
        Ok(found
            .into_iter()
            .map(|rows| rows.into_iter().next())
            .collect())
    }

    /// Returns the passes of the run over its bundle in the order in which batches are numbered:
    /// puts, late references, deletes; no batch holds records of two files.
    pub(crate) fn passes(&self) -> Vec<Pass> {
        let Some(bundle) = &self.bundle else {
            return Vec::new();
        };
        let size = u64::try_from(self.run.batch_size).unwrap_or(1).max(1);
        let is_late = |file: &RecordsFile| {
            let entity = self.plan.plan.entity(&file.entity);
            entity.is_some_and(|entity| entity.fields.values().any(|field| field.late))
        };
        let files = &bundle.manifest().records;
        let of = |phase: Phase| {
            files
                .iter()
                .filter(move |file| (file.op == Op::Delete) == (phase == Phase::Delete))
        };
        let all = of(Phase::Put)
            .map(|file| (Phase::Put, file))
            .chain(
                of(Phase::Late)
                    .filter(|file| is_late(file))
                    .map(|file| (Phase::Late, file)),
            )
            .chain(of(Phase::Delete).map(|file| (Phase::Delete, file)));
        let mut next = 1;
        all.map(|(phase, file)| {
            let first = next;
            next += file.records.div_ceil(size);
            Pass {
                phase,
                file: file.clone(),
                first,
                size,
            }
        })
        .collect()
    }

    /// Tells whether the batch of a record stands; `place` is its 0-based place in the pass.
    pub(crate) fn stands(&self, pass: &Pass, place: u64) -> bool {
        let no = pass.first + place / pass.size;
        i64::try_from(no).is_ok_and(|no| self.applied.contains(&no))
    }
}

/// A pass of the run over one records file.
pub(crate) struct Pass {
    pub phase: Phase,
    pub file: RecordsFile,
    /// The number of its first batch.
    pub first: u64,
    /// Records in a batch.
    pub size: u64,
}

impl Pass {
    pub(crate) fn batches(&self) -> u64 {
        self.file.records.div_ceil(self.size)
    }
}

/// Opens the bundle that was given, or the one that is still where the run found it, and hashes
/// every file.
fn find_bundle(run: &Run, given: Option<&Path>) -> anyhow::Result<Option<Bundle>> {
    let kept = run
        .bundle_path
        .as_deref()
        .map(Path::new)
        .filter(|path| path.exists());
    let Some(path) = given.or(kept) else {
        return Ok(None);
    };
    let bundle = Bundle::open(path)?;
    bundle.check()?;
    let id = bundle.id().to_string();
    if id == run.bundle {
        return Ok(Some(bundle));
    }
    let message = format!(
        "{}: it is another bundle ({id}); the run applied {}",
        path.display(),
        run.bundle
    );
    let hint = "name the run's bundle by --bundle DIR, or move this one away to check against the ledger alone";
    Err(Failure::new(Exit::Refused, message).hint(hint).into())
}
