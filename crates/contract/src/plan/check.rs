//! What serde can't see: names that must exist, keys that exclude or need each other.

use std::collections::HashSet;

use super::check_add::check_add;
use super::check_field::check_field;
use super::check_guards::check_guards;
use super::hook::check_hooks;
use super::load::Step;
use super::markdown::MarkdownCut;
use super::{Entity, IdFrom, Plan, SourceFormat, spelling};
use crate::Op;
use crate::plan::OpSpec;

/// Something wrong, and the way to it.
pub(super) struct Fault {
    pub(super) at: Vec<Step>,
    pub(super) message: String,
}

pub(super) type Checked = Result<(), Fault>;

pub(super) fn fault<T>(at: &[Step], more: &[&str], message: impl Into<String>) -> Result<T, Fault> {
    let mut at = at.to_vec();
    at.extend(more.iter().map(|key| Step::Key((*key).to_owned())));
    Err(Fault {
        at,
        message: message.into(),
    })
}

pub(super) fn check(plan: &Plan) -> Checked {
    for (key, value) in [("name", &plan.name), ("system", &plan.system)] {
        if value.trim().is_empty() {
            return fault(&[], &[key], format!("`{key}` is empty"));
        }
    }
    if plan.entity.is_empty() {
        return fault(&[], &[], "the plan has no [[entity]]");
    }
    check_guards(plan)?;
    check_add(plan)?;
    let mut names = HashSet::new();
    for (place, entity) in plan.entity.iter().enumerate() {
        let at = [Step::Key("entity".into()), Step::Place(place)];
        if !names.insert(entity.name.as_str()) {
            return fault(
                &at,
                &["name"],
                format!("there are two entities named `{}`", entity.name),
            );
        }
        check_entity(plan, entity, &at)?;
    }
    for (place, policy) in plan.policy.iter().enumerate() {
        let at = [Step::Key("policy".into()), Step::Place(place)];
        known_entity(plan, &policy.entity, &at, "entity")?;
        if let Err(error) = crate::expr::Expression::compile(&policy.rule) {
            return fault(&at, &["rule"], error);
        }
    }
    for (name, map) in &plan.map {
        let at = [Step::Key("map".into()), Step::Key(name.clone())];
        check_map(plan, name, map, &at)?;
    }
    check_metadata(plan)?;
    check_hooks(plan)?;
    check_cycles(plan)
}

fn check_map(plan: &Plan, name: &str, map: &super::ValueMap, at: &[Step]) -> Checked {
    if let Some((value, _)) = map
        .ignore
        .iter()
        .find(|(_, reason)| reason.trim().is_empty())
    {
        return fault(at, &["ignore", value], "an ignored value needs a reason");
    }
    if let Some(value) = map
        .values
        .keys()
        .find(|value| map.ignore.contains_key(*value))
    {
        return fault(
            at,
            &["ignore", value],
            format!("`{value}` is both mapped and ignored"),
        );
    }
    let used = plan
        .entity
        .iter()
        .flat_map(|entity| entity.fields.values())
        .any(|field| field.map.as_deref() == Some(name));
    if used {
        Ok(())
    } else {
        fault(at, &[], format!("no field uses the map `{name}`"))
    }
}

pub(super) fn known_entity(plan: &Plan, name: &str, at: &[Step], key: &str) -> Checked {
    if plan.entity(name).is_some() {
        return Ok(());
    }
    let near = spelling::suggestion(name, plan.entity.iter().map(|entity| entity.name.as_str()));
    fault(at, &[key], format!("there is no entity `{name}`{near}"))
}

fn check_entity(plan: &Plan, entity: &Entity, at: &[Step]) -> Checked {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if entity.name.is_empty() || !entity.name.chars().all(in_name) {
        return fault(
            at,
            &["name"],
            "an entity's name is made of letters, digits, `_` and `-`",
        );
    }
    check_source(entity, at)?;
    if entity.fields.is_empty() && entity.op == OpSpec::Fixed(Op::Put) {
        return fault(at, &[], format!("entity `{}` has no fields", entity.name));
    }
    if let Some(old) = &entity.formerly {
        let same = |table: &str| table.eq_ignore_ascii_case(old);
        if same(&entity.table) {
            let message = format!("`formerly` is the table's old name, and `{old}` is its name");
            return fault(at, &["formerly"], message);
        }
        if let Some(other) = plan.entity.iter().find(|other| same(&other.table)) {
            let message = format!("`{old}` is the table of entity `{}`", other.name);
            return fault(at, &["formerly"], message);
        }
    }
    if entity.id.is_none() && entity.matching.is_empty() {
        let message = "without `id` the entity needs `match`: what identifies a row of the table?";
        return fault(at, &[], message);
    }
    let remaps = match &entity.op {
        OpSpec::Fixed(op) => *op == Op::Remap,
        OpSpec::From(from) => from.values.values().any(|op| *op == Op::Remap),
    };
    if remaps != entity.to.is_some() {
        return fault(at, &["to"], "`op = \"remap\"` and `to` need each other");
    }
    for column in &entity.matching {
        let is_id = entity
            .id
            .as_ref()
            .is_some_and(|id| id.column == *column && id.from != IdFrom::Target);
        if !entity.fields.contains_key(column) && !is_id {
            let near = spelling::suggestion(column, entity.fields.keys().map(String::as_str));
            return fault(
                at,
                &["match"],
                format!("`match` names `{column}`, which is no field of this entity{near}"),
            );
        }
    }
    if let Some(id) = entity
        .id
        .as_ref()
        .filter(|id| entity.fields.contains_key(&id.column))
    {
        return fault(
            at,
            &["fields", &id.column],
            format!("`{}` is the id column: `id.from` fills it", id.column),
        );
    }
    if let Some(tag) = &entity.tag
        && !tag.text.contains("{run}")
    {
        return fault(at, &["tag", "text"], "the tag must hold `{run}`");
    }
    for (column, field) in &entity.fields {
        let mut at = at.to_vec();
        at.extend([Step::Key("fields".into()), Step::Key(column.clone())]);
        check_field(plan, column, field, &at)?;
    }
    Ok(())
}

