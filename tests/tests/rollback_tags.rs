//! Tags in the random runs of [`rollback_properties`](super::rollback_properties): how a column holds them, and
//! what rollback owes to it.

use tests::{Case, Seed, Target};

/// How the column `tags` of a table holds a list, and what the run does with it.
#[derive(Debug, Clone, Copy)]
pub struct Tags {
    /// Its type.
    pub kind: &'static str,
    store: &'static str,
    /// NULL, an empty list, and one with an element, as SQL has them.
    before: [&'static str; 3],
    /// What others make of it.
    theirs: [&'static str; 5],
    /// Whether the plan adds the run's tag.
    tagged: bool,
    /// Whether the plan writes the list too.
    written: bool,
}

const JSON: Tags = Tags {
    kind: "TEXT",
    store: "\"json\"",
    before: ["NULL", "'[ ]'", "'[ \"old\" ]'"],
    theirs: [
        "NULL",
        "'[]'",
        "'[\"theirs\"]'",
        "'[\"new\"]'",
        "replace(tags, ']', ',\"theirs\"]')",
    ],
    tagged: false,
    written: false,
};

const FORMS: [Tags; 4] = [
    JSON,
    Tags {
        store: "{ separated = \";\" }",
        before: ["NULL", "''", "'old'"],
        theirs: ["NULL", "''", "'theirs'", "'new'", "tags || ';theirs'"],
        ..JSON
    },
    Tags {
        kind: "TEXT[]",
        store: "\"array\"",
        before: ["NULL", "'{}'", "'{old}'"],
        theirs: [
            "NULL",
            "'{}'",
            "'{theirs}'",
            "'{new}'",
            "array_append(tags, 'theirs')",
        ],
        ..JSON
    },
    Tags {
        kind: "JSONB",
        theirs: [
            "NULL",
            "'[]'",
            "'[\"theirs\"]'",
            "'[\"new\"]'",
            "tags || '[\"theirs\"]'",
        ],
        ..JSON
    },
];

fn any(seed: &mut Seed, from: &[&'static str]) -> &'static str {
    from[usize::try_from(seed.below(from.len() as u64)).unwrap()]
}

impl Tags {
    /// Draws a form that the target has, and whether the run tags it and writes it.
    pub fn drawn(case: Case, seed: &mut Seed) -> Self {
        let forms = case.either(2, FORMS.len() as u64);
        let form = FORMS[usize::try_from(seed.below(forms)).unwrap()];
        let tagged = seed.below(3) > 0;
        // What holds a list that is not written is not named by the plan: JSON text, or the target's own.
        let written = form.store.contains("separated") || seed.below(2) > 0;
        Self {
            tagged,
            written,
            ..form
        }
    }

    /// The lines of the plan: one before the fields of the entity, one among them.
    pub fn in_plan(self) -> (String, String) {
        let tag = "tag = { column = \"tags\", text = \"run:{run}\" }\n";
        let field = format!(
            "tags = {{ from = \"tags\", type = \"list\", empty = \"absent\", list = {{ split = [\"/\"] }}, store = {} }}\n",
            self.store
        );
        let given = |is: bool, line: String| if is { line } else { String::new() };
        (given(self.tagged, tag.into()), given(self.written, field))
    }

    /// A cell of a source.
    pub fn in_source(seed: &mut Seed) -> &'static str {
        any(seed, &["", "new", "new", "new/more"])
    }

    /// What a row holds before the run, as SQL has it.
    pub fn before(self, seed: &mut Seed) -> &'static str {
        any(seed, &self.before)
    }

    /// What others set it to, as SQL has it.
    pub fn theirs(self, seed: &mut Seed) -> &'static str {
        any(seed, &self.theirs)
    }

    /// The elements of a list as the database tells it; none of NULL.
    fn elements(self, text: &str) -> Vec<String> {
        if text == "NULL" {
            return vec![];
        }
        let parts = |text: &str, between: char| -> Vec<String> {
            let parts = text.split(between).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        match self.store {
            "\"json\"" => serde_json::from_str(text).unwrap(),
            "\"array\"" => parts(text.trim_matches(['{', '}']), ','),
            _ => parts(text, ';'),
        }
    }

    /// Checks what a row that was not listed holds after a rollback: `was` before the run, `ran` after it, `now`
    /// after others.
    pub fn proved(self, [was, ran, now, is]: [&str; 4], say: &str) {
        if was == ran {
            assert_eq!(is, now, "tags: theirs\n{say}");
            return;
        }
        let all = [was, ran, now, is].map(|text| self.elements(text));
        let own = |item: &String| item.starts_with("run:");
        let rest = all.clone().map(|mut items| {
            items.retain(|item| !own(item));
            items
        });
        let tagged = self.tagged && all[1].iter().any(own);
        let as_run = now == ran || (tagged && now != "NULL" && rest[2] == rest[1]);
        let as_before = now == was || (now != "NULL" && was != "NULL" && all[2] == all[0]);
        if as_run || as_before {
            assert_eq!(is, was, "tags: the run's\n{say}");
        } else {
            assert!(
                tagged && rest[0] == rest[1],
                "tags: changed since, and not listed\n{say}"
            );
            assert_eq!(rest[2], all[3], "tags: theirs, less the tag\n{say}");
            assert_eq!(is == "NULL", now == "NULL", "tags: theirs\n{say}");
        }
    }
}

#[test]
fn both_targets_have_forms_of_their_own() {
    let kinds = |target: Target| {
        let case = Case::new(target, "");
        let mut seed = Seed::fixed(1);
        let kinds = (0..50).map(|_| Tags::drawn(case, &mut seed).kind);
        let kinds: std::collections::BTreeSet<&str> = kinds.collect();
        kinds.len()
    };
    assert_eq!([kinds(Target::Sqlite), kinds(Target::Postgres)], [1, 3]);
}
