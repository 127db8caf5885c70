//! Notes in Markdown, cut in every way.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::world::World;

const NOTES: &str = "---
title: Notes
---
# All notes

**Status:** open

Before the first section.

## STORY-001: The first (2024-01-15)

> **Date:** 2024-01-02

General text of the first story.

### Lessons

Date: 2024-02-03

Body of the lessons, CHANGE.

- bullet one
- bullet two

**Deep**

More of it.

### Risks

No.

## WISH-2 - Another

### Lessons

Body of the other lessons.

```
## not a heading
```

## Something else

Outside of the stories.
";

/// Draws an entity of notes.
pub fn draw(world: &mut World, dice: &mut Dice) {
    if !dice.chance(25) {
        return;
    }
    let table = world.table("note");
    let (uuid, number) = (
        world.either("TEXT", "uuid"),
        world.either("INTEGER", "bigint"),
    );
    world.setup.push(format!("CREATE TABLE {table} (id {uuid} PRIMARY KEY, heading text, body text, ordinal {number}, day text, status text)"));
    let (mut cut, key): (Value, Value) = dice.one_of([
        (json!({"record": "section", "level": 3, "group": {"level": 2, "prefixes": ["STORY"]}, "general": "In general"}), json!({"all": ["group.id", "heading", "ordinal"]})),
        (json!({"level": 3, "group": {"pattern": "^(?<title>.+)$"}, "outside": "skip", "quoted_meta": true}), json!({"all": ["group.title", "heading", "ordinal"]})),
        (json!({"record": "section", "level": 2, "pattern": "^(?<id>[A-Z]+-[0-9]+).*$", "outside": "emit", "bold_level": 4}), json!({"all": ["heading", "ordinal"]})),
        (json!({"record": "item", "min_chars": 2}), json!({"all": ["document.file", "body"]})),
        (json!({"record": "file", "min_chars": 0}), json!("document.file")),
    ]);
    if dice.chance(60) {
        cut["meta"] = json!(["Date", "Status"]);
    }
    if dice.chance(40) {
        cut["min_chars"] = json!(5);
    }
    for (export, word) in ["as it was", "changed"].into_iter().enumerate() {
        let text = NOTES.replace("CHANGE", word);
        world.sources[export].insert("notes/one.md".into(), text.into_bytes());
    }
    let called = world.called("note");
    world.add("entity", json!({
        "name": "note", "table": called, "id": {"column": "id", "from": "uuid"},
        "source": {"format": "markdown", "files": ["notes/*.md"], "key": key, "markdown": cut},
        "fields": {
            "heading": {"from": ["heading", "document.title"]}, "body": {"from": "body"},
            "ordinal": {"from": "ordinal", "type": "integer"}, "day": {"from": ["meta.Date", "group.meta.Date", "group.date"]},
            "status": {"from": "document.meta.Status"},
        },
    }));
}
