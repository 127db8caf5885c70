//! References of others to rows that go, set NULL where their foreign key says so itself. Each is a change
//! of the run in the ledger, behind those of apply: what was there is not lost.

use std::rc::Rc;

use super::scene::Scene;
use super::verdict::Detached;
use crate::cell::row_hash;
use crate::ledger::{self, Action, Change, Run, Statement};
use crate::{Cell, Engine, ForeignKey, Image, Key, Row, Sql, StoreError, Table};

/// How many changes are read at a time.
const PAGE: usize = 1000;

/// A foreign key that sets its columns NULL, and how the rows that it is of are told apart.
#[derive(Debug)]
pub(super) struct Link {
    of: Rc<Reference>,
}

/// The columns of a reference, in their table.
#[derive(Debug)]
struct Reference {
    table: Table,
    /// The columns that tell the table's rows apart.
    key: Vec<usize>,
    /// By which it refers.
    columns: Vec<usize>,
    /// Those of them that are set NULL.
    sets: Vec<usize>,
}

/// A row that refers to one that goes.
#[derive(Debug, Clone)]
pub(super) struct Child {
    of: Rc<Reference>,
    key: Key,
    /// Of all columns by which it refers.
    values: Vec<Cell>,
}

impl Link {
    /// Makes it for a foreign key, if detaching was asked for, the key itself says `SET NULL`, and the
    /// login may do so.
    pub fn new(
        sql: &mut dyn Sql,
        scene: &Scene,
        table: &Table,
        foreign: &ForeignKey,
    ) -> Result<Option<Self>, StoreError> {
        let free = |place: &usize| {
            let column = &table.columns[*place];
            !column.not_null && !column.generated
        };
        let Some(key) = table.whole_key() else {
            return Ok(None);
        };
        let wanted = scene.choice.detach && foreign.on_delete.eq_ignore_ascii_case("SET NULL");
        let sets = &foreign.on_delete_sets;
        if !wanted
            || sets.is_empty()
            || !sets.iter().all(free)
            || sets.iter().any(|place| key.contains(place))
            || !sql.lacks(Some((table, sets)))?.is_empty()
        {
            return Ok(None);
        }
        let of = Reference {
            key: key.clone(),
            columns: foreign.columns.clone(),
            sets: sets.clone(),
            table: table.clone(),
        };
        Ok(Some(Self { of: Rc::new(of) }))
    }

    /// Parts rows that refer to one that goes: those to be detached, and how many a later run wrote, which
    /// must be rolled back first.
    pub fn children(
        &self,
        sql: &mut dyn Sql,
        scene: &Scene,
        rows: &[&Row],
    ) -> Result<(Vec<Child>, u64), StoreError> {
        let of = |places: &[usize], row: &Row| -> Vec<Cell> {
            places.iter().map(|place| row[*place].clone()).collect()
        };
        let child = |row: &&Row| Child {
            of: Rc::clone(&self.of),
            key: Key(of(&self.of.key, row)),
            values: of(&self.of.columns, row),
        };
        let mut children: Vec<Child> = rows.iter().map(child).collect();
        let all = children.len();
        if scene.later {
            let keys: Vec<&Key> = children.iter().map(|child| &child.key).collect();
            let later = ledger::later_touches(sql, scene.run.seq, &self.of.table, &keys)?;
            let mut later = later.iter();
            children.retain(|_| later.next().is_none_or(Option::is_none));
        }
        let tied = (all - children.len()) as u64;
        Ok((children, tied))
    }
}

impl Child {
    pub fn detached(&self) -> Detached {
        let of = &self.of;
        let held = of.columns.iter().zip(&self.values);
        let set = held.filter(|(place, _)| of.sets.contains(place));
        let named = |(place, value): (&usize, &Cell)| {
            let name = of.table.columns[*place].name.clone();
            (name, value.clone())
        };
        Detached {
            table: of.table.name.clone(),
            key: self.key.clone(),
            columns: set.map(named).collect(),
        }
    }
}

/// Sets references NULL, each looked at once more under its lock, and notes what was there.
pub(super) fn detach<E: Engine>(
    engine: &mut E,
    run: &Run,
    children: &[&Child],
) -> Result<(), StoreError> {
    let mut children = children.to_vec();
    children.sort_by_key(|child| Rc::as_ptr(&child.of) as usize);
    // A row with several references is read again for each of them.
    for group in children.chunk_by(|a, b| Rc::ptr_eq(&a.of, &b.of)) {
        let Some(first) = group.first() else { continue };
        let of = Rc::clone(&first.of);
        let keys: Vec<Vec<Cell>> = group.iter().map(|child| child.key.0.clone()).collect();
        let found = engine.fetch(&of.table, &of.key, &keys)?;
        let mut before: Vec<(Key, Row)> = Vec::new();
        for (child, found) in group.iter().zip(found) {
            let refers = |row: &Row| {
                let mut pairs = of.columns.iter().zip(&child.values);
                pairs.all(|(place, value)| row[*place] == *value)
            };
            let row = found.into_iter().next().filter(refers);
            before.extend(row.map(|row| (child.key.clone(), row)));
        }
        let null = |key: &Key| {
            let cells = of.sets.iter().map(|place| (*place, Cell::Null));
            (key.clone(), cells.collect())
        };
        let updates: Vec<(Key, Vec<(usize, Cell)>)> =
            before.iter().map(|(key, _)| null(key)).collect();
        engine.update(&of.table, &of.key, &updates, false)?;
        note(engine, run, &of, before)?;
    }
    Ok(())
}

