//! Whatever the schema, the tables before and the records: applying twice is applying once; neither
//! batches nor commits change the result; what a dry run says is what happens; and rollback gives
//! back what was there.
//!
//! `$SEED` starts elsewhere, `$CASES` tries more.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failure here is a failed test"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use tests::db::same;
use tests::{Case, Db, Done, Room, Target, command, finish, spawn};

tests::both!(random_migrations_keep_every_promise);

const RUN: &str = "01900000-0000-7000-8000-0000000000aa";

/// A column of a table: its type in the plan, and whether it may be NULL.
#[derive(Debug, Clone)]
struct Column {
    kind: &'static str,
    nullable: bool,
    /// What an empty cell means.
    empty: &'static str,
}

/// A record or a row: a number that makes its code and its key, a parent by number, and cells.
#[derive(Debug, Clone)]
struct Row {
    number: u8,
    parent: Option<u8>,
    cells: Vec<String>,
}

/// A schema of parents and children, what is in it, and what is to come.
#[derive(Debug, Clone)]
struct Draw {
    id: &'static str,
    child_id: &'static str,
    on_match: &'static str,
    /// Whether a parent refers to another parent, written late.
    late: bool,
    columns: Vec<Column>,
    before: Vec<Row>,
    parents: Vec<Row>,
    children: Vec<Row>,
    deletes: Vec<u8>,
    /// Gives the last parent the code of the first: two records for one row.
    clash: bool,
    sizes: (u8, u8),
    groups: (u8, u8),
}

fn cell(kind: &'static str) -> BoxedStrategy<String> {
    match kind {
        "integer" => prop_oneof![
            (-5i64..5).prop_map(|n| n.to_string()),
            Just(i64::MAX.to_string()),
            Just(i64::MIN.to_string())
        ]
        .boxed(),
        "boolean" => prop_oneof![Just("true"), Just("false")]
            .prop_map(str::to_owned)
            .boxed(),
        "date" => (1900..2100, 1..13, 1..29)
            .prop_map(|(y, m, d)| format!("{y}-{m:02}-{d:02}"))
            .boxed(),
        "json" => prop_oneof![Just("{\"a\": [1, 2.50, null]}"), Just("[]"), Just("\"ü\"")]
            .prop_map(str::to_owned)
            .boxed(),
        _ => "[a-cA-C0-9 ,\"'ü\n;-]{1,6}"
            .prop_map(|text| format!("z{text}z"))
            .boxed(),
    }
}

fn column() -> impl Strategy<Value = Column> {
    let kinds = prop_oneof![
        Just("text"),
        Just("integer"),
        Just("boolean"),
        Just("date"),
        Just("json")
    ];
    let empty = prop_oneof![Just("null"), Just("absent")];
    (kinds, any::<bool>(), empty).prop_map(|(kind, nullable, empty)| Column {
        kind,
        nullable,
        empty,
    })
}

fn rows(
    columns: &[Column],
    numbers: std::ops::Range<u8>,
) -> impl Strategy<Value = Vec<Row>> + use<> {
    let cells: Vec<_> = columns
        .iter()
        .map(|column| {
            if column.nullable {
                prop_oneof![1 => Just(String::new()), 3 => cell(column.kind)].boxed()
            } else {
                cell(column.kind)
            }
        })
        .collect();
    let numbers =
        proptest::sample::subsequence(numbers.clone().collect::<Vec<_>>(), 0..=numbers.len());
    numbers.prop_flat_map(move |numbers| {
        let row = |number| {
            (proptest::option::of(0..14u8), cells.clone()).prop_map(move |(parent, cells)| Row {
                number,
                parent,
                cells,
            })
        };
        numbers.into_iter().map(row).collect::<Vec<_>>()
    })
}

fn draw() -> impl Strategy<Value = Draw> {
    proptest::collection::vec(column(), 1..4).prop_flat_map(|columns| {
        let ids = || prop_oneof![Just("uuid"), Just("key"), Just("target")];
        let on_match = prop_oneof![3 => Just("update"), 1 => Just("skip")];
        let figures = (
            (1..8u8, 1..30u8),
            (0..3u8, 0..3u8),
            proptest::bool::weighted(0.1),
        );
        (
            (ids(), ids(), on_match, any::<bool>()),
            rows(&columns, 0..10),
            rows(&columns, 4..14),
            rows(&columns, 0..8),
            proptest::collection::btree_set(0..6u8, 0..6),
            figures,
        )
            .prop_map(
                move |(
                    (id, child_id, on_match, late),
                    before,
                    parents,
                    children,
                    deletes,
                    figures,
                )| Draw {
                    id,
                    child_id,
                    on_match,
                    late,
                    columns: columns.clone(),
                    before,
                    parents,
                    children,
                    deletes: deletes.into_iter().collect(),
                    clash: figures.2,
                    sizes: figures.0,
                    groups: figures.1,
                },
            )
    })
}

