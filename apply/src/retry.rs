//! Records that were set aside alone are tried again.

use std::collections::HashSet;

use contract::{At, Record};
use store::Target;
use store::ledger;

use crate::job::Job;

impl Job<'_> {
    /// Returns the records that were set aside when their batch was committed.
    pub(crate) fn failed_of(
        &self,
        target: &mut dyn Target,
        no: i64,
        records: &[Record],
    ) -> anyhow::Result<Vec<Record>> {
        let failed = ledger::failures_of_batch(target.sql(), self.run, no);
        let failed = failed.map_err(|error| self.lost(&error))?;
        let failed: HashSet<(&str, &At)> = failed
            .iter()
            .filter_map(|reject| Some((reject.key.as_deref()?, &reject.at)))
            .collect();
        let is_one = |record: &&Record| failed.contains(&(record.key.as_str(), &record.at));
        Ok(records.iter().filter(is_one).cloned().collect())
    }
}
