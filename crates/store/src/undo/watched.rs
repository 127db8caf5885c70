//! Reversing rows while the target counts what triggers write beside them.

use std::rc::Rc;

use super::detach::{Child, detach};
use super::judge::Judged;
use super::layout::Layout;
use super::reverse::reverse;
use super::scene::Scene;
use super::trial::fired;
use crate::ledger::Action;
use crate::watch::Stray;
use crate::{Engine, StoreError};

/// Reverses rows of one kind, once nothing refers to those that go, unless that makes triggers write beside them what the run's plan does not
/// accept.
pub(super) fn reverse_watched<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    rows: &[&Judged],
) -> Result<(), StoreError> {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let goes = |row: &&&Judged| row.chain.newest().action == Action::Insert;
    let going = rows.iter().filter(goes);
    let children: Vec<&Child> = going.flat_map(|row| &row.children).collect();
    detach(engine, &scene.run, &children)?;
    counting(engine, scene, &first.layout, |engine| reverse(engine, rows))
}

/// The layout of rows whose table has triggers that may wait for the end of the transaction.
pub(super) fn waiting(rows: &[Judged]) -> Option<Rc<Layout>> {
    let layouts = rows.iter().map(|row| &row.layout);
    let waits = |layout: &&Rc<Layout>| layout.table.deferred && !layout.table.triggers.is_empty();
    layouts.clone().find(waits).cloned()
}

/// Fires what waits for the end of the transaction, and counts what is written then.
pub(super) fn settle_watched<E: Engine>(
    engine: &mut E,
    scene: &Scene,
    layout: &Layout,
) -> Result<(), StoreError> {
    counting(engine, scene, layout, Engine::settle_all)
}

/// Does what fires triggers of a table, unless they write what the run's plan does not accept.
pub(super) fn counting<E: Engine, T>(
    engine: &mut E,
    scene: &Scene,
    layout: &Layout,
    work: impl FnOnce(&mut E) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if layout.table.triggers.is_empty() {
        return work(engine);
    }
    engine.watch(&layout.table)?;
    let done = work(engine)?;
    let strays = engine.strays(&scene.plan.accept_triggers)?;
    if strays.is_empty() {
        return Ok(done);
    }
    Err(StoreError::constraint(Stray::all(&strays)))
}

/// Reverses one row, and says why if the target refuses, with the triggers that fire.
pub(super) fn attempt<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    row: &Judged,
) -> Result<Option<String>, StoreError> {
    let change = row.chain.newest();
    if let Some(message) = scene.refused.get(&change.seq) {
        return Ok(Some(message.clone()));
    }
    engine.savepoint("attempt")?;
    let reversed = reverse_watched(engine, scene, &[row]);
    let done = reversed.and_then(|()| {
        counting(engine, scene, &row.layout, |engine| {
            engine.release("attempt")
        })
    });
    let Err(error) = done else {
        return Ok(None);
    };
    let secrets = row.secrets(&scene.plan);
    let message = match error.refusal() {
        Ok(message) => secrets.mask(&message),
        Err(error) => return Err(secrets.masked(error)),
    };
    let lost = engine.is_lost();
    if !lost {
        engine.undo_to("attempt")?;
    }
    let fired = fired(engine, &row.layout.table, change.action)?;
    let message = format!("{message}{fired}");
    if lost {
        let message = format!("{message}, which ends the whole transaction");
        scene.refused.insert(change.seq, message.clone());
        return Err(StoreError::constraint(message));
    }
    Ok(Some(message))
}
