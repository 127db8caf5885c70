//! The plan against the live catalogue: all that does not fit, before the first write.

use std::collections::BTreeMap;

use contract::plan::{Entity, IdFrom, LoadedPlan, Metadata, OpSpec, Plan, Type};

use crate::additions::{Addition, Planned};
use crate::binding::From;
use crate::{Binding, Sql, StoreError, Table};

/// A table of more rows needs an index that serves `match`: each record looks there once.
const SCAN_LIMIT: u64 = 10_000;

/// What was found.
pub(super) struct Found {
    /// All that does not fit, each with the line of the plan that asks for it.
    pub problems: Vec<String>,
    /// What is to be added before the first row.
    pub missing: Vec<Addition>,
}

/// Checks the plan against the catalogue, with what the plan adds to it.
pub(super) fn preflight(sql: &mut dyn Sql, loaded: &LoadedPlan) -> Result<Found, StoreError> {
    if loaded.plan.add.is_empty() {
        return Ok(Found {
            problems: entities(sql, &BTreeMap::new(), loaded)?,
            missing: vec![],
        });
    }
    let metadata = loaded.plan.metadata.as_ref().map(Metadata::as_entity);
    let mut names = Vec::new();
    for entity in loaded.plan.entity.iter().chain(&metadata) {
        names.push(entity.table.as_str());
        names.extend(entity.via.as_ref().map(|via| via.table.as_str()));
    }
    let Planned {
        tables,
        missing,
        problems,
    } = sql.planned(&loaded.plan.add, &names)?;
    let line = |(list, place, message): (&str, usize, String)| {
        let line = loaded.line_of(&["add", list, &place.to_string()]);
        format!("plan.toml:{line}: {message}")
    };
    let mut problems: Vec<String> = problems.into_iter().map(line).collect();
    if problems.is_empty() {
        problems = entities(sql, &tables, loaded)?;
    }
    Ok(Found { problems, missing })
}

/// Checks the entities. `planned`: tables as they will be, by name, where that is not how they are.
fn entities(
    sql: &mut dyn Sql,
    planned: &BTreeMap<String, Table>,
    loaded: &LoadedPlan,
) -> Result<Vec<String>, StoreError> {
    let plan = &loaded.plan;
    let mut all = Vec::new();
    let metadata = plan.metadata.as_ref().map(Metadata::as_entity);
    for entity in plan.entity.iter().chain(&metadata) {
        let mut problems = Vec::new();
        let bound = match planned.get(&entity.table) {
            Some(table) => Binding::bind(entity, table.clone()),
            None => Binding::new(sql, entity)?,
        };
        match bound {
            Ok(binding) => {
                check_columns(sql, &binding, &mut problems);
                check_triggers(sql, plan, &binding, &mut problems)?;
                check_match(sql, &binding, &mut problems)?;
                check_tag(&binding, &mut problems);
                let written: Vec<usize> = binding
                    .columns
                    .iter()
                    .map(|bound| bound.place)
                    .chain(binding.id.map(|(id, _)| id))
                    .collect();
                let lacks = sql.lacks(Some((&binding.table, &written)))?;
                problems.extend(
                    lacks
                        .into_iter()
                        .map(|lack| format!("{}: {lack}", entity.name)),
                );
            }
            Err(found) => problems.extend(found),
        }
        if let Some(via) = &entity.via {
            let table = match planned.get(&via.table) {
                Some(table) => Some(table.clone()),
                None => sql.table(&via.table)?,
            };
            check_via(table.as_ref(), entity, via, &mut problems);
        }
        let placed =
            |problem: String| format!("plan.toml:{}: {problem}", line(loaded, entity, &problem));
        all.extend(problems.into_iter().map(placed));
    }
    all.extend(sql.lacks(None)?);
    all.dedup();
    Ok(all)
}

/// The line of the plan that a problem is about: that of the first of the entity's fields that it
/// names in back-ticks, else that of the entity's table.
fn line(loaded: &LoadedPlan, entity: &Entity, problem: &str) -> usize {
    let named = problem
        .split('`')
        .skip(1)
        .step_by(2)
        .find(|word| entity.fields.contains_key(*word));
    match named {
        Some(column) => loaded.line_of(&["entity", &entity.name, "fields", column]),
        None => loaded.line_of(&["entity", &entity.name, "table"]),
    }
}