/// Notes in the ledger what rows held whose reference was set NULL.
fn note<E: Engine>(
    engine: &mut E,
    run: &Run,
    of: &Reference,
    before: Vec<(Key, Row)>,
) -> Result<(), StoreError> {
    if before.is_empty() {
        return Ok(());
    }
    let keys: Vec<Vec<Cell>> = before.iter().map(|(key, _)| key.0.clone()).collect();
    let found = engine.fetch(&of.table, &of.key, &keys)?;
    let shape = ledger::shape_id(engine, &ledger::Shape::of(&of.table, &of.key))?;
    let mut seq = last_seq(engine, run)?;
    let mut changes = Vec::with_capacity(before.len());
    let targets: Vec<&Key> = before.iter().map(|(key, _)| key).collect();
    let earlier = earlier(engine, run, shape, &targets)?;
    let mut followed = Vec::new();
    for (((key, before), found), earlier) in before.into_iter().zip(found).zip(earlier) {
        let after = found.into_iter().next();
        let is_null = |row: &Row| of.sets.iter().all(|place| row[*place].is_null());
        let Some(after) = after.filter(is_null) else {
            let message = format!("a trigger of {} keeps row {key} as it is", of.table.name);
            return Err(StoreError::constraint(message));
        };
        seq += 1;
        let mut change = Change::new(seq, 0, shape, Action::Detach, key);
        let cells = before.iter().zip(&after).enumerate();
        let differing = cells.filter(|(place, (was, is))| was != is || of.sets.contains(place));
        change.before = Image(
            differing
                .map(|(place, (was, _))| (place, was.clone()))
                .collect(),
        );
        change.after = Image(of.sets.iter().map(|place| (*place, Cell::Null)).collect());
        change.hash = row_hash(run.format, &before);
        change.earlier = earlier;
        followed.extend(earlier.map(|earlier| (earlier, seq)));
        changes.push(change);
    }
    engine.supersede(run.seq, &followed)?;
    engine.put_changes(run.seq, &changes)
}

/// Returns, for each row, the newest change by which this rollback set another reference of it NULL.
fn earlier(
    sql: &mut dyn Sql,
    run: &Run,
    shape: i64,
    rows: &[&Key],
) -> Result<Vec<Option<i64>>, StoreError> {
    let mut found = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(PAGE) {
        let targets: Vec<Cell> = chunk.iter().map(|key| sql.target_cell(key)).collect();
        let statement = Statement::from(
            "SELECT target, MAX(seq) FROM ledger.changes WHERE run = ?1 AND seq > ?2 AND shape = ?3 AND target IN (",
        );
        let statement = statement.places(4, targets.len()) + ") GROUP BY target";
        let mut params: Vec<Cell> = vec![run.seq.into(), run.last_seq.into(), shape.into()];
        params.extend(targets.iter().cloned());
        let known = sql.query_made(&statement, &params)?;
        for target in targets {
            let row = known.iter().find(|row| row[0] == target);
            found.push(row.and_then(|row| row[1].int()));
        }
    }
    Ok(found)
}

/// The highest sequence among the run's changes, those of its rollback with them.
fn last_seq(sql: &mut dyn Sql, run: &Run) -> Result<i64, StoreError> {
    let statement = "SELECT MAX(seq) FROM ledger.changes WHERE run = ?1";
    let rows = sql.query(statement, &[run.seq.into()])?;
    let seq = rows.first().and_then(|row| row[0].int());
    Ok(seq.unwrap_or(run.last_seq).max(run.last_seq))
}

/// Hands on what a rollback of a run detached, newest first.
///
/// # Errors
///
/// What `each` returned, or what the target said.
pub fn page<E: From<StoreError>>(
    sql: &mut dyn Sql,
    run: &Run,
    each: &mut dyn FnMut(Detached) -> Result<(), E>,
) -> Result<(), E> {
    let mut before = i64::MAX;
    loop {
        let page = ledger::page_changes(sql, run.seq, before, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        before = last.seq;
        for change in page {
            if change.seq <= run.last_seq {
                return Ok(());
            }
            if change.action == Action::Detach {
                each(of_change(sql, &change)?)?;
            }
        }
    }
}

fn of_change(sql: &mut dyn Sql, change: &Change) -> Result<Detached, StoreError> {
    let shape = ledger::shape_of(sql, change.shape)?;
    let mut columns = Vec::new();
    for (place, _) in &change.after.0 {
        let (Some(name), Some(cell)) = (shape.columns.get(*place), change.before.get(*place))
        else {
            return Err(StoreError::damaged(format!(
                "change {} does not read",
                change.seq
            )));
        };
        columns.push((name.clone(), cell.clone()));
    }
    Ok(Detached {
        table: shape.table,
        key: change.target.clone(),
        columns,
    })
}
