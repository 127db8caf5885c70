//! A ledger of version 1 becomes one of version 2, in the transaction of the first write to it.

use std::collections::BTreeMap;
use std::path::Path;

use contract::plan::{LoadedPlan, Metadata};
use serde_json::json;

use super::names::{ClaimName, EntityName, names_of};
use super::schema::{LEDGER, upgrades};
use super::source::{LONGEST, MARK, stored};
use super::{Shape, Statement, append_audit, version};
use crate::{Cell, Key, Row, Sql, StoreError, Table, TableName};

/// How many entries of the id map tell which of several tables of one name the runs wrote to.
const SAMPLE: usize = 50;

/// How many long keys are read at once.
const PAGE: usize = 500;

/// Gives a ledger of version 1 the tables of version 2 and the schema of every table that its runs wrote
/// to, and notes it in the audit trail; leaves any other ledger as it is.
///
/// # Errors
///
/// A version that this build does not know; a login that does not own the ledger's tables; what the target said.
/// The transaction is to be undone.
pub fn upgrade(sql: &mut dyn Sql, by: (&str, &str)) -> Result<(), StoreError> {
    sql.forget_ledger();
    if version(sql)? != Some(1) {
        return Ok(());
    }
    if let Some(why) = sql.no_upgrade()? {
        return Err(StoreError::refused(why));
    }
    let old = Old::read(sql)?;
    let homes = old.homes(sql)?;
    for statement in upgrades(&sql.dialect()) {
        sql.execute_made(&statement, &[])?;
    }
    sql.execute("UPDATE ledger.meta SET version = ?1", &[LEDGER.into()])?;
    sql.forget_ledger();
    old.write_names(sql, &homes)?;
    old.write_tables(sql, &homes)?;
    write_long_keys(sql)?;
    let tables: BTreeMap<&str, String> = homes
        .iter()
        .map(|(name, home)| (name.as_str(), home.to_string()))
        .collect();
    let detail = json!({"from": 1, "to": LEDGER, "tables": tables});
    let now = sql.now()?;
    append_audit(sql, now, "migration:ledger:upgraded", None, by, &detail)
}

/// Moves source keys that are too long for an index to `long`, and puts what stands for them in their place.
fn write_long_keys(sql: &mut dyn Sql) -> Result<(), StoreError> {
    let statement = Statement::from(
        "SELECT entity, source FROM ledger.ids WHERE long IS NULL \
         AND (octet_length(source) > ?1 OR substr(source, 1, 8) = ?2) LIMIT ",
    ) + PAGE;
    loop {
        let found = sql.query_made(&statement, &[LONGEST.into(), MARK.into()])?;
        for row in &found {
            let key = row[1].text();
            let key = key.ok_or_else(|| StoreError::damaged("a source key is no text"))?;
            let key = key.to_owned();
            let stands = stored(&key).into_owned();
            let params = [row[0].clone(), key.into(), stands.into()];
            let update =
                "UPDATE ledger.ids SET source = ?3, long = ?2 WHERE entity = ?1 AND source = ?2";
            sql.execute(update, &params)?;
        }
        if found.len() < PAGE {
            return Ok(());
        }
    }
}

/// A table by the name that version 1 kept -> its full name.
type Homes = BTreeMap<String, TableName>;

/// What a ledger of version 1 says of names.
pub(super) struct Old {
    /// Number, kind, name.
    names: Vec<(i64, String, String)>,
    /// Those of them that are shapes.
    shapes: Vec<(i64, Shape)>,
    /// The runs whose plan reads, newest first: number, plan.
    plans: Vec<(i64, contract::Plan)>,
}

