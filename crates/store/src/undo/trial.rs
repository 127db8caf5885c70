//! The undo trial: whether what a batch has just written can be taken back. Its undo is really done, in a
//! savepoint, compared with what was there before, and itself undone.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::additions;
use super::check::page;
use super::judge::{Judged, judge};
use super::layout::Layout;
use super::mark::mark;
use super::scene::{Choice, Scene};
use super::verdict::{Finding, Verdict};
use super::watched::{attempt, reverse_watched, settle_watched, waiting};
use super::work::waves;
use crate::ledger::{Action, Change, Run};
use crate::{Engine, Key, Row, StoreError};

/// How many changes are undone together.
const PAGE: usize = 500;

/// So many rows that would not come back are named.
const NAMED: usize = 5;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// All would come back.
    Yes,
    /// Some of it would not, in words. The transaction may be lost to the trial.
    No(String),
    /// Somebody else holds what is needed: it is not known; in the target's words.
    Unknown(String),
}

/// What would not come back, named up to a bound.
#[derive(Default)]
struct Stays {
    count: u64,
    named: Vec<String>,
}

impl Stays {
    fn add(&mut self, text: String) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(text);
        }
    }

    fn in_words(self) -> Option<String> {
        let more = self.count - self.named.len() as u64;
        let mut words = self.named.join("; ");
        if more > 0 {
            words = format!("{words}; and {more} more");
        }
        (self.count > 0).then_some(words)
    }
}

/// Tries to undo the changes of a run after `after`, in the open transaction, but for those of tables
/// whose rows may stay (`accepted`). Nothing of it is left.
///
/// # Errors
///
/// What the target said; the savepoint may still be there.
pub(crate) fn try_out<E: Engine>(
    engine: &mut E,
    run: &Run,
    after: i64,
    accepted: &BTreeSet<String>,
) -> Result<Tried, StoreError> {
    engine.savepoint("trial")?;
    let tried = undo(engine, run, after, accepted);
    if engine.is_lost() {
        return match tried {
            Ok(stays) => Ok(Tried::No(stays.in_words().unwrap_or_default())),
            Err(error) => Ok(Tried::No(error.to_string())),
        };
    }
    match tried {
        Ok(stays) => {
            engine.undo_to("trial")?;
            Ok(stays.in_words().map_or(Tried::Yes, Tried::No))
        }
        // What the login may not do, to restore what a trigger changes, rollback can't do either.
        Err(StoreError::Refused { message }) => {
            engine.undo_to("trial")?;
            Ok(Tried::No(message))
        }
        Err(StoreError::Busy { message } | StoreError::Again { message }) => {
            engine.undo_to("trial")?;
            Ok(Tried::Unknown(message))
        }
        Err(error) => Err(error),
    }
}

fn undo<E: Engine>(
    engine: &mut E,
    run: &Run,
    after: i64,
    accepted: &BTreeSet<String>,
) -> Result<Stays, StoreError> {
    let mut scene = Scene::read(engine, run.clone(), Choice::default(), false)?;
    let mut stays = Stays::default();
    let (mut position, mut waits) = (None, None);
    loop {
        let changes = changes(engine, &scene, &mut position, after)?;
        if changes.is_empty() {
            break;
        }
        for wave in waves(changes, PAGE) {
            let mut rest = wave;
            while !rest.is_empty() {
                let mut judged;
                (judged, rest) = judge(engine, &mut scene, rest)?;
                judged.retain(|row| !accepted.contains(&row.layout.table.name));
                waits = waits.or_else(|| waiting(&judged));
                let clear = clear(judged, &mut stays);
                take_back(engine, &mut scene, &clear, &mut stays)?;
                if engine.is_lost() {
                    return Ok(stays);
                }
            }
        }
    }
    if let Some(finding) = mark(engine, &mut scene)? {
        stays.add(named(&finding, &why(&finding.verdict)));
    }
    let settled = match waits {
        Some(layout) => settle_watched(engine, &scene, &layout),
        None => engine.settle_all(),
    };
    if let Err(error) = settled {
        let message = error.refusal()?;
        stays.add(format!("at the end of the transaction: {message}"));
    }
    if stays.count == 0 {
        compare(engine, &mut scene, (after, accepted), &mut stays)?;
    }
    Ok(stays)
}

/// The rows that can be taken back; the others are named, but for those whose references can be set NULL.
fn clear(judged: Vec<Judged>, stays: &mut Stays) -> Vec<Judged> {
    let mut clear = Vec::new();
    for row in judged {
        match &row.finding.verdict {
            verdict if verdict.is_clear() => clear.push(row),
            verdict if can_be_detached(verdict) => {}
            verdict => {
                let why = why(verdict);
                stays.add(named(&row.finding, &why));
            }
        }
    }
    clear
}

/// The next changes after `after`, newest first, but for what was added to the catalogue.
fn changes<E: Engine>(
    engine: &mut E,
    scene: &Scene,
    position: &mut Option<i64>,
    after: i64,
) -> Result<Vec<Change>, StoreError> {
    let mut changes = page(engine, scene, position, PAGE)?;
    changes.retain(|change| change.seq > after && !additions::is_one(change));
    Ok(changes)
}

