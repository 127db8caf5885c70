//! What the run created and updated must be there, what it deleted must be gone: counted by its own
//! changes, whatever else the tables hold.

use std::collections::{BTreeMap, HashSet};

use contract::talk::counted;
use store::ledger::{self, Action, Change};
use store::{Key, Table};

use super::walk::{self, Gaps, Group};
use super::{created, identities};
use crate::finding::{Check, Fault};
use crate::lineage::later_runs;
use crate::scene::{Scene, target_error};

#[derive(Default)]
struct Figures {
    created: u64,
    updated: u64,
    linked: u64,
    deleted: u64,
    /// Rows that describe the run.
    described: u64,
    /// Rows that should be there, and rows that are.
    expected: u64,
    there: u64,
}

pub(super) fn check(scene: &mut Scene<'_>) -> anyhow::Result<Check> {
    let counts = scene.counts.clone();
    let mut check = Check::new(
        "counts",
        format!(
            "{} created, {} updated, {} deleted, {} late references written; their rows there, the deleted ones gone",
            counts.created, counts.updated, counts.deleted, counts.linked
        ),
    );
    let of = |phase: ledger::Phase| -> HashSet<i64> {
        let batches = scene.batches.iter();
        let batches = batches.filter(|batch| batch.phase == phase.word());
        batches.map(|batch| batch.no).collect()
    };
    let (late, deletes) = (of(ledger::Phase::Late), of(ledger::Phase::Delete));
    if ledger::pruned(scene.sql.as_mut(), &scene.run.id)
        .map_err(target_error)?
        .is_some()
    {
        return Ok(check.found("the run is pruned: its changes are not kept".to_owned()));
    }
    let mut tables: BTreeMap<String, Figures> = BTreeMap::new();
    let (mut before, mut gaps) = (i64::MAX, Gaps::new(scene));
    loop {
        let groups = walk::page(scene, &mut before, Some(&mut gaps), &mut check)?;
        if groups.is_empty() {
            gaps.end(&mut check);
            break;
        }
        for group in groups {
            let figures = tables.entry(group.shape.table.clone()).or_default();
            for change in &group.changes {
                match change.action {
                    Action::Insert if change.identity.is_none() => figures.described += 1,
                    Action::Keep => figures.described += 1,
                    Action::Insert => figures.created += 1,
                    Action::Update if late.contains(&change.batch) => figures.linked += 1,
                    Action::Update => figures.updated += 1,
                    Action::Delete => figures.deleted += 1,
                    Action::Map | Action::Column | Action::Table | Action::Detach => {}
                }
            }
            if let Some(live) = &group.live {
                present(scene, live, &group.changes, figures, &mut check)?;
            }
            identities::check(scene, &group, &deletes, &|_| true, &mut check)?;
        }
    }
    identities::chains(scene, &mut check)?;
    identities::named(scene, &mut check)?;
    let all = |figure: fn(&Figures) -> u64| tables.values().map(figure).sum::<u64>();
    for (what, expected, found) in [
        ("created", counts.created, all(|figures| figures.created)),
        ("updated", counts.updated, all(|figures| figures.updated)),
        ("deleted", counts.deleted, all(|figures| figures.deleted)),
        ("linked", counts.linked, all(|figures| figures.linked)),
    ] {
        // A corrected mapping counts as an update, and changes no row but those that refer to it.
        let fits = found == expected
            || (what == "updated" && (counts.moved..=expected + counts.moved).contains(&found));
        if !fits {
            let fault = Fault::error("the changes in the ledger are not as many as the run says");
            check.add(fault.values(what, expected.to_string(), found.to_string()));
        }
    }
    let words: Vec<String> = tables
        .iter()
        .map(|(table, figures)| figures.words(table))
        .collect();
    Ok(check.found(if words.is_empty() {
        "the run changed no row".to_owned()
    } else {
        words.join("; ")
    }))
}

/// Looks for the rows of changes that no later change of the run touched.
fn present(
    scene: &mut Scene<'_>,
    live: &(Table, Vec<usize>),
    changes: &[Change],
    figures: &mut Figures,
    check: &mut Check,
) -> anyhow::Result<()> {
    let table = &live.0;
    let last: Vec<&Change> = changes
        .iter()
        .filter(|change| change.later.is_none() && change.action != Action::Map)
        .collect();
    let rows = Group::rows(scene, live, &last)?;
    created::check(scene, table, &last, &rows, check)?;
    let mut amiss = Vec::new();
    for (change, row) in last.into_iter().zip(rows) {
        let wanted = change.action != Action::Delete;
        figures.expected += u64::from(wanted);
        figures.there += u64::from(wanted && row.is_some());
        if wanted != row.is_some() {
            amiss.push(change);
        }
    }
    let keys: Vec<&Key> = amiss.iter().map(|change| &change.target).collect();
    let later = later_runs(scene.sql.as_mut(), scene.run.seq, table, &keys);
    for (change, later) in amiss.into_iter().zip(later.map_err(target_error)?) {
        let what = match change.action {
            Action::Delete => "the run deleted it, and it is there",
            Action::Update => "the run updated it, and it is gone",
            _ => "the run created it, and it is gone",
        };
        let fault = match later {
            Some(later) => Fault::warning(format!("{what}: run {later} has touched it since")),
            None => Fault::error(what),
        };
        check.add(fault.row(&table.name, &change.target));
    }
    Ok(())
}

impl Figures {
    fn words(&self, table: &str) -> String {
        let mut words = vec![];
        for (count, what) in [
            (self.created, "created"),
            (self.updated, "updated"),
            (self.linked, "linked"),
            (self.described, "describing the run"),
        ] {
            if count > 0 {
                words.push(format!("{count} {what}"));
            }
        }
        if self.expected > 0 {
            words.push(format!(
                "{} of {} there",
                self.there,
                counted(self.expected, "row")
            ));
        }
        if self.deleted > 0 {
            words.push(format!("{} deleted", self.deleted));
        }
        if words.is_empty() {
            words.push("no row".into());
        }
        format!("{table}: {}", words.join(", "))
    }
}
