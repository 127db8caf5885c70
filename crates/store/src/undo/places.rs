//! Is the place free that a row gets back: its unique values, and the rows that it belongs to?

use super::layout::Layout;
use super::scene::Scene;
use super::ties::{Fate, chains, differs, fates};
use crate::ledger::Action;
use crate::{Cell, Key, Row, Sql, StoreError};

/// A row as it will be, and which of its columns are restored.
#[derive(Debug)]
pub(super) struct Restored {
    pub row: Row,
    pub columns: Vec<usize>,
    /// The key of the row that is there now, if one is.
    pub own: Option<Key>,
}

/// Something in the way.
#[derive(Debug)]
pub(super) struct Obstacle {
    /// In words.
    pub why: String,
    /// The change whose undoing takes it out of the way.
    pub unless_kept: Option<i64>,
}

/// Returns what is in the way of each row.
pub(super) fn obstacles(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    layout: &Layout,
    rows: &[Restored],
) -> Result<Vec<Vec<Obstacle>>, StoreError> {
    let mut found: Vec<Vec<Obstacle>> = rows.iter().map(|_| Vec::new()).collect();
    if rows.is_empty() {
        return Ok(found);
    }
    // Whatever can't be resolved is refused.
    scene.children(sql, &layout.table)?;
    holders(sql, scene, layout, rows, &mut found)?;
    parents(sql, scene, layout, rows, &mut found)?;
    Ok(found)
}

/// The values of columns in the rows of which one is restored, with the row's place.
fn values(rows: &[Restored], columns: &[usize]) -> Vec<(usize, Vec<Cell>)> {
    let of = |(place, restored): (usize, &Restored)| {
        let touched = columns
            .iter()
            .any(|column| restored.columns.contains(column));
        let cells: Vec<Cell> = columns
            .iter()
            .map(|column| restored.row[*column].clone())
            .collect();
        (touched && cells.iter().all(|cell| !cell.is_null())).then_some((place, cells))
    };
    rows.iter().enumerate().filter_map(of).collect()
}

/// Rows that hold a unique value that is to come back.
fn holders(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    layout: &Layout,
    rows: &[Restored],
    found: &mut [Vec<Obstacle>],
) -> Result<(), StoreError> {
    let table = &layout.table;
    for unique in &table.uniques {
        let wanted = values(rows, unique);
        let keys: Vec<Vec<Cell>> = wanted.iter().map(|(_, cells)| cells.clone()).collect();
        if keys.is_empty() {
            continue;
        }
        let holders = sql.fetch(table, unique, &keys)?;
        for ((place, cells), holders) in wanted.into_iter().zip(holders) {
            let others: Vec<Row> = holders
                .into_iter()
                .filter(|row| rows[place].own.as_ref() != Some(&layout.key_of(row)))
                .collect();
            for (row, fate) in others.iter().zip(fates(sql, scene, table, &others)?) {
                let names: Vec<String> = unique
                    .iter()
                    .zip(&cells)
                    .map(|(column, cell)| {
                        let secret = layout.fields[*column]
                            .as_ref()
                            .is_some_and(|field| field.secret);
                        let shown = if secret {
                            "***".into()
                        } else {
                            cell.to_string()
                        };
                        format!("{} = {shown}", table.columns[*column].name)
                    })
                    .collect();
                found[place].push(Obstacle {
                    why: format!(
                        "{} is taken by row {} now",
                        names.join(", "),
                        layout.key_of(row)
                    ),
                    unless_kept: match fate {
                        Fate::Goes(seq) => Some(seq),
                        Fate::Becomes(seq, back) if differs(&back, unique, &cells) => Some(seq),
                        Fate::Becomes(..) | Fate::Stays => None,
                    },
                });
            }
        }
    }
    Ok(())
}

/// Rows that a restored row refers to and that are not there.
fn parents(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    layout: &Layout,
    rows: &[Restored],
    found: &mut [Vec<Obstacle>],
) -> Result<(), StoreError> {
    let table = &layout.table;
    for key in &table.foreign_keys {
        let wanted = values(rows, &key.columns);
        if wanted.is_empty() {
            continue;
        }
        let parent = scene.other(sql, &key.parent)?.ok_or_else(|| {
            StoreError::refused(format!(
                "the foreign key from {} to {} can't be resolved: there is no such table",
                table.name, key.parent
            ))
        })?;
        let columns = parent.positions(&key.parent_columns)?;
        let keys: Vec<Vec<Cell>> = wanted.iter().map(|(_, cells)| cells.clone()).collect();
        let present = sql.referred((table, key), &parent, &keys)?;
        let mut missing: Vec<(usize, Vec<Cell>)> = Vec::new();
        for ((place, cells), present) in wanted.into_iter().zip(present) {
            let own = parent.is_kin(table)
                && columns.iter().zip(&cells).all(|(column, cell)| {
                    let place_of = table.position(&parent.columns[*column].name);
                    place_of.is_some_and(|at| rows[place].row[at] == *cell)
                });
            if present.is_empty() && !own {
                missing.push((place, cells));
            }
        }
        for (place, cells) in missing {
            let shown = Key(cells.clone());
            let unless_kept = deleted(sql, scene, &parent, &columns, &cells)?;
            found[place].push(Obstacle {
                why: format!(
                    "it belongs to row {shown} of {}, which is missing",
                    parent.name
                ),
                unless_kept,
            });
        }
    }
    Ok(())
}

/// The change by which the run deleted a row that is missing, if it did.
fn deleted(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    table: &crate::Table,
    columns: &[usize],
    cells: &[Cell],
) -> Result<Option<i64>, StoreError> {
    let Some(claim) = scene.claim(sql, table)? else {
        return Ok(None);
    };
    for key in claim.keys {
        let cell = |place: &usize| {
            let at = columns.iter().position(|column| column == place)?;
            Some(cells[at].clone())
        };
        let Some(target) = key.iter().map(cell).collect::<Option<Vec<Cell>>>() else {
            continue;
        };
        for (_, chain) in chains(sql, scene, claim.number, &[Key(target)], true)? {
            let back = chain
                .first()
                .is_some_and(|first| first.action != Action::Insert);
            if back {
                return Ok(Some(chain.newest().seq));
            }
        }
    }
    Ok(None)
}
