//! The tables and columns that the run wrote must still be there.

use std::collections::BTreeSet;

use contract::talk::counted;
use store::ledger::{self, Added};

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
            "SELECT DISTINCT shape FROM ledger.changes WHERE run = ?1 ORDER BY shape",
            &[scene.run.seq.into()],
        )
        .map_err(target_error)?;
    let mut tables = BTreeSet::new();
    for shape in shapes.iter().filter_map(|row| row[0].int()) {
        let shape = ledger::shape_of(scene.sql.as_mut(), shape).map_err(target_error)?;
        tables.insert(shape.table.clone());
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
