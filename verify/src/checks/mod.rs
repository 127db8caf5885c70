//! The checks. Each says what it expected, what it found, and names the rows at fault.

mod account;
mod added;
mod counts;
mod created;
mod differ;
mod duplicates;
mod foreign;
mod identities;
mod ledger;
mod left;
mod mappings;
mod orphans;
mod parents;
mod records;
mod removed;
mod schema;
mod sealed;
mod undone;
mod values;
mod walk;
mod without_bundle;

use store::ledger::RunStatus;

use crate::finding::Check;
use crate::sample::Sample;
use crate::scene::Scene;

/// How many rows are read at a time.
const PAGE: usize = 1000;

/// Runs every check that the run's status asks for.
pub(crate) fn all(scene: &mut Scene<'_>, sample: Option<Sample>) -> anyhow::Result<Vec<Check>> {
    let mut checks = vec![
        account::check(scene)?,
        sealed::check(scene),
        schema::check(scene)?,
    ];
    match scene.run.status {
        RunStatus::RolledBack => checks.push(undone::check(scene)?),
        // Part of it is undone: what should stand can't be said.
        RunStatus::RollingBack | RunStatus::RollbackFailed => {}
        RunStatus::InProgress | RunStatus::Completed | RunStatus::Failed => {
            checks.push(counts::check(scene)?);
            checks.extend(added::check(scene)?);
            let mut mappings = mappings::check(scene)?;
            let mut references = orphans::references(scene);
            if scene.bundle.is_some() {
                let records = records::check(scene, sample, &mut mappings, &mut references)?;
                checks.extend([mappings, records, references]);
            } else {
                let records = without_bundle::check(scene)?;
                checks.extend([mappings, records]);
            }
            checks.push(orphans::check(scene)?);
            checks.push(duplicates::check(scene)?);
        }
    }
    checks.push(ledger::check(scene)?);
    checks.push(crate::trail::check(scene.sql.as_mut(), Some(&scene.run))?);
    Ok(checks)
}
