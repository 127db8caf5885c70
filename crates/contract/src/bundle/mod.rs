//! The bundle: a sealed folder of records, plan and sources, with one digest for all of it.

use std::collections::BTreeSet;

use crate::{Account, Plan};

mod adds_up;
mod batches;
mod error;
mod manifest;
mod reader;
mod skim;

pub use batches::BatchSize;
pub use error::BundleError;
pub use manifest::{FORMAT, Manifest, PlanSum, RecordsFile, Segment, SumFile};
pub use reader::{Bundle, SegmentReader};

/// Returns the sources that no bundle carries: the plan drops columns of what an entity reads from them.
#[must_use]
pub fn left_out(plan: &Plan, accounts: &[Account]) -> BTreeSet<String> {
    let dropping = accounts.iter().filter(|account| {
        let entity = plan.entity(&account.entity);
        entity.is_some_and(|entity| !entity.source.drop.is_empty())
    });
    dropping.map(|account| account.file.clone()).collect()
}
