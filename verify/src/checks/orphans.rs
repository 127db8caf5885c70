//! Rows whose parent is missing, also where the target does not enforce it.

use std::collections::{BTreeMap, HashSet};

use store::ledger::{self, Action, Change};
use store::{Cell, ForeignKey, Row, Table};

use super::{PAGE, foreign};
use crate::finding::{Check, Fault, Level};
use crate::scene::{Scene, target_error};

/// Starts the check of the plan's references; the check of the records fills it.
pub(super) fn references(scene: &Scene<'_>) -> Check {
    let count = scene
        .plan
        .plan
        .entity
        .iter()
        .flat_map(|entity| entity.fields.values())
        .filter(|field| field.reference.is_some())
        .count();
    Check::new(
        "references",
        format!("the {count} reference columns of the plan point to the rows of their records"),
    )
}

/// Checks the declared foreign keys: of the rows that the run wrote, of those that pointed to rows
/// which it deleted, and, as a warning, of all others in these tables.
pub(super) fn check(scene: &mut Scene<'_>) -> anyhow::Result<Check> {
    let mut check = Check::new(
        "orphans",
        "every declared foreign key of the run's rows has its parent",
    );
    let (mut rows, mut named) = (0_u64, HashSet::new());
    let mut touched: BTreeMap<String, Table> = BTreeMap::new();
    let mut before = i64::MAX;
    loop {
        let page = ledger::page_changes(scene.sql.as_mut(), scene.run.seq, before, PAGE)
            .map_err(target_error)?;
        let Some(last) = page.last() else { break };
        before = last.seq;
        let mut shapes: BTreeMap<i64, Vec<Change>> = BTreeMap::new();
        for change in page.into_iter().filter(|change| change.later.is_none()) {
            shapes.entry(change.shape).or_default().push(change);
        }
        for (shape, changes) in shapes {
            let shape = ledger::shape_of(scene.sql.as_mut(), shape).map_err(target_error)?;
            let table = scene.table(&shape.table).map_err(target_error)?;
            let key = table.as_ref().and_then(|table| {
                let places = shape.key.iter().map(|column| table.position(column));
                places.collect::<Option<Vec<usize>>>()
            });
            let (Some(table), Some(key)) = (table, key) else {
                let message = format!(
                    "{} rows can't be checked: table {} or its key is gone",
                    changes.len(),
                    shape.table
                );
                check.add(Fault::error(message));
                continue;
            };
            touched.insert(table.name.clone(), table.clone());
            let written = |change: &&Change| {
                matches!(
                    change.action,
                    Action::Insert | Action::Update | Action::Keep
                )
            };
            let keys: Vec<_> = changes
                .iter()
                .filter(written)
                .map(|change| change.target.clone())
                .collect();
            let found = scene.rows(&table, &key, &keys).map_err(target_error)?;
            let found: Vec<Row> = found.into_iter().flatten().collect();
            rows += found.len() as u64;
            for foreign_key in &table.foreign_keys {
                let orphans = foreign::without_parent(scene, foreign_key, &found)?;
                for row in orphans {
                    named.insert(name_of(&table, foreign_key, row));
                    let fault = fault(&table, foreign_key, row, "the run's row has no parent");
                    check.add(fault);
                }
            }
            let deleted: Vec<Row> = changes
                .iter()
                .filter(|change| change.action == Action::Delete)
                .map(|change| {
                    change
                        .before
                        .0
                        .iter()
                        .map(|(_, cell)| cell.clone())
                        .collect()
                })
                .collect();
            if !deleted.is_empty() {
                left_behind(scene, &table, &deleted, &mut named, &mut check)?;
            }
        }
    }
    let others = elsewhere(scene, &touched, &named, &mut check)?;
    Ok(check.found(format!(
        "{rows} rows of the run, {} tables, {others} orphans of others",
        touched.len()
    )))
}

