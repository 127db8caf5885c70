//! Columns and tables that the run added: may they go, with what they hold now?

use contract::talk::counted;

use super::judge::of_later;
use super::scene::Scene;
use super::ties::{Fate, fates};
use super::verdict::{Finding, Values, Verdict};
use crate::additions::{drop_statement, resting};
use crate::ledger::{self, Action, Added, Change, Shape, Statement};
use crate::{Cell, Engine, Key, Row, Sql, StoreError, Table};

/// How many rows are read at a time.
const PAGE: usize = 1000;

/// So many of the values that others put there are named.
const SOME: usize = 5;

/// Tells whether a change is no row's.
pub(super) fn is_one(change: &Change) -> bool {
    matches!(change.action, Action::Column | Action::Table)
}

/// Judges what the run added, as all is now. Where it is to stay, that is noted in the scene.
pub(super) fn judge(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    change: &Change,
) -> Result<Finding, StoreError> {
    let added = scene.added.iter().find(|added| added.seq == change.seq);
    let added = added
        .cloned()
        .ok_or_else(|| StoreError::damaged(format!("change {} does not read", change.seq)))?;
    let verdict = verdict(sql, scene, &added)?;
    if scene.choice.takes(&verdict) {
        scene.kept.remove(&change.seq);
    } else {
        scene.kept.insert(change.seq);
    }
    Ok(Finding {
        seq: change.seq,
        table: added.table,
        key: Key(added.column.map(Cell::Text).into_iter().collect()),
        action: change.action,
        record: None,
        verdict,
        overwritten: vec![],
        detached: vec![],
    })
}

fn verdict(sql: &mut dyn Sql, scene: &mut Scene, added: &Added) -> Result<Verdict, StoreError> {
    if !added.is_there(sql)? {
        return Ok(Verdict::Gone);
    }
    let Some(table) = added.live(sql)? else {
        return Ok(Verdict::Gone);
    };
    if scene.later
        && let Some(later) = later_run(sql, scene, &table)?
    {
        return Ok(later);
    }
    let mut built = sql.built_on(&added.table, added.column.as_deref())?;
    // What the run made and takes back itself is in nobody's way.
    let own = |what: &String| {
        let mine = |other: &Added| {
            other.column.is_none()
                && !scene.kept.contains(&other.seq)
                && *what == format!("table {}", other.table)
        };
        scene.added.iter().any(mine)
    };
    built.retain(|what| !own(what));
    if built.is_empty() && added.is_changed(sql)? {
        built.push("its definition was changed since".into());
    }
    match &added.column {
        None => {
            let (kept, others) = staying(sql, scene, &table, None, added)?;
            let count = kept + others.count;
            if count > 0 {
                let first = others.some.first();
                let first = first.map_or_else(String::new, |(key, _)| format!(", the first {key}"));
                built.push(format!("{} staying in it{first}", counted(count, "row")));
            }
        }
        Some(column) => {
            let (kept, others) = staying(sql, scene, &table, table.position(column), added)?;
            if kept > 0 {
                built.push(format!(
                    "{} kept with values of the run",
                    counted(kept, "row")
                ));
            } else if built.is_empty() && others.count > 0 {
                return Ok(Verdict::Values(others));
            } else if others.count > 0 {
                built.push(format!(
                    "{} to which others gave values",
                    counted(others.count, "row")
                ));
            }
        }
    }
    Ok(if built.is_empty() {
        Verdict::Reversible
    } else {
        Verdict::BuiltOn(built)
    })
}

/// The verdict where later runs wrote to the table: to take them back, its columns are needed.
fn later_run(
    sql: &mut dyn Sql,
    scene: &Scene,
    table: &Table,
) -> Result<Option<Verdict>, StoreError> {
    let statement = Statement::from(
        "SELECT MAX(c.run) FROM ledger.changes c JOIN ledger.runs r ON r.seq = c.run \
         WHERE c.run > ?1 AND c.shape IN (",
    );
    let statement =
        statement.list(scene.shapes_of(table)) + ") AND (r.status <> 'rolled-back' OR r.kept > 0)";
    let rows = sql.query_made(&statement, &[scene.run.seq.into()])?;
    let run = rows.first().and_then(|row| row[0].int());
    run.map(|run| of_later(sql, run)).transpose()
}

