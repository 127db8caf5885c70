//! A batch that is tried again: what it did before stands, and its figures speak of both.

use super::Batch;
use crate::ledger::{BatchRow, BatchStatus, Counts, Phase};

/// Adds to what became of a batch now what the ledger knows of it from before.
pub(super) fn merge(row: &mut BatchRow, old: &BatchRow, batch: &Batch<'_>) {
    if batch.phase == Phase::Late {
        // Its records are counted by the pass that put them.
        row.counts.linked += old.counts.linked;
        for (file, counts) in &old.files {
            row.files.entry(file.clone()).or_default().linked += counts.linked;
        }
    } else if batch.again {
        let mut counts = old.counts.clone();
        let mut files = old.files.clone();
        for record in batch.records {
            less_one_failed(&mut counts);
            if let Some(counts) = files.get_mut(&record.at.file) {
                less_one_failed(counts);
            }
        }
        counts.add(&row.counts);
        for (file, now) in &row.files {
            files.entry(file.clone()).or_default().add(now);
        }
        (row.counts, row.files) = (counts, files);
    }
    if batch.again {
        row.status = BatchStatus::Applied;
        row.error = None;
    }
    if let Some((first, last)) = old.changes {
        let now = row.changes.unwrap_or((first, last));
        row.changes = Some((first.min(now.0), last.max(now.1)));
    }
}

fn less_one_failed(counts: &mut Counts) {
    counts.failed = counts.failed.saturating_sub(1);
}