impl Old {
    fn read(sql: &mut dyn Sql) -> Result<Self, StoreError> {
        let names = names_of(sql)?;
        let mut shapes = Vec::new();
        for (id, _, name) in names.iter().filter(|(_, kind, _)| kind == "shape") {
            shapes.push((*id, Shape::from_json(*id, name)?));
        }
        let rows = sql.query("SELECT seq, plan FROM ledger.runs ORDER BY seq DESC", &[])?;
        let plan = |row: &Row| {
            let (seq, text) = (row[0].int()?, row[1].text()?.to_owned());
            // A plan that this build does not read names no tables for it.
            let loaded = LoadedPlan::parse(Path::new("the ledger's plan"), text).ok()?;
            Some((seq, loaded.plan))
        };
        Ok(Self {
            names,
            shapes,
            plans: rows.iter().filter_map(plan).collect(),
        })
    }

    /// Finds the table of every name; one that is gone has none.
    fn homes(&self, sql: &mut dyn Sql) -> Result<Homes, StoreError> {
        let mut homes = Homes::new();
        let (rows, additions): (Vec<_>, Vec<_>) = self
            .shapes
            .iter()
            .rev()
            .partition(|(_, shape)| !shape.key.is_empty());
        for (_, shape) in rows.into_iter().chain(additions) {
            if !homes.contains_key(&shape.table)
                && let Some(home) = home(sql, shape, Some(self))?
            {
                homes.insert(shape.table.clone(), home);
            }
        }
        Ok(homes)
    }

    /// Returns the keys of some rows that the id map knows in a table.
    fn known_rows(&self, sql: &mut dyn Sql, table: &str) -> Result<Vec<Vec<Cell>>, StoreError> {
        let statement =
            Statement::from("SELECT target FROM ledger.ids WHERE claim = ?1 AND gone = 0 LIMIT ")
                + SAMPLE;
        let mut keys = Vec::new();
        for (id, kind, name) in &self.names {
            let of_table = self
                .plans
                .iter()
                .any(|(_, plan)| *name == format!("{}/{table}", plan.system));
            if kind == "claim" && of_table {
                for mut row in sql.query_made(&statement, &[(*id).into()])? {
                    keys.push(Key::from_cell(row.remove(0))?.0);
                }
            }
        }
        Ok(keys)
    }

    /// Writes the names of version 2 under the numbers that they have.
    fn write_names(&self, sql: &mut dyn Sql, homes: &Homes) -> Result<(), StoreError> {
        let mut claims: BTreeMap<String, i64> = BTreeMap::new();
        for (id, kind, name) in &self.names {
            let new = match kind.as_str() {
                "entity" => self.entity(homes, name),
                "claim" => self.claim(homes, name),
                _ => self.shape(homes, *id),
            };
            if let (Some(new), "claim") = (&new, kind.as_str()) {
                // Logins with other search paths may have called one table by two names.
                let first = *claims.entry(new.clone()).or_insert(*id);
                if first != *id {
                    let merge = "UPDATE ledger.ids SET claim = ?1 WHERE claim = ?2";
                    sql.execute(merge, &[first.into(), (*id).into()])?;
                }
            }
            let new = new.unwrap_or_else(|| name.clone());
            let params = [(*id).into(), kind.as_str().into(), new.into()];
            let insert = "INSERT INTO ledger.names (id, kind, name) VALUES (?1, ?2, ?3)";
            sql.execute(insert, &params)?;
        }
        Ok(())
    }

    fn entity(&self, homes: &Homes, name: &str) -> Option<String> {
        let named = |(_, plan): &(i64, contract::Plan)| {
            let entity = name.strip_prefix(&plan.system)?.strip_prefix('/')?;
            let home = find(homes, &table_of(plan, entity)?)?;
            Some(EntityName::of(&plan.system, entity, home).to_json())
        };
        self.plans.iter().find_map(named)
    }

    fn claim(&self, homes: &Homes, name: &str) -> Option<String> {
        let named = |(_, plan): &(i64, contract::Plan)| {
            let home = homes.get(name.strip_prefix(&plan.system)?.strip_prefix('/')?)?;
            Some(ClaimName::of(&plan.system, home).to_json())
        };
        self.plans.iter().find_map(named)
    }

