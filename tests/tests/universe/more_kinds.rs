//! Kinds of moments, structures and lists.

use serde_json::{Value, json};
use tests::Target;

use crate::kinds::{Kind, kind};

/// Dates and instants.
pub fn moments(target: Target) -> Vec<Kind> {
    let moment = |gap: &str, ambiguous: &str, samples: &[(&str, &str, &str)]| {
        let field = json!({
            "type": "timestamp", "formats": ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%:z"], "zone": "Europe/Berlin",
            "gap": gap, "ambiguous": ambiguous, "min": "1990-01-01T00:00:00Z", "max": "2090-01-01T00:00:00Z",
        });
        kind(target, field, ("TEXT", "timestamptz"), samples)
    };
    let date = json!({
        "type": "date", "formats": ["%d.%m.%Y", "%Y-%m-%d"], "min": "1900-01-01", "max": "2100-01-01",
    });
    vec![
        kind(
            target,
            date,
            ("TEXT", "date"),
            &[
                ("31.12.2023", "'2023-12-31'", "2023-12-31"),
                ("2024-02-29", "'2024-02-29'", "2024-02-29"),
            ],
        ),
        moment(
            "before",
            "first",
            &[
                (
                    "2024-03-31 02:30",
                    "'2024-03-31T01:30:00Z'",
                    "2024-03-31 01:30:00+00",
                ),
                (
                    "2024-10-27 02:30",
                    "'2024-10-27T00:30:00Z'",
                    "2024-10-27 00:30:00+00",
                ),
            ],
        ),
        moment(
            "after",
            "second",
            &[
                (
                    "2024-03-31 02:30",
                    "'2024-03-31T00:30:00Z'",
                    "2024-03-31 00:30:00+00",
                ),
                (
                    "2024-10-27 02:30",
                    "'2024-10-27T01:30:00Z'",
                    "2024-10-27 01:30:00+00",
                ),
            ],
        ),
        moment(
            "reject",
            "reject",
            &[(
                "2024-07-01T10:00:00-07:00",
                "'2024-07-01T17:00:00Z'",
                "2024-07-01 17:00:00+00",
            )],
        ),
        kind(
            target,
            json!({"type": "timestamp", "formats": ["%Y-%m-%d"], "zone": "UTC"}),
            ("TEXT", "timestamp"),
            &[(
                "2024-01-15",
                "'2024-01-15T00:00:00Z'",
                "2024-01-15 00:00:00",
            )],
        ),
    ]
}

/// JSON, UUIDs, bytes, vectors.
pub fn structures(target: Target) -> Vec<Kind> {
    vec![
        kind(
            target,
            json!({"type": "json"}),
            ("TEXT", "jsonb"),
            &[
                (
                    "{\"a\": [1, 2.50, null]}",
                    "'{\"a\":[1,2.50,null]}'",
                    "{\"a\": [1, 2.50, null]}",
                ),
                ("[]", "'[]'", "[]"),
                ("\"ü\"", "'\"ü\"'", "\"ü\""),
            ],
        ),
        kind(
            target,
            json!({"type": "uuid"}),
            ("TEXT", "uuid"),
            &[
                (
                    "6F0A3C1E-7F0B-5D0E-9A53-1F8F5C7E2B41",
                    "'6f0a3c1e-7f0b-5d0e-9a53-1f8f5c7e2b41'",
                    "6f0a3c1e-7f0b-5d0e-9a53-1f8f5c7e2b41",
                ),
                (
                    "00000000-0000-0000-0000-000000000000",
                    "'00000000-0000-0000-0000-000000000000'",
                    "00000000-0000-0000-0000-000000000000",
                ),
            ],
        ),
        kind(
            target,
            json!({"type": "bytes"}),
            ("BLOB", "bytea"),
            &[
                ("00ff10", "X'00FF10'", "\\x00ff10"),
                ("4f", "X'4F'", "\\x4f"),
            ],
        ),
        kind(
            target,
            json!({"type": "vector", "dimensions": 3}),
            ("TEXT", "double precision[]"),
            &[
                ("[1,2.5,-3]", "'[1,2.5,-3]'", "{1,2.5,-3}"),
                ("[0,0,0]", "'[0,0,0]'", "{0,0,0}"),
            ],
        ),
    ]
}

/// Lists, kept in every way.
pub fn lists(target: Target) -> Vec<Kind> {
    let split = |store: Value| {
        let mut field = json!({"type": "list", "list": {"split": [";", ","]}, "min_length": 1, "max_length": 5});
        if !store.is_null() {
            field["store"] = store;
        }
        field
    };
    let json = &[
        ("a; b,c", "'[\"a\",\"b\",\"c\"]'", "[\"a\", \"b\", \"c\"]"),
        ("it's", "'[\"it''s\"]'", "[\"it's\"]"),
    ];
    let array = &[
        ("a; b,c", "'[\"a\",\"b\",\"c\"]'", "{a,b,c}"),
        ("x y,NULL", "'[\"x y\",\"NULL\"]'", "{\"x y\",\"NULL\"}"),
    ];
    let own = match target {
        Target::Sqlite => Value::Null,
        Target::Postgres => json!("array"),
    };
    vec![
        kind(target, split(Value::Null), ("TEXT", "text[]"), array),
        kind(target, split(own), ("TEXT", "text[]"), array),
        kind(target, split(json!("json")), ("TEXT", "jsonb"), json),
        kind(
            target,
            split(json!({"separated": "|"})),
            ("TEXT", "text"),
            &[("a; b,c", "'a|b|c'", "a|b|c"), ("one", "'one'", "one")],
        ),
    ]
}
