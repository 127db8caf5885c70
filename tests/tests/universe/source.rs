//! The sources of the entities: CSV, JSON and Markdown.

use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::entities::{Files, Written};
use crate::formats::{Item, csv, json_text, markdown, western_bytes};
use crate::world::{Cell, Entity, Fill, Format, Row};

/// How a source is dressed up.
#[allow(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
struct Dress {
    alias: bool,
    skips: bool,
    repeats: bool,
    two: bool,
    missing: bool,
    empty: bool,
}

/// Draws what the plan says of an entity's source, and writes its files.
pub fn draw(all: &[Entity], entity: &Entity, dice: &mut Dice) -> Written {
    let tabular = matches!(entity.format, Format::Csv { .. });
    let dress = Dress {
        alias: dice.chance(30),
        skips: entity.format != Format::Markdown && dice.chance(20),
        repeats: entity.format != Format::Markdown && dice.chance(20),
        two: dice.chance(30),
        missing: dice.chance(20),
        empty: tabular && dice.chance(20),
    };
    let ending = match entity.format {
        Format::Csv { .. } => "csv",
        Format::Json { lines: true, .. } => "ndjson",
        Format::Json { .. } => "json",
        Format::Markdown => "md",
    };
    let name = &entity.name;
    let mut patterns = vec![format!("{name}/*.{ending}")];
    if dress.missing {
        patterns.push(format!("{name}/none/**/*.{ending}"));
    }
    let mut said = json!({"format": match ending { "csv" => "csv", "md" => "markdown", _ => "json" }, "files": patterns});
    said["key"] = key(entity, &dress);
    if dress.missing {
        said["allow_missing"] = json!(true);
    }
    // A file of no items, in one of the exports or in both.
    said["allow_empty"] = json!(true);
    if dress.skips {
        said["where"] = json!("source['left out'] != 'yes'");
        said["where_reason"] = json!("they are not meant");
    }
    if dress.repeats {
        said["repeats"] = json!(dice.pick(&["merge"]));
    } else if dice.chance(20) {
        said["repeats"] = json!("reject");
    }
    match entity.format {
        Format::Csv { delimiter, western } => {
            if delimiter != ',' {
                said["delimiter"] = json!(delimiter.to_string());
            }
            if western {
                said["encoding"] = json!("windows-1252");
            }
        }
        Format::Json { items: true, .. } => said["items"] = json!("data.items"),
        Format::Json { .. } => {}
        Format::Markdown => {
            let names: Vec<&str> = ["code"]
                .into_iter()
                .chain(
                    entity
                        .columns
                        .iter()
                        .filter(|column| is_read(&column.fill))
                        .map(|column| column.name.as_str()),
                )
                .collect();
            said["markdown"] = json!({"record": "section", "level": 2, "meta": names});
        }
    }
    let mut files = [Files::new(), Files::new()];
    for (records, files) in entity.records.iter().zip(&mut files) {
        let half = if dress.two {
            records.len() / 2
        } else {
            records.len()
        };
        for (number, part) in [&records[..half], &records[half..]].into_iter().enumerate() {
            if number == 0 || dress.two {
                files.insert(
                    format!("{name}/{number}.{ending}"),
                    written(all, entity, &dress, part),
                );
            }
        }
        if dress.empty {
            files.insert(
                format!("{name}/empty.csv"),
                written(all, entity, &dress, &[]),
            );
        }
    }
    Written { said, files }
}

/// Whether the source fills a column.
fn is_read(fill: &Fill) -> bool {
    matches!(
        fill,
        Fill::Code | Fill::Alias | Fill::Part | Fill::Kind(_) | Fill::Ref { .. }
    )
}

fn key(entity: &Entity, dress: &Dress) -> Value {
    let name = if entity.format == Format::Markdown {
        "heading"
    } else {
        "key"
    };
    match (entity.parted, dress.alias) {
        (true, false) => json!({"all": [name, "code"]}),
        (true, true) => json!({"all": [["id", name], "code"]}),
        (false, true) => json!(["id", name]),
        (false, false) => json!(name),
    }
}

/// The cells of a record as texts, by the column of the source.
fn texts(all: &[Entity], entity: &Entity, row: &Row) -> Item {
    let number = row.number;
    let mut texts = vec![("key".to_owned(), entity.written_key(number))];
    for (column, cell) in entity.columns.iter().zip(&row.cells) {
        let text = match (&column.fill, cell) {
            (Fill::Code, _) => format!("code{number}"),
            (Fill::Part, _) => (number % 3).to_string(),
            (Fill::Alias, Cell::Sample(_)) => format!("alias{number}"),
            (Fill::Kind(kind), Cell::Sample(sample)) => kind.samples[*sample].source.clone(),
            (Fill::Ref { to, .. }, Cell::To(number)) => all[*to].source_key(*number),
            (fill, _) if is_read(fill) => String::new(),
            _ => continue,
        };
        texts.push((column.name.clone(), text));
    }
    if entity.by_op {
        texts.push(("op".into(), if row.delete { "-" } else { "+" }.into()));
    }
    texts
}

/// All items of a file: those of the records, some twice, some that are not meant.
fn items(all: &[Entity], entity: &Entity, dress: &Dress, rows: &[Row]) -> Vec<Item> {
    let mut items = Vec::new();
    for row in rows {
        let mut item = texts(all, entity, row);
        if dress.skips {
            item.push(("left out".into(), String::new()));
        }
        items.push(item.clone());
        if dress.repeats && row.number % 4 == 0 {
            items.push(item.clone());
        }
        if dress.skips && row.number % 3 == 0 {
            item.last_mut().unwrap().1 = "yes".into();
            items.push(item);
        }
    }
    items
}

fn written(all: &[Entity], entity: &Entity, dress: &Dress, rows: &[Row]) -> Vec<u8> {
    let items = items(all, entity, dress, rows);
    match entity.format {
        Format::Csv { delimiter, western } => {
            let mut header: Vec<String> = vec!["key".into()];
            header.extend(
                entity
                    .columns
                    .iter()
                    .filter(|column| is_read(&column.fill))
                    .map(|column| column.name.clone()),
            );
            header.extend(entity.by_op.then(|| "op".into()));
            header.extend(dress.skips.then(|| "left out".into()));
            let lines = items
                .into_iter()
                .map(|item| item.into_iter().map(|(_, text)| text).collect());
            let text = csv(delimiter, std::iter::once(header).chain(lines));
            if western {
                western_bytes(&text)
            } else {
                text.into_bytes()
            }
        }
        Format::Json {
            items: wrapped,
            lines,
        } => {
            let is_json = |name: &str| {
                entity.columns.iter().any(|column| {
                    column.name == name
                        && column
                            .field
                            .as_ref()
                            .is_some_and(|field| field["type"] == "json")
                })
            };
            json_text(&items, is_json, wrapped, lines).into_bytes()
        }
        Format::Markdown => markdown(&items).into_bytes(),
    }
}

/// The fields of an entity, as they find their columns in its source.
pub fn found(entity: &Entity, mut fields: Map<String, Value>) -> Map<String, Value> {
    if entity.format == Format::Markdown {
        for field in fields.values_mut() {
            match field.get_mut("from") {
                Some(Value::String(name)) => *name = format!("meta.{name}"),
                Some(Value::Array(names)) => names
                    .iter_mut()
                    .for_each(|name| *name = json!(format!("meta.{}", name.as_str().unwrap()))),
                _ => {}
            }
            if let Some(Value::String(text)) = field.get_mut("value") {
                *text = text.replace("{code}", "{meta.code}");
            }
        }
    }
    fields
}
