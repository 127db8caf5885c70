//! Draws the rows of before, and the records of both exports.

use crate::dice::Dice;
use crate::world::{Cell, Column, Fill, Format, Id, Row, World};

/// Draws the numbers of the rows of before and of the records of the first export.
pub fn numbers(world: &mut World, place: usize, dice: &mut Dice) {
    let refers = |to: &World| {
        let columns = to.entities.iter().flat_map(|other| &other.columns);
        let to = |column: &Column| matches!(column.fill, Fill::Ref { to, .. } if to == place);
        columns.filter(|column| to(column)).count() > 0
    };
    let referred = refers(world);
    let clash = dice.chance(8);
    world.options.may_fail |= clash;
    let entity = &mut world.entities[place];
    let percent = dice.one_of([0, 40, 80]);
    let rows = |numbers: Vec<usize>| {
        let row = |number| Row {
            number,
            cells: vec![],
            delete: false,
        };
        numbers.into_iter().map(row).collect::<Vec<_>>()
    };
    entity.before = rows(dice.some(0..10, percent));
    let range = if clash || entity.recognises() && entity.on_match != "fail" {
        5..14
    } else {
        11..18
    };
    entity.records[0] = rows(dice.some(range, 60));
    if entity.records[0].is_empty() {
        entity.records[0] = rows(vec![12]);
    }
    entity.parted =
        !referred && entity.id != Id::Key && entity.format != Format::Markdown && dice.chance(20);
    entity.by_op = !referred && entity.format != Format::Markdown && dice.chance(20);
}

/// Draws what the rows of before and the records of both exports hold.
pub fn records(world: &mut World, place: usize, dice: &mut Dice) {
    for at in 0..world.entities[place].before.len() {
        let number = world.entities[place].before[at].number;
        world.entities[place].before[at].cells = cells(world, place, number, None, dice);
    }
    for at in 0..world.entities[place].records[0].len() {
        let number = world.entities[place].records[0][at].number;
        world.entities[place].records[0][at].cells = cells(world, place, number, Some(0), dice);
    }
    // What must be in the export that refers to it.
    let needed = world.entities.iter().flat_map(|other| &other.columns);
    let needed = needed
        .filter(|column| matches!(column.fill, Fill::Ref { to, .. } if to == place))
        .any(|column| {
            column
                .field
                .as_ref()
                .is_some_and(|field| field.get("outside").is_none())
        });
    let by_op = world.entities[place].by_op;
    let mut second = vec![];
    for old in world.entities[place].records[0].clone() {
        let fate = dice.below(10);
        if fate == 0 && !needed {
            continue;
        }
        let mut new = old.clone();
        if fate > 3 {
            let other = cells(world, place, old.number, Some(1), dice);
            for (cell, other) in new.cells.iter_mut().zip(other) {
                if dice.chance(50) {
                    *cell = other;
                }
            }
        }
        new.delete = by_op && dice.chance(30);
        second.push(new);
    }
    for number in dice.some(20..24, 40) {
        let cells = cells(world, place, number, Some(1), dice);
        second.push(Row {
            number,
            cells,
            delete: false,
        });
    }
    world.entities[place].records[1] = second;
}

/// Draws the cells of a row of before (`export` none), or of a record of an export.
fn cells(
    world: &World,
    place: usize,
    number: usize,
    export: Option<usize>,
    dice: &mut Dice,
) -> Vec<Cell> {
    let entity = &world.entities[place];
    let mut cells = Vec::new();
    for column in &entity.columns {
        let empty = column.empty.is_some() && dice.chance(25);
        cells.push(match &column.fill {
            // A row of before has the name by which a record is to find it.
            Fill::Alias
                if export.is_none() || entity.before.iter().any(|row| row.number == number) =>
            {
                Cell::Sample(0)
            }
            Fill::Ref { to, .. } => {
                let other = &world.entities[*to];
                let known = if export.is_none() {
                    &other.before
                } else {
                    &other.records[0]
                };
                if empty || known.is_empty() {
                    Cell::Empty
                } else {
                    Cell::To(dice.pick(known).number)
                }
            }
            _ if empty => Cell::Empty,
            Fill::Kind(kind) => Cell::Sample(dice.below(kind.samples.len())),
            _ => Cell::Sample(0),
        });
    }
    cells
}
