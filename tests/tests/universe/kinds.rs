//! Kinds of values: what a field says of them, how a source writes them, and what a dump shows of them.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tests::Target;

use crate::more_kinds::{lists, moments, structures};
use crate::shell::{hex, quoted};

/// A value.
#[derive(Debug, Clone)]
pub struct Sample {
    /// As the source writes it.
    pub source: String,
    /// As a dump shows it, which is also a literal of SQL.
    pub there: String,
}

/// A kind of values.
#[derive(Debug, Clone)]
pub struct Kind {
    /// The field, without where it comes from.
    pub field: Value,
    /// The column's type.
    pub sql: String,
    /// What it may hold, NULL apart.
    pub samples: Vec<Sample>,
    /// Whether an empty text may be meant: text without a check that it breaks.
    pub text: bool,
}

impl Kind {
    /// Tells whether a line `Name: value` holds every sample as it is.
    pub fn fits_a_line(&self) -> bool {
        let fits = |sample: &Sample| {
            let source = &sample.source;
            !source.contains(['\n', '\r', '*']) && source.trim() == source
        };
        self.samples.iter().all(fits)
    }
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text)).to_lowercase()
}

/// A kind whose column holds text on both targets: source and text.
fn text(field: Value, samples: &[(&str, &str)]) -> Kind {
    let sample = |(source, there): &(&str, &str)| Sample {
        source: (*source).to_owned(),
        there: quoted(there),
    };
    Kind {
        text: field == json!({}),
        field,
        sql: "text".into(),
        samples: samples.iter().map(sample).collect(),
    }
}

/// A kind whose columns differ: types, then source and what dumps show. PostgreSQL's is all text.
pub fn kind(
    target: Target,
    field: Value,
    (sqlite, postgres): (&str, &str),
    samples: &[(&str, &str, &str)],
) -> Kind {
    let sample = |(source, lite, server): &(&str, &str, &str)| Sample {
        source: (*source).to_owned(),
        there: match target {
            Target::Sqlite => (*lite).to_owned(),
            Target::Postgres => quoted(server),
        },
    };
    let sql = match target {
        Target::Sqlite => sqlite,
        Target::Postgres => postgres,
    };
    Kind {
        field,
        sql: sql.into(),
        samples: samples.iter().map(sample).collect(),
        text: false,
    }
}

/// Returns all kinds.
pub fn all(target: Target) -> Vec<Kind> {
    let mut all = texts();
    all.extend(numbers(target));
    all.extend(moments(target));
    all.extend(structures(target));
    all.extend(lists(target));
    all
}

fn texts() -> Vec<Kind> {
    let (one, two) = (sha256("one"), sha256("two"));
    vec![
        text(
            json!({}),
            &[
                ("plain", "plain"),
                ("ü ß €", "ü ß €"),
                ("it's, \"so\";|", "it's, \"so\";|"),
                ("12", "12"),
            ],
        ),
        text(
            json!({}),
            &[
                ("two\nlines", "two\nlines"),
                ("NULL", "NULL"),
                ("\\N \\x", "\\N \\x"),
                ("[]", "[]"),
            ],
        ),
        text(
            json!({"apply": ["trim"]}),
            &[("  padded ", "padded"), ("tight", "tight")],
        ),
        text(
            json!({"apply": ["trim", "lower"]}),
            &[(" MiXeD Ü", "mixed ü"), ("low", "low")],
        ),
        text(
            json!({"apply": ["upper"]}),
            &[("mixed ü", "MIXED Ü"), ("UP", "UP")],
        ),
        text(
            json!({"apply": ["collapse"]}),
            &[("a   b\t c", "a b c"), ("a b", "a b")],
        ),
        text(
            json!({"apply": ["phone"], "secret": true}),
            &[("+1 (805) 555-0100", "+18055550100"), ("08 15", "0815")],
        ),
        text(
            json!({"apply": ["slug"]}),
            &[("Hello World", "hello-world"), ("One", "one")],
        ),
        text(
            json!({"apply": ["lines"]}),
            &[("a\r\nb\rc", "a\nb\nc"), ("a", "a")],
        ),
        text(
            json!({"apply": ["sha256"]}),
            &[("one", &one), ("two", &two)],
        ),
        text(
            json!({"format": "email", "max_length": 40}),
            &[
                ("a@b.example", "a@b.example"),
                ("C@d.example", "C@d.example"),
            ],
        ),
        text(
            json!({"format": "url", "min_length": 8}),
            &[
                ("https://a.example/x?y=1", "https://a.example/x?y=1"),
                ("http://b", "http://b"),
            ],
        ),
        text(
            json!({"format": "uuid"}),
            &[(
                "6f0a3c1e-7f0b-5d0e-9a53-1f8f5c7e2b41",
                "6f0a3c1e-7f0b-5d0e-9a53-1f8f5c7e2b41",
            )],
        ),
        text(
            json!({"pattern": "[A-Z]{2}[0-9]+"}),
            &[("AB12", "AB12"), ("ZZ0", "ZZ0")],
        ),
        text(
            json!({"one_of": ["red", "green"], "secret": true}),
            &[("red", "red"), ("green", "green")],
        ),
        text(json!({"map": "level"}), &[("New", "NEW"), ("old", "OLD")]),
    ]
}

fn numbers(target: Target) -> Vec<Kind> {
    let least = "-9223372036854775808";
    vec![
        kind(
            target,
            json!({"type": "integer"}),
            ("INTEGER", "bigint"),
            &[
                ("7", "7", "7"),
                ("-3", "-3", "-3"),
                (
                    "9223372036854775807",
                    "9223372036854775807",
                    "9223372036854775807",
                ),
                (least, least, least),
            ],
        ),
        kind(
            target,
            json!({"type": "integer", "thousands": ".", "min": -5, "max": 5_000_000}),
            ("INT", "integer"),
            &[("1.234.567", "1234567", "1234567"), ("0", "0", "0")],
        ),
        kind(
            target,
            json!({"type": "decimal", "decimal": ",", "thousands": "."}),
            ("TEXT", "numeric(12, 2)"),
            &[
                ("1.234,50", "'1234.50'", "1234.50"),
                ("-0,10", "'-0.10'", "-0.10"),
            ],
        ),
        kind(
            target,
            json!({"type": "decimal", "exact": false}),
            ("REAL", "double precision"),
            &[("2.5", "2.5", "2.5"), ("-0.125", "-0.125", "-0.125")],
        ),
        kind(
            target,
            json!({"type": "boolean", "true": ["yes", "ja"], "false": ["no"]}),
            ("INTEGER", "boolean"),
            &[("yes", "1", "t"), ("ja", "1", "t"), ("no", "0", "f")],
        ),
        kind(
            target,
            json!({"map": "rank", "type": "integer"}),
            ("INTEGER", "smallint"),
            &[("FIRST", "1", "1"), ("second", "2", "2")],
        ),
        kind(
            target,
            json!({"map": "tone", "lookup": {"table": "shade", "by": "code"}}),
            ("INTEGER", "bigint"),
            &[("dark", "1", "1"), ("light", "2", "2")],
        ),
        kind(
            target,
            json!({"lookup": {"table": "shade", "by": "code", "column": "label"}}),
            ("TEXT", "text"),
            &[("dk", "'Dark'", "Dark"), ("lt", "'Light'", "Light")],
        ),
    ]
}
