//! Draws a world: entities with their tables, rows and records, and whatever else a plan can hold.

use std::collections::BTreeMap;

use serde_json::Map;
use tests::Target;

use crate::dice::Dice;
use crate::world::{Entity, Format, Id, Matching, Options, Rules, World};
use crate::{columns, rows};

/// Names as people give them to tables.
const TABLES: [&str; 6] = ["member", "Order", "a table", "größe", "group", "x\"y"];
/// Draws the world of a round.
pub fn world(target: Target, round: u64) -> World {
    let mut dice = Dice::of(round);
    let dice = &mut dice;
    let mut world = World {
        target,
        entities: vec![],
        plan: Map::new(),
        setup: vec![],
        sources: [BTreeMap::new(), BTreeMap::new()],
        rules: Rules::default(),
        options: Options::default(),
        schema: "public",
        qualified: false,
    };
    if target == Target::Postgres && dice.chance(50) {
        world.schema = "club";
        world.qualified = dice.chance(50);
        if !world.qualified {
            world.options.query = "?schema=club".into();
        }
    }
    world.rules.schema = world.schema;
    let count = 1 + dice.below(3);
    for place in 0..count {
        let entity = entity(&world, place, count, dice);
        world.entities.push(entity);
    }
    for place in 0..count {
        rows::numbers(&mut world, place, dice);
    }
    for place in 0..count {
        rows::records(&mut world, place, dice);
    }
    crate::schema::draw(&mut world, dice);
    crate::top::draw(&mut world, dice);
    crate::entities::draw(&mut world, dice);
    crate::extras::draw(&mut world, dice);
    crate::schema::look_alikes(&mut world, dice);
    world
}

fn entity(world: &World, place: usize, count: usize, dice: &mut Dice) -> Entity {
    let id = dice.one_of([Id::None, Id::Uuid, Id::Key, Id::Target]);
    let matching = match id {
        Id::None => Matching::Code,
        _ => dice.one_of([
            Matching::No,
            Matching::Code,
            Matching::Code,
            Matching::Alias,
            Matching::Via,
        ]),
    };
    let mut entity = Entity {
        name: format!("e{place}"),
        table: TABLES[(place * 2 + dice.below(2)) % TABLES.len()].to_owned(),
        id,
        matching,
        on_match: dice.one_of(["update", "update", "skip", "fail"]),
        columns: vec![],
        format: dice.one_of([
            Format::Csv {
                delimiter: ',',
                western: false,
            },
            Format::Csv {
                delimiter: ';',
                western: false,
            },
            Format::Csv {
                delimiter: '\t',
                western: true,
            },
            Format::Json {
                items: false,
                lines: false,
            },
            Format::Json {
                items: true,
                lines: false,
            },
            Format::Json {
                items: false,
                lines: true,
            },
            Format::Markdown,
        ]),
        by_op: false,
        parted: false,
        before: vec![],
        records: [vec![], vec![]],
    };
    columns::draw(world, place, count, &mut entity, dice);
    entity
}