/// Finds rows that still point to rows that the run deleted.
fn left_behind(
    scene: &mut Scene<'_>,
    parent: &Table,
    deleted: &[Row],
    named: &mut HashSet<String>,
    check: &mut Check,
) -> anyhow::Result<()> {
    for (child, key) in foreign::children(scene, parent)? {
        let places = key
            .parent_columns
            .iter()
            .map(|column| parent.position(column));
        let Some(places) = places.collect::<Option<Vec<usize>>>() else {
            continue;
        };
        let value = |row: &Row| {
            places
                .iter()
                .map(|place| row.get(*place).cloned().unwrap_or(Cell::Null))
                .collect()
        };
        let values: Vec<Vec<Cell>> = deleted.iter().map(value).collect();
        let rows = scene
            .sql
            .fetch(&child, &key.columns, &values)
            .map_err(target_error)?;
        let rows: Vec<Row> = rows.into_iter().flatten().collect();
        for row in foreign::without_parent(scene, &key, &rows)? {
            named.insert(name_of(&child, &key, row));
            check.add(fault(&child, &key, row, "the run deleted its parent"));
        }
    }
    Ok(())
}

/// Looks through the touched tables, and those that refer to them, for orphans that are not the
/// run's doing.
fn elsewhere(
    scene: &mut Scene<'_>,
    touched: &BTreeMap<String, Table>,
    named: &HashSet<String>,
    check: &mut Check,
) -> anyhow::Result<u64> {
    let mut keys: Vec<(Table, ForeignKey)> = Vec::new();
    for table in touched.values() {
        keys.extend(
            table
                .foreign_keys
                .iter()
                .map(|key| (table.clone(), key.clone())),
        );
        let children = foreign::children(scene, table)?;
        keys.extend(
            children
                .into_iter()
                .filter(|(child, _)| !touched.contains_key(&child.name)),
        );
    }
    let mut others = 0;
    for (child, key) in keys {
        let parent = scene.table(&key.parent).map_err(target_error)?;
        let whole = parent.is_some_and(|parent| {
            key.parent_columns
                .iter()
                .all(|column| parent.position(column).is_some())
        });
        if !whole {
            let message = format!(
                "{} refers to {} ({}), which is not there",
                child.name,
                key.parent,
                key.parent_columns.join(", ")
            );
            check.add(Fault::error(message));
            continue;
        }
        let (count, rows) = scene
            .sql
            .orphans(&child, &key, PAGE)
            .map_err(target_error)?;
        let prefix = key_name(&child, &key);
        let mine = named
            .iter()
            .filter(|name| name.starts_with(&prefix))
            .count() as u64;
        others += count.saturating_sub(mine);
        for row in rows
            .iter()
            .filter(|row| !named.contains(&name_of(&child, &key, row)))
        {
            let fault = fault(
                &child,
                &key,
                row,
                "it has no parent; it is no row of this run",
            );
            check.add(Fault {
                severity: Level::Warning,
                ..fault
            });
        }
    }
    Ok(others)
}

fn fault(table: &Table, key: &ForeignKey, row: &Row, message: &str) -> Fault {
    let columns: Vec<&str> = key
        .columns
        .iter()
        .map(|place| table.columns[*place].name.as_str())
        .collect();
    let values: Vec<String> = key
        .columns
        .iter()
        .map(|place| row[*place].to_string())
        .collect();
    Fault::error(message)
        .row(&table.name, &foreign::key_of(table, row))
        .values(
            &columns.join(", "),
            format!(
                "a row of {} ({})",
                key.parent,
                key.parent_columns.join(", ")
            ),
            values.join(", "),
        )
}

/// Names an orphan, so that it is not told twice.
fn name_of(table: &Table, key: &ForeignKey, row: &Row) -> String {
    format!("{}{:?}", key_name(table, key), foreign::key_of(table, row))
}

fn key_name(table: &Table, key: &ForeignKey) -> String {
    format!("{:?} {:?} ", table.name, key.columns)
}