fn check_columns(sql: &dyn Sql, binding: &Binding, problems: &mut Vec<String>) {
    let Binding { entity, table, .. } = binding;
    for bound in binding
        .columns
        .iter()
        .filter(|bound| matches!(bound.from, From::Field | From::Run(_)))
    {
        if let Some(misfit) = sql.misfit(&bound.field, &table.columns[bound.place]) {
            problems.push(format!("{}: {}: {misfit}", entity.name, table.name));
        }
    }
    if entity.op != OpSpec::Fixed(contract::Op::Put) {
        return;
    }
    if let Some((place, IdFrom::Target)) = binding.id
        && !table.columns[place].has_default
    {
        let column = &table.columns[place].name;
        problems.push(format!(
            "{}: `id.from` is \"target\", but {}.{column} has no default",
            entity.name, table.name
        ));
    }
    for (place, column) in table.columns.iter().enumerate() {
        let filled = binding.columns.iter().any(|bound| bound.place == place)
            || binding.id.is_some_and(|(id, _)| id == place);
        if column.not_null && !column.has_default && !column.generated && !filled {
            problems.push(format!(
                "{}: {}.{} must not be NULL and has no default, and the plan does not fill it",
                entity.name, table.name, column.name
            ));
        }
    }
}

fn check_triggers(
    sql: &mut dyn Sql,
    plan: &Plan,
    binding: &Binding,
    problems: &mut Vec<String>,
) -> Result<(), StoreError> {
    let Binding { entity, table, .. } = binding;
    let mut unknown = table.triggers.iter();
    let accepted = |name: &String| plan.accept_triggers.contains(name);
    for trigger in unknown.clone().filter(|trigger| trigger.writes_elsewhere) {
        if !accepted(&trigger.name) {
            problems.push(format!(
                "{}: trigger `{}` on {} writes other rows, which rollback can't take back: accept it by name in \
                 `accept_triggers`",
                entity.name, trigger.name, table.name
            ));
        }
    }
    if unknown.any(|trigger| !accepted(&trigger.name)) {
        problems.extend(
            sql.loud(table)?
                .map(|loud| format!("{}: {loud}", entity.name)),
        );
    }
    Ok(())
}

fn check_match(
    sql: &mut dyn Sql,
    binding: &Binding,
    problems: &mut Vec<String>,
) -> Result<(), StoreError> {
    let Binding {
        entity,
        table,
        matching,
        ..
    } = binding;
    if matching.is_empty() || table.serves(matching) || sql.table(&table.name)?.is_none() {
        return Ok(());
    }
    let count = format!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT {}) AS some",
        sql.quoted(&table.name),
        SCAN_LIMIT + 1
    );
    let rows = sql
        .query(&count, &[])?
        .first()
        .and_then(|row| row[0].int())
        .unwrap_or(0);
    if rows.unsigned_abs() > SCAN_LIMIT {
        let columns: Vec<String> = matching
            .iter()
            .map(|place| quoted(&table.columns[*place].name))
            .collect();
        problems.push(format!(
            "{}: no index of {} serves `match`; make one: CREATE INDEX {} ON {} ({})",
            entity.name,
            table.name,
            quoted(&format!("{}_match", table.name)),
            sql.quoted(&table.name),
            columns.join(", ")
        ));
    }
    Ok(())
}

fn check_tag(binding: &Binding, problems: &mut Vec<String>) {
    let (Some(tag), Some(place)) = (&binding.entity.tag, binding.tag) else {
        return;
    };
    let name = &binding.entity.name;
    if binding
        .field(place)
        .is_some_and(|field| field.kind != Type::List)
    {
        problems.push(format!(
            "{name}: the tag's column `{}` is no field of type list",
            tag.column
        ));
    }
    // Every run ID is equally long.
    let text = binding
        .tag_text("00000000-0000-7000-8000-000000000000")
        .unwrap_or_default();
    if let Some(max) = tag.max_length.filter(|max| text.chars().count() > *max) {
        let length = text.chars().count();
        problems.push(format!(
            "{name}: the tag would have {length} characters, the target takes {max}"
        ));
    }
}

fn check_via(
    table: Option<&Table>,
    entity: &Entity,
    via: &contract::plan::Via,
    problems: &mut Vec<String>,
) {
    let Some(table) = table else {
        problems.push(format!(
            "{}: there is no table `{}`",
            entity.name, via.table
        ));
        return;
    };
    for column in [&via.key, &via.target].into_iter().chain(via.only.keys()) {
        if table.position(column).is_none() {
            problems.push(format!(
                "{}: table {} has no column `{column}`",
                entity.name, table.name
            ));
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
