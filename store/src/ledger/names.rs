//! Names that the ledger keeps once and refers to by number: entities, claims and shapes.

use serde::{Deserialize, Serialize};

use crate::{Sql, StoreError};

/// The columns of a table as they were when a change was written: what the positions in an image
/// mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The table.
    pub table: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// The columns that make the key of a row.
    pub key: Vec<String>,
}

/// Returns the number of a name, if it has one.
///
/// # Errors
///
/// What the target said.
pub fn find_id(sql: &mut dyn Sql, kind: &str, name: &str) -> Result<Option<i64>, StoreError> {
    let find = "SELECT id FROM ledger.names WHERE kind = ?1 AND name = ?2";
    let rows = sql.query(find, &[kind.into(), name.into()])?;
    Ok(rows.first().and_then(|row| row[0].int()))
}

/// Returns the number of a name, making one where there is none. Kinds are `entity` (system and
/// entity), `claim` (system and table) and `shape` (JSON of a [`Shape`]).
///
/// # Errors
///
/// What the target said.
pub fn id_of(sql: &mut dyn Sql, kind: &str, name: &str) -> Result<i64, StoreError> {
    if let Some(id) = find_id(sql, kind, name)? {
        return Ok(id);
    }
    let next = sql.query("SELECT COALESCE(MAX(id), 0) + 1 FROM ledger.names", &[])?;
    let id = next.first().and_then(|row| row[0].int()).unwrap_or(1);
    sql.execute(
        "INSERT INTO ledger.names (id, kind, name) VALUES (?1, ?2, ?3)",
        &[id.into(), kind.into(), name.into()],
    )?;
    Ok(id)
}

/// Returns all shapes, by number.
///
/// # Errors
///
/// One that does not read.
pub fn shapes(sql: &mut dyn Sql) -> Result<Vec<(i64, Shape)>, StoreError> {
    let rows = sql.query(
        "SELECT id FROM ledger.names WHERE kind = 'shape' ORDER BY id",
        &[],
    )?;
    let ids = rows.iter().filter_map(|row| row[0].int());
    ids.map(|id| Ok((id, shape_of(sql, id)?))).collect()
}

/// Returns the name of a number.
///
/// # Errors
///
/// A number that the ledger does not know.
pub fn name_of(sql: &mut dyn Sql, id: i64) -> Result<String, StoreError> {
    let rows = sql.query("SELECT name FROM ledger.names WHERE id = ?1", &[id.into()])?;
    let name = rows
        .first()
        .and_then(|row| row[0].text())
        .map(str::to_owned);
    name.ok_or_else(|| StoreError::damaged(format!("name {id} is missing")))
}

/// Returns the shape of a number.
///
/// # Errors
///
/// A number that the ledger does not know.
pub fn shape_of(sql: &mut dyn Sql, id: i64) -> Result<Shape, StoreError> {
    let name = name_of(sql, id)?;
    serde_json::from_str(&name).map_err(|error| StoreError::damaged(format!("shape {id}: {error}")))
}
