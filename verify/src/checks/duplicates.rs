//! Rows that are the same by what the plan calls unique.

use std::collections::HashSet;

use contract::plan::Unique;
use store::{Binding, Cell, Key, Row};

use super::PAGE;
use crate::finding::{Check, Fault, Level};
use crate::lineage::last_change;
use crate::scene::{Scene, target_error};

/// Columns whose values must differ.
struct Rule {
    /// By position.
    columns: Vec<usize>,
    /// Without regard to case.
    fold: bool,
    /// Rows of other entities do not count: several fill the table.
    only: Option<i64>,
    what: String,
}

pub(super) fn check(scene: &mut Scene<'_>) -> anyhow::Result<Check> {
    let mut check = Check::new(
        "duplicates",
        "no row of the run shares its `match` columns or a `unique` value with another",
    );
    let mut enforced = 0;
    let mut looked = HashSet::new();
    for place in 0..scene.rooms.len() {
        let room = &scene.rooms[place];
        let Ok(binding) = room.binding.clone() else {
            check.add(Fault::error(format!(
                "{} can't be checked: table {} is not as the plan needs it",
                room.name, room.table
            )));
            continue;
        };
        let Some(claim) = room.claim else { continue };
        let shared = scene
            .rooms
            .iter()
            .filter(|other| other.claim == room.claim)
            .count()
            > 1;
        let (name, only) = (room.name.clone(), room.entity.filter(|_| shared));
        for rule in rules(&binding, only) {
            let column_names: Vec<&str> = rule
                .columns
                .iter()
                .map(|place| binding.table.columns[*place].name.as_str())
                .collect();
            if !looked.insert(format!(
                "{} {:?} {} {:?}",
                binding.table.name, rule.columns, rule.fold, rule.only
            )) {
                continue;
            }
            if !rule.fold && binding.table.is_unique(&rule.columns) {
                enforced += 1;
                continue;
            }
            scene.talk.detail(format!(
                "{name}: reading {} for repeated {}",
                binding.table.name,
                column_names.join(", ")
            ));
            look(scene, &binding, claim, &rule, &mut check)?;
        }
    }
    let found = format!(
        "{} rules, {enforced} of them are unique keys of the target",
        looked.len()
    );
    Ok(check.found(found))
}

fn rules(binding: &Binding, only: Option<i64>) -> Vec<Rule> {
    let mut rules = Vec::new();
    if !binding.matching.is_empty() {
        rules.push(Rule {
            columns: binding.matching.clone(),
            fold: false,
            only: None,
            what: "match".into(),
        });
    }
    for bound in binding
        .columns
        .iter()
        .filter(|bound| bound.field.unique != Unique::No)
    {
        rules.push(Rule {
            columns: vec![bound.place],
            fold: bound.field.unique == Unique::Fold,
            only,
            what: "unique".into(),
        });
    }
    rules
}

/// Reads the table twice: once to see which values repeat (16 bytes for each row are remembered),
/// and, if any do, once more to name the rows.
fn look(
    scene: &mut Scene<'_>,
    binding: &Binding,
    claim: i64,
    rule: &Rule,
    check: &mut Check,
) -> anyhow::Result<()> {
    let (mut seen, mut repeated) = (HashSet::new(), HashSet::new());
    let whole = pages(scene, binding, |scene, rows| {
        for row in of_rule(scene, binding, claim, rule, rows)? {
            if let Some(digest) = digest(&row, rule)
                && !seen.insert(digest)
            {
                repeated.insert(digest);
            }
        }
        Ok(())
    })?;
    if !whole {
        let message = format!(
            "table {} can't be read in order: too many rows have a NULL in their key",
            binding.table.name
        );
        check.add(Fault::error(message));
    }
    drop(seen);
    if repeated.is_empty() {
        return Ok(());
    }
    // Of each repeated value: is a row of the run among those that share it?
    let mut mine = HashSet::new();
    let mut found: Vec<(_, Fault)> = Vec::new();
    pages(scene, binding, |scene, rows| {
        for row in of_rule(scene, binding, claim, rule, rows)? {
            let Some(digest) = digest(&row, rule).filter(|digest| repeated.contains(digest)) else {
                continue;
            };
            let key = binding.key_of(&row);
            if is_of_run(scene, claim, &key)? {
                mine.insert(digest);
            }
            if found.len() < PAGE {
                found.push((digest, fault(binding, rule, &row, &key)));
            }
        }
        Ok(())
    })?;
    // A value that repeats is named by its rows side by side.
    found.sort_by_key(|(digest, _)| *digest);
    for (digest, mut fault) in found {
        if !mine.contains(&digest) {
            fault.severity = Level::Warning;
            fault.message += "; none of them was written by this run";
        }
        check.add(fault);
    }
    Ok(())
}

