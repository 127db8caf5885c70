//! The plan against the live catalogue: all that does not fit, before the first write.

use std::collections::{BTreeMap, BTreeSet};

use contract::plan::{Entity, IdFrom, LoadedPlan, Metadata, OpSpec, Plan, Type};

use crate::additions::{Addition, Planned};
use crate::binding::From;
use crate::lists::ListForm;
use crate::{Binding, Sql, StoreError, Table, json_column};

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
    let (mut all, mut read) = (Vec::new(), BTreeSet::new());
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
                let final_now = !planned.contains_key(&entity.table) && sql.has_ledger()?;
                check_triggers(sql, plan, (&binding, final_now), &mut problems)?;
                check_match(sql, &binding, &mut problems)?;
                check_keys(sql, &binding, &mut problems)?;
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
        problems.extend(odd_text(sql, entity, &mut read)?);
        let placed =
            |problem: String| format!("plan.toml:{}: {problem}", line(loaded, entity, &problem));
        all.extend(problems.into_iter().map(placed));
    }
    all.extend(sql.lacks(None)?);
    all.dedup();
    Ok(all)
}

/// Finds text that the target would not write back as it is, in the tables that an entity's records write,
/// are matched in or looked up in. `read`: the tables that were asked about, each once.
fn odd_text<'a>(
    sql: &mut dyn Sql,
    entity: &'a Entity,
    read: &mut BTreeSet<&'a str>,
) -> Result<Vec<String>, StoreError> {
    let lookups = entity.fields.values();
    let lookups = lookups.filter_map(|field| field.lookup.as_ref());
    let names = std::iter::once(&entity.table)
        .chain(entity.via.iter().map(|via| &via.table))
        .chain(lookups.map(|lookup| &lookup.table));
    let mut problems = Vec::new();
    for name in names
        .filter(|name| !read.contains(name.as_str()))
        .collect::<Vec<_>>()
    {
        if read.insert(name)
            && let Some(table) = sql.readable(name)?
        {
            let found = sql.odd_text(&table)?;
            problems.extend(
                found
                    .into_iter()
                    .map(|odd| format!("{}: {odd}", entity.name)),
            );
        }
    }
    Ok(problems)
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
    for bound in &binding.columns {
        let column = &table.columns[bound.place];
        let of_json = json_column::misfit(sql, &bound.field, bound.from, column);
        let misfit = of_json.or_else(|| match bound.from {
            From::Field | From::Run(_) => sql.misfit(&bound.field, column),
            From::Ref | From::Lookup => None,
        });
        problems.extend(misfit.map(|why| format!("{}: {}: {why}", entity.name, table.name)));
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
    (binding, final_now): (&Binding, bool),
    problems: &mut Vec<String>,
) -> Result<(), StoreError> {
    let Binding { entity, table, .. } = binding;
    if table.triggers.is_empty() {
        return Ok(());
    }
    let faults = match sql.trigger_faults(table, &plan.accept_triggers) {
        // A trigger that speaks of the ledger, or of a column which the plan adds, can't be asked about before
        // that is there: it is when the run starts, or when its first row is written.
        Err(StoreError::Statement { .. }) if !final_now => vec![],
        Err(StoreError::Statement { message, .. }) => vec![message],
        faults => faults?,
    };
    problems.extend(
        faults
            .into_iter()
            .map(|fault| format!("{}: {fault}", entity.name)),
    );
    let accepted = |name: &String| plan.accept_triggers.contains(name);
    if table
        .triggers
        .iter()
        .any(|trigger| !accepted(&trigger.name))
    {
        problems.extend(
            sql.loud(table)?
                .map(|loud| format!("{}: {loud}", entity.name)),
        );
    }
    Ok(())
}

/// A foreign key that can't be resolved may hide rows of others that depend on those of the run.
fn check_keys(
    sql: &mut dyn Sql,
    binding: &Binding,
    problems: &mut Vec<String>,
) -> Result<(), StoreError> {
    let Binding { entity, table, .. } = binding;
    // What refers to a table that the plan is to make finds it then.
    let children = match sql.table(&table.name)? {
        Some(_) => sql.children(table)?.unresolved,
        None => vec![],
    };
    let own = table.unresolved.iter().cloned();
    for key in own.chain(children) {
        let problem = format!("{}: {key}", entity.name);
        if !problems.contains(&problem) {
            problems.push(problem);
        }
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
    if sql.count(table, Some(SCAN_LIMIT + 1))? > SCAN_LIMIT {
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
    // A run ID is of these digits.
    let form = ListForm::of(binding.field(place));
    if form.splits(&text) || form.separator_is(|c| c.is_ascii_hexdigit()) {
        problems.push(format!(
            "{name}: the tag holds what separates the elements of `{}`",
            tag.column
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
