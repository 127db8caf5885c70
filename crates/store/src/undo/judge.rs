//! What can be done about rows: each as it is now against what the run left.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use contract::plan::Plan;

use super::chain::Chain;
use super::detach::Child;
use super::differences::changed;
use super::layout::Layout;
use super::places::{Obstacle, Restored, obstacles};
use super::reverse::restored;
use super::scene::Scene;
use super::ties::{Tie, referring};
use super::verdict::{Dependents, Finding, Verdict};
use crate::ledger::{self, Action, Change, RunStatus};
use crate::secrets::Secrets;
use crate::{Cell, Key, Row, Sql, StoreError};

/// A row with its verdict, and all that it was found from.
#[derive(Debug)]
pub(super) struct Judged {
    pub finding: Finding,
    pub chain: Chain,
    pub layout: Rc<Layout>,
    pub present: Option<Row>,
    /// Rows of others whose reference to it is set NULL when it goes.
    pub children: Vec<Child>,
}

impl Judged {
    /// What must not be shown of the row: as the run found and left it, and as it is.
    pub fn secrets(&self, plan: &Plan) -> Secrets {
        let mut secrets = Secrets::of(plan);
        for change in &self.chain.changes {
            for (of_shape, cell) in change.before.0.iter().chain(&change.after.0) {
                if self.layout.is_secret(*of_shape) {
                    secrets.cell(cell);
                }
            }
        }
        for (field, cell) in self.layout.fields.iter().zip(self.present.iter().flatten()) {
            if field.as_ref().is_some_and(|field| field.secret) {
                secrets.cell(cell);
            }
        }
        secrets
    }

    fn detach(&mut self, children: Vec<Child>) {
        self.finding.detached = children.iter().map(Child::detached).collect();
        self.children = children;
    }
}

/// Judges the rows whose last change (of those not undone yet) is among `ends`, newest first, and returns the ends
/// that are left: rows that are wide are held a few at a time. Rows that are to stay in place are noted in the scene.
pub(super) fn judge(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    ends: Vec<Change>,
) -> Result<(Vec<Judged>, Vec<Change>), StoreError> {
    let chains = Chain::read(sql, scene.run.seq, ends)?;
    let mut rows = Vec::with_capacity(chains.len());
    for chain in chains {
        let layout = scene.layout(sql, chain.last().unwrap_or(chain.newest()))?;
        let newest = chain.newest();
        let record = match &newest.identity {
            Some((entity, source)) => Some((scene.entity(sql, *entity)?, source.clone())),
            None => None,
        };
        let finding = Finding {
            seq: newest.seq,
            table: layout.table.name.clone(),
            key: chain.last().unwrap_or(newest).target.clone(),
            action: chain.first().unwrap_or(newest).action,
            record,
            verdict: Verdict::Reversible,
            overwritten: vec![],
            detached: vec![],
        };
        rows.push(Judged {
            finding,
            chain,
            layout,
            present: None,
            children: vec![],
        });
    }
    let rest = match fetch(sql, &mut rows)? {
        Some(cut) => rows.split_off(cut),
        None => vec![],
    };
    let rest = rest
        .into_iter()
        .map(|row| row.chain.into_newest())
        .collect();
    let groups = groups(&rows);
    let later = later_runs(sql, scene, &rows)?;
    for (row, later) in rows.iter_mut().zip(later) {
        row.finding.verdict = match later {
            Some(later) => later,
            None => columns(sql, row)?,
        };
    }
    recognised(sql, scene, &mut rows, &groups)?;
    let (mut ties, mut barriers) = surroundings(sql, scene, &rows, &groups)?;
    let touched = touched(sql, scene, &rows, &groups, |place| {
        !(ties.get(place).is_none_or(Vec::is_empty)
            && barriers.get(place).is_none_or(Vec::is_empty))
    })?;
    for (place, row) in rows.iter_mut().enumerate() {
        if scene.choice.takes(&row.finding.verdict) {
            let mut ties = ties.remove(&place).unwrap_or_default();
            let barriers = barriers.remove(&place).unwrap_or_default();
            let children = ties.iter_mut().map(|tie| std::mem::take(&mut tie.children));
            let children = children.flatten().collect();
            if let Some(verdict) = in_the_way(scene, ties, barriers) {
                row.finding.verdict = verdict;
            } else {
                row.detach(children);
            }
        }
        let as_left = matches!(
            row.finding.verdict,
            Verdict::Reversible | Verdict::LaterRun(_)
        );
        if let (false, Some(run)) = (as_left, touched.get(&place)) {
            row.finding.verdict = of_later(sql, *run)?;
        }
        if scene.choice.takes(&row.finding.verdict) {
            for seq in row.chain.seqs() {
                scene.kept.remove(&seq);
            }
        } else {
            scene.kept.extend(row.chain.seqs());
        }
    }
    Ok((rows, rest))
}

