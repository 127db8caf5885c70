//! The end of a rollback.

use contract::plan::{HookEvent, OnRollback};
use serde_json::{Value, json};

use super::scene::Scene;
use super::work::whole;
use crate::ledger::{self, Action, Change, Holder, Lease, Run, RunStatus};
use crate::{Engine, StoreError};

/// Says that the run is rolled back, gives back the lock.
pub(super) fn finish<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    lease: Lease,
    holder: &Holder,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let mut run = scene.run.clone();
    whole(engine, |engine| {
        ledger::renew(engine, lease)?;
        let kept = "SELECT count(*) FROM ledger.kept WHERE run = ?1 AND reason <> 'gone'";
        let kept = engine.query(kept, &[run.seq.into()])?;
        run.kept = kept.first().and_then(|row| row[0].int()).unwrap_or(0);
        if run.kept == 0 {
            counters(engine, &run)?;
        }
        mark(engine, scene)?;
        let now = engine.now()?;
        run.status = RunStatus::RolledBack;
        run.undo_seq = Some(1);
        run.ended = Some(now);
        run.reason = reason.map(str::to_owned).or(run.reason.take());
        ledger::update_run(engine, &run)?;
        ledger::note_hooks(engine, &scene.plan.hook, run.seq, HookEvent::RolledBack)?;
        let level = i32::from(run.last_seq > 0);
        ledger::append_audit(
            engine,
            now,
            &format!("migration:rollback:level{level}"),
            Some(&run.id),
            (&holder.operator, &holder.host),
            &json!({"records": run.last_seq - run.kept, "kept": run.kept, "operator": holder.operator, "reason": reason}),
        )?;
        ledger::release(engine, lease)
    })?;
    scene.run = run;
    Ok(())
}

/// Sets the counters of tables back that nobody moved since the run.
fn counters<E: Engine>(engine: &mut E, run: &Run) -> Result<(), StoreError> {
    let counters: serde_json::Map<String, Value> = serde_json::from_str(&run.counters)
        .map_err(|error| StoreError::damaged(format!("the run's counters: {error}")))?;
    for (name, values) in &counters {
        let Some(table) = engine.table(name)?.filter(|table| table.counted) else {
            continue;
        };
        let (before, after) = (values[0].as_i64(), values[1].as_i64());
        if before != after && engine.counter(&table)? == after {
            engine.set_counter(&table, before)?;
        }
    }
    Ok(())
}

/// Marks the row that describes the run, where the plan keeps it.
fn mark<E: Engine>(engine: &mut E, scene: &mut Scene) -> Result<(), StoreError> {
    let metadata = scene.plan.metadata.clone();
    let Some(metadata) = metadata.filter(|metadata| metadata.on_rollback == OnRollback::Keep)
    else {
        return Ok(());
    };
    let statement = format!(
        "SELECT {} FROM ledger.changes WHERE run = ?1 AND action = ?2 ORDER BY seq DESC LIMIT 1",
        Change::COLUMNS
    );
    let params = [scene.run.seq.into(), (Action::Keep as i64).into()];
    let Some(row) = engine.query(&statement, &params)?.into_iter().next() else {
        return Ok(());
    };
    let change = Change::from_row(row)?;
    let layout = scene.layout(engine, &change)?;
    let column = metadata.status.as_ref();
    let Some(place) = column.and_then(|column| layout.table.position(column)) else {
        return Ok(());
    };
    let key = &change.target;
    let found = engine.fetch(&layout.table, &layout.key, std::slice::from_ref(&key.0))?;
    let present = found.into_iter().flatten().next();
    let text = present.as_ref().and_then(|row| row[place].text());
    if let Some(Ok(Value::Object(mut content))) = text.map(serde_json::from_str) {
        content.insert("status".into(), RunStatus::RolledBack.word().into());
        let cell = Value::Object(content).to_string().into();
        let change = (key.clone(), vec![(place, cell)]);
        engine.update(&layout.table, &layout.key, &[change], false)?;
    }
    Ok(())
}