/// Counts the rows that stay in a table that is to go, or that will still hold another value than they
/// were given in a column that is to go: those of the run that are kept, and those of others.
fn staying(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    table: &Table,
    column: Option<usize>,
    added: &Added,
) -> Result<(u64, Values), StoreError> {
    let name = column.map(|place| table.columns[place].name.clone());
    let mut rest = rest(scene, table, name.as_deref());
    rest.push(added.initial.clone());
    let described = Described::read(sql, scene)?;
    // Without a key the rows can't be read in parts, nor did the run write any of them.
    let parts = table.whole_key();
    let key = parts
        .cloned()
        .unwrap_or_else(|| (0..table.columns.len()).collect());
    let mut kept = 0;
    let mut others = Values {
        count: 0,
        some: Vec::new(),
        secret: secret(scene, table, name.as_deref()),
    };
    let mut after: Option<Key> = None;
    loop {
        let page = match column {
            Some(column) => sql.unlike(table, column, &rest, &key, after.as_ref(), PAGE)?,
            None => sql.page(table, &key, after.as_ref(), PAGE)?,
        };
        let fates = fates(sql, scene, table, &page)?;
        for (row, fate) in page.iter().zip(fates) {
            let of_key = key_of(&key, row);
            let seq = match fate {
                Fate::Goes(seq) => Some(seq),
                Fate::Becomes(seq, cells) => {
                    let rests = |(place, cell): &(usize, Cell)| {
                        Some(*place) == column && rest.contains(cell)
                    };
                    cells.iter().any(rests).then_some(seq)
                }
                Fate::Stays => described
                    .iter()
                    .find(|described| described.is(table, row))
                    .map(|described| described.seq),
            };
            match seq {
                Some(seq) if scene.kept.contains(&seq) => kept += 1,
                Some(_) => {}
                None => {
                    others.count += 1;
                    if others.some.len() < SOME {
                        let cell = column.map_or(Cell::Null, |column| row[column].clone());
                        others.some.push((of_key, cell));
                    }
                }
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE && parts.is_some() => after = Some(key_of(&key, last)),
            _ => return Ok((kept, others)),
        }
    }
}

fn key_of(key: &[usize], row: &Row) -> Key {
    Key(key.iter().map(|place| row[*place].clone()).collect())
}

/// The values that rows have in the column where nobody gave them another.
fn rest(scene: &Scene, table: &Table, column: Option<&str>) -> Vec<Cell> {
    let this = |new: &&contract::plan::NewColumn| {
        new.table.eq_ignore_ascii_case(&table.name) && Some(new.column.as_str()) == column
    };
    let new = scene.plan.add.column.iter().find(this);
    new.map(resting).unwrap_or_default()
}

fn secret(scene: &Scene, table: &Table, column: Option<&str>) -> bool {
    let Some(column) = column else { return false };
    let fields = scene
        .plan
        .entity
        .iter()
        .filter(|entity| entity.table.eq_ignore_ascii_case(&table.name));
    fields
        .filter_map(|entity| entity.fields.get(column))
        .any(|field| field.secret)
}

/// The row that describes the run, which the id map does not know.
struct Described {
    shape: Shape,
    target: Key,
    seq: i64,
}

impl Described {
    fn read(sql: &mut dyn Sql, scene: &Scene) -> Result<Vec<Self>, StoreError> {
        let mut found = Vec::new();
        if scene.plan.metadata.is_none() {
            return Ok(found);
        }
        let statement = "SELECT shape, target, seq FROM ledger.changes WHERE run = ?1 AND entity IS NULL AND action = ?2";
        let params = [scene.run.seq.into(), (Action::Insert as i64).into()];
        for row in sql.query(statement, &params)? {
            if let (Some(shape), Some(seq)) = (row[0].int(), row[2].int()) {
                found.push(Self {
                    shape: ledger::shape_of(sql, shape)?,
                    target: Key::from_cell(row[1].clone())?,
                    seq,
                });
            }
        }
        Ok(found)
    }

    fn is(&self, table: &Table, row: &Row) -> bool {
        let holds = |(name, cell): (&String, &Cell)| {
            let place = table.position(name);
            place.is_some_and(|place| row[place] == *cell)
        };
        self.shape.is_of(table) && self.shape.key.iter().zip(&self.target.0).all(holds)
    }
}

/// Takes it away, and says why if the target refuses.
pub(super) fn take_away<E: Engine>(
    engine: &mut E,
    scene: &mut Scene,
    finding: &Finding,
) -> Result<Option<String>, StoreError> {
    if finding.verdict == Verdict::Gone {
        return Ok(None);
    }
    let column = finding.key.0.first().and_then(Cell::text);
    let statement = drop_statement(engine, &finding.table, column);
    engine.savepoint("away")?;
    match engine.alter(&statement) {
        Ok(()) => engine.release("away")?,
        Err(StoreError::Constraint { message, .. } | StoreError::Statement { message, .. }) => {
            engine.undo_to("away")?;
            return Ok(Some(message));
        }
        Err(error) => return Err(error),
    }
    scene.look_again();
    Ok(None)
}
