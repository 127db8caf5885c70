//! Hooks that are due, and what became of them.

use contract::plan::{Hook, HookEvent, LoadedPlan};
use serde_json::json;

use super::{Holder, Run, RunStatus};
use crate::{Sql, StoreError};

/// A hook that is due for a run.
#[derive(Debug, Clone, PartialEq)]
pub struct HookStep {
    /// The run, by number.
    pub run: i64,
    /// 1-based place among the run's hooks that ever were due.
    pub no: i64,
    /// The event's word.
    pub event: String,
    /// 1-based place in the plan.
    pub hook: i64,
    /// Who runs it; none where nobody does.
    pub holder: Option<Holder>,
    /// When that began, in milliseconds since 1970 (UTC).
    pub at: i64,
}

/// Notes the hooks of an event as due, in the transaction of the event.
///
/// # Errors
///
/// What the target said.
pub fn note(
    sql: &mut dyn Sql,
    hooks: &[Hook],
    run: i64,
    event: HookEvent,
) -> Result<(), StoreError> {
    let mut of_event = (1..)
        .zip(hooks)
        .filter(|(_, hook)| hook.on.contains(&event));
    let Some(first) = of_event.next() else {
        return Ok(());
    };
    let now = sql.now()?;
    for (place, _) in std::iter::once(first).chain(of_event) {
        let place: i64 = place;
        sql.execute(
            "INSERT INTO ledger.hooks (run, no, event, hook, status, tries, at) \
             SELECT ?1, COALESCE(MAX(no), 0) + 1, ?2, ?3, 'pending', 0, ?4 FROM ledger.hooks WHERE run = ?1",
            &[run.into(), event.word().into(), place.into(), now.into()],
        )?;
    }
    Ok(())
}

/// Notes the hooks of an event of a run, by the plan that it keeps, as [`note`] does.
///
/// # Errors
///
/// The plan in the ledger does not read; what the target said.
pub fn note_of(sql: &mut dyn Sql, run: &Run, event: HookEvent) -> Result<(), StoreError> {
    let plan = LoadedPlan::parse("the ledger's plan".as_ref(), run.plan.clone())
        .map_err(|error| StoreError::damaged(error.to_string()))?;
    note(sql, &plan.plan.hook, run.seq, event)
}

/// Sets a run in progress whose lock was taken from it by `holder` to failed, its hooks due, in the transaction
/// of the taking.
///
/// # Errors
///
/// What the target said.
pub fn give_up(sql: &mut dyn Sql, id: &str, why: &str, holder: &Holder) -> Result<(), StoreError> {
    let run = super::find_run(sql, id)?;
    let Some(mut run) = run.filter(|run| run.status == RunStatus::InProgress) else {
        return Ok(());
    };
    run.status = RunStatus::Failed;
    run.reason = Some(why.to_owned());
    super::update_run(sql, &run)?;
    let detail = super::with(super::figures(sql, &run)?, json!({"reason": why}));
    let now = sql.now()?;
    let by = (holder.operator.as_str(), holder.host.as_str());
    super::append_audit(sql, now, "migration:given-up", Some(&run.id), by, &detail)?;
    note_of(sql, &run, HookEvent::Failed)
}

/// Returns the next hook of a run, after the one of this number, that was not run to its end.
///
/// # Errors
///
/// What the target said.
pub fn next(sql: &mut dyn Sql, run: i64, after: i64) -> Result<Option<HookStep>, StoreError> {
    let rows = sql.query(
        "SELECT no, event, hook, holder, at FROM ledger.hooks \
         WHERE run = ?1 AND no > ?2 AND status IN ('pending', 'running') ORDER BY no LIMIT 1",
        &[run.into(), after.into()],
    )?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let damaged = || StoreError::damaged("a hook does not read");
    Ok(Some(HookStep {
        run,
        no: row[0].int().ok_or_else(damaged)?,
        event: row[1].text().ok_or_else(damaged)?.to_owned(),
        hook: row[2].int().ok_or_else(damaged)?,
        holder: row[3]
            .text()
            .and_then(|json| serde_json::from_str(json).ok()),
        at: row[4].int().ok_or_else(damaged)?,
    }))
}

/// Takes a hook to run it, as it was read. Returns whether nobody else was faster. One statement: it
/// stands at once.
///
/// # Errors
///
/// What the target said.
pub fn claim(sql: &mut dyn Sql, step: &HookStep, holder: &Holder) -> Result<bool, StoreError> {
    let now = sql.now()?;
    let json = serde_json::to_string(holder).unwrap_or_default();
    let taken = sql.execute(
        "UPDATE ledger.hooks SET status = 'running', holder = ?3, at = ?4 \
         WHERE run = ?1 AND no = ?2 AND status IN ('pending', 'running') AND at = ?5",
        &[
            step.run.into(),
            step.no.into(),
            json.into(),
            now.into(),
            step.at.into(),
        ],
    )?;
    Ok(taken == 1)
}

/// Writes what became of a hook; one that failed may stay due. One statement: it stands at once.
///
/// # Errors
///
/// What the target said.
pub fn settle(
    sql: &mut dyn Sql,
    step: &HookStep,
    tries: u32,
    failed: Option<&str>,
    due: bool,
) -> Result<(), StoreError> {
    let now = sql.now()?;
    let status = match failed {
        None => "done",
        Some(_) if due => "pending",
        Some(_) => "failed",
    };
    sql.execute(
        "UPDATE ledger.hooks SET status = ?3, holder = NULL, tries = tries + ?4, at = ?5, detail = ?6 \
         WHERE run = ?1 AND no = ?2",
        &[
            step.run.into(),
            step.no.into(),
            status.into(),
            i64::from(tries).into(),
            now.into(),
            failed.into(),
        ],
    )
    .map(|_| ())
}