impl Draw {
    fn plan(&self) -> String {
        let mut fields = String::new();
        for (at, column) in self.columns.iter().enumerate() {
            let kind = column.kind;
            let shape = match column.kind {
                "date" => ", formats = [\"%Y-%m-%d\"]",
                _ => "",
            };
            let need = if column.nullable {
                format!(", empty = \"{}\"", column.empty)
            } else {
                ", required = true".into()
            };
            writeln!(
                fields,
                "c{at} = {{ from = \"c{at}\", type = \"{kind}\"{shape}{need} }}"
            )
            .unwrap();
        }
        let late = if self.late {
            "friend = { from = \"parent\", ref = \"parent\", late = true }\n"
        } else {
            ""
        };
        let entity = |name: &str, id: &str, rest: &str| {
            format!(
                "[[entity]]\nname = \"{name}\"\ntable = \"{name}\"\nid = {{ column = \"id\", from = \"{id}\" }}\n\
                 source = {{ format = \"csv\", files = [\"{name}.csv\"], key = \"key\", allow_empty = true }}\n{rest}"
            )
        };
        [
            "name = \"p\"\nsystem = \"random\"\n".to_owned(),
            entity(
                "parent",
                self.id,
                &format!(
                    "match = [\"code\"]\non_match = \"{}\"\n[entity.fields]\ncode = {{ from = \"code\", required = true }}\n\
                     stamp = {{ run = \"started_at\" }}\n{late}{fields}",
                    self.on_match
                ),
            ),
            entity(
                "child",
                self.child_id,
                &format!("[entity.fields]\nparent = {{ from = \"parent\", ref = \"parent\" }}\n{fields}"),
            ),
            entity("leaver", "key", "op = \"delete\"\ntarget = \"key\"\n"),
        ]
        .concat()
    }

    fn schema(&self, case: Case) -> String {
        let mut columns = String::new();
        for (at, column) in self.columns.iter().enumerate() {
            let kind = match (case.target, column.kind) {
                (Target::Sqlite, "integer" | "boolean") => "INTEGER",
                (Target::Sqlite, _) => "TEXT",
                (Target::Postgres, "integer") => "bigint",
                (Target::Postgres, "json") => "jsonb",
                (Target::Postgres, kind) => kind,
            };
            let not_null = if column.nullable {
                "DEFAULT NULL"
            } else {
                "NOT NULL"
            };
            write!(columns, ", c{at} {kind} {not_null}").unwrap();
        }
        let key = |id: &str| {
            if id == "uuid" {
                "TEXT PRIMARY KEY"
            } else {
                "INTEGER PRIMARY KEY"
            }
        };
        let counted = if self.child_id == "target" {
            "AUTOINCREMENT"
        } else {
            ""
        };
        let parent = if self.id == "uuid" { "TEXT" } else { "BIGINT" };
        let mut sql = format!(
            "CREATE TABLE parent (id {}, code TEXT NOT NULL UNIQUE, friend {parent} REFERENCES parent (id),\
             stamp TEXT, other REAL DEFAULT 1.5{columns});\
             CREATE INDEX friend ON parent (friend);\
             CREATE TABLE child (id {} {counted}, parent {parent} REFERENCES parent (id){columns});\
             CREATE INDEX children ON child (parent);\
             CREATE TABLE leaver (id INTEGER PRIMARY KEY, name TEXT, photo BLOB);",
            key(self.id),
            key(self.child_id)
        );
        for row in &self.before {
            let cells = row.cells.iter().zip(&self.columns).map(|(cell, column)| {
                match (cell.as_str(), column.kind) {
                    ("", _) => ", NULL".to_owned(),
                    (cell, "integer" | "boolean") => format!(", {cell}"),
                    (cell, _) => format!(", '{}'", cell.replace('\'', "''")),
                }
            });
            let id = if self.id == "uuid" {
                format!("'row{}'", row.number)
            } else {
                (100 + u16::from(row.number)).to_string()
            };
            let cells: String = cells.collect();
            write!(
                sql,
                "INSERT INTO parent VALUES ({id}, 'code{}', NULL, 'old', NULL{cells});",
                row.number
            )
            .unwrap();
        }
        for number in 0..6 {
            write!(
                sql,
                "INSERT INTO leaver VALUES ({number}, 'n', x'0{number}');"
            )
            .unwrap();
        }
        sql
    }