/// A column that is never carried can't be read either.
fn check_drop(entity: &Entity, at: &[Step]) -> Checked {
    let source = &entity.source;
    let key = source.key.parts().into_iter().flatten();
    let each = source.each.iter().flat_map(|each| each.from.as_slice());
    let fields = entity
        .fields
        .values()
        .filter_map(|field| field.from.as_ref());
    let read: Vec<&String> = key
        .chain(each)
        .chain(fields.flat_map(super::Names::as_slice))
        .collect();
    for name in &source.drop {
        let member = format!("{name}.");
        let used = read
            .iter()
            .any(|read| *read == name || read.starts_with(&member));
        if name.is_empty() || used {
            let message = if used {
                format!("`{name}` is dropped, and the key, `each` or a field reads it")
            } else {
                "`drop` names a column without a name".to_owned()
            };
            return fault(at, &["source", "drop"], message);
        }
    }
    Ok(())
}

fn check_source(entity: &Entity, at: &[Step]) -> Checked {
    let source = &entity.source;
    let format = source.format;
    if source.files.is_empty() {
        return fault(at, &["source", "files"], "`files` names no file");
    }
    let misplaced = [
        ("delimiter", source.delimiter.is_some(), SourceFormat::Csv),
        ("encoding", source.encoding.is_some(), SourceFormat::Csv),
        ("items", source.items.is_some(), SourceFormat::Json),
        (
            "markdown",
            source.markdown.is_some(),
            SourceFormat::Markdown,
        ),
    ];
    for (key, given, belongs) in misplaced {
        if given && format != belongs {
            return fault(
                at,
                &["source", key],
                format!("`{key}` is for another format"),
            );
        }
    }
    if format == SourceFormat::Markdown && source.markdown.is_none() {
        return fault(
            at,
            &["source"],
            "a Markdown source needs `markdown = {…}`: how is a file cut into records?",
        );
    }
    if let Some(Err(message)) = source.markdown.as_ref().map(MarkdownCut::check) {
        return fault(at, &["source", "markdown"], message);
    }
    if let Some(delimiter) = source
        .delimiter
        .filter(|c| !c.is_ascii() || matches!(c, '"' | '\n' | '\r'))
    {
        return fault(
            at,
            &["source", "delimiter"],
            format!("{delimiter:?} can't be a delimiter"),
        );
    }
    check_drop(entity, at)?;
    match (&source.only, &source.where_reason) {
        (Some(rule), Some(_)) => match crate::expr::Expression::compile(rule) {
            Ok(_) => Ok(()),
            Err(error) => fault(at, &["source", "where"], error),
        },
        (Some(_), None) => fault(
            at,
            &["source", "where"],
            "`where` needs `where_reason`: why are the others left out?",
        ),
        (None, Some(_)) => fault(
            at,
            &["source", "where_reason"],
            "`where_reason` is for `where`",
        ),
        (None, None) => Ok(()),
    }
}

fn check_metadata(plan: &Plan) -> Checked {
    let Some(metadata) = &plan.metadata else {
        return Ok(());
    };
    let at = [Step::Key("metadata".into())];
    for (column, field) in &metadata.fields {
        if field.value.is_some() == field.run.is_some()
            || field.from.is_some()
            || field.expr.is_some()
        {
            return fault(
                &at,
                &["fields", column],
                "a field of the metadata row has either `value` or `run`",
            );
        }
    }
    if metadata.id.from == IdFrom::Key {
        return fault(
            &at,
            &["id", "from"],
            "the metadata row has no source key: take `uuid` or `target`",
        );
    }
    match &metadata.status {
        Some(column)
            if metadata.fields.get(column).and_then(|field| field.run)
                != Some(super::RunValue::Json) =>
        {
            fault(
                &at,
                &["status"],
                "`status` names a metadata field with `run = \"json\"`",
            )
        }
        _ => Ok(()),
    }
}

/// References that are not late must leave an order in which entities can be applied.
fn check_cycles(plan: &Plan) -> Checked {
    let mut placed: HashSet<&str> = HashSet::new();
    loop {
        let ready = plan.entity.iter().find(|entity| {
            !placed.contains(entity.name.as_str())
                && entity
                    .needs()
                    .all(|needed| needed == entity.name || placed.contains(needed))
        });
        match ready {
            Some(entity) => placed.insert(&entity.name),
            None => break,
        };
    }
    let stuck = plan
        .entity
        .iter()
        .position(|entity| !placed.contains(entity.name.as_str()));
    let Some(place) = stuck else { return Ok(()) };
    let names: Vec<_> = plan
        .entity
        .iter()
        .map(|entity| entity.name.as_str())
        .filter(|name| !placed.contains(name))
        .collect();
    let message = format!(
        "the references of {} go in a circle: make a nullable one `late = true`",
        names.join(", ")
    );
    fault(
        &[Step::Key("entity".into()), Step::Place(place)],
        &["name"],
        message,
    )
}
