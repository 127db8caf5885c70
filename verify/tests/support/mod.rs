//! A small club's database, runs applied to it from sealed bundles, and the program.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "test helpers"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use contract::bundle::{Bundle, BundleWriter};
use contract::plan::LoadedPlan;
use contract::{Account, Op, RULES, Record, Seal};
use rusqlite::Connection;
use serde_json::{Value, json};
use store::ledger::{Phase, Run};
use store::{Batch, End, LookupCode, NewRun, Sqlite, Start, Target, Which, Writer};
use tempfile::TempDir;

pub const SCHEMA: &str = r#"
CREATE TABLE "Status" ("id" INTEGER PRIMARY KEY, "code" TEXT NOT NULL UNIQUE);
CREATE TABLE "Team" ("id" TEXT PRIMARY KEY, "name" TEXT NOT NULL, "captain" TEXT);
CREATE TABLE "Mem ber" ("id" TEXT PRIMARY KEY, "email" TEXT NOT NULL, "phone" TEXT, "note" TEXT,
  "team" TEXT REFERENCES "Team"("id"), "statusId" INTEGER REFERENCES "Status"("id"), "tags" TEXT,
  "balance" TEXT, "price" REAL, "active" INTEGER, "data" TEXT, "stamp" TEXT);
CREATE INDEX "by_email" ON "Mem ber" ("email");
CREATE TABLE "Badge" ("id" INTEGER PRIMARY KEY, "member" TEXT REFERENCES "Mem ber"("id"));
INSERT INTO "Status" VALUES (1, 'NEW'), (2, 'OLD');
INSERT INTO "Mem ber" ("id", "email", "tags") VALUES ('m1', 'ann@example.org', '["a"]'), ('m2', 'bob@example.org', NULL);
INSERT INTO "Badge" VALUES (1, 'm2');
"#;

pub const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "team"
table = "Team"
id = { column = "id", from = "key" }
source = { format = "csv", files = ["a.csv"], key = "id" }
fields = { name = { from = "name" }, captain = { from = "captain", ref = "member", late = true } }

[[entity]]
name = "member"
table = "Mem ber"
id = { column = "id", from = "key" }
match = ["email"]
on_match = "update"
on_drift = "keep"
volatile = ["note"]
tag = { column = "tags", text = "run:{run}" }
source = { format = "csv", files = ["b.csv"], key = "id" }

[entity.fields]
email = { from = "email", unique = "fold" }
phone = { from = "phone", secret = true }
note = { from = "note" }
team = { from = "team", ref = "team" }
statusId = { from = "status", lookup = { table = "Status", by = "code" } }
tags = { from = "tags", type = "list" }
balance = { from = "balance", type = "decimal" }
price = { from = "price", type = "decimal", exact = false }
active = { from = "active", type = "boolean" }
data = { from = "data", type = "json" }
stamp = { run = "started_at" }

[[entity]]
name = "gone"
table = "Mem ber"
id = { column = "id", from = "key" }
op = "delete"
source = { format = "csv", files = ["c.csv"], key = "id" }
"#;

