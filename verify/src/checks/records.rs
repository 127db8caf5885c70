//! Every value of every record of the bundle against the row that is read back.

use contract::plan::{OnGone, OnMatch};
use contract::talk::counted;
use contract::{Digest, Op, Record};
use store::ledger::{self, Action, Entry, Phase};
use store::{Binding, Key};

use super::{PAGE, left, parents, removed, values};
use crate::finding::{Check, Fault, Level};
use crate::lineage::run_id;
use crate::sample::Sample;
use crate::scene::{Pass, Scene, target_error};

/// Figures of the check.
#[derive(Default)]
pub(super) struct Seen {
    pub records: u64,
    pub values: u64,
    pub references: u64,
    pub skipped: u64,
    pub not_applied: u64,
    /// Rows that others edited and the run left so.
    pub drifted: u64,
    /// Rows with edits that the run did not note, and did not write.
    pub unlisted: u64,
    /// What differs in them. Old runs only counted what they left: their figure decides what that means.
    pub drift: Vec<Fault>,
}

/// The three checks that look at records.
pub(super) struct Checks<'a> {
    pub records: Check,
    pub mappings: &'a mut Check,
    pub references: &'a mut Check,
}

/// A record of the pass in hand.
pub(super) struct Item<'a> {
    pub record: &'a Record,
    /// Whether its late references stand.
    pub late: bool,
    pub entry: Option<Entry>,
}

impl Seen {
    /// Adds what differs in a row that the run did not write.
    pub(super) fn drifts(&mut self, fault: Fault) {
        if self.drift.len() < PAGE {
            self.drift.push(fault);
        }
    }
}

impl Item<'_> {
    /// Names the record in a fault.
    pub(super) fn named(&self, fault: Fault) -> Fault {
        fault.record(&self.record.entity, &self.record.key, Some(&self.record.at))
    }
}

pub(super) fn check(
    scene: &mut Scene<'_>,
    sample: Option<Sample>,
    mappings: &mut Check,
    references: &mut Check,
) -> anyhow::Result<Check> {
    let mut checks = Checks {
        records: Check::new("records", "every value of every applied record in its row"),
        mappings,
        references,
    };
    let mut seen = Seen::default();
    let passes = scene.passes();
    for pass in passes.iter().filter(|pass| pass.phase != Phase::Late) {
        let late = passes
            .iter()
            .find(|late| late.phase == Phase::Late && late.file.file == pass.file.file);
        file(scene, pass, late, sample, &mut checks, &mut seen)?;
    }
    let Checks { mut records, .. } = checks;
    let known = if scene.notes_drift() {
        0
    } else {
        scene.counts.drifted
    };
    if seen.unlisted <= known {
        seen.drifted += seen.unlisted;
    }
    for mut fault in seen.drift {
        if seen.unlisted <= known {
            fault.severity = Level::Warning;
            fault.message = "edited by others before the run, which left it so".into();
        }
        records.add(fault);
    }
    let mut found = format!(
        "{} of {}",
        counted(seen.values, "value"),
        counted(seen.records, "record")
    );
    for (count, what) in [
        (seen.skipped, "left alone as the plan says"),
        (seen.not_applied, "not applied"),
        (seen.drifted, "with edits that the run left"),
    ] {
        if count > 0 {
            found = format!("{found}, {count} {what}");
        }
    }
    if let Some(sample) = sample {
        found = format!("{found}; {}", sample.words());
    }
    references.found = format!("{} of records", counted(seen.references, "reference"));
    Ok(records.found(found))
}

/// Checks the records of a file, piece by piece.
fn file(
    scene: &mut Scene<'_>,
    pass: &Pass,
    late: Option<&Pass>,
    sample: Option<Sample>,
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let name = pass.file.entity.as_str();
    let room = scene
        .room(name)
        .map(|room| (room.binding.clone(), room.entity));
    let (binding, entity) = match room {
        Some((Ok(binding), entity)) => (binding, entity),
        Some((Err(problems), _)) => {
            let message = format!(
                "{} of {name} can't be checked: {}",
                counted(pass.file.records, "record"),
                problems.join("; ")
            );
            checks.records.add(Fault::error(message));
            return Ok(());
        }
        None => return Ok(()),
    };
    let mut progress = scene.talk.progress(Some(pass.file.records));
    let mut place = 0;
    let Some(bundle) = &scene.bundle else {
        return Ok(());
    };
    let segments = bundle.segments(&pass.file)?;
    for segment in segments {
        let records = segment?;
        let mut items = Vec::with_capacity(records.len());
        for record in &records {
            let (stands, late) = (
                scene.stands(pass, place, record),
                late.is_some_and(|late| scene.stands(late, place, record)),
            );
            place += 1;
            if sample.is_some_and(|sample| !sample.holds(record)) {
                continue;
            }
            if stands {
                items.push(Item {
                    record,
                    late,
                    entry: None,
                });
            } else {
                seen.not_applied += 1;
            }
        }
        if let Some(entity) = entity {
            let keys: Vec<&str> = items.iter().map(|item| item.record.key.as_str()).collect();
            let entries = scene.sql.entries(entity, &keys).map_err(target_error)?;
            for (item, entry) in items.iter_mut().zip(entries) {
                item.entry = entry;
            }
        }
        seen.records += items.len() as u64;
        if pass.phase == Phase::Delete {
            removed::deletes(scene, &binding, &items, checks, seen)?;
        } else {
            puts(scene, &binding, &items, checks, seen)?;
        }
        progress.at("VERIFYING", place, name, &[]);
    }
    Ok(())
}