/// Reverses rows of a wave; of one that the target refuses as a whole each row by itself.
fn take_back<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    rows: &[Judged],
    stays: &mut Stays,
) -> Result<(), StoreError> {
    engine.savepoint("wave")?;
    let whole: Vec<&Judged> = rows.iter().collect();
    let done = reverse_watched(engine, scene, &whole).and_then(|()| engine.keep("wave"));
    let Err(error) = done else {
        return Ok(());
    };
    let message = error.refusal()?;
    if engine.is_lost() {
        if let Some(row) = rows.first() {
            let table = &row.layout.table;
            let fired = fired(engine, table, row.chain.newest().action)?;
            stays.add(format!(
                "{}: {message}{fired}; it ends the whole transaction",
                table.name
            ));
        }
        return Ok(());
    }
    engine.undo_to("wave")?;
    for row in rows {
        match attempt(engine, scene, row) {
            Ok(None) => {}
            Ok(Some(message)) => stays.add(named(&row.finding, &message)),
            Err(error) if engine.is_lost() => {
                stays.add(named(&row.finding, &error.refusal()?));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Names the triggers that undoing a change fires.
pub(super) fn fired<E: Engine>(
    engine: &mut E,
    table: &crate::Table,
    action: Action,
) -> Result<String, StoreError> {
    let fired = engine.fired(table, action)?;
    let fired: Vec<String> = fired.iter().map(|name| format!("`{name}`")).collect();
    Ok(match fired.as_slice() {
        [] => String::new(),
        [one] => format!(" (trigger {one})"),
        several => format!(" (triggers {})", several.join(", ")),
    })
}

/// Names the rows that are not what they were before the batch.
fn compare<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    (after, accepted): (i64, &BTreeSet<String>),
    stays: &mut Stays,
) -> Result<(), StoreError> {
    let mut position = None;
    loop {
        let mut changes = changes(engine, scene, &mut position, after)?;
        if changes.is_empty() {
            return Ok(());
        }
        // The batch's first change of a row tells what was there before.
        changes.retain(|change| {
            let row = matches!(
                change.action,
                Action::Insert | Action::Update | Action::Delete
            );
            row && change.earlier.is_none_or(|earlier| earlier <= after)
        });
        for wave in waves(changes, PAGE) {
            let Some(first) = wave.first() else { continue };
            let layout = scene.layout(engine, first)?;
            if accepted.contains(&layout.table.name) {
                continue;
            }
            let keys: Vec<Key> = wave
                .iter()
                .map(|change| key_before(&layout, change))
                .collect::<Result<_, _>>()?;
            let cells: Vec<_> = keys.iter().map(|key| key.0.clone()).collect();
            let mut done = 0;
            while done < wave.len() {
                let found = engine.fetch_some(&layout.table, &layout.key, &cells[done..])?;
                for (found, at) in found.into_iter().zip(done..) {
                    let (change, key) = (&wave[at], &keys[at]);
                    done += 1;
                    if is_back(&layout, change, found.first()) {
                        continue;
                    }
                    let fired = fired(engine, &layout.table, change.action)?;
                    let what = match (change.action, found.is_empty()) {
                        (Action::Insert, _) => "it would still be there",
                        (_, true) => "it would be missing",
                        _ => "it would not be what it was",
                    };
                    stays.add(format!("{} {key}: {what}{fired}", layout.table.name));
                }
            }
        }
    }
}

fn is_back(layout: &Layout, change: &Change, found: Option<&Row>) -> bool {
    match (change.action, found) {
        (Action::Insert, found) => found.is_none(),
        (_, Some(row)) => layout.hash(row) == change.hash,
        (_, None) => false,
    }
}

/// The key that a row had before a change.
fn key_before(layout: &Rc<Layout>, change: &Change) -> Result<Key, StoreError> {
    let before = layout.image(&change.before)?;
    let cell = |(place, now): (&usize, &crate::Cell)| {
        let old = before.iter().find(|(at, _)| at == place);
        old.map_or(now, |(_, cell)| cell).clone()
    };
    Ok(Key(layout
        .key
        .iter()
        .zip(&change.target.0)
        .map(cell)
        .collect()))
}

/// References that a rollback can set NULL, when it is asked to.
fn can_be_detached(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::DependedOn(dependents)
        if dependents.iter().all(|one| one.on_delete == "SET NULL"))
}

fn why(verdict: &Verdict) -> String {
    match verdict {
        Verdict::DependedOn(dependents) => {
            let one = |one: &super::verdict::Dependents| {
                format!("{} of {} depend on it", one.count, one.table)
            };
            dependents.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        Verdict::Changed(columns) => {
            let names: Vec<&str> = columns.iter().map(|one| one.column.as_str()).collect();
            format!("{} changed after it was written", names.join(", "))
        }
        Verdict::PlaceTaken(why) | Verdict::Failed(why) => why.clone(),
        other => other.word().to_owned(),
    }
}

fn named(finding: &Finding, why: &str) -> String {
    format!("{} {}: {why}", finding.table, finding.key)
}