    fn csv(&self, rows: &[Row], codes: bool) -> String {
        let known = |parent: &u8| self.parents.iter().any(|row| row.number == *parent);
        let quoted = |cell: &str| {
            if cell.is_empty() {
                String::new()
            } else {
                format!("\"{}\"", cell.replace('"', "\"\""))
            }
        };
        let mut csv = String::from(if codes {
            "key,code,parent"
        } else {
            "key,parent"
        });
        (0..self.columns.len()).for_each(|at| write!(csv, ",c{at}").unwrap());
        csv.push('\n');
        for (place, row) in rows.iter().enumerate() {
            write!(csv, "{}", row.number).unwrap();
            if codes {
                let clash = self.clash && place > 0 && place + 1 == rows.len();
                write!(
                    csv,
                    ",code{}",
                    if clash { rows[0].number } else { row.number }
                )
                .unwrap();
            }
            let parent = row
                .parent
                .filter(known)
                .map_or_else(String::new, |parent| parent.to_string());
            write!(csv, ",{parent}").unwrap();
            row.cells
                .iter()
                .for_each(|cell| write!(csv, ",{}", quoted(cell)).unwrap());
            csv.push('\n');
        }
        csv
    }

    /// Asserts that two runs in other batches wrote the same. PostgreSQL numbers the rows of a batch in the order of the
    /// sets that they are written in: where it decides the ids, rows are compared by their codes.
    fn equal(&self, case: Case, one: &Db, other: &Db) {
        const WHY: &str = "other batches, other rows";
        if case.target == Target::Sqlite || ![self.id, self.child_id].contains(&"target") {
            return same(&one.dump(), &other.dump(), WHY);
        }
        let cells = |of: &str| {
            let cells = (0..self.columns.len()).map(|at| format!(", {of}.c{at}"));
            cells.collect::<String>()
        };
        for sql in [
            format!(
                "SELECT p.code, f.code, p.stamp, p.other{} FROM parent p LEFT JOIN parent f ON f.id = p.friend",
                cells("p")
            ),
            format!(
                "SELECT p.code{} FROM child c LEFT JOIN parent p ON p.id = c.parent",
                cells("c")
            ),
            "SELECT * FROM leaver".to_owned(),
        ] {
            let rows = |db: &Db| {
                let mut rows = db.rows(&sql);
                rows.sort();
                rows
            };
            assert_eq!(rows(one), rows(other), "{WHY}");
        }
    }

    fn room(&self, case: Case) -> Room {
        let leavers = self
            .deletes
            .iter()
            .fold("key\n".to_owned(), |csv, number| format!("{csv}{number}\n"));
        let sources = [
            ("parent.csv", &*self.csv(&self.parents, true)),
            ("child.csv", &self.csv(&self.children, false)),
            ("leaver.csv", &leavers),
        ];
        Room::with(case, &self.plan(), &sources, &self.schema(case))
    }
}

/// A copy of the database as it was before.
fn copy(room: &Room, name: &str) -> Db {
    room.db.copy(&room.path(name))
}

fn apply(room: &Room, to: &Db, size: u8, group: u8, more: &[&str]) -> Done {
    let (url, size) = (to.url(), size.to_string());
    let mut apply = command(
        "crash/apply",
        &room.path(""),
        ["B", "--json", "--to", &url, "--batch-size", &size],
    );
    apply.args(["--now", "2024-05-01T00:00:00Z"]).args(more);
    apply.args(["--commit-every", &(u64::from(group) * 100).to_string()]);
    finish(spawn(&mut apply), None)
}

/// Returns the JSON lines of stdout: decisions and the summary.
fn said(done: &Done) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = done
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let summary = lines.pop().unwrap();
    (
        lines
            .into_iter()
            .map(|line| line["decision"].clone())
            .collect(),
        summary,
    )
}