    fn shape(&self, homes: &Homes, id: i64) -> Option<String> {
        let (_, shape) = self.shapes.iter().find(|(number, _)| *number == id)?;
        let home = homes.get(&shape.table)?;
        let full = Shape {
            at: Some(home.clone()),
            ..shape.clone()
        };
        Some(full.to_json())
    }

    /// Writes which table every entity of every run went to.
    fn write_tables(&self, sql: &mut dyn Sql, homes: &Homes) -> Result<(), StoreError> {
        for (seq, plan) in &self.plans {
            let mut tables: BTreeMap<String, i64> = BTreeMap::new();
            let metadata = plan.metadata.as_ref().map(Metadata::as_entity);
            for entity in plan.entity.iter().chain(&metadata) {
                let Some(home) = find(homes, &entity.table) else {
                    continue;
                };
                let of = |(_, shape): &&(i64, Shape)| {
                    homes.get(&shape.table) == Some(home) && !shape.key.is_empty()
                };
                if let Some((id, _)) = self.shapes.iter().rev().find(of) {
                    tables.insert(entity.name.clone(), *id);
                }
            }
            let json = serde_json::to_string(&tables).unwrap_or_default();
            let statement = "UPDATE ledger.runs SET tables = ?2 WHERE seq = ?1";
            sql.execute(statement, &[(*seq).into(), json.into()])?;
        }
        Ok(())
    }
}

/// Finds the table of a shape of version 1: the only one of its name that has its key, or the one that holds
/// most of the rows that the id map knows, or the one that the login means by the name.
pub(super) fn home(
    sql: &mut dyn Sql,
    shape: &Shape,
    old: Option<&Old>,
) -> Result<Option<TableName>, StoreError> {
    let mut fitting: Vec<(usize, Table, Vec<usize>)> = Vec::new();
    for name in sql.homes(&shape.table)? {
        let table = match sql.table_at(&name) {
            Err(StoreError::Refused { .. }) => continue,
            other => other?,
        };
        let Some(table) = table else { continue };
        let key = shape.key.iter().map(|column| table.position(column));
        if let Some(key) = key.collect() {
            fitting.push((0, table, key));
        }
    }
    if fitting.len() > 1 {
        let read;
        let old = if let Some(old) = old {
            old
        } else {
            read = Old::read(sql)?;
            &read
        };
        let rows = old.known_rows(sql, &shape.table)?;
        for (hits, table, key) in &mut fitting {
            let keys = rows.iter().filter(|row| row.len() == key.len());
            let keys: Vec<Vec<Cell>> = keys.cloned().collect();
            let found = sql.fetch(table, key, &keys)?;
            *hits = found.iter().filter(|rows| !rows.is_empty()).count();
        }
        let most = fitting.iter().map(|(hits, ..)| *hits).max();
        fitting.retain(|(hits, ..)| Some(*hits) == most);
    }
    if fitting.len() > 1 {
        let meant = sql.table(&shape.table)?.map(|table| table.id);
        fitting.retain(|(_, table, _)| Some(&table.id) == meant.as_ref());
    }
    Ok(fitting.pop().map(|(_, table, _)| table.id))
}

/// The table that a plan gives an entity, as the plan names it.
fn table_of(plan: &contract::Plan, entity: &str) -> Option<String> {
    let metadata = plan.metadata.as_ref().map(Metadata::as_entity);
    let mut all = plan.entity.iter().chain(&metadata);
    let found = all.find(|other| other.name == entity)?;
    Some(found.table.clone())
}

/// The table that a plan means by a name.
fn find<'a>(homes: &'a Homes, asked: &str) -> Option<&'a TableName> {
    let called = |(name, home): &(&String, &TableName)| {
        name.eq_ignore_ascii_case(asked) || home.to_string() == asked
    };
    homes.get(asked).or_else(|| {
        let found = homes.iter().find(called);
        found.map(|(_, home)| home)
    })
}
