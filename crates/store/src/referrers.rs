//! Which columns refer to the rows of a table by their key: by the plans of the system's runs, and by the
//! foreign keys of the catalogue.

use std::path::Path;

use contract::Plan;
use contract::plan::{Entity, LoadedPlan};

use crate::{Cell, Sql, StoreError, Table};

/// Columns by which rows refer to those of another table.
#[derive(Debug, Clone)]
pub struct Referrer {
    /// The table that refers.
    pub table: Table,
    /// Its columns, by position: as many as the other table's key has.
    pub columns: Vec<usize>,
    /// The entities whose records refer so, by the newest plan that names each.
    pub entities: Vec<Entity>,
}

/// Finds what refers to the rows that the records of an entity become, by their `key`.
///
/// # Errors
///
/// What the target said; a plan in the ledger that does not read.
pub fn referrers(
    sql: &mut dyn Sql,
    plan: &Plan,
    entity: &str,
    table: &Table,
    key: &[usize],
) -> Result<Vec<Referrer>, StoreError> {
    let mut found = Vec::new();
    by_foreign_key(sql, table, key, &mut found)?;
    if key.len() == 1 {
        by_plan(sql, plan, entity, table, &mut found)?;
    }
    Ok(found)
}

fn by_foreign_key(
    sql: &mut dyn Sql,
    table: &Table,
    key: &[usize],
    found: &mut Vec<Referrer>,
) -> Result<(), StoreError> {
    for (child, foreign) in sql.children(table)?.keys {
        match sql.table(&child.name) {
            Ok(Some(_)) if foreign.parent_columns.len() == key.len() => {}
            // What can't be written is not moved.
            Ok(_) | Err(StoreError::Refused { .. }) => continue,
            Err(error) => return Err(error),
        }
        let own = |place: &usize| {
            let name = &table.columns[*place].name;
            let at = foreign
                .parent_columns
                .iter()
                .position(|parent| parent == name)?;
            foreign.columns.get(at).copied()
        };
        if let Some(columns) = key.iter().map(own).collect::<Option<Vec<usize>>>() {
            add(found, &child, columns);
        }
    }
    Ok(())
}

fn by_plan(
    sql: &mut dyn Sql,
    plan: &Plan,
    entity: &str,
    table: &Table,
    found: &mut Vec<Referrer>,
) -> Result<(), StoreError> {
    let older = older_plans(sql, plan)?;
    for plan in std::iter::once(plan).chain(&older) {
        let Some(parent) = plan.entity(entity) else {
            continue;
        };
        if sql.table(&parent.table)?.map(|table| table.name) != Some(table.name.clone()) {
            continue;
        }
        for child in &plan.entity {
            for (column, field) in &child.fields {
                if field.reference.as_deref() != Some(entity) {
                    continue;
                }
                let Some(table) = sql.table(&child.table)? else {
                    continue;
                };
                let Some(place) = table.position(column) else {
                    continue;
                };
                let referrer = add(found, &table, vec![place]);
                if referrer
                    .entities
                    .iter()
                    .all(|known| known.name != child.name)
                {
                    referrer.entities.push(child.clone());
                }
            }
        }
    }
    Ok(())
}

/// The plans of the runs of a system, newest first, each once.
fn older_plans(sql: &mut dyn Sql, plan: &Plan) -> Result<Vec<Plan>, StoreError> {
    let rows = sql.query(
        "SELECT plan, max(seq) FROM ledger.runs WHERE system = ?1 GROUP BY plan ORDER BY 2 DESC",
        &[plan.system.as_str().into()],
    )?;
    let read = |row: Vec<Cell>| {
        let text = row.first().and_then(Cell::text).unwrap_or_default();
        let plan = LoadedPlan::parse(Path::new("a plan of the ledger"), text.to_owned());
        plan.map(|plan| plan.plan)
            .map_err(|error| StoreError::damaged(error.to_string()))
    };
    rows.into_iter().map(read).collect()
}

fn add<'a>(found: &'a mut Vec<Referrer>, table: &Table, columns: Vec<usize>) -> &'a mut Referrer {
    let known = |known: &Referrer| known.table.name == table.name && known.columns == columns;
    let at = found.iter().position(known).unwrap_or_else(|| {
        found.push(Referrer {
            table: table.clone(),
            columns,
            entities: Vec::new(),
        });
        found.len() - 1
    });
    &mut found[at]
}
