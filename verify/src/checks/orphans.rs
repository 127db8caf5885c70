//! Rows whose parent is missing, also where the target does not enforce it.

use std::collections::{BTreeMap, HashSet};

use contract::talk::counted;
use store::ledger::{Action, Change};
use store::{Cell, ForeignKey, Key, Row, Table, Unresolved};

use super::walk::{self, Group};
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
    let (mut rows, mut named) = (0_u64, Named::default());
    let mut touched: BTreeMap<String, Table> = BTreeMap::new();
    let mut before = i64::MAX;
    loop {
        let groups = walk::page(scene, &mut before, None, &mut check)?;
        if groups.is_empty() {
            break;
        }
        for group in groups {
            let Some(live) = &group.live else { continue };
            let table = &live.0;
            touched.insert(table.name.clone(), table.clone());
            let last = group.changes.iter().filter(|change| change.later.is_none());
            let written = |change: &&Change| {
                matches!(
                    change.action,
                    Action::Insert | Action::Update | Action::Keep
                )
            };
            let changes: Vec<&Change> = last.clone().filter(written).collect();
            let found: Vec<Row> = Group::rows(scene, live, &changes)?
                .into_iter()
                .flatten()
                .collect();
            rows += found.len() as u64;
            for key in &table.foreign_keys {
                for row in foreign::without_parent(scene, (table, key), &found)? {
                    named.add(table, key, row);
                    check.add(fault(table, key, row, "the run's row has no parent"));
                }
            }
            let deleted: Vec<Row> = last
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
                left_behind(scene, table, &deleted, &mut named, &mut check)?;
            }
        }
    }
    let others = elsewhere(scene, &touched, &named, &mut check)?;
    Ok(check.found(format!(
        "{} of the run, {}, {} of others",
        counted(rows, "row"),
        counted(touched.len() as u64, "table"),
        counted(others, "orphan")
    )))
}

/// Finds rows that still point to rows that the run deleted.
fn left_behind(
    scene: &mut Scene<'_>,
    parent: &Table,
    deleted: &[Row],
    named: &mut Named,
    check: &mut Check,
) -> anyhow::Result<()> {
    let children = scene.sql.children(parent).map_err(target_error)?;
    for (child, key) in children.keys {
        let places = parent
            .positions(&key.parent_columns)
            .map_err(target_error)?;
        let value = |row: &Row| {
            places
                .iter()
                .map(|place| row.get(*place).cloned().unwrap_or(Cell::Null))
                .collect()
        };
        let values: Vec<(Vec<Cell>, Option<Key>)> =
            deleted.iter().map(|row| (value(row), None)).collect();
        let order = child.order();
        let rows = scene
            .sql
            .referring((&child, &key), parent, &order, &values, PAGE)
            .map_err(target_error)?;
        let rows: Vec<Row> = rows.into_iter().flatten().collect();
        for row in foreign::without_parent(scene, (&child, &key), &rows)? {
            named.add(&child, &key, row);
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
    named: &Named,
    check: &mut Check,
) -> anyhow::Result<u64> {
    let mut keys: Vec<(Table, ForeignKey)> = Vec::new();
    let mut unresolved: Vec<Unresolved> = Vec::new();
    for table in touched.values() {
        keys.extend(of_own(table, |_| true));
        unresolved.extend(table.unresolved.iter().cloned());
        // A partition may have keys that its table has not.
        for name in &table.kin {
            let kin = scene.table(name).map_err(target_error)?;
            let kin = kin.filter(|kin| !touched.contains_key(&kin.name));
            let own = kin.iter().flat_map(|kin| of_own(kin, |key| !key.inherited));
            keys.extend(own);
        }
        let children = scene.sql.children(table).map_err(target_error)?;
        unresolved.extend(children.unresolved);
        keys.extend(
            children
                .keys
                .into_iter()
                .filter(|(child, _)| !touched.contains_key(&child.name)),
        );
    }
    let mut known = HashSet::new();
    keys.retain(|(child, key)| known.insert(format!("{}{}", key_name(child, key), key.parent)));
    let mut told = HashSet::new();
    for key in unresolved {
        if told.insert(key.to_string()) {
            check.add(Fault::error(key.to_string()));
        }
    }
    for name in scene.sql.tables().map_err(target_error)? {
        let table = scene.table(&name).map_err(target_error)?;
        for key in table.into_iter().flat_map(|table| table.unresolved) {
            if told.insert(key.to_string()) {
                check.add(Fault {
                    severity: Level::Warning,
                    ..Fault::error(key.to_string())
                });
            }
        }
    }
    let mut others = 0;
    for (child, key) in keys {
        let (count, rows) = scene
            .sql
            .orphans(&child, &key, PAGE)
            .map_err(target_error)?;
        let mine = named.counts.get(&key_name(&child, &key));
        others += count.saturating_sub(mine.copied().unwrap_or(0));
        for row in rows.iter().filter(|row| !named.holds(&child, &key, row)) {
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

/// The foreign keys of a table, each with it.
fn of_own(table: &Table, wanted: impl Fn(&ForeignKey) -> bool) -> Vec<(Table, ForeignKey)> {
    let keys = table.foreign_keys.iter().filter(|key| wanted(key));
    keys.map(|key| (table.clone(), key.clone())).collect()
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

/// Orphans that were told already: 16 bytes for each.
#[derive(Default)]
struct Named {
    rows: HashSet<[u8; 16]>,
    /// By table and foreign key.
    counts: BTreeMap<String, u64>,
}

impl Named {
    fn add(&mut self, table: &Table, key: &ForeignKey, row: &Row) {
        if self.rows.insert(digest(table, key, row)) {
            *self.counts.entry(key_name(table, key)).or_default() += 1;
        }
    }

    fn holds(&self, table: &Table, key: &ForeignKey, row: &Row) -> bool {
        self.rows.contains(&digest(table, key, row))
    }
}

fn digest(table: &Table, key: &ForeignKey, row: &Row) -> [u8; 16] {
    let name = format!("{}{:?}", key_name(table, key), foreign::key_of(table, row));
    contract::Digest::of(name.as_bytes()).short()
}

fn key_name(table: &Table, key: &ForeignKey) -> String {
    format!("{:?} {:?} ", table.name, key.columns)
}
