//! The row that describes a run, where the plan keeps it: marked as rolled back.

use contract::plan::OnRollback;
use serde_json::Value;

use super::scene::Scene;
use super::trial::fired;
use super::verdict::{Finding, Verdict};
use super::watched::counting;
use crate::ledger::{Action, Change, RunStatus, Statement};
use crate::{Cell, Engine, StoreError};

/// Marks the row that describes the run, where the plan keeps it. Returns it with the reason if the target
/// refuses; nothing of it is left then.
///
/// # Errors
///
/// What the target said. Where the mark ended the whole transaction, the scene remembers that.
pub(super) fn mark<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
) -> Result<Option<Finding>, StoreError> {
    let metadata = scene.plan.metadata.clone();
    let Some(metadata) = metadata.filter(|metadata| metadata.on_rollback == OnRollback::Keep)
    else {
        return Ok(None);
    };
    let statement = Statement::from("SELECT ")
        + Change::COLUMNS
        + " FROM ledger.changes WHERE run = ?1 AND action = ?2 ORDER BY seq DESC LIMIT 1";
    let params = [scene.run.seq.into(), (Action::Keep as i64).into()];
    let Some(row) = engine.query_made(&statement, &params)?.into_iter().next() else {
        return Ok(None);
    };
    let change = Change::from_row(row)?;
    let layout = scene.layout(engine, &change)?;
    let column = metadata.status.as_ref();
    let Some(place) = column.and_then(|column| layout.table.position(column)) else {
        return Ok(None);
    };
    let key = &change.target;
    let found = engine.fetch(&layout.table, &layout.key, std::slice::from_ref(&key.0))?;
    let present = found.into_iter().flatten().next();
    let text = present.as_ref().and_then(|row| row[place].text());
    // What is no description of a run any more is left as it is, and the proof names it.
    let Some(cell) = text.filter(|text| !is_marked(text)).and_then(rolled_back) else {
        return Ok(None);
    };
    let message = if let Some(message) = scene.refused.get(&change.seq) {
        message.clone()
    } else {
        engine.savepoint("mark")?;
        let update = (key.clone(), vec![(place, cell)]);
        let marked = counting(engine, scene, &layout, |engine| {
            engine.update(&layout.table, &layout.key, &[update], false)?;
            let found = engine.fetch(&layout.table, &layout.key, std::slice::from_ref(&key.0))?;
            let row = found.into_iter().flatten().next();
            if row.is_some_and(|row| row[place].text().is_some_and(is_marked)) {
                return engine.release("mark");
            }
            Err(StoreError::constraint("the row does not stay marked"))
        });
        let Err(error) = marked else {
            return Ok(None);
        };
        let message = error.refusal()?;
        let lost = engine.is_lost();
        if !lost {
            engine.undo_to("mark")?;
        }
        let fired = fired(engine, &layout.table, Action::Update)?;
        let message = format!("{message}{fired}");
        if lost {
            let message = format!("{message}, which ends the whole transaction");
            scene.refused.insert(change.seq, message.clone());
            return Err(StoreError::constraint(message));
        }
        message
    };
    Ok(Some(Finding {
        seq: change.seq,
        table: layout.table.name.clone(),
        key: change.target,
        action: Action::Keep,
        record: None,
        verdict: Verdict::Failed(message),
        overwritten: vec![],
        detached: vec![],
    }))
}

/// Tells whether what describes a run says that it was rolled back.
fn is_marked(text: &str) -> bool {
    match serde_json::from_str(text) {
        Ok(Value::Object(content)) => {
            content.get("status").and_then(Value::as_str) == Some(RunStatus::RolledBack.word())
        }
        Ok(Value::String(inner)) => is_marked(&inner),
        _ => false,
    }
}

/// What describes the run, as JSON text, with the status it has from now on.
fn rolled_back(text: &str) -> Option<Cell> {
    match serde_json::from_str(text).ok()? {
        Value::Object(mut content) => {
            content.insert("status".into(), RunStatus::RolledBack.word().into());
            Some(Value::Object(content).to_string().into())
        }
        // Runs of before wrote it into a column of JSON as a string that holds JSON.
        Value::String(inner) => rolled_back(&inner),
        _ => None,
    }
}