/// A team with a captain, two new members, and Ann, who is there already.
pub const CLUB: [&str; 4] = [
    r#"{"entity":"team","key":"t1","fields":{"name":"Red"},"refs":{"captain":{"entity":"member","key":"n1"}}}"#,
    r#"{"entity":"member","key":"n1","fields":{"email":"eve@example.org","phone":"555-SECRET","note":"x","tags":["b"],"balance":0.10,"price":12.50,"active":true,"data":{"b":[1],"a":null}},"refs":{"team":{"entity":"team","key":"t1"}},"lookups":{"statusId":"NEW"}}"#,
    r#"{"entity":"member","key":"n2","fields":{"email":"fay@example.org","phone":null,"active":false},"lookups":{"statusId":"OLD"}}"#,
    r#"{"entity":"member","key":"a1","fields":{"email":"ann@example.org","phone":"111","tags":["a"]}}"#,
];

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Checks the exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Checks that standard output holds each text.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(
                self.out.contains(text),
                "no {text:?} in:\n{}\n{}",
                self.out,
                self.err
            );
        }
        self
    }

    /// Checks that neither stream holds a text.
    #[track_caller]
    pub fn hides(self, text: &str) -> Self {
        assert!(
            !self.out.contains(text) && !self.err.contains(text),
            "{self:#?}"
        );
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// Returns a check of a JSON report.
    #[track_caller]
    pub fn check(&self, name: &str) -> Value {
        let report = self.json();
        let checks = report["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("no check {name}")).clone()
    }
}

pub struct Club {
    pub folder: TempDir,
    pub plan: String,
    pub batch: usize,
}

impl Club {
    pub fn new() -> Self {
        let club = Self {
            folder: TempDir::new().unwrap(),
            plan: PLAN.into(),
            batch: 2,
        };
        std::fs::write(club.path("t.db"), "").unwrap();
        club.sql(SCHEMA);
        club
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs SQL as somebody who does not mind foreign keys.
    pub fn sql(&self, sql: &str) {
        let conn = Connection::open(self.path("t.db")).unwrap();
        conn.pragma_update(None, "foreign_keys", false).unwrap();
        conn.execute_batch(sql).unwrap();
    }

    pub fn verify(&self, args: &[&str]) -> Said {
        let out = Command::new(env!("CARGO_BIN_EXE_verify"))
            .args(args)
            .env(
                "DATABASE_URL",
                format!("sqlite:{}", self.path("t.db").display()),
            )
            .output()
            .unwrap();
        Said {
            code: out.status.code().unwrap_or(-1),
            out: String::from_utf8(out.stdout).unwrap(),
            err: String::from_utf8(out.stderr).unwrap(),
        }
    }

    fn bundle(&self, name: &str, lines: &[&str]) -> (LoadedPlan, Bundle) {
        let plan = LoadedPlan::parse("migration.toml".as_ref(), self.plan.clone()).unwrap();
        let mut out = BundleWriter::create(&self.path(name), &plan).unwrap();
        let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
        for (line, number) in lines.iter().zip(2..) {
            let mut record: Value = serde_json::from_str(line).unwrap();
            record["at"] = json!({"file": "source.csv", "line": number});
            let record: Record = serde_json::from_value(record).unwrap();
            let bytes = serde_json::to_vec(&record).unwrap();
            out.record(&record, &bytes).unwrap();
            let account = accounts.entry(record.entity.clone()).or_default();
            account.entity = record.entity;
            account.file = "source.csv".into();
            account.items += 1;
            account.used += 1;
            account.records += 1;
        }
        let seal = json!({
            "stage": "bundle", "rules": RULES, "plan": plan.digest, "sources": [], "records": lines.len(),
            "rejected": 0, "ignored": 0, "filtered": 0, "accounts": accounts.values().collect::<Vec<_>>(),
        });
        let seal: Seal = serde_json::from_value(seal).unwrap();
        out.finish(&seal, false).unwrap();
        let bundle = Bundle::open(&self.path(name)).unwrap();
        (plan, bundle)
    }

    /// Seals records (lines without `at`) into a bundle, applies it, and returns the run ID.
    /// `number` names bundle and run.
    pub fn apply(&self, number: u32, lines: &[&str]) -> String {
        let (plan, bundle) = self.bundle(&format!("B{number}"), lines);
        let mut writer = Writer::new(Sqlite::open(&self.path("t.db")).unwrap());
        assert_eq!(writer.preflight(&plan).unwrap(), Vec::<String>::new());
        let records = records(&bundle);
        look_up(&mut writer, &plan, &records);
        let run = start(
            &mut writer,
            &plan,
            &bundle,
            number,
            self.batch,
            records.len(),
        );
        let all = self.batches(&mut writer, &bundle);
        writer.commit(true).unwrap();
        let end = End {
            records: records.len() as u64,
            batches: all,
            interrupted: false,
            reason: None,
            at: run.started + 1000,
        };
        writer.finish(&end).unwrap();
        run.id
    }

    fn batches(&self, writer: &mut Writer<Sqlite>, bundle: &Bundle) -> usize {
        let mut no = 0;
        for phase in [Phase::Put, Phase::Late, Phase::Delete] {
            let of = |file: &&contract::bundle::RecordsFile| match phase {
                Phase::Put => file.op != Op::Delete,
                Phase::Late => file.entity == "team",
                Phase::Delete => file.op == Op::Delete,
            };
            for file in bundle.manifest().records.iter().filter(of) {
                let records: Vec<Record> = bundle
                    .segments(file)
                    .unwrap()
                    .flat_map(Result::unwrap)
                    .collect();
                for records in records.chunks(self.batch) {
                    no += 1;
                    let batch = Batch {
                        no,
                        phase,
                        entity: &file.entity,
                        records,
                        quarantine: false,
                        abort: &|| false,
                        judge: &|_, _| true,
                    };
                    writer.apply(&batch).unwrap();
                }
            }
        }
        usize::try_from(no).unwrap()
    }
}

fn records(bundle: &Bundle) -> Vec<Record> {
    let files = bundle.manifest().records.iter();
    files
        .flat_map(|file| {
            bundle
                .segments(file)
                .unwrap()
                .flat_map(Result::unwrap)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn look_up(writer: &mut Writer<Sqlite>, plan: &LoadedPlan, records: &[Record]) {
    let mut codes = Vec::new();
    for record in records {
        for (column, code) in &record.lookups {
            let field = &plan.plan.entity(&record.entity).unwrap().fields[column];
            codes.push(LookupCode {
                entity: record.entity.clone(),
                column: column.clone(),
                lookup: field.lookup.clone().unwrap(),
                code: code.clone(),
                at: record.at.clone(),
            });
        }
    }
    assert!(writer.look_up(&codes).unwrap().is_empty());
}

fn start(
    writer: &mut Writer<Sqlite>,
    plan: &LoadedPlan,
    bundle: &Bundle,
    number: u32,
    batch: usize,
    records: usize,
) -> Run {
    let new = NewRun {
        id: format!("01900000-0000-7000-8000-{number:012}"),
        bundle: bundle.id(),
        bundle_path: Some(bundle.folder().to_string_lossy().into_owned()),
        operator: "ann".into(),
        tool: "test".into(),
        batch_size: i64::try_from(batch).unwrap(),
        started: 1_700_000_000_000 + i64::from(number),
        reason: None,
        records: records as u64,
        environment: None,
        snapshot: None,
        fingerprint: false,
    };
    let start = Start {
        run: Which::New(Box::new(new)),
        operator: "ann".into(),
        take_over: false,
        dry: false,
        gather: None,
    };
    writer.start(plan, start).unwrap()
}
