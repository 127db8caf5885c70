//! What a plan says beside its entities: limits, retention, environments, maps, hooks.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::world::World;

/// Draws it.
pub fn draw(world: &mut World, dice: &mut Dice) {
    world.plan.insert("name".into(), json!("a plan"));
    world
        .plan
        .insert("system".into(), json!(dice.pick(&["old", "a b/c"])));
    if dice.chance(50) {
        world
            .plan
            .insert("zone".into(), json!("America/Los_Angeles"));
    } else {
        world.plan.insert("zone".into(), json!("UTC"));
    }
    limits(world, dice);
    environments(world, dice);
    maps(world);
}

fn limits(world: &mut World, dice: &mut Dice) {
    let limits = [
        ("reject_warn", json!(5)),
        ("reject_fail", json!(100)),
        ("change_rows", json!(1000)),
        ("change_percent", json!(100)),
        ("delete_rows", json!(1000)),
        ("delete_percent", json!(100.0)),
        ("failed_percent", json!(100)),
        ("run_seconds", json!(600)),
        ("process_mib", json!(4096)),
        ("system_memory_percent", json!(99.9)),
    ];
    let retention = [
        ("window_days", json!(dice.below(2))),
        ("snapshot_days", json!(3)),
        ("dry_run_days", json!(1)),
    ];
    for (name, keys) in [("limits", &limits[..]), ("retention", &retention)] {
        let mut said = serde_json::Map::new();
        for (key, value) in keys {
            if dice.chance(40) {
                said.insert((*key).into(), value.clone());
            }
        }
        if said.get("window_days") == Some(&json!(0)) {
            world.options.rollback.push("--outside-window".into());
        }
        if !said.is_empty() {
            world.plan.insert(name.into(), Value::Object(said));
        }
    }
    world.options.apply.extend([
        "--batch-size".into(),
        dice.one_of(["1", "2", "3", "5", "50"]).into(),
    ]);
    world.options.apply.extend([
        "--commit-every".into(),
        dice.one_of(["0", "0", "100"]).into(),
    ]);
    if dice.chance(30) {
        world.options.apply.push("--continue-on-error".into());
    }
    if dice.chance(20) {
        world.options.apply.push("--on-error=record".into());
    }
    if dice.chance(20) {
        world.options.apply.push("--fingerprint".into());
    }
}

fn environments(world: &mut World, dice: &mut Dice) {
    if !dice.chance(30) {
        return;
    }
    world.add("environment", json!({"name": "elsewhere", "match": ["sqlite:/nowhere/*", "postgres://nowhere/*"], "production": true}));
    let mut here = json!({"name": "here", "match": ["sqlite:*t.db", "postgres://*"]});
    if dice.chance(50) {
        here["production"] = json!(true);
        for options in [&mut world.options.apply, &mut world.options.rollback] {
            options.extend(["--allow-production".into(), "here".into()]);
        }
    }
    world.add("environment", here);
}

/// Maps, of which those that no field uses are left out.
fn maps(world: &mut World) {
    let maps = json!({
        "level": {"values": {"new": "NEW", "old": "OLD"}, "fold": true, "ignore": {"staff": "they are not meant"}},
        "rank": {"values": {"FIRST": 1, "second": 2}},
        "tone": {"values": {"dark": "dk", "light": "lt"}},
    });
    let fields = || {
        world
            .entities
            .iter()
            .flat_map(|entity| &entity.columns)
            .filter_map(|column| column.field.as_ref())
    };
    let used = |name: &str| fields().any(|field| field["map"] == name);
    let maps: serde_json::Map<String, Value> = maps
        .as_object()
        .unwrap()
        .clone()
        .into_iter()
        .filter(|(name, _)| used(name))
        .collect();
    let looks = fields().any(|field| field.get("lookup").is_some());
    if !maps.is_empty() {
        world.plan.insert("map".into(), Value::Object(maps));
    }
    if looks {
        let table = world.table("shade");
        let key = world.either("INTEGER", "bigint");
        world.setup.push(format!(
            "CREATE TABLE {table} (id {key} PRIMARY KEY, code text NOT NULL UNIQUE, label text)"
        ));
        world.setup.push(format!(
            "INSERT INTO {table} VALUES (1, 'dk', 'Dark'), (2, 'lt', 'Light'), (3, 'no', 'None')"
        ));
    }
}
