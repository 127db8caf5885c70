//! Tables and columns that a run adds.

use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::world::{Format, Id, World};

/// Adds an element to a list of `[add]`.
pub fn add(world: &mut World, list: &str, element: Value) {
    let lists = world
        .plan
        .entry("add")
        .or_insert_with(|| Value::Object(Map::new()));
    let lists = lists.as_object_mut().unwrap();
    let list = lists.entry(list).or_insert_with(|| json!([]));
    list.as_array_mut().unwrap().push(element);
}

/// A table that the run makes, of pairs, and the entity that fills it from the source of the first entity.
pub fn draw(world: &mut World, dice: &mut Dice) {
    let owner = world.entities[0].clone();
    let Some(key) = owner.key_column().filter(|_| dice.chance(25)) else {
        return;
    };
    if owner.format == Format::Markdown || owner.parted || owner.by_op {
        return;
    }
    let (table, parent) = (world.called("pairs"), world.called(&owner.table));
    let action = dice.one_of(["no_action", "cascade", "set_null"]);
    let uuid = world.either("TEXT", "uuid");
    let mut columns = json!({
        "id": {"type": uuid, "not_null": true},
        "label": {"type": "text", "not_null": true, "default": "none"},
        "owner": {"type": owner.key_type(world.target)},
    });
    if dice.chance(50) {
        columns["weight"] = json!({"type": "integer", "default": 1});
    }
    add(
        world,
        "table",
        json!({
            "table": table, "columns": columns, "primary_key": ["id"], "unique": [["label"]],
            "foreign_keys": [{"columns": ["owner"], "table": parent, "to": [key], "on_delete": action}],
        }),
    );
    let place = (world.place("pairs"), world.place(&owner.table));
    world
        .rules
        .refs
        .push([place.0.clone(), "owner".into(), place.1, key.to_owned()]);
    let mut source = world.plan["entity"][0]["source"].clone();
    source.as_object_mut().unwrap().remove("repeats");
    source["repeats"] = json!("merge");
    source["key"] = json!("key");
    let fields = json!({
        "label": {"from": "code", "required": true},
        "owner": {"from": "key", "ref": owner.name},
    });
    let id = if owner.id == Id::Key {
        "uuid"
    } else {
        dice.one_of(["uuid", "uuid"])
    };
    world.add("entity", json!({"name": "pair", "table": table, "id": {"column": "id", "from": id}, "source": source, "fields": fields}));
}
