//! Foreign keys, looked at row by row.

use std::collections::{HashMap, HashSet};

use store::{Cell, ForeignKey, Key, Row, Table};

use crate::scene::{Scene, target_error};

/// Returns the rows whose parent is missing. A row with a NULL in the key has none to miss.
pub(super) fn without_parent<'a>(
    scene: &mut Scene<'_>,
    (child, key): (&Table, &ForeignKey),
    rows: &'a [Row],
) -> anyhow::Result<Vec<&'a Row>> {
    let parent = scene.table(&key.parent).map_err(target_error)?;
    let values = |row: &Row| -> Vec<Cell> {
        key.columns
            .iter()
            .map(|place| row[*place].clone())
            .collect()
    };
    let points = |row: &&Row| !key.columns.iter().any(|place| row[*place].is_null());
    let pointing: Vec<&Row> = rows.iter().filter(points).collect();
    let Some(parent) = parent else {
        // Without its table every parent is missing.
        return Ok(pointing);
    };
    // A parent that many rows share is looked for once.
    let mut known: HashMap<Vec<u8>, bool> = HashMap::new();
    let mut asked: HashSet<Vec<u8>> = HashSet::new();
    let mut wanted = Vec::new();
    for row in &pointing {
        let values = values(row);
        if asked.insert(store::encode_all(&values)) {
            wanted.push(values);
        }
    }
    let found = scene
        .sql
        .referred((child, key), &parent, &wanted)
        .map_err(target_error)?;
    for (values, rows) in wanted.iter().zip(found) {
        known.insert(store::encode_all(values), !rows.is_empty());
    }
    Ok(pointing
        .into_iter()
        .filter(|row| known.get(&store::encode_all(&values(row))) != Some(&true))
        .collect())
}

/// Returns what identifies a row for people: its primary key, or all of it.
pub(super) fn key_of(table: &Table, row: &Row) -> Key {
    if table.primary_key.is_empty() {
        return Key(row.clone());
    }
    Key(table
        .primary_key
        .iter()
        .map(|place| row[*place].clone())
        .collect())
}
