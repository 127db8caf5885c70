//! Tables of which only trying shows whether their rows come back.

use super::scene::Scene;
use crate::ledger::Action;
use crate::{Sql, StoreError, Table};

/// Such a table, and what is in it that may keep rows from coming back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// The table.
    pub table: String,
    /// Its triggers, and its unique indexes that are partial or over expressions, in words.
    pub what: Vec<String>,
}

impl Scene {
    /// Returns the tables that the run touched and of which only trying shows whether their rows come
    /// back.
    ///
    /// # Errors
    ///
    /// What the target said.
    pub fn traps(&self, sql: &mut dyn Sql) -> Result<Vec<Trap>, StoreError> {
        let kinds = "SELECT DISTINCT shape, action FROM ledger.changes WHERE run = ?1 ORDER BY shape, action";
        let mut traps: Vec<Trap> = Vec::new();
        for row in sql.query(kinds, &[self.run.seq.into()])? {
            let shape = self.shapes.iter().find(|(id, _)| Some(*id) == row[0].int());
            let kinds = [Action::Insert, Action::Update, Action::Delete, Action::Keep];
            let action = kinds
                .into_iter()
                .find(|kind| Some(*kind as i64) == row[1].int());
            let (Some((_, shape)), Some(action)) = (shape, action) else {
                continue;
            };
            let marked = self.plan.metadata.as_ref();
            let marked = marked.is_some_and(|metadata| metadata.status.is_some());
            if action == Action::Keep && !marked {
                continue;
            }
            let Some(table) = shape.live(sql)? else {
                continue;
            };
            let found = traps_of(sql, &table, action)?;
            let known = traps.iter_mut().find(|trap| trap.table == table.name);
            match known {
                Some(trap) => trap.what.extend(found),
                None if found.is_empty() => {}
                None => traps.push(Trap {
                    table: table.name,
                    what: found,
                }),
            }
        }
        for trap in &mut traps {
            trap.what.sort();
            trap.what.dedup();
        }
        Ok(traps)
    }

    /// Returns the tables of which the run's plan accepts that their rows may not come back.
    #[must_use]
    pub fn accepted_no_undo(&self) -> Vec<String> {
        self.plan.no_undo().into_iter().map(str::to_owned).collect()
    }
}

/// Returns what may keep a change of this kind from being undone and only trying shows: triggers that fire
/// then, and unique indexes that are not compared beforehand. A row that is kept is marked: an update.
pub(crate) fn traps_of(
    sql: &mut dyn Sql,
    table: &Table,
    undone: Action,
) -> Result<Vec<String>, StoreError> {
    let undone = match undone {
        Action::Insert | Action::Update | Action::Delete => undone,
        Action::Keep => Action::Update,
        Action::Map | Action::Column | Action::Table | Action::Detach => return Ok(vec![]),
    };
    if !table.needs_trial() {
        return Ok(vec![]);
    }
    let triggers = sql.fired(table, undone)?.into_iter();
    let triggers = triggers.map(|name| format!("trigger `{name}`"));
    // A row that goes takes no place.
    let indexes = table.hidden_uniques.iter();
    let indexes = indexes.filter(|_| undone != Action::Insert);
    let indexes = indexes.map(|name| format!("unique index `{name}`"));
    Ok(triggers.chain(indexes).collect())
}
