//! Tables that their owner renamed since a run wrote to them: followed, and noted in the audit trail.

use std::collections::{BTreeMap, BTreeSet};

use contract::Plan;
use contract::plan::{Entity, Metadata};
use serde_json::{Value, json};

use super::names::{ClaimName, EntityName, entity_names, find_id, names_of};
use super::renames::RENAMED;
use super::shape::{kept_shapes, read_tables};
use super::{Renamed, Run, Shape, append_audit, version};
use crate::{Sql, StoreError, Table, TableName};

/// Returns the tables of a plan that an earlier run knew by another name: those that have the number of one
/// that is gone, and those whose entity says so by `formerly`.
///
/// # Errors
///
/// A table has the name that the plan calls a former one; what the target said.
pub fn renamed(sql: &mut dyn Sql, plan: &Plan) -> Result<Vec<Renamed>, StoreError> {
    let mut found: Vec<Renamed> = Vec::new();
    if version(sql)?.is_none_or(|version| version == 1) {
        return Ok(found);
    }
    let metadata = plan.metadata.as_ref().map(Metadata::as_entity);
    for entity in plan.entity.iter().chain(&metadata) {
        let table = match sql.table(&entity.table) {
            Err(StoreError::Refused { .. }) => None,
            other => other?,
        };
        let Some(table) = table else { continue };
        let name = EntityName::of(&plan.system, &entity.name, &table.id).to_json();
        if find_id(sql, "entity", &name)?.is_some() {
            continue;
        }
        if let Some(from) = before(sql, &plan.system, entity, &table)? {
            let renamed = Renamed {
                from,
                to: table.id.clone(),
            };
            if !found.contains(&renamed) {
                found.push(renamed);
            }
        }
    }
    Ok(found)
}

/// The name that the table of an entity had when a run wrote to it.
fn before(
    sql: &mut dyn Sql,
    system: &str,
    entity: &Entity,
    table: &Table,
) -> Result<Option<TableName>, StoreError> {
    let said = |old: &TableName| {
        let formerly = entity.formerly.as_deref();
        let same = old.schema == table.id.schema
            && formerly.is_some_and(|name| name.eq_ignore_ascii_case(&old.table));
        same || formerly == Some(&old.to_string())
    };
    for old in entity_names(sql, system, &entity.name)? {
        let fits = |shape: &Shape| shape.at.as_ref() == Some(&old) && shape.oid == table.oid;
        let numbered =
            table.oid.is_some() && kept_shapes(sql)?.iter().any(|(_, shape)| fits(shape));
        if !numbered && !said(&old) {
            continue;
        }
        if sql.table_at(&old)?.is_none() {
            return Ok(Some(old));
        }
        if said(&old) {
            return Err(StoreError::refused(format!(
                "the plan says that {} was formerly {old}, and a table {old} is there: rename it, or leave out `formerly`",
                table.name
            )));
        }
    }
    Ok(None)
}

/// Returns the tables of a run that are there under another name.
///
/// # Errors
///
/// What the target said.
pub fn renamed_of(sql: &mut dyn Sql, run: &Run) -> Result<Vec<Renamed>, StoreError> {
    let mut found: Vec<Renamed> = Vec::new();
    let ids: BTreeSet<i64> = read_tables(run)?.into_values().collect();
    for (_, shape) in kept_shapes(sql)?.iter().filter(|(id, _)| ids.contains(id)) {
        let table = match shape.find(sql) {
            Err(StoreError::Refused { .. }) => None,
            other => other?,
        };
        if let Some((_, Some(renamed))) = table
            && !found.contains(&renamed)
        {
            found.push(renamed);
        }
    }
    Ok(found)
}

/// Calls a table in the ledger as its owner calls it now, and notes that in the audit trail.
///
/// # Errors
///
/// What the target said.
pub fn follow(
    sql: &mut dyn Sql,
    renamed: &Renamed,
    run: &str,
    by: (&str, &str),
) -> Result<(), StoreError> {
    let Renamed { from, to } = renamed;
    for (id, kind, name) in names_of(sql)? {
        let new = match kind.as_str() {
            "shape" => {
                let mut shape = Shape::from_json(id, &name)?;
                if shape.at.as_ref() != Some(from) {
                    continue;
                }
                shape.at = Some(to.clone());
                shape.to_json()
            }
            "entity" => match serde_json::from_str::<EntityName>(&name) {
                Ok(full) if full.table_name() == *from => {
                    EntityName::of(&full.system, &full.entity, to).to_json()
                }
                _ => continue,
            },
            _ => match serde_json::from_str::<ClaimName>(&name) {
                Ok(full) if full.table_name() == *from => ClaimName::of(&full.system, to).to_json(),
                _ => continue,
            },
        };
        if let Some(other) = find_id(sql, &kind, &new)? {
            // A run that did not know of it wrote to the table under its new name.
            if kind == "claim" {
                let merge = "UPDATE ledger.ids SET claim = ?1 WHERE claim = ?2";
                sql.execute(merge, &[other.into(), id.into()])?;
            }
            if kind != "shape" {
                continue;
            }
        }
        let statement = "UPDATE ledger.names SET name = ?2 WHERE id = ?1";
        sql.execute(statement, &[id.into(), new.into()])?;
    }
    counters(sql, renamed)?;
    let detail = json!({"from": from.to_string(), "to": to.to_string()});
    let now = sql.now()?;
    append_audit(sql, now, RENAMED, Some(run), by, &detail)
}

/// Gives the counters that runs noted the table's new name.
fn counters(sql: &mut dyn Sql, renamed: &Renamed) -> Result<(), StoreError> {
    let rows = sql.query("SELECT seq, counters FROM ledger.runs", &[])?;
    for row in rows {
        let counters = row[1]
            .text()
            .and_then(|json| serde_json::from_str(json).ok());
        let counters: Option<BTreeMap<String, Value>> = counters;
        let mut counters = counters.ok_or_else(|| StoreError::damaged("counters do not read"))?;
        if let Some(values) = counters.remove(&renamed.from.table) {
            counters.insert(renamed.to.table.clone(), values);
            let statement = "UPDATE ledger.runs SET counters = ?2 WHERE seq = ?1";
            let json = serde_json::to_string(&counters).unwrap_or_default();
            sql.execute(statement, &[row[0].clone(), json.into()])?;
        }
    }
    Ok(())
}
