//! Whether the target may be written at all, by the environments of the runs' plans.

use contract::Failure;
use contract::plan::LoadedPlan;
use store::TargetUrl;
use store::ledger::Run;

use crate::Args;

/// Refuses to take a run back from production without its name.
pub(crate) fn check(args: &Args, url: &TargetUrl, run: &Run) -> Result<(), Failure> {
    let allowed = args.allow_production.as_deref();
    plan(run).map_or(Ok(()), |plan| {
        plan.plan.allow(&url.descriptions(), allowed).map(|_| ())
    })
}

/// Refuses what concerns several runs, newest first, at production without its name: what one of
/// their plans calls production is production.
pub(crate) fn check_all<'a>(
    args: &Args,
    url: &TargetUrl,
    runs: impl IntoIterator<Item = &'a Run>,
) -> Result<(), Failure> {
    let target = url.descriptions();
    let production = |run: &&Run| {
        let plan = plan(run);
        let found = plan
            .as_ref()
            .and_then(|plan| plan.plan.environment(&target));
        found.is_some_and(|environment| environment.production)
    };
    let mut runs = runs.into_iter().peekable();
    let newest = runs.peek().copied();
    runs.find(production)
        .or(newest)
        .map_or(Ok(()), |run| check(args, url, run))
}

/// Returns a run's plan. One that this build does not read is named where its tables are needed.
fn plan(run: &Run) -> Option<LoadedPlan> {
    LoadedPlan::parse("the ledger's plan".as_ref(), run.plan.clone()).ok()
}
