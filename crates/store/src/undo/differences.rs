//! The columns of a row that are not as the run left them.

use std::collections::HashMap;

use super::chain::{Chain, Left};
use super::layout::{Former, Layout};
use super::tag::Untagged;
use super::verdict::{Differs, RunsValue};
use crate::ledger::Action;
use crate::{Cell, Row, Sql, StoreError};

/// What others changed in a row since the run.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// In columns that the run wrote.
    pub conflicts: Vec<Differs>,
    /// In columns that the run fills, or that the plan calls volatile: these never conflict, and what
    /// others wrote there goes.
    pub overwritten: Vec<Differs>,
}

/// Compares the columns that the run wrote with what it left there. One that is again what it was before
/// differs in nothing that undo would have to do.
pub(super) fn changed(
    sql: &dyn Sql,
    chain: &Chain,
    layout: &Layout,
    present: &Row,
) -> Result<Changed, StoreError> {
    let mut found = Changed::default();
    // A row that the run inserted has no former values, whatever it did to it then.
    let inserted = chain
        .first()
        .is_some_and(|first| first.action == Action::Insert);
    let before = if inserted { vec![] } else { chain.before() };
    let before: HashMap<usize, &Cell> = before.into_iter().collect();
    for of_shape in chain.written() {
        let Some(place) = layout.place(of_shape)? else {
            continue;
        };
        let (left, now) = (chain.left(of_shape), &present[place]);
        let field = layout.fields[place].as_ref();
        let same =
            |a: &Cell, b: &Cell| a == b || sql.canonical(field, a) == sql.canonical(field, b);
        let is_sum = |sum: u32, now: &Cell| sql.canonical(field, now).sum() >> 32 == u64::from(sum);
        let (differs, run) = match (left, before.get(&of_shape)) {
            (Left::Unknown, _) => continue,
            (Left::Is(left), Some(before)) => {
                if same(now, before) {
                    continue;
                }
                let former = Former {
                    place,
                    before: (*before).clone(),
                    left: Some(left.clone()),
                };
                let differs = match layout.untagged(&former, now) {
                    Some(untagged) => untagged == Untagged::Changed,
                    None => !same(now, left),
                };
                (differs, RunsValue::Is(left.clone()))
            }
            (Left::Is(left), None) => (!same(now, left), RunsValue::Is(left.clone())),
            (Left::Sum(sum), _) => {
                let tag = layout.tag.as_ref().filter(|tag| tag.place == place);
                // Whoever took the tag off changed nothing that the record says.
                let mut tagged = tag.map_or_else(Vec::new, |tag| tag.tagged(now)).into_iter();
                let as_left = is_sum(sum, now) || tagged.any(|now| is_sum(sum, &now));
                let run = if is_sum(sum, &Cell::Null) {
                    RunsValue::Is(Cell::Null)
                } else {
                    RunsValue::Sum(sum)
                };
                (!as_left, run)
            }
        };
        if differs {
            let differs = Differs {
                column: layout.table.columns[place].name.clone(),
                run,
                now: now.clone(),
                secret: field.is_some_and(|field| field.secret),
            };
            if layout.loose[place] {
                found.overwritten.push(differs);
            } else {
                found.conflicts.push(differs);
            }
        }
    }
    Ok(found)
}
