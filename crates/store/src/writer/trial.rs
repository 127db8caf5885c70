//! The undo trial of a run under way: the first time that it writes to a table whose triggers or unique
//! indexes may keep a row from coming back.

use std::collections::BTreeSet;

use contract::plan::OnRollback;

use super::{Bound, METADATA, Outcome, Writer};
use crate::ledger::{self, Action, RunStatus};
use crate::undo::{Tried, traps_of, try_out};
use crate::{Engine, StoreError, Table};

/// What undo may have to reverse in a row.
const KINDS: [Action; 3] = [Action::Insert, Action::Update, Action::Delete];

impl<E: Engine> Writer<E> {
    /// Tries to undo the batch that was just written, whose changes come after `after`, unless that was
    /// tried for all that it does, or the plan accepts what comes of it. Returns what there is to say.
    pub(super) fn try_undo(
        &mut self,
        bound: &Bound,
        after: i64,
        outcome: &Outcome,
    ) -> Result<Vec<String>, StoreError> {
        let accepted = self.accepted_no_undo();
        let (mut traps, mut tables) = (BTreeSet::new(), BTreeSet::new());
        for (table, kind) in self.written(bound, after, outcome)? {
            let new = (table.name.clone(), kind as i64);
            if accepted.contains(&table.name) || self.tried.contains(&new) {
                continue;
            }
            let found = traps_of(&mut self.engine, &table, kind)?;
            if !found.is_empty() {
                traps.extend(found);
                tables.insert(table.name);
            }
            self.tried.insert(new);
        }
        let mut said = Vec::new();
        if !traps.is_empty() {
            let run = self.the_run()?.clone();
            let tried = try_out(&mut self.engine, &run, after, &accepted)?;
            said.extend(in_words(tried, traps, tables)?);
        }
        if !self.described && self.the_run()?.last_seq > after {
            said.extend(self.try_description(&accepted)?);
            self.described = true;
        }
        Ok(said)
    }

    /// Tries whether the row that will describe the run could be taken back, or marked: with the first batch
    /// that writes, as the run ends with that row.
    fn try_description(
        &mut self,
        accepted: &BTreeSet<String>,
    ) -> Result<Option<String>, StoreError> {
        let metadata = self.plan.as_ref();
        let metadata = metadata.and_then(|plan| plan.plan.metadata.as_ref());
        let (Some(metadata), Some(bound)) = (metadata, self.bound.get(METADATA)) else {
            return Ok(None);
        };
        let kind = match (metadata.on_rollback, &metadata.status) {
            (OnRollback::Delete, _) => Action::Insert,
            (OnRollback::Keep, Some(_)) => Action::Keep,
            (OnRollback::Keep, None) => return Ok(None),
        };
        let table = bound.binding.table.clone();
        if accepted.contains(&table.name) {
            return Ok(None);
        }
        let traps = traps_of(&mut self.engine, &table, kind)?;
        if traps.is_empty() {
            return Ok(None);
        }
        let before = self.the_run()?.clone();
        self.the_run()?.status = RunStatus::Completed;
        self.engine.savepoint("description")?;
        let tried = match self.write_metadata() {
            Ok(()) => {
                let run = self.the_run()?.clone();
                try_out(&mut self.engine, &run, before.last_seq, accepted)?
            }
            // What is in the way of the row itself is told where it is written for good.
            Err(StoreError::Refused { .. }) if !self.engine.is_lost() => Tried::Yes,
            Err(error) => return Err(error),
        };
        if !self.engine.is_lost() {
            self.engine.undo_to("description")?;
        }
        *self.the_run()? = before;
        let tables = BTreeSet::from([table.name]);
        in_words(tried, traps.into_iter().collect(), tables)
    }

    /// What the batch did to rows, by table. A correction of the id map moves rows of other tables too.
    fn written(
        &mut self,
        bound: &Bound,
        after: i64,
        outcome: &Outcome,
    ) -> Result<Vec<(Table, Action)>, StoreError> {
        let table = &bound.binding.table;
        if outcome.corrected.is_empty() {
            if !table.needs_trial() {
                return Ok(vec![]);
            }
            let did = |words: &[&str]| {
                let mut decided = outcome.decisions.iter();
                decided.any(|decided| words.contains(&decided.action))
            };
            let words: [&[&str]; 3] = [&["created"], &["updated", "linked"], &["deleted"]];
            let kinds = KINDS.into_iter().zip(words);
            let kinds = kinds.filter(|(_, words)| did(words));
            return Ok(kinds.map(|(kind, _)| (table.clone(), kind)).collect());
        }
        let run = self.the_run()?.seq;
        let kinds = "SELECT DISTINCT shape, action FROM ledger.changes WHERE run = ?1 AND seq > ?2 ORDER BY 1, 2";
        let rows = self.engine.query(kinds, &[run.into(), after.into()])?;
        let shapes = ledger::shapes(&mut self.engine)?;
        let mut written = Vec::new();
        for row in rows {
            let shape = shapes.iter().find(|(id, _)| Some(*id) == row[0].int());
            let kind = KINDS
                .into_iter()
                .find(|kind| Some(*kind as i64) == row[1].int());
            if let (Some((_, shape)), Some(kind)) = (shape, kind)
                && let Some(table) = shape.live(&mut self.engine)?
            {
                written.push((table, kind));
            }
        }
        Ok(written)
    }

    /// The tables of which the plan accepts that their rows may not come back, as the target calls them.
    fn accepted_no_undo(&self) -> BTreeSet<String> {
        let Some(plan) = &self.plan else {
            return BTreeSet::new();
        };
        let accepted = plan.plan.no_undo();
        let called = self.bound.values().filter(|bound| {
            let binding = &bound.binding;
            accepted.contains(binding.entity.table.as_str())
                || accepted.contains(binding.table.name.as_str())
        });
        called
            .map(|bound| bound.binding.table.name.clone())
            .collect()
    }
}

/// Says what a trial found of tables, where it is not known.
///
/// # Errors
///
/// [`StoreError::Irreversible`] where something would not come back.
fn in_words(
    tried: Tried,
    traps: BTreeSet<String>,
    tables: BTreeSet<String>,
) -> Result<Option<String>, StoreError> {
    let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
    match tried {
        Tried::Yes => Ok(None),
        Tried::Unknown(message) => Ok(Some(format!(
            "whether rows of {} can be taken back was not tried: {message}",
            list(tables)
        ))),
        Tried::No(why) => {
            let quoted = tables.iter().map(|table| format!("\"{table}\"")).collect();
            Err(StoreError::Irreversible {
                message: format!(
                    "rollback could not take this back ({}): {why}; accept it by accept_no_undo = [{}]",
                    list(traps),
                    list(quoted)
                ),
            })
        }
    }
}
