//! Sources: CSV, JSON, Markdown and its front matter, through the whole of `parse`.

use std::fs;
use std::path::Path;

use clap::Parser as _;
use contract::{Exit, Line, Record, RecordReader};
use serde_json::{Map, Value, json};

use super::{Target, kind, seeds};

pub(super) const CSV: Target = Target {
    name: "csv",
    seeds: || {
        seeds::files(
            &["examples"],
            ".csv",
            &["key,a,b\n1,x,y\n2,\"q\"\"\n\",\n", "\u{feff}key;a,b\r\n"],
        )
    },
    run: |bytes, folder| {
        let records = records(bytes, folder, CSV_PLAN, "s.csv");
        again(records, folder, CSV_PLAN, "s.csv", |records| {
            // A column that the header lacks is in no record.
            let there = |name: &&str| {
                records
                    .iter()
                    .all(|record| record.fields.contains_key(*name))
            };
            let names: Vec<&str> = ["a", "b"].into_iter().filter(there).collect();
            let line = |cells: Vec<&str>| {
                let cells = cells
                    .iter()
                    .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
                cells.collect::<Vec<_>>().join(",") + "\n"
            };
            let mut text = line([&["key"], &*names].concat());
            for record in records {
                let value = |name: &&str| of(record, name).unwrap_or_default();
                let cells = [record.key.as_str()]
                    .into_iter()
                    .chain(names.iter().map(value));
                text += &line(cells.collect());
            }
            text
        })
    },
};

pub(super) const JSON: Target = Target {
    name: "json",
    seeds: || {
        let more = [
            r#"[{"key": "1", "a": "x", "b": {"c": [1, 2.50, null]}}]"#,
            r#"{"items": [{"key": 1, "a": "\ud83d\ude00", "b": 12345678901234567890.10}]}"#,
            "{\"key\":\"1\",\"a\":\"x\"}\n{\"key\":\"2\",\"b\":[]}\n",
        ];
        seeds::files(&["examples"], ".json", &more)
    },
    run: |bytes, folder| {
        let records = records(bytes, folder, JSON_PLAN, "s.json");
        again(records, folder, JSON_PLAN, "s.json", |records| {
            let item = |record: &Record| {
                let mut item = Map::new();
                item.insert("key".into(), json!(record.key));
                item.extend(
                    record
                        .fields
                        .iter()
                        .map(|(name, value)| (name.clone(), value.clone())),
                );
                Value::Object(item)
            };
            Value::Array(records.iter().map(item).collect()).to_string()
        })
    },
};

pub(super) const MARKDOWN: Target = Target {
    name: "markdown",
    seeds: || {
        seeds::files(
            &["examples", "docs"],
            ".md",
            &["# A\n\n- b\n\n```\n# no\n```\n> # c\n"],
        )
    },
    run: |bytes, folder| end(records(bytes, folder, MARKDOWN_PLAN, "s.md")),
};

pub(super) const FRONT_MATTER: Target = Target {
    name: "front-matter",
    seeds: || {
        let more = [
            "---\nid: 7\ntitle: a\ntags: [b, c]\n---\n# T\ntext\n",
            "---\na: &x [1, *x]\nb: !!str 2024-01-01\nc: |\n  text\n---\n",
            "---\nid: 0x1F\ntitle: \"\\u0041\"\n? k\n: v\n...\n",
        ];
        seeds::files(&["examples"], ".md", &more)
    },
    run: |bytes, folder| end(records(bytes, folder, FRONT_PLAN, "s.md")),
};

const CSV_PLAN: &str = r#"
name = "n"
system = "s"
[[entity]]
name = "e"
table = "t"
id = { column = "id", from = "key" }
source = { format = "csv", files = ["s.csv"], key = "key", allow_empty = true }
fields.a = { from = "a" }
fields.b = { from = "b" }
"#;

