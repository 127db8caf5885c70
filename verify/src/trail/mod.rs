//! The audit trail against the ledger: is the chain whole, and does the row of each run say what its entries
//! say?

mod compare;
mod story;

use std::collections::{BTreeSet, HashMap};

use contract::Failure;
use contract::talk::counted;
use store::Sql;
use store::ledger::{self, Part, Rename, Run};

use crate::figures::moment;
use crate::finding::{Check, Fault};
use crate::scene::target_error;

use story::Story;

/// What the trail says of each run, by ID.
type Stories = HashMap<String, Story>;

/// Checks the chain, and the row of every run against its entries. What a run did in its batches is read for
/// this one alone, or for all.
pub(crate) fn check(sql: &mut dyn Sql, one: Option<&Run>) -> Result<Check, Failure> {
    let mut check = begun();
    let chain = ledger::check_audit(sql).map_err(target_error)?;
    let until = match &chain {
        Ok(chain) => (chain.pruned > 0).then_some(chain.until),
        Err(place) => {
            check.add(Fault::error(format!(
                "entry {place} does not follow from those before it: the trail was changed"
            )));
            None
        }
    };
    let (stories, renames) = read(sql, &mut check)?;
    let mut known = BTreeSet::new();
    for run in ledger::list_runs(sql).map_err(target_error)? {
        let story = stories.get(&run.id);
        compare::row(&run, story, until, &renames, &mut check);
        if let Some(story) = story.filter(|_| one.is_none_or(|one| one.id == run.id)) {
            digests(sql, &run, story, &mut check)?;
        }
        known.insert(run.id);
    }
    for (id, story) in &stories {
        if !known.contains(id) {
            let message = format!(
                "entry {} is about run {id}, which the ledger does not have",
                story.newest
            );
            check.add(Fault::error(message));
        }
    }
    Ok(match chain {
        Ok(chain) if chain.pruned > 0 => check.found(format!(
            "{} follow from {} that were pruned, the last of {}",
            counted(chain.entries.unsigned_abs(), "entry"),
            chain.pruned,
            moment(chain.until)
        )),
        Ok(chain) => check.found(format!(
            "{} of {}",
            counted(chain.entries.unsigned_abs(), "entry"),
            counted(known.len() as u64, "run")
        )),
        Err(place) => check.found(format!("whole up to entry {}", place - 1)),
    })
}

/// Makes the check of a target that has no ledger.
pub(crate) fn begun() -> Check {
    Check::new(
        "audit",
        "each entry carries the hash of the one before, and each run's row is as its entries say",
    )
}

fn read(sql: &mut dyn Sql, check: &mut Check) -> Result<(Stories, Vec<Rename>), Failure> {
    let (mut stories, mut renames) = (Stories::new(), Vec::new());
    let read = ledger::each_audit(sql, |entry| {
        let Ok(detail) = serde_json::from_str(&entry.detail) else {
            let message = format!("entry {} holds no figures that can be read", entry.seq);
            check.add(Fault::error(message));
            return;
        };
        if let Some(rename) = Rename::of(&entry, &detail) {
            renames.push(rename);
            for story in stories.values_mut() {
                story.renamed = entry.seq;
            }
        }
        if entry.action == "migration:rollback:level2" {
            for (list, again) in [("runs", false), ("again", true)] {
                let ids = detail_ids(&detail, list);
                for id in ids {
                    stories.entry(id).or_default().restored(&entry, again);
                }
            }
        } else if let Some(run) = &entry.run {
            let story = stories.entry(run.clone()).or_default();
            if let Some(fault) = story.tell(&entry, detail) {
                check.add(fault);
            }
        }
    });
    read.map_err(target_error)?;
    Ok((stories, renames))
}

fn detail_ids(detail: &serde_json::Value, list: &str) -> Vec<String> {
    let ids = detail[list].as_array().into_iter().flatten();
    ids.filter_map(|id| id.as_str().map(str::to_owned))
        .collect()
}

/// Compares the rows that the ledger keeps of a run with the digests in its newest entry.
fn digests(sql: &mut dyn Sql, run: &Run, story: &Story, check: &mut Check) -> Result<(), Failure> {
    let kept = story
        .kept_rows
        .as_ref()
        .map(|(entry, digest)| (*entry, digest));
    let of = |name: &str| {
        let (entry, figures) = story.figures.as_ref()?;
        Some((*entry, figures.get(name)?))
    };
    if let Some((entry, noted)) = of("detached") {
        let above = "SELECT COUNT(*) FROM ledger.changes WHERE run = ?1 AND seq > ?2";
        let rows = sql.query(above, &[run.seq.into(), run.last_seq.into()]);
        let rows = rows.map_err(target_error)?;
        let found = rows.first().and_then(|row| row[0].int());
        if noted.as_i64() != found && !story.pruned {
            let message = format!(
                "the references that were set NULL are not as many as entry {entry} confirms"
            );
            check.add(compare::of(run, Fault::error(message)));
        }
    }
    for (part, noted, what) in [
        (Part::Batches, of("batches"), "the batches of the run"),
        (
            Part::Failures,
            of("failures"),
            "the records of the run that failed",
        ),
        (Part::Kept, kept, "the changes that rollback kept"),
    ] {
        let Some((entry, noted)) = noted else {
            continue;
        };
        let found = ledger::digest_of(sql, part, run.seq).map_err(target_error)?;
        if noted.as_str() != Some(&found.to_string()) {
            let message = format!(
                "{what} are not those that entry {entry} confirms: they were changed, or some are missing"
            );
            check.add(compare::of(run, Fault::error(message)));
        }
    }
    Ok(())
}