/// The places of rows that lie in the same layout.
fn groups(rows: &[Judged]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        groups
            .entry(Rc::as_ptr(&row.layout) as usize)
            .or_default()
            .push(place);
    }
    groups.into_values().collect()
}

/// Reads the rows, and returns the place of the first one that is not read any more.
fn fetch(sql: &mut dyn Sql, rows: &mut [Judged]) -> Result<Option<usize>, StoreError> {
    let mut cut = None;
    for group in groups(rows) {
        let touched: Vec<usize> = group
            .iter()
            .copied()
            .filter(|place| rows[*place].chain.last().is_some())
            .collect();
        let Some(first) = touched.first() else {
            continue;
        };
        let layout = Rc::clone(&rows[*first].layout);
        let keys: Vec<Vec<Cell>> = touched
            .iter()
            .map(|place| rows[*place].finding.key.0.clone())
            .collect();
        let found = sql.fetch_some(&layout.table, &layout.key, &keys)?;
        cut = cut
            .into_iter()
            .chain(touched.get(found.len()).copied())
            .min();
        for (place, found) in touched.into_iter().zip(found) {
            rows[place].present = found.into_iter().next();
        }
    }
    Ok(cut)
}

/// For each row the verdict where a later run has its record in the id map now.
fn later_runs(
    sql: &mut dyn Sql,
    scene: &Scene,
    rows: &[Judged],
) -> Result<Vec<Option<Verdict>>, StoreError> {
    let mut later = vec![None; rows.len()];
    if !scene.later {
        return Ok(later);
    }
    let mut entities: BTreeMap<i64, Vec<(usize, &str)>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        if let Some((entity, source)) = &row.chain.newest().identity {
            entities.entry(*entity).or_default().push((place, source));
        }
    }
    let mut verdicts: HashMap<i64, Verdict> = HashMap::new();
    for (entity, wanted) in entities {
        let keys: Vec<&str> = wanted.iter().map(|(_, source)| *source).collect();
        for ((place, _), entry) in wanted.iter().zip(sql.entries(entity, &keys)?) {
            let Some(entry) = entry.filter(|entry| entry.run > scene.run.seq) else {
                continue;
            };
            let verdict = match verdicts.entry(entry.run) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(of_later(sql, entry.run)?),
            };
            let verdict = verdict.clone();
            let rolled_back = matches!(verdict, Verdict::BuiltOn(_));
            if !rolled_back || ledger::stays(sql, entry.run, entry.seq)? {
                later[*place] = Some(verdict);
            }
        }
    }
    Ok(later)
}

