//! Draws the columns of an entity's table.

use serde_json::{Value, json};
use tests::Target;

use crate::dice::Dice;
use crate::kinds::{self, Kind};
use crate::more_columns::{addition, references, tags};
use crate::world::{Column, Entity, Fill, Format, Id, Matching, World};

/// Names as people give them to columns.
const COLUMNS: [&str; 6] = ["name", "select", "Two Words", "naïve", "q\"q", "n"];

/// Of these a path of JSON takes none apart.
const PLAIN_COLUMNS: [&str; 3] = ["name", "select", "n"];

/// Draws them; the id is not among them.
pub fn draw(world: &World, place: usize, count: usize, entity: &mut Entity, dice: &mut Dice) {
    identity(world, entity, dice);
    let kinds = kinds::all(world.target);
    for number in 0..=dice.below(4) {
        let kind = dice.pick(&kinds).clone();
        if entity.format != Format::Markdown || (kind.fits_a_line() && kind.field["type"] != "json")
        {
            let names = if matches!(entity.format, Format::Csv { .. }) {
                &COLUMNS[..]
            } else {
                &PLAIN_COLUMNS
            };
            entity.columns.push(valued(number, names, kind, dice));
        }
    }
    references(world, place, count, entity, dice);
    if dice.chance(20) {
        addition(entity, dice);
    }
    others(world, entity, dice);
}

/// Columns by which a row is told from others.
fn identity(world: &World, entity: &mut Entity, dice: &mut Dice) {
    let Entity { id, matching, .. } = *entity;
    // Without an index only where something else identifies a row.
    let indexed = id == Id::None || matching != Matching::Code || dice.chance(70);
    let unique = if indexed && id != Id::None {
        "NOT NULL UNIQUE"
    } else {
        "NOT NULL"
    };
    let clause = dice.one_of(["", "", "REPLACE", "IGNORE", "FAIL", "ROLLBACK"]);
    let clause = match clause {
        clause if clause.is_empty() || !unique.contains("UNIQUE") => String::new(),
        _ if world.target == Target::Postgres => String::new(),
        clause => format!(" ON CONFLICT {clause}"),
    };
    let fold = dice.one_of([json!(true), json!("fold")]);
    entity.columns.push(plain(
        "code",
        &format!("text {unique}{clause}"),
        Fill::Code,
        Some(json!({"from": "code", "required": true, "unique": fold})),
    ));
    if id == Id::None && dice.chance(30) {
        entity.columns.push(plain(
            "part",
            world.either("INTEGER NOT NULL", "integer NOT NULL"),
            Fill::Part,
            Some(json!({"from": "part", "type": "integer"})),
        ));
    }
    if matching == Matching::Alias {
        entity.columns.push(Column {
            empty: Some("null"),
            ..plain(
                "alias",
                "text UNIQUE",
                Fill::Alias,
                Some(json!({"from": "alias"})),
            )
        });
    }
}

pub fn plain(name: &str, sql: &str, fill: Fill, field: Option<Value>) -> Column {
    Column {
        name: name.to_owned(),
        sql: sql.to_owned(),
        fill,
        field,
        empty: None,
        added: None,
    }
}

/// A column with a value of the source.
fn valued(number: usize, names: &[&str], kind: Kind, dice: &mut Dice) -> Column {
    let name = *dice.pick(names);
    let name = if number > 0 {
        format!("{name}{number}")
    } else {
        name.to_owned()
    };
    let mut field = kind.field.clone();
    field["from"] = if dice.chance(30) {
        json!(["not there", name])
    } else {
        json!(name)
    };
    let empty = dice
        .chance(50)
        .then(|| dice.one_of(["null", "absent", "text"]));
    let empty = empty.filter(|empty| *empty != "text" || kind.text);
    match empty {
        Some(empty) => field["empty"] = json!(empty),
        None => field["required"] = json!(true),
    }
    let default = format!(" NOT NULL DEFAULT {}", kind.samples[0].there);
    let sql = match (empty, dice.chance(30)) {
        (None, true) => default.as_str(),
        _ => "",
    };
    let sql = format!("{}{sql}", kind.sql);
    Column {
        name,
        sql,
        fill: Fill::Kind(kind),
        field: Some(field),
        empty,
        added: None,
    }
}

/// Columns that the source does not fill.
fn others(world: &World, entity: &mut Entity, dice: &mut Dice) {
    if dice.chance(30) {
        let (field, there) = dice
            .pick(&[
                (json!({"value": "fixed"}), "'fixed'"),
                (json!({"value": "{{}} no {{braces}}"}), "'{} no {braces}'"),
            ])
            .clone();
        entity.columns.push(plain(
            "constant",
            "text",
            Fill::Constant(there.into()),
            Some(field),
        ));
    }
    if dice.chance(25) {
        let read = dice.chance(50) && entity.format != Format::Markdown;
        let expr = if read {
            "source['code'] + '!'"
        } else {
            "code + '!'"
        };
        entity.columns.push(plain(
            "shouted",
            "text",
            Fill::Shouted,
            Some(json!({"expr": expr})),
        ));
    }
    if dice.chance(25) {
        entity.columns.push(plain(
            "templated",
            "text",
            Fill::Shouted,
            Some(json!({"value": "{code}!", "max_length": 20})),
        ));
    }
    if dice.chance(40) {
        let (run, sql) = dice.one_of([
            ("id", "text"),
            ("started_at", "text"),
            ("operator", "text"),
            ("bundle", "text"),
        ]);
        entity
            .columns
            .push(plain("stamp", sql, Fill::Stamp, Some(json!({"run": run}))));
    }
    if dice.chance(25) {
        let sql = world.either("TEXT", "text[]");
        let default = dice.one_of(["", " DEFAULT '[]'", " DEFAULT '[\"old\"]'"]);
        let default = match world.target {
            Target::Sqlite => default.to_owned(),
            Target::Postgres => default
                .replace(['[', ']'], "")
                .replace("''", "'{}'")
                .replace("'\"old\"'", "'{old}'"),
        };
        let read = dice.chance(50);
        let field = json!({"type": "list", "list": {"split": [";"]}, "from": "tags"});
        let column = plain("tags", &format!("{sql}{default}"), Fill::Tag, None);
        entity.columns.push(if read {
            Column {
                field: Some(field),
                fill: Fill::Kind(tags(world.target)),
                empty: Some(dice.one_of(["null", "absent"])),
                ..column
            }
        } else {
            column
        });
    }
    if dice.chance(25) {
        entity
            .columns
            .push(plain("embedding", "text", Fill::Volatile, None));
    }
    if dice.chance(25) && !entity.replaces() {
        entity.columns.push(plain(
            "touched",
            "text NOT NULL DEFAULT 'made'",
            Fill::Touched,
            None,
        ));
    }
    if dice.chance(60) {
        // Wide in some rounds: what no run touches is hashed without being held.
        let wide = if entity.columns.len().is_multiple_of(3) {
            700
        } else {
            1
        };
        let default = format!("text DEFAULT '{}'", "theirs".repeat(wide));
        entity
            .columns
            .push(plain("theirs", &default, Fill::Theirs, None));
    }
}
