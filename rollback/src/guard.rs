//! Whether the target may be written at all, by the environments of the run's plan.

use contract::Failure;
use contract::plan::LoadedPlan;
use store::TargetUrl;
use store::ledger::Run;

use crate::Args;

/// Refuses to take a run back from production without its name.
pub(crate) fn check(args: &Args, url: &TargetUrl, run: &Run) -> Result<(), Failure> {
    // A plan that this build does not read is named where its tables are needed.
    let Ok(plan) = LoadedPlan::parse("the ledger's plan".as_ref(), run.plan.clone()) else {
        return Ok(());
    };
    let allowed = args.allow_production.as_deref();
    plan.plan.allow(&url.descriptions(), allowed).map(|_| ())
}
