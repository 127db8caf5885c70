//! The changes of the run and the id map: the last change of each record is the one that its entry names.

use std::collections::{BTreeMap, HashSet};

use store::Key;
use store::ledger::{self, Action, Change, Entry};

use super::walk::Group;
use crate::finding::{Check, Fault};
use crate::scene::{Scene, target_error};

/// Compares the changes that no later one of the run followed with the entries of their records. `deletes`: the
/// batches of the run that delete; `which`: the changes that stand.
pub(super) fn check(
    scene: &mut Scene<'_>,
    group: &Group,
    deletes: &HashSet<i64>,
    which: &dyn Fn(&Change) -> bool,
    check: &mut Check,
) -> anyhow::Result<()> {
    let mut of: BTreeMap<i64, Vec<(&Change, &str)>> = BTreeMap::new();
    for change in &group.changes {
        let Some((entity, source)) = &change.identity else {
            continue;
        };
        if change.later.is_none() && which(change) {
            of.entry(*entity).or_default().push((change, source));
        }
    }
    let latest = "SELECT MAX(seq) FROM ledger.runs";
    let latest = scene.sql.query(latest, &[]).map_err(target_error)?;
    let latest = latest.first().and_then(|row| row[0].int());
    for (entity, changes) in of {
        let room = scene.rooms.iter().find(|room| room.entity == Some(entity));
        let mut known = room.map(|room| (room.name.clone(), room.claim));
        if known.is_none() && scene.counts.moved > 0 {
            // A correction of the id map takes along records of other plans.
            let name = ledger::name_of(scene.sql.as_mut(), entity).map_err(target_error)?;
            known = Some((name, None));
        }
        let Some((name, claim)) = known else {
            let (seq, source) = (changes[0].0.seq, changes[0].1);
            let message = format!(
                "change {seq}, of record {source}, is of an entity that is not in the run's plan"
            );
            check.add(Fault::error(message));
            continue;
        };
        let sources: Vec<&str> = changes.iter().map(|(_, source)| *source).collect();
        let entries = scene.sql.entries(entity, &sources).map_err(target_error)?;
        for ((change, source), entry) in changes.into_iter().zip(entries) {
            let wrong = match &entry {
                None => Some(("entry", "an entry".to_owned(), "none".to_owned())),
                Some(entry) if entry.source != source => {
                    Some(("source", source.to_owned(), entry.source.clone()))
                }
                Some(entry) if entry.run > scene.run.seq && Some(entry.run) <= latest => None,
                Some(entry) => differs((scene.run.seq, deletes), change, entry, claim),
            };
            if let Some((what, expected, found)) = wrong {
                let message =
                    "the id map does not say what the run's last change of the record left there";
                let fault = Fault::error(message)
                    .row(&group.shape.table, &change.target)
                    .values(what, expected, found);
                check.add(fault.record(&name, source, None));
            }
        }
    }
    Ok(())
}

/// Returns what is not as the change left it: what, as it should be, and as it is.
fn differs(
    (run, deletes): (i64, &HashSet<i64>),
    change: &Change,
    entry: &Entry,
    claim: Option<i64>,
) -> Option<(&'static str, String, String)> {
    let gone = change.action == Action::Delete || deletes.contains(&change.batch);
    let key = |key: &Key| key.to_string();
    if entry.run != run {
        Some(("run", run.to_string(), entry.run.to_string()))
    } else if entry.seq != change.seq {
        Some(("seq", change.seq.to_string(), entry.seq.to_string()))
    } else if entry.target != change.target {
        Some(("target", key(&change.target), key(&entry.target)))
    } else if let Some(claim) = claim.filter(|claim| *claim != entry.claim) {
        Some(("claim", claim.to_string(), entry.claim.to_string()))
    } else if gone != entry.gone {
        Some(("gone", gone.to_string(), entry.gone.to_string()))
    } else {
        None
    }
}

/// Checks that each entry which names the run names a change of its record.
pub(super) fn named(scene: &mut Scene<'_>, check: &mut Check) -> anyhow::Result<()> {
    // The id map of an old ledger has other columns.
    if scene.run.format as i64 <= 1 {
        return Ok(());
    }
    let strangers = "SELECT n.name, i.source, i.seq FROM ledger.ids i JOIN ledger.names n ON n.id = i.entity \
                     LEFT JOIN ledger.changes c ON c.run = i.run AND c.seq = i.seq \
                     WHERE i.run = ?1 AND (c.entity IS NULL OR c.entity <> i.entity OR c.source <> COALESCE(i.long, i.source)) \
                     ORDER BY i.entity, i.source LIMIT 100";
    let rows = scene.sql.query(strangers, &[scene.run.seq.into()]);
    for row in rows.map_err(target_error)? {
        let message = format!(
            "the id map names change {} of the run, which is not of this record",
            row[2]
        );
        let text = |place: usize| row[place].text().unwrap_or_default();
        check.add(Fault::error(message).record(text(0), text(1), None));
    }
    Ok(())
}

/// Checks that changes of the same row name each other.
pub(super) fn chains(scene: &mut Scene<'_>, check: &mut Check) -> anyhow::Result<()> {
    let broken = "SELECT a.seq FROM ledger.changes a LEFT JOIN ledger.changes b ON b.run = a.run AND b.seq = a.later \
                  WHERE a.run = ?1 AND a.later IS NOT NULL AND (b.earlier IS NULL OR b.earlier <> a.seq) \
                  UNION SELECT b.seq FROM ledger.changes b LEFT JOIN ledger.changes a ON a.run = b.run AND a.seq = b.earlier \
                  WHERE b.run = ?1 AND b.earlier IS NOT NULL AND (a.later IS NULL OR a.later <> b.seq) \
                  ORDER BY 1 LIMIT 100";
    let rows = scene.sql.query(broken, &[scene.run.seq.into()]);
    for seq in rows
        .map_err(target_error)?
        .iter()
        .filter_map(|row| row[0].int())
    {
        let message = format!(
            "change {seq} names another change of its row, which does not name it: the ledger was changed"
        );
        check.add(Fault::error(message));
    }
    Ok(())
}
