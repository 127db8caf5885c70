//! Names that the ledger keeps once and refers to by number: entities, claims and shapes.

use serde::{Deserialize, Serialize};

use super::Shape;
use super::shape::kept_shapes;
use crate::{Sql, StoreError, Table, TableName};

/// The name of kind `entity`: records are told apart by it and by their key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntityName {
    pub system: String,
    pub entity: String,
    pub schema: String,
    pub table: String,
}

/// The name of kind `claim`: rows are claimed under it, by one record of a system each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClaimName {
    pub system: String,
    pub schema: String,
    pub table: String,
}

impl EntityName {
    pub(super) fn of(system: &str, entity: &str, table: &TableName) -> Self {
        Self {
            system: system.to_owned(),
            entity: entity.to_owned(),
            schema: table.schema.clone(),
            table: table.table.clone(),
        }
    }

    pub(super) fn table_name(&self) -> TableName {
        TableName {
            schema: self.schema.clone(),
            table: self.table.clone(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ClaimName {
    pub(super) fn of(system: &str, table: &TableName) -> Self {
        Self {
            system: system.to_owned(),
            schema: table.schema.clone(),
            table: table.table.clone(),
        }
    }

    pub(super) fn table_name(&self) -> TableName {
        TableName {
            schema: self.schema.clone(),
            table: self.table.clone(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Returns the number of an entity of a system in a table, if a run ever wrote it there.
///
/// # Errors
///
/// What the target said.
pub fn entity_id(
    sql: &mut dyn Sql,
    system: &str,
    entity: &str,
    table: &Table,
) -> Result<Option<i64>, StoreError> {
    if super::version(sql)? == Some(1) {
        return find_id(sql, "entity", &format!("{system}/{entity}"));
    }
    by_name(sql, "entity", table, |name| {
        EntityName::of(system, entity, name).to_json()
    })
}

/// Returns the number under which a system's records claim rows of a table, if they ever did.
///
/// # Errors
///
/// What the target said.
pub fn claim_id(sql: &mut dyn Sql, system: &str, table: &Table) -> Result<Option<i64>, StoreError> {
    if super::version(sql)? != Some(1) {
        return by_name(sql, "claim", table, |name| {
            ClaimName::of(system, name).to_json()
        });
    }
    // Version 1 called a table as the login did that wrote to it.
    for called in [&table.name, &table.id.table, &table.id.to_string()] {
        if let Some(id) = find_id(sql, "claim", &format!("{system}/{called}"))? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Returns the numbers under which records of other systems claim rows of a table.
///
/// # Errors
///
/// What the target said.
pub fn claims_of_others(
    sql: &mut dyn Sql,
    system: &str,
    table: &Table,
) -> Result<Vec<i64>, StoreError> {
    if super::version(sql)? == Some(1) {
        return Ok(vec![]);
    }
    let others = names_of(sql)?.into_iter().filter(|(_, kind, name)| {
        let claim = serde_json::from_str::<ClaimName>(name);
        kind == "claim"
            && claim.is_ok_and(|claim| claim.system != system && claim.table_name() == table.id)
    });
    Ok(others.map(|(id, ..)| id).collect())
}

/// Finds a name by the table's, or by what its owner called it when it was kept.
fn by_name(
    sql: &mut dyn Sql,
    kind: &str,
    table: &Table,
    name: impl Fn(&TableName) -> String,
) -> Result<Option<i64>, StoreError> {
    if let Some(id) = find_id(sql, kind, &name(&table.id))? {
        return Ok(Some(id));
    }
    if table.oid.is_none() {
        return Ok(None);
    }
    for (_, shape) in kept_shapes(sql)? {
        if shape.oid == table.oid
            && let Some((_, Some(renamed))) = shape.find(sql)?
            && renamed.to == table.id
            && let Some(id) = find_id(sql, kind, &name(&renamed.from))?
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Returns the tables in which an entity of a system is known, the one that was made known last first.
pub(super) fn entity_names(
    sql: &mut dyn Sql,
    system: &str,
    entity: &str,
) -> Result<Vec<TableName>, StoreError> {
    let mut found = Vec::new();
    for (_, kind, name) in names_of(sql)?.into_iter().rev() {
        if kind == "entity"
            && let Ok(full) = serde_json::from_str::<EntityName>(&name)
            && (full.system.as_str(), full.entity.as_str()) == (system, entity)
        {
            found.push(full.table_name());
        }
    }
    Ok(found)
}

/// Returns all names: number, kind, name, by number.
pub(super) fn names_of(sql: &mut dyn Sql) -> Result<Vec<(i64, String, String)>, StoreError> {
    let rows = sql.query("SELECT id, kind, name FROM ledger.names ORDER BY id", &[])?;
    let name = |row: &crate::Row| {
        let text = |place: usize| row[place].text().map(str::to_owned);
        let read = (row[0].int(), text(1), text(2));
        let (Some(id), Some(kind), Some(name)) = read else {
            return Err(StoreError::damaged("a name does not read"));
        };
        Ok((id, kind, name))
    };
    rows.iter().map(name).collect()
}

/// The numbers of an entity in its table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    pub entity: i64,
    pub claim: i64,
    pub shape: i64,
}

/// Returns the numbers of an entity in its table, making those that are missing. `key`: the columns of
/// a row's key, by position.
pub(crate) fn numbers(
    sql: &mut dyn Sql,
    system: &str,
    entity: &str,
    (table, key): (&Table, &[usize]),
) -> Result<Numbers, StoreError> {
    Ok(Numbers {
        entity: id_of(
            sql,
            "entity",
            &EntityName::of(system, entity, &table.id).to_json(),
        )?,
        claim: id_of(sql, "claim", &ClaimName::of(system, &table.id).to_json())?,
        shape: shape_id(sql, &Shape::of(table, key))?,
    })
}

/// Returns the number of a shape, making one where there is none.
///
/// # Errors
///
/// What the target said.
pub fn shape_id(sql: &mut dyn Sql, shape: &Shape) -> Result<i64, StoreError> {
    id_of(sql, "shape", &shape.to_json())
}

/// Returns the name that the plan gives an entity, by its number. `system`: of the plan.
///
/// # Errors
///
/// A number that the ledger does not know.
pub fn entity_of(sql: &mut dyn Sql, id: i64, system: &str) -> Result<String, StoreError> {
    let name = name_of(sql, id)?;
    if let Ok(full) = serde_json::from_str::<EntityName>(&name) {
        return Ok(full.entity);
    }
    let short = name
        .strip_prefix(system)
        .and_then(|rest| rest.strip_prefix('/'));
    Ok(short.map_or_else(|| name.clone(), str::to_owned))
}

pub(super) fn find_id(
    sql: &mut dyn Sql,
    kind: &str,
    name: &str,
) -> Result<Option<i64>, StoreError> {
    let find = "SELECT id FROM ledger.names WHERE kind = ?1 AND name = ?2";
    let rows = sql.query(find, &[kind.into(), name.into()])?;
    Ok(rows.first().and_then(|row| row[0].int()))
}

fn id_of(sql: &mut dyn Sql, kind: &str, name: &str) -> Result<i64, StoreError> {
    if let Some(id) = find_id(sql, kind, name)? {
        return Ok(id);
    }
    let next = sql.query("SELECT COALESCE(MAX(id), 0) + 1 FROM ledger.names", &[])?;
    let id = next.first().and_then(|row| row[0].int());
    let id = id.ok_or_else(|| StoreError::damaged("it gives no number"))?;
    sql.execute(
        "INSERT INTO ledger.names (id, kind, name) VALUES (?1, ?2, ?3)",
        &[id.into(), kind.into(), name.into()],
    )?;
    Ok(id)
}

/// Returns the text of a name by its number.
///
/// # Errors
///
/// A number that the ledger does not know; what the target said.
pub fn name_of(sql: &mut dyn Sql, id: i64) -> Result<String, StoreError> {
    let rows = sql.query("SELECT name FROM ledger.names WHERE id = ?1", &[id.into()])?;
    let name = rows
        .first()
        .and_then(|row| row[0].text())
        .map(str::to_owned);
    name.ok_or_else(|| StoreError::damaged(format!("name {id} is missing")))
}