/// Returns the rows of a table by their key, in words.
fn table(db: &Db, name: &str) -> BTreeMap<String, String> {
    db.rows(&format!("SELECT * FROM {name}"))
        .into_iter()
        .map(|row| (row[0].clone(), row.join("|")))
        .collect()
}

/// What a dry run decided is what the rows show.
fn hold(decisions: &[Value], before: &Db, after: &Db) {
    for decision in decisions {
        let name = decision["entity"].as_str().unwrap();
        let (before, after) = (table(before, name), table(after, name));
        let action = decision["action"].as_str().unwrap();
        let Some(key) = decision["target"].as_str() else {
            assert_eq!(action, "created", "{decision}");
            continue;
        };
        let (old, new) = (before.get(key), after.get(key));
        match action {
            "created" => assert!(
                old.is_none() && new.is_some(),
                "{decision}: {old:?} {new:?}"
            ),
            // A later decision (a late reference) may be about the same row.
            "updated" | "linked" => {
                assert!(new.is_some() && old != new, "{decision}: {old:?} {new:?}");
            }
            "deleted" => assert!(
                old.is_some() && new.is_none(),
                "{decision}: {old:?} {new:?}"
            ),
            "unchanged" | "skipped" => assert!(new.is_some(), "{decision}: {old:?} {new:?}"),
            other => panic!("{other}"),
        }
    }
}

fn check(case: Case, draw: &Draw) {
    let room = draw.room(case);
    let [parse, validate, bundle] = room.pipeline("B");
    let _ = (parse.code(0), validate.code(0));
    if draw.parents.is_empty() && draw.children.is_empty() && draw.deletes.is_empty() {
        let _ = bundle.code(4);
        return;
    }
    let _ = bundle.code(0);
    let before = room.dump();
    let run = ["--run-id", RUN];

    // What the dry run says …
    let dry = copy(&room, "dry.db");
    let told = apply(
        &room,
        &dry,
        draw.sizes.0,
        draw.groups.0,
        &["--dry-run", "--run-id", RUN],
    );
    // Counters of PostgreSQL do not go back.
    let untouched = match case.target {
        Target::Sqlite => dry.everything() == room.db.everything(),
        Target::Postgres => dry.dump() == before && !dry.has_ledger(),
    };
    assert!(untouched, "a dry run wrote");
    // … is what happens.
    let live = copy(&room, "live.db");
    let done = apply(&room, &live, draw.sizes.0, draw.groups.0, &run);
    assert_eq!(
        (told.code, done.code),
        if draw.clash && done.code != 0 {
            (1, 3)
        } else {
            (0, 0)
        },
        "{}{}",
        told.err,
        done.err
    );
    let ((decisions, dry_summary), (_, summary)) = (said(&told), said(&done));
    for figure in ["counts", "entities", "failures"] {
        assert_eq!(
            dry_summary[figure], summary[figure],
            "{figure}: the dry run, the run"
        );
    }
    hold(&decisions, &room.db, &live);

    if done.code == 0 {
        // Neither the size of batches nor their commits change the result.
        let other = copy(&room, "other.db");
        let _ = apply(&room, &other, draw.sizes.1, draw.groups.1, &run).code(0);
        draw.equal(case, &other, &live);
        // Twice is once.
        let after = other.dump();
        let again = apply(&room, &other, draw.sizes.0, draw.groups.0, &[]).code(0);
        same(&other.dump(), &after, "applied twice");
        let (_, again) = said(&again);
        for wrote in ["created", "updated", "deleted", "failed", "linked"] {
            assert_eq!(again["counts"][wrote], 0, "{wrote} when applied twice");
        }
        other.remove();
    }
    // Rollback is the way back.
    let url = live.url();
    let _ = room
        .run("rollback", &[RUN, "--to", &url, "--outside-window"])
        .code(0);
    same(&live.dump(), &before, "after rollback");
    [dry, live, room.db].into_iter().for_each(Db::remove);
}

fn random_migrations_keep_every_promise(case: Case) {
    let number =
        |name: &str, usual: u32| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let config = Config {
        cases: number("CASES", case.either(25, 10)),
        max_shrink_iters: case.either(100, 20),
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&number("SEED", 1).to_le_bytes());
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    runner
        .run(&draw(), |draw| {
            check(case, &draw);
            Ok(())
        })
        .unwrap();
}
