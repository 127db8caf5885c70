//! Columns that refer to records, and one that the run adds.

use serde_json::json;
use tests::Target;

use crate::columns::plain;
use crate::dice::Dice;
use crate::kinds::{Kind, Sample};
use crate::world::{Column, Entity, Fill, World};

/// Columns that refer to records: of entities before it, or late of any.
pub fn references(world: &World, place: usize, count: usize, entity: &mut Entity, dice: &mut Dice) {
    for number in 0..dice.below(3) {
        let late = dice.chance(40);
        let to = if late {
            dice.below(count)
        } else if place > 0 {
            dice.below(place)
        } else {
            continue;
        };
        // An entity that is yet to come has an id.
        let (key, sql) = match world.entities.get(to) {
            Some(other) => (other.key_column(), other.key_type(world.target)),
            None if to == place => (entity.key_column(), entity.key_type(world.target)),
            None => (None, ""),
        };
        if key.is_none() {
            continue;
        }
        let mut field = json!({"from": format!("to{number}"), "ref": format!("e{to}")});
        if late {
            field["late"] = json!(true);
        }
        if dice.chance(50) {
            field["outside"] = json!("target");
        }
        let column = plain(&format!("to{number}"), sql, Fill::Ref { to }, Some(field));
        entity.columns.push(Column {
            empty: Some("null"),
            ..column
        });
    }
}

/// What a list column holds that gets the run's tag too.
pub fn tags(target: Target) -> Kind {
    let sample = |source: &str, lite: &str, server: &str| Sample {
        source: source.to_owned(),
        there: match target {
            Target::Sqlite => format!("'{lite}'"),
            Target::Postgres => format!("'{server}'"),
        },
    };
    Kind {
        field: json!({}),
        sql: String::new(),
        samples: vec![
            sample("old", "[\"old\"]", "{old}"),
            sample("a; b", "[\"a\",\"b\"]", "{a,b}"),
        ],
        text: false,
    }
}

/// A column that the run adds to the table.
pub fn addition(entity: &mut Entity, dice: &mut Dice) {
    let mut added = json!({"column": "added", "type": "text"});
    let (not_null, initial) = (dice.chance(50), dice.chance(50));
    if not_null || dice.chance(30) {
        added["not_null"] = json!(not_null);
        added["default"] = json!("d");
    }
    if initial {
        added["initial"] = json!("i");
    }
    let read = dice.chance(50);
    let field = read.then(|| json!({"from": "added", "empty": "absent"}));
    let sample = Sample {
        source: "new".into(),
        there: "'new'".into(),
    };
    let kind = Kind {
        field: json!({}),
        sql: "text".into(),
        samples: vec![sample],
        text: false,
    };
    let fill = if read { Fill::Kind(kind) } else { Fill::Theirs };
    let column = plain("added", "text", fill, field);
    entity.columns.push(Column {
        empty: read.then_some("absent"),
        added: Some(added),
        ..column
    });
}
