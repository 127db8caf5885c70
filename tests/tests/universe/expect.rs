//! What a run owes: the rows of its records as the sources say, and nothing else touched.

use tests::Target;

use crate::state::{Rows, State};
use crate::world::{Cell, Column, Entity, Fill, Row, World};

/// Checks what a run of an export left, where nobody else wrote in between.
pub fn check(world: &World, export: usize, before: &State, left: &State) -> Result<(), String> {
    for entity in &world.entities {
        let place = world.place(&entity.table);
        let (old, new) = (&before.tables[&place], &left.tables[&place]);
        let mut expected = old.cells.len();
        for record in &entity.records[export] {
            let (was, is) = (by_code(old, record.number), by_code(new, record.number));
            let problem = match (record.delete, was, is) {
                (true, was, is) => {
                    expected -= usize::from(was.is_some());
                    is.is_some().then(|| "is still there".into())
                }
                (false, _, None) => Some("is not there".into()),
                (false, was, Some(is)) => {
                    expected += usize::from(was.is_none());
                    differs(world, entity, record, was, (new, is), left)
                }
            };
            if let Some(problem) = problem {
                return Err(format!("{} code{}: {problem}", entity.table, record.number));
            }
        }
        if new.cells.len() != expected {
            return Err(format!(
                "{}: {} rows instead of {expected}",
                entity.table,
                new.cells.len()
            ));
        }
        for (key, cells) in &old.cells {
            let code = &cells[old.place("code").unwrap()];
            let of_a_record = entity.records[export]
                .iter()
                .any(|record| format!("'code{}'", record.number) == *code);
            if !of_a_record
                && projected(new, new.cells.get(key), &old.columns).as_ref() != Some(cells)
            {
                return Err(format!(
                    "{} {key:?}: no record is it, and it changed",
                    entity.table
                ));
            }
        }
    }
    Ok(())
}

/// The cells of some columns.
fn projected(table: &Rows, cells: Option<&Vec<String>>, columns: &[String]) -> Option<Vec<String>> {
    let cells = cells?;
    columns
        .iter()
        .map(|column| Some(cells[table.place(column)?].clone()))
        .collect()
}

fn by_code(table: &Rows, number: usize) -> Option<&Vec<String>> {
    let place = table.place("code")?;
    let code = format!("'code{number}'");
    table.cells.values().find(|cells| cells[place] == code)
}

/// What of a row is not as its record says.
fn differs(
    world: &World,
    entity: &Entity,
    record: &Row,
    was: Option<&Vec<String>>,
    (table, is): (&Rows, &Vec<String>),
    left: &State,
) -> Option<String> {
    let there_before = entity.before.iter().any(|row| row.number == record.number);
    let skipped = entity.on_match == "skip" && there_before;
    for (column, cell) in entity.columns.iter().zip(&record.cells) {
        if column.name == "tags" {
            continue;
        }
        let Some(place) = table.place(&column.name) else {
            return Some(format!("no column {}", column.name));
        };
        let expected = if skipped {
            was.and_then(|was| was.get(place).cloned())
        } else {
            value(world, entity, column, record.number, *cell, left).or_else(|| {
                Some(was?.get(place)?.clone()).filter(|_| is_untouched(entity, column, *cell))
            })
        };
        if expected
            .as_ref()
            .is_some_and(|expected| *expected != is[place])
        {
            return Some(format!(
                "{} is {}, not {}",
                column.name,
                is[place],
                expected.unwrap()
            ));
        }
    }
    None
}

fn is_untouched(entity: &Entity, column: &Column, cell: Cell) -> bool {
    let absent = column.empty == Some("absent") || entity.format == crate::world::Format::Markdown;
    matches!(column.fill, Fill::Theirs | Fill::Volatile) || (absent && cell == Cell::Empty)
}

/// What a record gives a column; none where it gives nothing, or what only the run knows.
fn value(
    world: &World,
    entity: &Entity,
    column: &Column,
    number: usize,
    cell: Cell,
    left: &State,
) -> Option<String> {
    match (&column.fill, cell) {
        (Fill::Code, _) => Some(format!("'code{number}'")),
        (Fill::Part, _) => Some(match world.target {
            Target::Sqlite => (number % 3).to_string(),
            Target::Postgres => format!("'{}'", number % 3),
        }),
        (Fill::Constant(there), _) => Some(there.clone()),
        (Fill::Shouted, _) => Some(format!("'code{number}!'")),
        (Fill::Alias, Cell::Sample(_)) => Some(format!("'alias{number}'")),
        (Fill::Kind(kind), Cell::Sample(sample)) => Some(kind.samples[sample].there.clone()),
        (Fill::Ref { to, .. }, Cell::To(number)) => {
            let other = &world.entities[*to];
            let table = &left.tables[&world.place(&other.table)];
            Some(by_code(table, number)?[table.place(other.key_column()?)?].clone())
        }
        (Fill::Kind(_) | Fill::Alias | Fill::Ref { .. }, Cell::Empty)
            if !is_untouched(entity, column, cell) =>
        {
            Some(
                if column.empty == Some("text") {
                    "''"
                } else {
                    "NULL"
                }
                .into(),
            )
        }
        _ => None,
    }
}

/// Checks that all is what it was before a run that nobody touched.
pub fn came_back(world: &World, before: &State, left: &State, after: &State) -> Result<(), String> {
    let rules = &world.rules;
    let mut after = after.clone();
    if let Some((name, column)) = &rules.keeps {
        let (old, is) = (&left.tables[name], after.tables.get_mut(name).unwrap());
        let place = is.place(column).unwrap();
        let before = &before.tables[name];
        for (key, cells) in &old.cells {
            if before.cells.contains_key(key) {
                continue;
            }
            is.rowids.remove(key);
            let marked = is
                .cells
                .remove(key)
                .ok_or_else(|| format!("{name} {key:?} is gone"))?;
            let same = marked
                .iter()
                .zip(cells)
                .enumerate()
                .all(|(at, (now, then))| at == place || now == then);
            let said = marked[place]
                .replace(' ', "")
                .contains("\"status\":\"rolled-back\"");
            if !same || !said {
                return Err(format!("{name}: {cells:?} became {marked:?}"));
            }
        }
    }
    let outside = |name: &str| rules.outside.contains(name);
    let (before, after) = (before.without(outside), after.without(outside));
    if before == after {
        return Ok(());
    }
    Err(format!(
        "it did not come back:\n{}",
        before.differences(&after)
    ))
}
