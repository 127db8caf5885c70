//! Entities of one purpose: one record an element of a list, and records that delete rows without identity.

use serde_json::json;

use crate::dice::Dice;
use crate::formats::csv;
use crate::world::World;

/// Draws them.
pub fn draw(world: &mut World, dice: &mut Dice) {
    if dice.chance(25) {
        labels(world, dice);
    }
    if dice.chance(25) {
        leavers(world, dice);
    }
    if dice.chance(20) {
        corrections(world, dice);
    }
}

/// Corrections of the id map alone: which row a record is; the second export exchanges two of them.
fn corrections(world: &mut World, dice: &mut Dice) {
    let table = world.table("fixed");
    let key = world.either("INTEGER", "bigint");
    world.setup.push(format!(
        "CREATE TABLE {table} (id {key} PRIMARY KEY, name text)"
    ));
    world.setup.push(format!(
        "INSERT INTO {table} VALUES (1, 'one'), (2, 'two'), (3, 'three')"
    ));
    let by_op = dice.chance(50);
    for (export, to) in [[1, 2, 3], [2, 1, 3]].into_iter().enumerate() {
        let header = ["key", "row", "op"].map(str::to_owned).to_vec();
        let lines = to
            .iter()
            .enumerate()
            .map(|(number, row)| vec![format!("C{number}"), row.to_string(), "move".to_owned()]);
        let text = csv(',', std::iter::once(header).chain(lines));
        world.sources[export].insert("fixed.csv".into(), text.into_bytes());
    }
    let op = if by_op {
        json!({"from": ["operation", "op"], "values": {"move": "remap", "keep": "put"}})
    } else {
        json!("remap")
    };
    let called = world.called("fixed");
    world.add(
        "entity",
        json!({
            "name": "fixed", "table": called, "id": {"column": "id", "from": "key"}, "op": op, "to": ["to", "row"],
            "source": {"format": "csv", "files": ["fixed.csv"], "key": "key"},
            "fields": {"name": {"from": "name"}},
        }),
    );
}

/// Labels, several in a cell or in a list of JSON.
fn labels(world: &mut World, dice: &mut Dice) {
    let split = dice.chance(50);
    let table = world.table("label");
    let (uuid, called) = (world.either("TEXT", "uuid"), world.called("label"));
    world.setup.push(format!(
        "CREATE TABLE {table} (id {uuid} PRIMARY KEY, owner text, label text, place integer)"
    ));
    for export in 0..2 {
        let owners: Vec<usize> = dice.some(1..5 + export, 70);
        let labels = |owner: usize| ["red", "blue", "it's"][..=(owner + export) % 3].to_vec();
        let (name, text) = if split {
            let header = vec!["id".to_owned(), "labels".to_owned()];
            let lines = owners
                .iter()
                .map(|owner| vec![owner.to_string(), labels(*owner).join("; ")]);
            ("labels.csv", csv(',', std::iter::once(header).chain(lines)))
        } else {
            let items: Vec<_> = owners
                .iter()
                .map(|owner| json!({"id": owner.to_string(), "labels": labels(*owner)}))
                .collect();
            ("labels.json", json!(items).to_string())
        };
        world.sources[export].insert(name.into(), text.into_bytes());
    }
    let each = if split {
        json!({"from": "labels", "split": [";"]})
    } else {
        json!({"from": ["tags", "labels"]})
    };
    let (format, file) = if split {
        ("csv", "labels.csv")
    } else {
        ("json", "labels.json")
    };
    world.add("entity", json!({
        "name": "label", "table": called, "id": {"column": "id", "from": "uuid"},
        "source": {"format": format, "files": [file], "key": "id", "each": each, "allow_empty": true},
        "fields": {
            "owner": {"from": "id"}, "label": {"from": "each", "required": true},
            "place": {"from": "each_index", "type": "integer"},
        },
    }));
}

/// Rows that records delete by their keys.
fn leavers(world: &mut World, dice: &mut Dice) {
    let table = world.table("leaver");
    let key = world.either("INTEGER", "bigint");
    let photo = world.either("BLOB", "bytea");
    world.setup.push(format!("CREATE TABLE {table} (id {key} PRIMARY KEY, name text, photo {photo}, at text DEFAULT 'now')"));
    for number in 0..6 {
        let photo = world.either("x'0aff'", "'\\x0aff'");
        world.setup.push(format!(
            "INSERT INTO {table} (id, name, photo) VALUES ({number}, 'n{number}', {photo})"
        ));
    }
    let first = dice.some(0..6, 40);
    let mut second = first.clone();
    second.extend(dice.some(0..6, 20));
    second.sort_unstable();
    second.dedup();
    for (export, numbers) in [first, second].into_iter().enumerate() {
        let header = vec!["key".to_owned(), "row".to_owned()];
        let lines = numbers
            .iter()
            .map(|number| vec![format!("L{number}"), number.to_string()]);
        let text = csv(',', std::iter::once(header).chain(lines));
        world.sources[export].insert("leavers.csv".into(), text.into_bytes());
    }
    let target = dice.one_of([json!("row"), json!(["number", "row"])]);
    let called = world.called("leaver");
    world.add("entity", json!({
        "name": "leaver", "table": called, "id": {"column": "id", "from": "key"}, "op": "delete", "target": target,
        "source": {"format": "csv", "files": ["leavers.csv"], "key": "key", "allow_empty": true},
    }));
}
