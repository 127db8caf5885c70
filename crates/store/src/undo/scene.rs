//! What undo knows while it works: the run, its plan, the live tables, and what is left in place.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;

use contract::plan::{Entity, LoadedPlan, Metadata, Plan};

use super::layout::Layout;
use super::verdict::{Finding, Verdict};
use crate::catalogue::Children;
use crate::ledger::{self, Added, Change, Run, RunStatus, Shape};
use crate::{Sql, StoreError, Table};

/// How many kept rows are read at a time.
const PAGE: usize = 1000;

/// So many rows that were left in place are remembered.
const LEFT: usize = 1000;

/// What to do where a row can't simply be reversed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    /// Leave it in place and reverse the rest.
    pub skip: bool,
    /// The same, but reverse it where only columns that the run wrote were changed since.
    pub force: bool,
    /// Set references of others to a row that goes NULL, where their foreign key says so itself.
    pub detach: bool,
}

impl Choice {
    /// Tells whether a row is to be reversed.
    #[must_use]
    pub fn takes(self, verdict: &Verdict) -> bool {
        verdict.is_clear()
            || (self.force && matches!(verdict, Verdict::Changed(_) | Verdict::Values(_)))
    }

    /// Tells whether a row is to be left in place, and the work goes on.
    #[must_use]
    pub fn leaves(self, verdict: &Verdict) -> bool {
        (self.skip || self.force)
            && !self.takes(verdict)
            && !matches!(verdict, Verdict::LaterRun(_))
    }
}

/// What undo knows of a run and its target.
#[derive(Debug)]
pub struct Scene {
    /// The run.
    pub run: Run,
    /// Batches that were tried once more, row by row.
    pub retries: u64,
    pub(super) plan: Plan,
    pub(super) choice: Choice,
    /// Whether the run was rolled back already and what was kept is tried again.
    pub(super) again: bool,
    /// Changes that stay in place, by sequence: as many as there are conflicts, 8 bytes each.
    pub(super) kept: BTreeSet<i64>,
    /// Those of them that stayed in place when work began.
    listed: BTreeSet<i64>,
    /// Where the work is: changes from here on are done with.
    pub(super) position: Option<i64>,
    /// Whether a later run wrote something that is not taken back.
    pub(super) later: bool,
    /// What refers to a table, by its name.
    children: HashMap<String, Rc<Children>>,
    /// Tables that were looked at beside those of the run, by name.
    others: HashMap<String, Option<Table>>,
    /// What the run added to the catalogue.
    pub(super) added: Vec<Added>,
    /// Rows whose undoing ended a whole transaction, by their change: why.
    pub(super) refused: BTreeMap<i64, String>,
    /// The first rows that were left in place while the work went on, and how many there were.
    left: (Vec<Finding>, u64),
    /// How many rows the target refused to reverse in this pass over the changes, and in the one before.
    failed: u64,
    failed_before: u64,
    pub(super) shapes: Vec<(i64, Shape)>,
    layouts: HashMap<(i64, Option<i64>), Rc<Layout>>,
    entities: HashMap<i64, String>,
    claims: HashMap<String, Option<i64>>,
}

