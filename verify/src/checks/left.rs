//! Rows that still point to the row from which a record was moved, by a correction of the id map.

use store::ledger::{self, Action, Entry};
use store::{Binding, Key, Row, StoreError, referrers};

use super::differ;
use super::records::{Checks, Item};
use crate::finding::Fault;
use crate::lineage::last_change;
use crate::scene::{Scene, target_error};

/// So many rows of each column are named for a record.
const NAMED: usize = 100;

/// An entity whose records may refer to a corrected one, as the ledger knows it.
struct Referring {
    binding: Binding,
    entity: i64,
    claim: i64,
}

/// Names the rows that point to what each of these records was before the run corrected it. A row that
/// a run has pointed there for the sake of another record, which has that row now, is as it should be.
pub(super) fn check(
    scene: &mut Scene<'_>,
    binding: &Binding,
    corrected: &[(&Item<'_>, &Entry)],
    checks: &mut Checks<'_>,
) -> anyhow::Result<()> {
    let mut moved = Vec::new();
    for (item, entry) in corrected {
        let old = former(scene, entry).map_err(target_error)?;
        moved.extend(old.map(|old| (*item, *entry, old)));
    }
    let Some((first, ..)) = moved.first() else {
        return Ok(());
    };
    let plan = scene.plan.plan.clone();
    let name = first.record.entity.clone();
    let sql = scene.sql.as_mut();
    let found = referrers(sql, &plan, &name, &binding.table, &binding.key).map_err(target_error)?;
    for referrer in found {
        let mut referring = Vec::new();
        for entity in &referrer.entities {
            referring.extend(known(scene, entity).map_err(target_error)?);
        }
        let table = &referrer.table;
        let own = table.whole_key().unwrap_or(&table.primary_key).clone();
        for (item, entry, old) in &moved {
            let claimed = scene.sql.claims(entry.claim, std::slice::from_ref(old));
            let claimed = claimed.map_err(target_error)?.into_iter().flatten();
            let taken = claimed.into_iter().any(|other| !other.gone);
            let asked = [(old.0.clone(), None)];
            let rows = scene
                .sql
                .fetch_page(table, &referrer.columns, &own, &asked, NAMED)
                .map_err(target_error)?;
            for row in rows.into_iter().flatten() {
                if taken
                    && written(scene, &referring, &referrer.columns, &row).map_err(target_error)?
                {
                    continue;
                }
                let names = referrer
                    .columns
                    .iter()
                    .map(|at| table.columns[*at].name.as_str());
                let message = format!(
                    "it still points to {old} of {}, which {name} {} was before",
                    binding.table.name, item.record.key
                );
                let key = Key(own.iter().map(|at| row[*at].clone()).collect());
                let fault = Fault {
                    column: Some(names.collect::<Vec<_>>().join(", ")),
                    ..Fault::warning(message).row(&table.name, &key)
                };
                checks.references.add(item.named(fault));
            }
        }
    }
    Ok(())
}

/// The key of the row that a record was before the run pointed it to another.
fn former(scene: &mut Scene<'_>, entry: &Entry) -> Result<Option<Key>, StoreError> {
    let run = scene.run.seq;
    let mut change = last_change(scene.sql.as_mut(), run, entry)?;
    while let Some(last) = change {
        if let (Action::Map, Some(Some(before))) = (last.action, &last.entry)
            && before.target != last.target
        {
            return Ok((!before.gone).then(|| before.target.clone()));
        }
        change = match last.earlier {
            Some(seq) => ledger::change(scene.sql.as_mut(), run, seq)?,
            None => None,
        };
    }
    Ok(None)
}

/// An entity as the ledger knows it; none where it fits its table no longer, or never had a record.
fn known(
    scene: &mut Scene<'_>,
    entity: &contract::plan::Entity,
) -> Result<Option<Referring>, StoreError> {
    let sql = scene.sql.as_mut();
    let mut plain = entity.clone();
    plain.tag = None;
    plain.fields.retain(|_, field| field.run.is_none());
    let Some(table) = ledger::table_of(sql, &scene.run, &plain)? else {
        return Ok(None);
    };
    let Ok(binding) = Binding::bind(&plain, table) else {
        return Ok(None);
    };
    let system = &scene.plan.plan.system;
    let numbers = (
        ledger::entity_id(sql, system, &entity.name, &binding.table)?,
        ledger::claim_id(sql, system, &binding.table)?,
    );
    Ok(match numbers {
        (Some(entity), Some(claim)) => Some(Referring {
            binding,
            entity,
            claim,
        }),
        _ => None,
    })
}

/// Tells whether a run gave a row the values that it has in these columns.
fn written(
    scene: &mut Scene<'_>,
    referring: &[Referring],
    columns: &[usize],
    row: &Row,
) -> Result<bool, StoreError> {
    for one in referring {
        let key = one.binding.key_of(row);
        let entry = scene
            .sql
            .claims(one.claim, &[key])?
            .into_iter()
            .flatten()
            .next();
        let Some(entry) = entry.filter(|entry| entry.entity == one.entity && !entry.gone) else {
            continue;
        };
        let same =
            |at: &usize| entry.sum(*at) == Some(differ::sum(scene, &one.binding, *at, &row[*at]));
        if columns.iter().all(same) {
            return Ok(true);
        }
    }
    Ok(false)
}
