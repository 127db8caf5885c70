//! What the checks work on: the target, the run, its plan and its bundle.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use contract::bundle::{Bundle, RecordsFile};
use contract::plan::LoadedPlan;
use contract::{At, Exit, Failure, Op, Record, Talk};
use serde_json::Value;
use store::ledger::{self, Added, BatchRow, BatchStatus, Counts, Format, Phase, Run, RunStatus};
use store::{Binding, Cell, Key, Row, Sql, StoreError, Table, TableName};

use crate::bundle;
pub(crate) use crate::room::Room;

/// Codes that were looked up: entity -> column -> code -> value.
type Lookups = BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>;

pub(crate) struct Scene<'a> {
    pub sql: Box<dyn Sql>,
    pub run: Run,
    pub plan: LoadedPlan,
    pub bundle: Option<Bundle>,
    pub rooms: Vec<Room>,
    pub batches: Vec<BatchRow>,
    /// What became of the run's records, by its batches.
    pub counts: Counts,
    /// What the run added to the catalogue.
    pub added: Vec<Added>,
    pub talk: &'a Talk,
    /// The answers that the run got before its first write.
    lookups: Lookups,
    applied: HashSet<i64>,
    /// Records that failed in batches that stand otherwise, 16 bytes each.
    failed: HashSet<[u8; 16]>,
    tables: HashMap<String, Option<Table>>,
    /// Values that the run found edited and left so, 16 bytes each: read when the first one differs.
    left: Option<HashSet<[u8; 16]>>,
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
        let message = format!("Migration run {id} not found in {}", sql.describe());
        Failure::new(Exit::Refused, message)
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
        let bundle = bundle::find(&run, bundle)?;
        let path = Path::new("the plan kept with the run");
        let plan = LoadedPlan::parse(path, run.plan.clone())?;
        for renamed in ledger::renamed_of(sql.as_mut(), &run).map_err(target_error)? {
            talk.say(renamed.to_string());
        }
        let lookups = serde_json::from_str(&run.lookups)
            .map_err(|error| Failure::new(Exit::Refused, format!("the run's lookups: {error}")))?;
        let added = ledger::added(sql.as_mut(), run.seq, &plan.plan).map_err(target_error)?;
        let batches = ledger::list_batches(sql.as_mut(), run.seq).map_err(target_error)?;
        let counts = ledger::counts_of(sql.as_mut(), &run).map_err(target_error)?;
        let failed = ledger::failures_by_batch(sql.as_mut(), run.seq).map_err(target_error)?;
        let failed = failed.iter().filter_map(|(batch, reject)| {
            Some(failed_name(*batch, reject.key.as_deref()?, &reject.at))
        });
        let mut scene = Self {
            failed: failed.collect(),
            applied: batches
                .iter()
                .filter(|batch| batch.status == BatchStatus::Applied)
                .map(|batch| batch.no)
                .collect(),
            rooms: Vec::new(),
            tables: HashMap::new(),
            left: None,
            sql,
            run,
            plan,
            bundle,
            batches,
            counts,
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
            let binding = match ledger::table_of(sql, &self.run, entity) {
                Ok(Some(table)) if taken_back => {
                    Binding::bind(&Added::without(&self.added, entity, &table), table)
                }
                Ok(Some(table)) => Binding::bind(entity, table),
                Ok(None) => Binding::new(sql, entity)?,
                Err(StoreError::Refused { message }) => {
                    Err(vec![format!("{}: {message}", entity.name)])
                }
                Err(error) => return Err(error),
            };
            // A table that the run made, and that is gone, is called as the ledger calls it.
            let made = |one: &&Added| {
                let full =
                    |at: &TableName| at.table == entity.table || at.to_string() == entity.table;
                one.column.is_none() && one.at.as_ref().is_some_and(full)
            };
            let table = if let Ok(binding) = &binding {
                binding.table.name.clone()
            } else {
                let made = self.added.iter().find(made);
                made.map_or(&entity.table, |one| &one.table).clone()
            };
            let system = &self.plan.plan.system;
            let (number, claim) = match &binding {
                Ok(binding) => (
                    ledger::entity_id(sql, system, &entity.name, &binding.table)?,
                    ledger::claim_id(sql, system, &binding.table)?,
                ),
                Err(_) => (None, None),
            };
            let mut binding = binding;
            if let (Ok(binding), Format::Two) = (&mut binding, self.run.format) {
                store::fold_unplanned(&mut binding.table, &self.plan.plan);
            }
            self.rooms.push(Room {
                name: entity.name.clone(),
                table,
                entity: number,
                claim,
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

    /// Tells whether the plan calls a column secret.
    pub(crate) fn secret(&self, table: &str, column: &str) -> bool {
        let rooms = self.rooms.iter().filter(|room| room.table == table);
        rooms
            .filter_map(|room| self.plan.plan.entity(&room.name)?.fields.get(column))
            .any(|field| field.secret)
    }

    /// Returns a table of the user's, read once.
    pub(crate) fn table(&mut self, name: &str) -> Result<Option<Table>, StoreError> {
        if let Some(known) = self.tables.get(name) {
            return Ok(known.clone());
        }
        let table = match self.sql.readable(name) {
            Err(StoreError::Refused { .. }) => None,
            other => other?,
        };
        self.tables.insert(name.to_owned(), table.clone());
        Ok(table)
    }

    /// Tells whether the run noted each value that it found edited; older ones only counted the rows.
    pub(crate) fn notes_drift(&self) -> bool {
        self.run.format as i64 >= 2
    }

    /// Tells whether the run found a value of a record edited by others, and left it so; of no column: any.
    pub(crate) fn left(
        &mut self,
        entity: &str,
        key: &str,
        column: Option<&str>,
    ) -> Result<bool, StoreError> {
        if !self.notes_drift() {
            return Ok(false);
        }
        if self.left.is_none() {
            let mut left = HashSet::new();
            ledger::each_drift(self.sql.as_mut(), self.run.seq, |entity, key, column| {
                left.insert(value_name(entity, key, Some(column)));
                left.insert(value_name(entity, key, None));
            })?;
            self.left = Some(left);
        }
        let name = value_name(entity, key, column);
        Ok(self.left.as_ref().is_some_and(|left| left.contains(&name)))
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

    /// Tells for each key whether it has a row.
    pub(crate) fn exist(
        &mut self,
        table: &Table,
        key: &[usize],
        keys: &[Key],
    ) -> Result<Vec<bool>, StoreError> {
        let mut table = table.clone();
        table.fold_for_reading(key);
        let rows = self.rows(&table, key, keys)?;
        Ok(rows.iter().map(Option::is_some).collect())
    }

    /// Returns the passes of the run over its bundle in the order in which batches are numbered:
    /// puts, late references, deletes; no batch holds records of two files.
    pub(crate) fn passes(&self) -> Vec<Pass> {
        let Some(bundle) = &self.bundle else {
            return Vec::new();
        };
        let size = self.run.batches();
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
            let mut place = 0;
            let ends: Vec<u64> = size
                .batches(file)
                .map(|records| {
                    place += records;
                    place
                })
                .collect();
            next += ends.len() as u64;
            Pass {
                phase,
                file: file.clone(),
                first,
                ends,
            }
        })
        .collect()
    }

    /// Tells whether a record was applied: its batch stands, and it did not fail in it; `place` is its
    /// 0-based place in the pass.
    pub(crate) fn stands(&self, pass: &Pass, place: u64, record: &Record) -> bool {
        let no = pass.batch(place);
        self.applied.contains(&no)
            && (self.failed.is_empty()
                || !self
                    .failed
                    .contains(&failed_name(no, &record.key, &record.at)))
    }
}

fn value_name(entity: &str, key: &str, column: Option<&str>) -> [u8; 16] {
    let parts: Vec<&str> = [entity, key].into_iter().chain(column).collect();
    contract::Digest::of(contract::key::join(&parts).as_bytes()).short()
}

fn failed_name(batch: i64, key: &str, at: &At) -> [u8; 16] {
    let name = contract::key::join(&[&batch.to_string(), key, &at.to_string()]);
    contract::Digest::of(name.as_bytes()).short()
}

/// A pass of the run over one records file.
pub(crate) struct Pass {
    pub phase: Phase,
    pub file: RecordsFile,
    /// The number of its first batch.
    pub first: u64,
    /// The place behind the last record of each batch.
    pub ends: Vec<u64>,
}

impl Pass {
    /// Returns the number of the batch that holds the record at a 0-based place in the pass.
    pub(crate) fn batch(&self, place: u64) -> i64 {
        let before = self.ends.partition_point(|end| *end <= place) as u64;
        i64::try_from(self.first + before).unwrap_or(i64::MAX)
    }

    pub(crate) fn batches(&self) -> u64 {
        self.ends.len() as u64
    }
}
