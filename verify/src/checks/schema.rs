//! The tables and columns that the run wrote must still be there.

use std::collections::BTreeSet;

use contract::talk::counted;
use serde_json::Value;
use store::ledger::{self, Added, BatchStatus, Format};

use crate::finding::{Check, Fault};
use crate::scene::{Scene, target_error};

pub(super) fn check(scene: &mut Scene<'_>) -> anyhow::Result<Check> {
    let mut check = Check::new(
        "schema",
        "every table and column that the run wrote, as it was",
    );
    for room in scene.rooms.iter().filter(|room| !scene.made(&room.table)) {
        for problem in room.binding.as_ref().err().into_iter().flatten() {
            check.add(Fault {
                table: Some(room.table.clone()),
                ..Fault::error(problem.as_str())
            });
        }
    }
    let shapes = scene
        .sql
        .query(
            "SELECT DISTINCT shape FROM ledger.changes WHERE run = ?1 AND action <> 8 ORDER BY shape",
            &[scene.run.seq.into()],
        )
        .map_err(target_error)?;
    let mut tables = BTreeSet::new();
    names(scene, &mut check)?;
    let noted = noted(scene)?;
    for shape in shapes.iter().filter_map(|row| row[0].int()) {
        let text = ledger::name_of(scene.sql.as_mut(), shape).map_err(target_error)?;
        let text: Value = serde_json::from_str(&text).unwrap_or_default();
        let shape = ledger::shape_of(scene.sql.as_mut(), shape).map_err(target_error)?;
        tables.insert(shape.table.clone());
        // A correction of the id map takes along rows of tables that the plan does not name: an entry of
        // a run of format 1 does not say which.
        let moved = |noted: &[Value]| {
            scene.run.format == Format::One
                && scene.counts.moved > 0
                && noted.iter().all(|other| other["table"] != text["table"])
        };
        if let Some(noted) = &noted
            && !noted.contains(&text)
            && !moved(noted)
        {
            let message = format!(
                "what the ledger says of the columns of {} is not what the audit trail says: rollback can't trust it",
                shape.table
            );
            check.add(Fault::error(message));
        }
        let fault = |fault: Fault| Fault {
            table: Some(shape.table.clone()),
            ..fault
        };
        let Some(table) = scene.table(&shape.table).map_err(target_error)? else {
            if scene.made(&shape.table) {
                continue;
            }
            check.add(fault(Fault::error(format!(
                "there is no table `{}` any more, which the run wrote",
                shape.table
            ))));
            continue;
        };
        let now: Vec<&str> = table
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        for column in shape
            .columns
            .iter()
            .filter(|column| !now.contains(&column.as_str()))
        {
            let added = Added::initial_of(&scene.added, &shape.table, column);
            if scene.taken_back() && added.is_some() {
                continue;
            }
            check.add(fault(Fault::error(format!(
                "table {} has no column `{column}` any more, which was there when the run wrote",
                shape.table
            ))));
        }
        let added = |column: &str| Added::initial_of(&scene.added, &shape.table, column);
        for column in now
            .iter()
            .filter(|column| shape.columns.iter().all(|was| was != **column))
            .filter(|column| added(column).is_none())
        {
            check.add(fault(Fault::warning(format!(
                "table {} has a new column `{column}`",
                shape.table
            ))));
        }
    }
    Ok(check.found(format!(
        "{} that the run wrote",
        counted(tables.len() as u64, "table")
    )))
}

/// The names by which the ledger knows the plan's entities and their tables must be there, and be of their kind.
fn names(scene: &mut Scene<'_>, check: &mut Check) -> anyhow::Result<()> {
    let applied = |name: &str| {
        let of = |batch: &&ledger::BatchRow| {
            batch.entity == name && batch.status == BatchStatus::Applied
        };
        scene.batches.iter().find(of).is_some()
    };
    for room in scene.rooms.iter().filter(|room| applied(&room.name)) {
        if room.binding.is_ok() && (room.entity.is_none() || room.claim.is_none()) {
            let message = format!(
                "the ledger has no name of {} any more, or none of its table",
                room.name
            );
            check.add(Fault::error(message));
        }
    }
    let others = "SELECT DISTINCT n.id, n.kind FROM ledger.changes c JOIN ledger.names n ON n.id = c.shape \
                  WHERE c.run = ?1 AND n.kind <> 'shape' ORDER BY 1";
    let others = scene.sql.query(others, &[scene.run.seq.into()]);
    for row in others.map_err(target_error)? {
        let message = format!(
            "name {} of the ledger is a shape, and is called {}",
            row[0], row[1]
        );
        check.add(Fault::error(message));
    }
    Ok(())
}

/// Returns the shapes that the run's entries name; none where no entry names any.
fn noted(scene: &mut Scene<'_>) -> anyhow::Result<Option<Vec<Value>>> {
    let entries = "SELECT detail, action FROM ledger.audit WHERE action = 'migration:table:renamed' \
                   OR (run = ?1 AND action IN ('migration:started', 'migration:resumed', \
                   'migration:mapping:corrected')) ORDER BY seq";
    let rows = scene.sql.query(entries, &[scene.run.id.as_str().into()]);
    let mut noted: Option<Vec<Value>> = None;
    for row in rows.map_err(target_error)? {
        let detail: Option<Value> = row[0]
            .text()
            .and_then(|json| serde_json::from_str(json).ok());
        if row[1].text() == Some("migration:table:renamed") {
            renamed(noted.iter_mut().flatten(), detail.as_ref());
            continue;
        }
        if let Some(tables) = detail.as_ref().and_then(|detail| detail.get("tables")) {
            let tables = tables.as_array().cloned().unwrap_or_default();
            noted.get_or_insert_with(Vec::new).extend(tables);
        }
    }
    Ok(noted)
}

/// Gives tables that an entry noted the name that a later entry says.
fn renamed<'a>(noted: impl Iterator<Item = &'a mut Value>, detail: Option<&Value>) {
    let name = |key: &str| detail?.get(key)?.as_str()?.split_once('.');
    let (Some((schema, table)), Some((new_schema, new_table))) = (name("from"), name("to")) else {
        return;
    };
    for shape in noted.filter(|shape| shape["schema"] == schema && shape["table"] == table) {
        shape["schema"] = new_schema.into();
        shape["table"] = new_table.into();
    }
}
