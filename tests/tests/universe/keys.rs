//! Every key of the plan's schema, and every word that a key may have, is drawn, or left out for a reason.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::{Target, repository};

use crate::draw;

/// Places in a plan (`entity[].fields.*.from`, `entity[].on_match=skip`), by their beginning, and why none is drawn.
const LEFT_OUT: [(&str, &str); 5] = [
    (
        "metadata.fields.*.",
        "a field of the metadata row has `value` or `run`, and a type",
    ),
    ("metadata.id.from=key", "it has no source key: refused"),
    (
        "entity[].fields.*.run=json",
        "for the metadata row alone: refused",
    ),
    (
        "entity[].formerly",
        "a table renamed by its owner: tests of its own",
    ),
    (
        "entity[].source.drop",
        "its source is in no bundle, and each round hands the sources back: tests of its own",
    ),
];

/// What of a metadata row's field is drawn all the same.
const OF_METADATA: [&str; 3] = [
    "metadata.fields.*.value",
    "metadata.fields.*.run",
    "metadata.fields.*.type",
];

/// The types of its fields that are not.
const TYPE_OF_METADATA: &str = "metadata.fields.*.type=";

/// Whether a place is left out for a reason.
fn is_excused(place: &str) -> bool {
    let drawn = OF_METADATA.iter().any(|key| place.starts_with(key));
    let other = place.starts_with(TYPE_OF_METADATA) && !place.ends_with("=list");
    let mut reasons = LEFT_OUT.iter();
    (!drawn || other) && reasons.any(|(beginning, _)| place.starts_with(beginning))
}

struct Walk {
    schema: Value,
    places: BTreeSet<String>,
}

impl Walk {
    /// What a part of the schema stands for: what it refers to, and all its alternatives.
    fn resolved<'a>(&'a self, part: &'a Value) -> Vec<&'a Value> {
        let mut all = vec![part];
        if let Some(name) = part["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            all.extend(self.resolved(&self.schema["$defs"][name]));
        }
        for alternatives in [&part["anyOf"], &part["oneOf"]] {
            for alternative in alternatives.as_array().into_iter().flatten() {
                all.extend(self.resolved(alternative));
            }
        }
        all
    }

    /// Notes all places of the schema, or those that a plan uses.
    fn walk(&mut self, part: &Value, place: &str, plan: Option<&Value>) {
        let parts: Vec<Value> = self.resolved(part).into_iter().cloned().collect();
        for part in parts {
            if let Some(word) = part["const"].as_str()
                && plan.is_none_or(|plan| plan == word)
            {
                self.places.insert(format!("{place}={word}"));
            }
            for (key, inner) in part["properties"].as_object().into_iter().flatten() {
                let used = plan.map(|plan| &plan[key]);
                if used.is_none_or(|used| !used.is_null()) {
                    let place = if place.is_empty() {
                        key.clone()
                    } else {
                        format!("{place}.{key}")
                    };
                    self.places.insert(place.clone());
                    self.walk(inner, &place, used);
                }
            }
            if part["additionalProperties"].is_object() && plan.is_none_or(Value::is_object) {
                let place = format!("{place}.*");
                match plan {
                    None => self.walk(&part["additionalProperties"], &place, None),
                    Some(plan) => plan.as_object().unwrap().values().for_each(|used| {
                        self.walk(&part["additionalProperties"], &place, Some(used));
                    }),
                }
            }
            if part["items"].is_object() && plan.is_none_or(Value::is_array) {
                let place = format!("{place}[]");
                match plan {
                    None => self.walk(&part["items"], &place, None),
                    Some(plan) => plan
                        .as_array()
                        .unwrap()
                        .iter()
                        .for_each(|used| self.walk(&part["items"], &place, Some(used))),
                }
            }
        }
    }
}

#[test]
fn every_key_of_the_plans_schema_is_drawn_or_left_out_for_a_reason() {
    let text =
        std::fs::read_to_string(repository().join("crates/contract/plan.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut all = Walk {
        schema: schema.clone(),
        places: BTreeSet::new(),
    };
    all.walk(&schema, "", None);
    let mut used = Walk {
        schema: schema.clone(),
        places: BTreeSet::new(),
    };
    for (target, rounds) in [(Target::Sqlite, 300), (Target::Postgres, 100)] {
        for round in 1..=rounds {
            let plan = Value::Object(draw::world(target, round).plan);
            used.walk(&schema, "", Some(&plan));
        }
    }
    let missing: Vec<&String> = all
        .places
        .difference(&used.places)
        .filter(|place| !is_excused(place))
        .collect();
    assert!(
        missing.is_empty(),
        "of {} places these are never drawn: {missing:#?}",
        all.places.len()
    );
    let drawn: Vec<&String> = used
        .places
        .iter()
        .filter(|place| is_excused(place))
        .collect();
    assert!(drawn.is_empty(), "left out, and drawn: {drawn:#?}");
    let unknown = LEFT_OUT.iter().filter(|(beginning, _)| {
        let mut places = all.places.iter();
        !places.any(|place| place.starts_with(beginning) && is_excused(place))
    });
    let unknown: Vec<_> = unknown.collect();
    assert!(unknown.is_empty(), "left out, and no key: {unknown:?}");
}
