//! The hooks of the runs that are taken back, as far as the operator permits them.

use ::hooks::{Permission, Told};
use contract::bundle::Bundle;
use contract::plan::{HookEvent, LoadedPlan};
use contract::{Exit, Failure, Talk};
use store::ledger::{self, Run};
use store::{AuditKey, Sql, TargetUrl};

use crate::Args;
use crate::run::refused;

/// Returns which hooks of runs may run: of the operator's own plan, of the bundle that `--bundle` names, or of runs
/// that the operator's key signed. The place of a bundle that the ledger names is not the operator's word.
///
/// # Errors
///
/// The bundle can't be read, or a variable may not be given to hooks; nothing was written.
pub(crate) fn permission(
    args: &Args,
    url: &TargetUrl,
    sql: &mut dyn Sql,
    runs: impl IntoIterator<Item = impl AsRef<str>>,
) -> anyhow::Result<Permission> {
    let bundle = match args.bundle.as_deref() {
        Some(folder) => {
            let bundle = Bundle::open(folder)?;
            bundle.check()?;
            Some(bundle.plan().clone())
        }
        None => None,
    };
    let words = (args.hooks, &args.hook_env[..], args.plan.as_deref());
    let mut permission = Permission::new(words, bundle.as_ref(), url)?;
    if let Some(path) = &args.audit_key {
        let key = AuditKey::read(path).map_err(|why| Failure::new(Exit::Usage, why))?;
        for run in runs {
            let plan = ledger::signed_plan(sql, run.as_ref(), &key).map_err(refused)?;
            if let Some(plan) = plan {
                permission.signed(plan);
            }
        }
    }
    Ok(permission)
}

/// Says of each hook that a rollback of the run is due to run whether it will.
///
/// # Errors
///
/// A required one may not run; nothing was written.
pub(crate) fn demand(
    args: &Args,
    url: &TargetUrl,
    run: &Run,
    permission: &Permission,
    talk: &Talk,
) -> anyhow::Result<()> {
    if args.no_hooks {
        return Ok(());
    }
    let plan = LoadedPlan::parse("the ledger's plan".as_ref(), run.plan.clone());
    let plan = plan.map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
    let what = match &args.snapshot {
        Some(file) => format!("--snapshot {}", file.display()),
        None => run.id.clone(),
    };
    let resume = if args.resume { " --resume" } else { "" };
    let bundle = args.bundle.as_deref();
    let bundle = bundle.map_or(String::new(), |folder| {
        format!(" --bundle {}", folder.display())
    });
    let command = format!("rollback {what} --to {url}{resume}{bundle}");
    permission.demand(&plan, &[HookEvent::RolledBack], &command, talk)?;
    Ok(())
}

/// Runs the hooks of the run that are due.
pub(crate) fn run(
    args: &Args,
    sql: &mut dyn Sql,
    run: &str,
    permission: &Permission,
    talk: &Talk,
) -> Told {
    if args.no_hooks || args.dry_run {
        return Told::default();
    }
    ::hooks::run(sql, run, &args.operator(), permission, talk)
}
