//! Records without their bundle: every column against the checksum that the id map keeps.

use contract::talk::counted;
use store::ledger::{self, Format};
use store::{Binding, Key};

use super::{PAGE, differ};
use crate::finding::{Check, Fault, Level};
use crate::scene::{Scene, target_error};

pub(super) fn check(scene: &mut Scene<'_>) -> anyhow::Result<Check> {
    let mut check = Check::new(
        "records",
        "every column as the checksum in the ledger says (there is no bundle to compare values with)",
    );
    let (mut records, mut values) = (0, 0);
    for place in 0..scene.rooms.len() {
        let room = &scene.rooms[place];
        let (entity, binding) = match (room.entity, &room.binding) {
            (Some(entity), Ok(binding)) => (entity, binding.clone()),
            (_, Err(problems)) => {
                let message = format!("{} can't be checked: {}", room.name, problems.join("; "));
                check.add(Fault::error(message));
                continue;
            }
            (None, _) => continue,
        };
        let (name, mut table) = (room.name.clone(), binding.table.clone());
        if scene.run.format == Format::Two {
            store::fold_compared(&mut table, &scene.plan.plan);
        }
        let mut after = String::new();
        loop {
            let page = ledger::page_entries(scene.sql.as_mut(), entity, &after, PAGE)
                .map_err(target_error)?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.source);
            let mine: Vec<_> = page
                .into_iter()
                .filter(|entry| entry.run == scene.run.seq && !entry.gone && !entry.skipped())
                .collect();
            let keys: Vec<Key> = mine.iter().map(|entry| entry.target.clone()).collect();
            let rows = scene
                .rows(&table, &binding.key, &keys)
                .map_err(target_error)?;
            for (entry, row) in mine.iter().zip(rows) {
                // A row that is gone is named by the mappings and counts.
                let Some(row) = row else { continue };
                records += 1;
                for (place, sum) in &entry.sums {
                    if row.len() <= *place || binding.is_loose(*place) {
                        continue;
                    }
                    values += 1;
                    if differ::sum(scene, &binding, *place, &row[*place]) == *sum {
                        continue;
                    }
                    let column = binding.table.columns[*place].name.as_str();
                    let left = scene.left(&name, &entry.source, Some(column));
                    let mut fault = changed(&binding, *place, &name, entry, &row);
                    if left.map_err(target_error)? {
                        fault.severity = Level::Warning;
                        fault.message = "edited by others before the run, which left it so".into();
                    }
                    check.add(fault);
                }
            }
        }
    }
    Ok(check.found(format!(
        "{} of {} that the run wrote last",
        counted(values, "value"),
        counted(records, "record")
    )))
}

fn changed(
    binding: &Binding,
    place: usize,
    name: &str,
    entry: &ledger::Entry,
    row: &store::Row,
) -> Fault {
    let secret = binding.field(place).is_some_and(|field| field.secret);
    let found = if secret {
        contract::reject::MASK.to_owned()
    } else {
        row[place].to_string()
    };
    Fault::error("edited after the run")
        .row(&binding.table.name, &entry.target)
        .values(
            &binding.table.columns[place].name,
            "the value that the run wrote (only its checksum is kept)".into(),
            found,
        )
        .record(name, &entry.source, None)
}
