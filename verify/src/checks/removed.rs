//! Records without a row, and records that correct the id map.

use contract::plan::{OnDrift, OnGone};
use serde_json::Value;
use store::ledger::Entry;
use store::{Binding, Key};

use super::records::{Checks, Item, Seen, digest};
use super::values::text_of_cell;
use crate::finding::{Fault, Level};
use crate::lineage::{last_change, later_runs, run_id};
use crate::scene::{Scene, target_error};

/// A correction of the id map must stand.
pub(super) fn remapped(
    scene: &mut Scene<'_>,
    binding: &Binding,
    item: &Item<'_>,
    entry: &Entry,
    checks: &mut Checks<'_>,
) -> anyhow::Result<()> {
    let to = item.record.to.clone().unwrap_or_default();
    let same = parts(&to)
        .iter()
        .map(text_of)
        .eq(entry.target.0.iter().map(text_of_cell));
    if same {
        digest(scene, binding, item, entry, checks);
        return Ok(());
    }
    let table = &binding.table.name;
    let message = "the id map does not point to the row that the record names";
    let fault = if entry.run > scene.run.seq {
        let later = run_id(scene.sql.as_mut(), entry.run).map_err(target_error)?;
        Fault::warning(format!("{message}: run {later} changed it since"))
    } else {
        Fault::error(message)
    };
    let fault = Fault {
        expected: Some(to.to_string()),
        found: Some(entry.target.to_string()),
        ..fault.row(table, &entry.target)
    };
    checks.mappings.add(item.named(fault));
    Ok(())
}

/// Rows that are not there: the plan may say that they are left alone.
pub(super) fn gone(
    scene: &mut Scene<'_>,
    binding: &Binding,
    mut missing: Vec<(&Item<'_>, &Entry)>,
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    if binding.entity.on_gone == OnGone::Skip {
        let mut wrote = Vec::with_capacity(missing.len());
        for (item, entry) in missing {
            let last = last_change(scene.sql.as_mut(), scene.run.seq, entry);
            match last.map_err(target_error)? {
                Some(_) => wrote.push((item, entry)),
                None => seen.skipped += 1,
            }
        }
        missing = wrote;
    }
    let table = &binding.table.name;
    let keys: Vec<&Key> = missing.iter().map(|(_, entry)| &entry.target).collect();
    let later = later_runs(scene.sql.as_mut(), scene.run.seq, &binding.table, &keys);
    for ((item, entry), later) in missing.into_iter().zip(later.map_err(target_error)?) {
        let fault = match later {
            Some(later) => {
                Fault::warning(format!("its row is gone: run {later} has touched it since"))
            }
            None => Fault::error("its row is gone"),
        };
        checks
            .records
            .add(item.named(fault.row(table, &entry.target)));
    }
    Ok(())
}

/// The rows of deleted records must be gone.
pub(super) fn deletes(
    scene: &mut Scene<'_>,
    binding: &Binding,
    items: &[Item<'_>],
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let table = &binding.table;
    for item in items {
        let Some(entry) = &item.entry else {
            let fault = Fault::error("it was applied, and the id map does not remember it");
            checks.mappings.add(item.named(fault));
            continue;
        };
        let row = scene
            .rows(table, &binding.key, std::slice::from_ref(&entry.target))
            .map_err(target_error)?
            .remove(0);
        if row.is_none() {
            if entry.gone {
                digest(scene, binding, item, entry, checks);
            }
            continue;
        }
        let fault = if entry.run > scene.run.seq {
            Fault::warning("it was deleted, and a later run has made it again")
        } else if entry.gone {
            Fault::error("it was deleted, and is there again")
        } else {
            Fault::error("it was to be deleted, and is there")
        };
        let mut fault = item.named(fault.row(&table.name, &entry.target));
        let stays = !entry.gone && entry.run <= scene.run.seq;
        let entity = &binding.entity;
        let left = stays
            && scene
                .left(&entity.name, &entry.source, None)
                .map_err(target_error)?;
        if left {
            fault.severity = Level::Warning;
            fault.message = "edited by others before the run, which left it so".into();
            seen.drifted += 1;
            checks.records.add(fault);
        } else if stays && entity.on_drift == OnDrift::Keep {
            seen.unlisted += 1;
            seen.drifts(fault);
        } else {
            checks.records.add(fault);
        }
    }
    Ok(())
}

/// The parts of a target key in a record line: a value, or a list of them.
fn parts(value: &Value) -> &[Value] {
    match value {
        Value::Array(parts) => parts,
        one => std::slice::from_ref(one),
    }
}

fn text_of(value: &Value) -> String {
    let hex = value.get("hex").and_then(Value::as_str);
    let hex = hex.map(|hex| format!("\\x{hex}"));
    let text = value.as_str().map(str::to_owned);
    text.or(hex).unwrap_or_else(|| value.to_string())
}