/// Hands on the pages of a table. Returns whether it was read to its end.
fn pages(
    scene: &mut Scene<'_>,
    binding: &Binding,
    mut each: impl FnMut(&mut Scene<'_>, Vec<Row>) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut after: Option<Key> = None;
    loop {
        let rows = scene
            .sql
            .page(&binding.table, &binding.key, after.as_ref(), PAGE)
            .map_err(target_error)?;
        let Some(last) = rows.last() else {
            return Ok(true);
        };
        let key = binding.key_of(last);
        let null = key.0.iter().any(Cell::is_null);
        after = Some(key);
        each(scene, rows)?;
        if null {
            return Ok(false);
        }
    }
}

/// Leaves out rows of other entities, where only this one's count.
fn of_rule(
    scene: &mut Scene<'_>,
    binding: &Binding,
    claim: i64,
    rule: &Rule,
    rows: Vec<Row>,
) -> anyhow::Result<Vec<Row>> {
    let Some(only) = rule.only else {
        return Ok(rows);
    };
    let keys: Vec<Key> = rows.iter().map(|row| binding.key_of(row)).collect();
    let claims = scene.sql.claims(claim, &keys).map_err(target_error)?;
    let of = |entry: &Option<store::ledger::Entry>| {
        entry.as_ref().is_none_or(|entry| entry.entity == only)
    };
    Ok(rows
        .into_iter()
        .zip(claims)
        .filter(|(_, entry)| of(entry))
        .map(|(row, _)| row)
        .collect())
}

/// The digest of what must differ; `None` where a NULL makes it differ from everything.
fn digest(row: &Row, rule: &Rule) -> Option<[u8; 16]> {
    let mut bytes = Vec::new();
    for place in &rule.columns {
        match &row[*place] {
            Cell::Null => return None,
            Cell::Text(text) if rule.fold => Cell::Text(text.to_lowercase()).encode(&mut bytes),
            cell => cell.encode(&mut bytes),
        }
    }
    Some(contract::Digest::of(&bytes).short())
}

fn is_of_run(scene: &mut Scene<'_>, claim: i64, key: &Key) -> anyhow::Result<bool> {
    let entry = scene
        .sql
        .claims(claim, std::slice::from_ref(key))
        .map_err(target_error)?
        .pop()
        .flatten()
        .filter(|entry| !entry.gone);
    let Some(entry) = entry else { return Ok(false) };
    let change = last_change(scene.sql.as_mut(), scene.run.seq, &entry).map_err(target_error)?;
    Ok(change.is_some())
}

fn fault(binding: &Binding, rule: &Rule, row: &Row, key: &Key) -> Fault {
    let name = |place: &usize| binding.table.columns[*place].name.clone();
    let secret = |place: &usize| binding.field(*place).is_some_and(|field| field.secret);
    let value = |place: &usize| {
        if secret(place) {
            contract::reject::MASK.to_owned()
        } else {
            row[*place].to_string()
        }
    };
    let columns: Vec<String> = rule.columns.iter().map(name).collect();
    let values: Vec<String> = rule.columns.iter().map(value).collect();
    Fault::error(format!(
        "several rows have this value, which is `{}`",
        rule.what
    ))
    .row(&binding.table.name, key)
    .values(
        &columns.join(", "),
        "a value of its own".into(),
        values.join(", "),
    )
}
