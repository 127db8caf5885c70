//! What people do between a run and what comes after it, as statements that the database may refuse.

use std::collections::HashSet;

use crate::dice::Dice;
use crate::shell::named;
use crate::state::State;
use crate::world::{Column, Entity, Fill, Id, World};

/// Draws some edits of the tables of the entities.
pub fn draw(world: &World, state: &State, dice: &mut Dice) -> Vec<String> {
    (0..=dice.below(5))
        .filter_map(|number| edit(world, state, number, dice))
        .collect()
}

fn edit(world: &World, state: &State, number: usize, dice: &mut Dice) -> Option<String> {
    let entity = dice.pick(&world.entities);
    let rows = &state.tables[&world.place(&entity.table)];
    let table = world.table(&entity.table);
    if dice.chance(20) {
        return Some(insert(world, entity, state, number, dice));
    }
    let cells: Vec<&Vec<String>> = rows.cells.values().collect();
    if cells.is_empty() {
        return None;
    }
    let cells = *dice.pick(&cells);
    let own = rows
        .key
        .iter()
        .map(|place| format!("{} = {}", named(&rows.columns[*place]), cells[*place]));
    let own = own.collect::<Vec<_>>().join(" AND ");
    if dice.chance(25) {
        return Some(format!("DELETE FROM {table} WHERE {own}"));
    }
    let column = dice.pick(&entity.columns);
    let value = match &column.fill {
        Fill::Kind(kind) => dice.pick(&kind.samples).there.clone(),
        Fill::Ref { to, .. } => reference(world, *to, state, dice)?,
        Fill::Tag => world.either("'[\"mine\"]'", "'{mine}'").to_owned(),
        Fill::Part => return None,
        _ => format!("'edited{number}'"),
    };
    Some(format!(
        "UPDATE {table} SET {} = {value} WHERE {own}",
        named(&column.name)
    ))
}

/// Tells whether two rows of a table have one code.
pub fn shares_code(world: &World, state: &State) -> bool {
    world.entities.iter().any(|entity| {
        let rows = &state.tables[&world.place(&entity.table)];
        let code = |column: &&Column| matches!(column.fill, Fill::Code);
        let code = entity.columns.iter().find(code);
        let Some(place) = code.and_then(|column| rows.place(&column.name)) else {
            return false;
        };
        let mut seen = HashSet::new();
        !rows.cells.values().all(|cells| seen.insert(&cells[place]))
    })
}

/// The key of some row, as a literal.
fn reference(world: &World, to: usize, state: &State, dice: &mut Dice) -> Option<String> {
    let other = &world.entities[to];
    let rows = &state.tables[&world.place(&other.table)];
    let key = rows.place(other.key_column()?)?;
    let keys: Vec<&String> = rows.cells.values().map(|cells| &cells[key]).collect();
    let null = keys.is_empty() || dice.chance(20);
    Some(if null {
        "NULL".into()
    } else {
        (*dice.pick(&keys)).clone()
    })
}

fn insert(world: &World, entity: &Entity, state: &State, number: usize, dice: &mut Dice) -> String {
    let mut names = Vec::new();
    let mut values = Vec::new();
    match entity.id {
        Id::None | Id::Target => {}
        Id::Uuid => values.push(format!("'00000000-0000-0000-0000-0000000009{number:02}'")),
        Id::Key => values.push((900 + number).to_string()),
    }
    names.extend((!values.is_empty()).then(|| "id".to_owned()));
    for column in &entity.columns {
        let value = match &column.fill {
            // A code that a row of before may have had.
            Fill::Code => format!("'code{}'", dice.below(30)),
            Fill::Part => dice.below(3).to_string(),
            Fill::Kind(kind) => dice.pick(&kind.samples).there.clone(),
            Fill::Ref { to, .. } => match reference(world, *to, state, dice) {
                Some(value) => value,
                None => continue,
            },
            _ => continue,
        };
        names.push(named(&column.name));
        values.push(value);
    }
    format!(
        "INSERT INTO {} ({}) VALUES ({})",
        world.table(&entity.table),
        names.join(", "),
        values.join(", ")
    )
}