impl Scene {
    /// Reads what is to be known. `again`: the run was rolled back and is so once more, for what
    /// was kept.
    ///
    /// # Errors
    ///
    /// The plan in the ledger does not read, or what the target said.
    pub fn read(
        sql: &mut dyn Sql,
        run: Run,
        choice: Choice,
        again: bool,
    ) -> Result<Self, StoreError> {
        let plan = LoadedPlan::parse(Path::new("the ledger's plan"), run.plan.clone())
            .map_err(|error| StoreError::damaged(error.to_string()))?
            .plan;
        let later = "SELECT 1 FROM ledger.runs WHERE seq > ?1 AND last_seq > 0 \
                     AND (status <> 'rolled-back' OR kept > 0) LIMIT 1";
        let later = !sql.query(later, &[run.seq.into()])?.is_empty();
        let mut listed = BTreeSet::new();
        let mut before = i64::MAX;
        loop {
            let page = ledger::kept(sql, run.seq, before, PAGE)?;
            let Some(last) = page.last() else { break };
            before = last.seq;
            let stays = page.iter().filter(|kept| kept.reason != "gone");
            listed.extend(stays.map(|kept| kept.seq));
        }
        Ok(Self {
            shapes: ledger::shapes(sql)?,
            added: ledger::added(sql, run.seq, &plan)?,
            children: HashMap::new(),
            others: HashMap::new(),
            run,
            retries: 0,
            plan,
            choice,
            again,
            // What is tried again may well go this time.
            kept: if again {
                BTreeSet::new()
            } else {
                listed.clone()
            },
            listed,
            position: None,
            later,
            refused: BTreeMap::new(),
            left: (vec![], 0),
            failed: 0,
            failed_before: u64::MAX,
            layouts: HashMap::new(),
            entities: HashMap::new(),
            claims: HashMap::new(),
        })
    }

    /// Tells whether the run is rolled back and nothing of it was kept.
    #[must_use]
    pub fn is_done(run: &Run) -> bool {
        run.status == RunStatus::RolledBack && run.kept == 0
    }

    /// What is done where a row can't simply be reversed.
    #[must_use]
    pub fn choice(&self) -> Choice {
        self.choice
    }

    /// Whether the run was rolled back already and what was kept is tried again.
    #[must_use]
    pub fn again(&self) -> bool {
        self.again
    }

    /// How many changes are left to undo, at most.
    #[must_use]
    pub fn left(&self) -> u64 {
        let count = if self.again {
            self.run.kept
        } else {
            self.run
                .undo_seq
                .map_or(self.run.last_seq, |undone| undone - 1)
        };
        u64::try_from(count).unwrap_or_default()
    }

    /// Remembers a row that is left in place.
    pub(super) fn leave(&mut self, finding: &Finding) {
        self.left.1 += 1;
        self.failed += u64::from(matches!(finding.verdict, Verdict::Failed(_)));
        if self.left.0.len() < LEFT {
            self.left.0.push(finding.clone());
        }
    }

    /// Begins one more pass over what was left in place, if it may take back more: a row that the target refused
    /// may have been held by another one that was reversed after it. Returns whether there is one.
    pub(super) fn once_more(&mut self) -> bool {
        let failed = std::mem::take(&mut self.failed);
        if !self.choice.force || failed == 0 || failed >= self.failed_before {
            return false;
        }
        self.failed_before = failed;
        self.again = true;
        self.left = (vec![], 0);
        self.kept.clear();
        self.position = None;
        true
    }

    /// The first rows that were left in place while the work went on, and how many there were. Rows of a
    /// batch that was tried again are counted again.
    #[must_use]
    pub fn left_in_place(&self) -> (&[Finding], u64) {
        (&self.left.0, self.left.1)
    }

    /// Goes on with the run as it was when its rollback began, on the connection that writes: it reads
    /// the tables itself.
    pub fn begin(&mut self, run: Run) {
        self.run = run;
        self.position = None;
        self.look_again();
    }

    /// Returns the shapes that a table has had.
    pub(super) fn shapes_of(&self, table: &Table) -> impl Iterator<Item = i64> {
        let of = self
            .shapes
            .iter()
            .filter(move |(_, shape)| shape.is_of(table));
        of.map(|(id, _)| *id)
    }

    /// Reads the catalogue anew: the run's own part of it was taken away.
    pub(super) fn look_again(&mut self) {
        self.layouts.clear();
        self.children.clear();
        self.others.clear();
    }

