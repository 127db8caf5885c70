//! The rest of the ledger: what is kept of hooks, and the lock.

use contract::plan::HookEvent;
use contract::talk::counted;
use store::ledger::{self, RunStatus};

use crate::finding::{Check, Fault};
use crate::scene::{Scene, target_error};

pub(super) fn check(scene: &mut Scene<'_>) -> anyhow::Result<Check> {
    let mut check = Check::new(
        "ledger",
        "a hook for each event as the plan says, and one lock",
    );
    let hooks = hooks(scene, &mut check)?;
    lock(scene, &mut check)?;
    Ok(check.found(format!("{} of the run", counted(hooks, "hook"))))
}

/// Compares the hooks that are noted with those of the plan.
fn hooks(scene: &mut Scene<'_>, check: &mut Check) -> anyhow::Result<u64> {
    let all = "SELECT no, event, hook, status FROM ledger.hooks WHERE run = ?1 ORDER BY no";
    let rows = scene.sql.query(all, &[scene.run.seq.into()]);
    let rows = rows.map_err(target_error)?;
    let plan = &scene.plan.plan.hook;
    let mut noted = Vec::new();
    for (row, place) in rows.iter().zip(1..) {
        let event = row[1].text().unwrap_or_default();
        let number = row[2].int().unwrap_or_default();
        let hook = usize::try_from(number - 1).ok().and_then(|at| plan.get(at));
        let fits = hook.is_some_and(|hook| hook.on.iter().any(|on| on.word() == event));
        let known = matches!(
            row[3].text(),
            Some("pending" | "running" | "done" | "failed")
        );
        if row[0].int() != Some(place) || !fits || !known {
            let message = format!(
                "hook {} on {event} is noted as number {} and as {}, which no event of the plan asks for",
                row[2], row[0], row[3]
            );
            check.add(Fault::error(message));
        }
        noted.push((event.to_owned(), number));
    }
    // What surely happened to the run. One that was settled by a note did not complete.
    let settled = "SELECT 1 FROM ledger.audit WHERE run = ?1 AND action = 'migration:completed' \
                   AND detail LIKE '%\"resolved\":true%'";
    let settled = scene.sql.query(settled, &[scene.run.id.as_str().into()]);
    let settled = !settled.map_err(target_error)?.is_empty();
    let ended = match scene.run.status {
        RunStatus::Completed if settled => None,
        RunStatus::Completed => Some(HookEvent::Completed),
        RunStatus::RolledBack => Some(HookEvent::RolledBack),
        RunStatus::Failed | RunStatus::RollbackFailed => Some(HookEvent::Failed),
        RunStatus::InProgress | RunStatus::RollingBack => None,
    };
    for event in [Some(HookEvent::Started), ended].into_iter().flatten() {
        for (hook, number) in plan.iter().zip(1..) {
            let of = (event.word().to_owned(), number);
            if hook.on.contains(&event) && !noted.contains(&of) {
                let message = format!("hook {number} on {} is not noted", event.word());
                check.add(Fault::error(message));
            }
        }
    }
    Ok(rows.len() as u64)
}

/// Checks that there is one lock, and that it is held by somebody or by nobody.
fn lock(scene: &mut Scene<'_>, check: &mut Check) -> anyhow::Result<()> {
    let all = "SELECT id, token, run, holder, since, expires FROM ledger.lock";
    let rows = scene.sql.query(all, &[]).map_err(target_error)?;
    let whole = match &rows[..] {
        [row] => {
            let held = row[2..].iter().filter(|cell| !cell.is_null()).count();
            row[0].int() == Some(1) && row[1].int() >= Some(0) && (held == 0 || held == 4)
        }
        _ => false,
    };
    if !whole {
        check.add(Fault::error("the lock is not as a program leaves it"));
    } else if let Err(error) = ledger::holder(scene.sql.as_mut()) {
        check.add(Fault::error(error.to_string()));
    }
    Ok(())
}