fn puts(
    scene: &mut Scene<'_>,
    binding: &Binding,
    items: &[Item<'_>],
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let parents = parents::find(scene, items, checks, seen)?;
    let mut known: Vec<(&Item<'_>, &Entry)> = Vec::with_capacity(items.len());
    for item in items {
        match &item.entry {
            Some(entry) if entry.gone && entry.run > scene.run.seq => {
                let later = run_id(scene.sql.as_mut(), entry.run).map_err(target_error)?;
                let message = format!("run {later} has deleted its row since");
                checks.records.add(
                    item.named(Fault::warning(message).row(&binding.table.name, &entry.target)),
                );
            }
            Some(entry) if entry.gone => {
                let message = "the id map says that its row was deleted";
                checks
                    .mappings
                    .add(item.named(Fault::error(message).row(&binding.table.name, &entry.target)));
            }
            Some(entry) => known.push((item, entry)),
            None => checks.mappings.add(item.named(Fault::error(
                "it was applied, and the id map has no entry for it",
            ))),
        }
    }
    let keys: Vec<Key> = known
        .iter()
        .map(|(_, entry)| entry.target.clone())
        .collect();
    let rows = scene
        .rows(&binding.table, &binding.key, &keys)
        .map_err(target_error)?;
    let (mut missing, mut corrected) = (Vec::new(), Vec::new());
    for ((item, entry), row) in known.into_iter().zip(rows) {
        if item.record.op == Op::Remap {
            removed::remapped(scene, binding, item, entry, checks)?;
            corrected.push((item, entry));
        } else if entry.skipped() {
            skipped(scene, binding, item, entry, checks)?;
            seen.skipped += 1;
        } else if let Some(row) = row {
            digest(scene, binding, item, entry, checks);
            values::check(scene, binding, item, entry, &row, &parents, checks, seen)?;
        } else {
            missing.push((item, entry));
        }
    }
    left::check(scene, binding, &corrected, checks)?;
    removed::gone(scene, binding, missing, checks, seen)
}

/// An entry without a digest is that of a record which the plan leaves alone.
fn skipped(
    scene: &mut Scene<'_>,
    binding: &Binding,
    item: &Item<'_>,
    entry: &Entry,
    checks: &mut Checks<'_>,
) -> anyhow::Result<()> {
    let change = ledger::change(scene.sql.as_mut(), entry.run, entry.seq).map_err(target_error)?;
    let wrote = change.is_some_and(|change| change.action != Action::Map);
    let never = binding.entity.on_match != OnMatch::Skip && entry.run == scene.run.seq;
    if wrote || never {
        let message =
            "the id map has no digest of it, as if it were to be skipped; the run applied it";
        let fault = Fault::error(message).row(&binding.table.name, &entry.target);
        checks.mappings.add(item.named(fault));
    }
    Ok(())
}

/// The id map must have the digest of the record that was applied, or that of one whose late references are
/// still to be written.
pub(super) fn digest(
    scene: &Scene<'_>,
    binding: &Binding,
    item: &Item<'_>,
    entry: &Entry,
    checks: &mut Checks<'_>,
) {
    // One whose row was gone is left with what an earlier run applied, where the plan says so.
    let left = entry.run < scene.run.seq && binding.entity.on_gone == OnGone::Skip;
    let whole = item.record.digest();
    let early = || Digest::of(&[&b"late"[..], &whole].concat()).short();
    if entry.run > scene.run.seq || left || entry.digest == whole || entry.digest == early() {
        return;
    }
    let message = "the id map has the digest of another record than the one that was applied";
    let fault = Fault::error(message).row(&binding.table.name, &entry.target);
    checks.mappings.add(item.named(fault));
}