    /// Returns what refers to a table; a foreign key from it, or to it, that can't be resolved is refused.
    pub(super) fn children(
        &mut self,
        sql: &mut dyn Sql,
        table: &Table,
    ) -> Result<Rc<Children>, StoreError> {
        if let Some(known) = self.children.get(&table.name) {
            return Ok(Rc::clone(known));
        }
        let children = Rc::new(sql.children(table)?);
        let mut unresolved = table.unresolved.iter().chain(&children.unresolved);
        if let Some(key) = unresolved.next() {
            return Err(StoreError::refused(key.to_string()));
        }
        self.children
            .insert(table.name.clone(), Rc::clone(&children));
        Ok(children)
    }

    /// Returns a table that is only read.
    pub(super) fn other(
        &mut self,
        sql: &mut dyn Sql,
        name: &str,
    ) -> Result<Option<Table>, StoreError> {
        if let Some(known) = self.others.get(name) {
            return Ok(known.clone());
        }
        let table = sql.readable(name)?;
        self.others.insert(name.to_owned(), table.clone());
        Ok(table)
    }

    /// Tells whether a change is the last of its row that is not undone yet.
    pub(super) fn is_end(&self, change: &Change) -> bool {
        let undone = self.run.undo_seq.unwrap_or(i64::MAX);
        let done = |later: i64| (self.again || later >= undone) && !self.listed.contains(&later);
        change.later.is_none_or(done)
    }

    /// Tells whether a change stays in place because what came after it does.
    pub(super) fn stays(&self, change: &Change) -> bool {
        change.later.is_some_and(|later| self.kept.contains(&later))
    }

    /// Returns the live layout of a change's table.
    pub(super) fn layout(
        &mut self,
        sql: &mut dyn Sql,
        change: &Change,
    ) -> Result<Rc<Layout>, StoreError> {
        let number = change.identity.as_ref().map(|(entity, _)| *entity);
        if let Some(layout) = self.layouts.get(&(change.shape, number)) {
            return Ok(Rc::clone(layout));
        }
        let shape = ledger::shape_of(sql, change.shape)?;
        let entity: Option<Entity> = match number {
            Some(number) => {
                let name = self.entity(sql, number)?;
                self.plan.entity(&name).cloned()
            }
            None => self.plan.metadata.as_ref().map(Metadata::as_entity),
        };
        let layout = Rc::new(Layout::new(
            sql,
            &shape,
            entity.as_ref(),
            (&self.run, &self.plan, &self.added),
        )?);
        self.layouts
            .insert((change.shape, number), Rc::clone(&layout));
        Ok(layout)
    }

    /// Returns the name that the plan gives an entity.
    pub(super) fn entity(&mut self, sql: &mut dyn Sql, number: i64) -> Result<String, StoreError> {
        if let Some(name) = self.entities.get(&number) {
            return Ok(name.clone());
        }
        let name = ledger::entity_of(sql, number, &self.plan.system)?;
        self.entities.insert(number, name.clone());
        Ok(name)
    }

    /// Returns how the id map knows rows of a table, if ever a record of the system became one.
    pub(super) fn claim(
        &mut self,
        sql: &mut dyn Sql,
        table: &Table,
    ) -> Result<Option<Claim>, StoreError> {
        let number = if let Some(number) = self.claims.get(&table.name) {
            *number
        } else {
            let number = ledger::claim_id(sql, &self.plan.system, table)?;
            self.claims.insert(table.name.clone(), number);
            number
        };
        let Some(number) = number else {
            return Ok(None);
        };
        let mut keys: Vec<Vec<usize>> = Vec::new();
        for (_, shape) in &self.shapes {
            let key = shape.key.iter().map(|name| table.position(name)).collect();
            // What was added to the catalogue is no row, and has no key.
            let rows = shape.is_of(table) && !shape.key.is_empty();
            if let (true, Some(key)) = (rows, key)
                && !keys.contains(&key)
            {
                keys.push(key);
            }
        }
        Ok(Some(Claim { number, keys }))
    }
}

/// How the id map knows the rows of a table.
#[derive(Debug)]
pub(super) struct Claim {
    /// The number under which they are claimed.
    pub number: i64,
    /// The columns that have been their key: more than one set only where plans differ.
    pub keys: Vec<Vec<usize>>,
}
