//! The plan's hooks, run once what they are about stands.

use ::hooks::{Permission, Told};
use contract::bundle::Bundle;
use contract::plan::HookEvent;
use contract::{Failure, Talk};
use store::ledger::{self, Run, RunStatus};
use store::{Sql, StoreError};

use crate::Args;
use crate::args::{OnFailure, Resume};

/// Returns which hooks of the bundle's plan may run, and says of each whether it will.
///
/// # Errors
///
/// A required hook may not run, or a variable may not be given to hooks; nothing was written.
pub(crate) fn permission(args: &Args, bundle: &Bundle, talk: &Talk) -> Result<Permission, Failure> {
    let words = (args.hooks, &args.hook_env[..], args.plan.as_deref());
    let permission = Permission::new(words, Some(bundle.plan()), &args.to)?;
    if !args.no_hooks {
        let mut events = vec![HookEvent::Started, HookEvent::Completed, HookEvent::Failed];
        if args.on_failure == OnFailure::Rollback {
            events.push(HookEvent::RolledBack);
        }
        let resume = if args.resume.is_some() {
            " --resume"
        } else {
            ""
        };
        let command = format!("apply {} --to {}{resume}", args.bundle.display(), args.to);
        permission.demand(bundle.plan(), &events, &command, talk)?;
    }
    Ok(permission)
}

/// Runs the hooks of a run that are due.
pub(crate) fn run(
    args: &Args,
    sql: &mut dyn Sql,
    id: &str,
    permission: &Permission,
    talk: &Talk,
) -> Told {
    if args.dry_run || args.no_hooks {
        return Told::default();
    }
    ::hooks::run(sql, id, &args.operator(), permission, talk)
}

/// Returns the run that holds the lock, before it is taken over.
pub(crate) fn holding(args: &Args, sql: &mut dyn Sql) -> Result<Option<String>, StoreError> {
    if !args.take_over || ledger::version(sql)?.is_none() {
        return Ok(None);
    }
    Ok(ledger::holder(sql)?.map(|held| held.holder.run))
}

/// Runs what a crash between the last commit and its hooks left of the run to go on with. Returns the
/// run where that was all there was to do, and what became of them.
pub(crate) fn left(
    args: &Args,
    bundle: &Bundle,
    sql: &mut dyn Sql,
    permission: &Permission,
    talk: &Talk,
) -> Result<Option<(Run, Told)>, StoreError> {
    let Some(wanted) = args.resume.filter(|_| !args.dry_run && !args.no_hooks) else {
        return Ok(None);
    };
    if bundle.plan().plan.hook.is_empty() || ledger::version(sql)?.is_none() {
        return Ok(None);
    }
    let run = match wanted {
        Some(Resume::Run(id)) => ledger::find_run(sql, &id.to_string())?,
        Some(Resume::Auto) | None => ledger::latest_run(sql)?,
    };
    let mine =
        |run: &Run| run.bundle == bundle.id().to_string() && run.status == RunStatus::Completed;
    let busy = ledger::holder(sql)?.is_some_and(|held| !held.void);
    let Some(run) = run.filter(mine).filter(|_| !busy) else {
        return Ok(None);
    };
    let told = ::hooks::run(sql, &run.id, &args.operator(), permission, talk);
    Ok((told.ran > 0).then_some((run, told)))
}
