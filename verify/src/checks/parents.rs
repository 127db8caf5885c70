//! The references of records: what they point to must have a row.

use std::collections::{HashMap, HashSet};

use store::Cell;

use super::records::{Checks, Item, Seen};
use crate::finding::Fault;
use crate::scene::{Scene, target_error};

/// The key that each record which others refer to has in the target; none of a row that is gone.
pub(super) type Parents = HashMap<(String, String), Option<Cell>>;

/// Finds the rows that the records in hand refer to.
pub(super) fn find(
    scene: &mut Scene<'_>,
    items: &[Item<'_>],
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<Parents> {
    let mut wanted: HashMap<&str, HashSet<&str>> = HashMap::new();
    for to in items.iter().flat_map(|item| item.record.refs.values()) {
        wanted.entry(&to.entity).or_default().insert(&to.key);
    }
    let mut parents = Parents::new();
    // Records of earlier runs whose rows others took away since.
    let mut taken = HashSet::new();
    for (entity, keys) in wanted {
        let room = scene.room(entity);
        let Some((Ok(binding), Some(number))) =
            room.map(|room| (room.binding.clone(), room.entity))
        else {
            let none = keys
                .iter()
                .map(|key| ((entity.to_owned(), (*key).to_owned()), None));
            parents.extend(none);
            continue;
        };
        let keys: Vec<&str> = keys.into_iter().collect();
        let entries = scene.sql.entries(number, &keys).map_err(target_error)?;
        let (mut names, mut targets) = (Vec::new(), Vec::new());
        for (key, entry) in keys.into_iter().zip(entries) {
            match entry.filter(|entry| !entry.gone) {
                Some(entry) => {
                    names.push((key, entry.run < scene.run.seq));
                    targets.push(entry.target);
                }
                None => {
                    parents.insert((entity.to_owned(), key.to_owned()), None);
                }
            }
        }
        let there = scene
            .exist(&binding.table, &binding.key, &targets)
            .map_err(target_error)?;
        for (((key, earlier), target), there) in names.into_iter().zip(targets).zip(there) {
            if earlier && !there {
                taken.insert((entity.to_owned(), key.to_owned()));
            }
            let cell = target.0.into_iter().next().filter(|_| there);
            parents.insert((entity.to_owned(), key.to_owned()), cell);
        }
    }
    for item in items {
        for (column, to) in &item.record.refs {
            let plan = scene.plan.plan.entity(&item.record.entity);
            let late = plan
                .and_then(|plan| plan.fields.get(column))
                .is_some_and(|field| field.late);
            if late && !item.late {
                continue;
            }
            seen.references += 1;
            if let Some(None) = parents.get(&(to.entity.clone(), to.key.clone())) {
                let message = format!(
                    "{column} refers to {} {}, which has no row",
                    to.entity, to.key
                );
                let fault = if taken.contains(&(to.entity.clone(), to.key.clone())) {
                    Fault::warning(format!("{message} any more: others took it away"))
                } else {
                    Fault::error(message)
                };
                let fault = Fault {
                    column: Some(column.clone()),
                    ..fault
                };
                checks.references.add(item.named(fault));
            }
        }
    }
    Ok(parents)
}