const JSON_PLAN: &str = r#"
name = "n"
system = "s"
[[entity]]
name = "e"
table = "t"
id = { column = "id", from = "key" }
source = { format = "json", files = ["s.json"], key = "key", allow_empty = true }
fields.a = { from = "a", type = "json" }
fields.b = { from = "b", type = "json" }
"#;

const MARKDOWN_PLAN: &str = r#"
name = "n"
system = "s"
[[entity]]
name = "e"
table = "t"
id = { column = "id", from = "key" }
source = { format = "markdown", files = ["s.md"], key = "heading", allow_empty = true, markdown = { record = "section", level = 2, meta = ["Date"] } }
fields.a = { from = "body", type = "text" }
fields.b = { from = "Date" }
[[entity]]
name = "items"
table = "i"
id = { column = "id", from = "key" }
source = { format = "markdown", files = ["s.md"], key = ["index"], allow_empty = true, markdown = { record = "item", group = {} } }
fields.a = { from = "text" }
"#;

const FRONT_PLAN: &str = r#"
name = "n"
system = "s"
[[entity]]
name = "e"
table = "t"
id = { column = "id", from = "key" }
source = { format = "markdown", files = ["s.md"], key = "id", allow_empty = true, markdown = { record = "file", meta = ["title", "tags"] } }
fields.title = { from = "title" }
fields.tags = { from = "tags", type = "json" }
"#;

/// Parses a source, twice, and reads what came out as the next stage does.
fn records(bytes: &[u8], folder: &Path, plan: &str, file: &str) -> Result<Vec<Record>, String> {
    fs::write(folder.join("migration.toml"), plan).unwrap();
    fs::write(folder.join(file), bytes).unwrap();
    let path = folder.join("migration.toml");
    let args = ["parse", "--quiet", "--progress=off", "--plan"].map(std::ffi::OsString::from);
    let args = parse::Args::try_parse_from(args.into_iter().chain([path.into()])).unwrap();
    let parse = || {
        let mut out = Vec::new();
        parse::run(&args, &mut out).map(|_| out)
    };
    let out = match (parse(), parse()) {
        (Ok(one), Ok(two)) => {
            assert!(
                one == two,
                "the same bytes give other lines the second time"
            );
            one
        }
        (Err(one), Err(two)) => {
            let (one, two) = (
                (contract::code_of(&one), format!("{one:#}")),
                (contract::code_of(&two), format!("{two:#}")),
            );
            assert_eq!(one, two);
            assert_ne!(one.0, Exit::Bug, "{}", one.1);
            return Err(kind(&one.1));
        }
        (one, two) => panic!("once {one:?}, once {two:?}"),
    };
    let mut reader = RecordReader::new(&*out);
    let mut records = Vec::new();
    while let Some(line) = reader
        .next_line()
        .expect("the next stage reads what parse writes")
    {
        if let Line::Record(record, _) = line {
            records.push(*record);
        }
    }
    let seal = reader.sealed().expect("a seal");
    seal.check().expect("the seal adds up");
    Ok(records)
}

fn end(records: Result<Vec<Record>, String>) -> String {
    records.map_or_else(
        |kind| kind,
        |records| format!("{} records", records.len().min(5)),
    )
}

/// Writes records as a source, and parses that: they are the same.
fn again(
    first: Result<Vec<Record>, String>,
    folder: &Path,
    plan: &str,
    file: &str,
    written: impl Fn(&[Record]) -> String,
) -> String {
    let Ok(first) = first else { return end(first) };
    let text = written(&first);
    // What one source says twice is told by where it stands alone.
    let said = |records: &[Record]| -> Vec<Value> {
        records
            .iter()
            .map(|record| json!([record.key, record.fields]))
            .collect()
    };
    let second = records(text.as_bytes(), folder, plan, file);
    let second =
        second.unwrap_or_else(|why| panic!("what was read can't be read again: {why}\n{text}"));
    assert_eq!(said(&first), said(&second), "{text}");
    end(Ok(second))
}

fn of<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.fields.get(name).and_then(Value::as_str)
}