/// Keeps rows that the run inserted, and that a later run of another system took for records of its own: they would
/// be deleted under these.
fn recognised(
    sql: &mut dyn Sql,
    scene: &Scene,
    rows: &mut [Judged],
    groups: &[Vec<usize>],
) -> Result<(), StoreError> {
    for group in groups.iter().filter(|_| scene.later) {
        let inserted = |place: &usize| {
            let row = &rows[*place];
            let first = row.chain.first().map(|change| change.action);
            first == Some(Action::Insert) && row.finding.verdict == Verdict::Reversible
        };
        let places: Vec<usize> = group.iter().copied().filter(inserted).collect();
        let Some(any) = places.first() else { continue };
        let table = &Rc::clone(&rows[*any].layout).table;
        let keys: Vec<Key> = places
            .iter()
            .map(|place| rows[*place].finding.key.clone())
            .collect();
        for claim in ledger::claims_of_others(sql, &scene.run.system, table)? {
            for (place, entry) in places.iter().zip(sql.claims(claim, &keys)?) {
                if let Some(entry) = entry.filter(|entry| !entry.gone && entry.run > scene.run.seq)
                {
                    rows[*place].finding.verdict = of_later(sql, entry.run)?;
                }
            }
        }
    }
    Ok(())
}

/// The later runs that touched rows which are not, or may turn out not to be, as this run left them.
fn touched(
    sql: &mut dyn Sql,
    scene: &Scene,
    rows: &[Judged],
    groups: &[Vec<usize>],
    in_the_way: impl Fn(&usize) -> bool,
) -> Result<HashMap<usize, i64>, StoreError> {
    let mut touched = HashMap::new();
    for group in groups.iter().filter(|_| scene.later) {
        let doubtful = |place: &&usize| match rows[**place].finding.verdict {
            Verdict::LaterRun(_) => false,
            Verdict::Reversible => in_the_way(place),
            _ => true,
        };
        let places: Vec<usize> = group.iter().filter(doubtful).copied().collect();
        let Some(any) = places.first() else { continue };
        let keys: Vec<&Key> = places
            .iter()
            .map(|place| &rows[*place].finding.key)
            .collect();
        let runs = ledger::later_touches(sql, scene.run.seq, &rows[*any].layout.table, &keys)?;
        let found = places.into_iter().zip(runs);
        touched.extend(found.filter_map(|(place, run)| Some((place, run?))));
    }
    Ok(touched)
}

/// What keeps a row from going back that a later run touched: the run as a whole, or the change that its
/// rollback left in place.
pub(super) fn of_later(sql: &mut dyn Sql, run: i64) -> Result<Verdict, StoreError> {
    let runs = "SELECT id, status FROM ledger.runs WHERE seq = ?1";
    let rows = sql.query(runs, &[run.into()])?;
    let texts = rows.first().map(|row| (row[0].text(), row[1].text()));
    let Some((Some(id), Some(status))) = texts else {
        return Err(StoreError::damaged(format!("run {run} is missing")));
    };
    if status == RunStatus::RolledBack.word() {
        let what = format!("what run {id} wrote to it later, which its rollback left in place");
        return Ok(Verdict::BuiltOn(vec![what]));
    }
    Ok(Verdict::LaterRun(id.to_owned()))
}

/// The row itself against what the run left, and against what it was before.
fn columns(sql: &dyn Sql, row: &mut Judged) -> Result<Verdict, StoreError> {
    let Some(last) = row.chain.last() else {
        return Ok(Verdict::Reversible);
    };
    Ok(match (last.action, &row.present) {
        (Action::Delete, None) => Verdict::Reversible,
        // Others put it back.
        (Action::Delete, Some(present)) if is_as_before(row, present) => Verdict::AsBefore,
        (Action::Delete, Some(present)) if row.layout.hash(present) == last.hash => {
            Verdict::Reversible
        }
        (Action::Delete, Some(_)) => {
            Verdict::PlaceTaken(format!("there is a row {} again", row.finding.key))
        }
        (_, None) => Verdict::Gone,
        (Action::Keep, Some(_)) => Verdict::Marked,
        (Action::Insert, Some(present))
            if row.chain.changes.len() == 1 && row.layout.hash(present) == last.hash =>
        {
            Verdict::Reversible
        }
        (_, Some(present)) => {
            let changed = changed(sql, &row.chain, &row.layout, present)?;
            let updated = row
                .chain
                .first()
                .is_some_and(|first| first.action == Action::Update);
            row.finding.overwritten = changed.overwritten;
            if !changed.conflicts.is_empty() {
                Verdict::Changed(changed.conflicts)
            } else if updated && to_write(row, Some(present))?.is_empty() {
                Verdict::AsBefore
            } else {
                Verdict::Reversible
            }
        }
    })
}

