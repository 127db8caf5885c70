//! What the plan says of the entities, and their sources.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::source;
use crate::world::{Entity, Fill, Id, Matching, World};

/// Draws the plan's entities and writes their sources.
pub fn draw(world: &mut World, dice: &mut Dice) {
    for place in 0..world.entities.len() {
        let entity = world.entities[place].clone();
        let mut said = Map::new();
        said.insert("name".into(), json!(entity.name));
        said.insert("table".into(), json!(world.called(&entity.table)));
        let from = match entity.id {
            Id::None => None,
            Id::Uuid => Some("uuid"),
            Id::Key => Some("key"),
            Id::Target => Some("target"),
        };
        if let Some(from) = from {
            said.insert("id".into(), json!({"column": "id", "from": from}));
        }
        recognise(world, &entity, &mut said);
        for (key, words) in [
            ("on_gone", ["fail", "recreate", "skip"]),
            ("on_drift", ["fail", "keep", "overwrite"]),
        ] {
            if dice.chance(60) {
                said.insert(key.into(), json!(dice.pick(&words)));
            }
        }
        if !entity.by_op && dice.chance(30) {
            said.insert("op".into(), json!("put"));
        }
        // The undo is not tried then; it is owed all the same.
        let table = json!([world.called(&entity.table)]);
        match dice.below(16) {
            0 => drop(said.insert("accept_no_undo".into(), table)),
            1 => drop(world.plan.insert("accept_no_undo".into(), table)),
            _ => {}
        }
        if entity.by_op {
            said.insert(
                "op".into(),
                json!({"from": "op", "values": {"+": "put", "-": "delete"}}),
            );
        }
        marks(world, &entity, &mut said, dice);
        let mut written = source::draw(&world.entities, &entity, dice);
        said.insert("source".into(), written.said.take());
        for (export, files) in written.files.into_iter().enumerate() {
            world.sources[export].extend(files);
        }
        let mut fields: Map<String, Value> = entity
            .columns
            .iter()
            .filter_map(|column| Some((column.name.clone(), column.field.clone()?)))
            .collect();
        for field in fields.values_mut() {
            if field.get("from").is_some()
                && field.get("type").is_none()
                && field.get("map").is_none()
                && dice.chance(20)
            {
                field["type"] = json!("text");
            }
        }
        for table in fields
            .values_mut()
            .filter_map(|field| field.pointer_mut("/lookup/table"))
        {
            *table = json!(world.called(table.as_str().unwrap()));
        }
        said.insert(
            "fields".into(),
            Value::Object(source::found(&entity, fields)),
        );
        world.add("entity", Value::Object(said));
        for mut added in entity
            .columns
            .iter()
            .filter_map(|column| column.added.clone())
        {
            added["table"] = json!(world.called(&entity.table));
            crate::additions::add(world, "column", added);
        }
        if dice.chance(30) {
            policy(world, &entity, dice);
        }
    }
}

fn recognise(world: &mut World, entity: &Entity, said: &mut Map<String, Value>) {
    let composite = entity
        .columns
        .iter()
        .any(|column| matches!(column.fill, Fill::Part));
    match entity.matching {
        Matching::Code if composite => said.insert("match".into(), json!(["code", "part"])),
        Matching::Code => {
            if entity.records[0].len().is_multiple_of(3) {
                said.insert("match_null".into(), json!("fail"));
            }
            said.insert("match".into(), json!(["code"]))
        }
        Matching::Alias => {
            said.insert("match_null".into(), json!("insert"));
            said.insert("match".into(), json!(["alias"]))
        }
        Matching::Via => {
            via(world, entity, said);
            None
        }
        Matching::No => None,
    };
    said.insert("on_match".into(), json!(entity.on_match));
}

/// A mapping table of the user's own, which knows the rows of before by the keys of their records.
fn via(world: &mut World, entity: &Entity, said: &mut Map<String, Value>) {
    let name = format!("{}_known", entity.name);
    let table = world.table(&name);
    let key = entity.key_type(world.target);
    world.setup.push(
        format!(
            "CREATE TABLE {table} (kind text, source text, row {key}, PRIMARY KEY (kind, source))"
        )
        .replace("row ", "\"row\" "),
    );
    let lines = entity.before.iter().map(|row| {
        format!(
            "INSERT INTO {table} VALUES ('{}', '{}', {})",
            entity.name,
            entity.source_key(row.number),
            entity.id_before(row.number)
        )
    });
    let lines: Vec<String> = lines.collect();
    world.setup.extend(lines);
    // What belongs to others.
    world.setup.push(format!(
        "INSERT INTO {table} VALUES ('other', '{}', NULL)",
        entity.source_key(5)
    ));
    let called = world.called(&name);
    said.insert(
        "via".into(),
        json!({"table": called, "key": "source", "target": "row", "where": {"kind": entity.name}}),
    );
}

/// Volatile columns, run-stamped ones and the tag.
fn marks(world: &mut World, entity: &Entity, said: &mut Map<String, Value>, dice: &mut Dice) {
    let place = world.place(&entity.table);
    for column in &entity.columns {
        match column.fill {
            Fill::Volatile => {
                said.insert("volatile".into(), json!([column.name]));
                world
                    .rules
                    .loose
                    .insert((place.clone(), column.name.clone()));
            }
            Fill::Stamp => {
                world
                    .rules
                    .loose
                    .insert((place.clone(), column.name.clone()));
            }
            _ if column.name == "tags" => {
                let (form, length) = dice.one_of([("simple", 36), ("hyphenated", 40)]);
                said.insert("tag".into(), json!({"column": column.name, "text": "run:{run}", "form": form, "max_length": length}));
                world
                    .rules
                    .tags
                    .insert((place.clone(), column.name.clone()));
            }
            _ => {}
        }
    }
}

fn policy(world: &mut World, entity: &Entity, dice: &mut Dice) {
    let (rule, level) = dice.pick(&[
        ("code.startsWith('code')", "reject"),
        ("has(code) && size(code) < 20", "reject"),
        ("code == 'code12'", "warn"),
    ]);
    // Where a record deletes its row there is no code.
    if !entity.by_op {
        world.add("policy", json!({"entity": entity.name, "rule": rule, "level": level, "message": "it can't be so"}));
    }
}

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A source: what the plan says of it, and its files in both exports.
pub struct Written {
    pub said: Value,
    pub files: [Files; 2],
}