type ByPlace<T> = HashMap<usize, Vec<T>>;

/// What refers to the rows that go, and what is in the way of those that come back.
fn surroundings(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    rows: &[Judged],
    groups: &[Vec<usize>],
) -> Result<(ByPlace<Tie>, ByPlace<Obstacle>), StoreError> {
    let (mut ties, mut barriers) = (HashMap::new(), HashMap::new());
    for group in groups {
        let (mut going, mut leaving) = (Vec::new(), Vec::new());
        let (mut coming, mut restored_rows) = (Vec::new(), Vec::new());
        for place in group {
            let row = &rows[*place];
            let (Some(first), true) = (row.chain.first(), scene.choice.takes(&row.finding.verdict))
            else {
                continue;
            };
            match (first.action, &row.present) {
                (Action::Insert, Some(present)) => {
                    going.push(*place);
                    leaving.push(present);
                }
                (Action::Update | Action::Delete, present)
                    if !matches!(row.finding.verdict, Verdict::Gone | Verdict::AsBefore) =>
                {
                    coming.push(*place);
                    restored_rows.push(as_it_was(row, present.as_ref())?);
                }
                _ => {}
            }
        }
        let Some(any) = group.first() else { continue };
        let layout = Rc::clone(&rows[*any].layout);
        ties.extend(
            going
                .into_iter()
                .zip(referring(sql, scene, &layout, &leaving)?),
        );
        barriers.extend(
            coming
                .into_iter()
                .zip(obstacles(sql, scene, &layout, &restored_rows)?),
        );
    }
    Ok((ties, barriers))
}

/// Tells whether a row is as a whole what it was before the run.
fn is_as_before(row: &Judged, present: &Row) -> bool {
    let was_there = |first: &&Change| matches!(first.action, Action::Update | Action::Delete);
    let first = row.chain.first().filter(was_there);
    first.is_some_and(|first| row.layout.hash(present) == first.hash)
}

/// The cells to write so that the whole chain is undone.
fn to_write(row: &Judged, present: Option<&Row>) -> Result<Vec<(usize, Cell)>, StoreError> {
    let formers = row.layout.formers(row.chain.images())?;
    Ok(restored(&row.layout, formers, present))
}

/// The row that undoing the whole chain gives.
fn as_it_was(row: &Judged, present: Option<&Row>) -> Result<Restored, StoreError> {
    let layout = &row.layout;
    let cells = to_write(row, present)?;
    let mut whole = present
        .cloned()
        .unwrap_or_else(|| vec![Cell::Null; layout.table.columns.len()]);
    let columns = cells.iter().map(|(place, _)| *place).collect();
    for (place, cell) in cells {
        whole[place] = cell;
    }
    Ok(Restored {
        row: whole,
        columns,
        own: present.map(|row| -> Key { layout.key_of(row) }),
    })
}

/// What is in the way, now that it is known which rows stay in place.
fn in_the_way(scene: &Scene, ties: Vec<Tie>, barriers: Vec<Obstacle>) -> Option<Verdict> {
    let stays = |seq: &i64| scene.kept.contains(seq);
    let count =
        |tie: &Tie| tie.stays + tie.unless_kept.iter().filter(|seq| stays(seq)).count() as u64;
    let dependents: Vec<Dependents> = ties
        .into_iter()
        .map(|tie| Dependents {
            count: count(&tie),
            table: tie.table,
            columns: tie.columns,
            on_delete: tie.on_delete,
        })
        .filter(|dependents| dependents.count > 0)
        .collect();
    if !dependents.is_empty() {
        return Some(Verdict::DependedOn(dependents));
    }
    let barriers: Vec<String> = barriers
        .into_iter()
        .filter(|barrier| barrier.unless_kept.as_ref().is_none_or(stays))
        .map(|barrier| barrier.why)
        .collect();
    (!barriers.is_empty()).then(|| Verdict::PlaceTaken(barriers.join("; ")))
}
