//! A small club's database, runs applied to it, and the program.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "test helpers"
)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use contract::plan::LoadedPlan;
use contract::{Digest, Op, Record};
use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::json;
use store::ledger::Phase;
use store::{Batch, End, NewRun, Sqlite, Start, Target, Which, Writer};
use tempfile::TempDir;

/// Members with a touch trigger and a sponsor, teams that own them, a log of what came.
pub const SCHEMA: &str = r#"
CREATE TABLE "Team" ("id" TEXT PRIMARY KEY, "name" TEXT NOT NULL UNIQUE, "captain" TEXT REFERENCES "Member"("id"));
CREATE TABLE "Member" ("id" TEXT PRIMARY KEY, "email" TEXT NOT NULL UNIQUE, "phone" TEXT, "note" TEXT,
  "team" TEXT REFERENCES "Team"("id"), "sponsor" TEXT REFERENCES "Member"("id"), "tags" TEXT, "balance" NUMERIC,
  "picture" BLOB, "stamp" TEXT, "updatedAt" TEXT NOT NULL DEFAULT 'new',
  "shout" TEXT GENERATED ALWAYS AS (upper("email")) STORED);
CREATE TRIGGER "touch" AFTER UPDATE ON "Member" BEGIN
  UPDATE "Member" SET "updatedAt" = 'touched ' || hex(randomblob(8)) WHERE "id" = NEW."id"; END;
CREATE TABLE "Pay ment" ("id" INTEGER PRIMARY KEY AUTOINCREMENT, "member" TEXT NOT NULL REFERENCES "Member"("id") ON DELETE CASCADE,
  "order" TEXT);
CREATE TABLE "Meta" ("id" TEXT PRIMARY KEY, "content" TEXT);
INSERT INTO "Team" VALUES ('t1', 'Red', NULL);
INSERT INTO "Member" ("id", "email", "phone", "note", "team", "balance", "picture", "tags", "updatedAt") VALUES
  ('m1', 'ann@example.org', '', NULL, 't1', 1.50, x'00ff', NULL, '2020-01-01'),
  ('m2', 'bob@example.org', NULL, '', NULL, 12345678901234, NULL, '[ "old" ]', '2020-01-02'),
  ('m3', 'cy@example.org', '7', 'x', NULL, NULL, x'', '[]', '2020-01-03');
INSERT INTO "Pay ment" ("member", "order") VALUES ('m1', 'first');
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
table = "Member"
id = { column = "id", from = "key" }
match = ["email"]
on_match = "update"
volatile = ["note"]
tag = { column = "tags", text = "run:{run}" }
source = { format = "csv", files = ["b.csv"], key = "id" }

[entity.fields]
email = { from = "email" }
phone = { from = "phone", secret = true }
team = { from = "team", ref = "team" }
sponsor = { from = "sponsor", ref = "member", late = true }
balance = { from = "balance", type = "decimal", exact = false }
stamp = { run = "started_at" }

[[entity]]
name = "payment"
table = "Pay ment"
id = { column = "id", from = "target" }
source = { format = "csv", files = ["c.csv"], key = "id" }
fields = { member = { from = "member", ref = "member", outside = "target" }, order = { from = "order" } }

[[entity]]
name = "old_member"
table = "Member"
id = { column = "id", from = "key" }
op = "delete"
source = { format = "csv", files = ["e.csv"], key = "id" }

[[entity]]
name = "old_payment"
table = "Pay ment"
id = { column = "id", from = "target" }
op = "delete"
source = { format = "csv", files = ["d.csv"], key = "id" }
"#;

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub struct Club {
    pub folder: TempDir,
    pub plan: String,
    pub batch: usize,
    /// Whether batches may fail.
    pub lenient: bool,
}

impl Club {
    pub fn new() -> Self {
        let club = Self {
            folder: TempDir::new().unwrap(),
            plan: PLAN.into(),
            batch: 50,
            lenient: false,
        };
        std::fs::write(club.path(), "").unwrap();
        club.sql(SCHEMA);
        club
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("club.db")
    }

    pub fn sql(&self, sql: &str) {
        let conn = Connection::open(self.path()).unwrap();
        conn.pragma_update(None, "foreign_keys", true).unwrap();
        conn.execute_batch(sql).unwrap();
    }

    pub fn one(&self, sql: &str) -> Value {
        let conn = Connection::open(self.path()).unwrap();
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub fn text(&self, sql: &str) -> String {
        match self.one(sql) {
            Value::Text(text) => text,
            other => format!("{other:?}"),
        }
    }

    /// All rows of the user's tables and the counters, with their types.
    pub fn dump(&self) -> String {
        let conn = Connection::open(self.path()).unwrap();
        let mut out = String::new();
        for table in ["Team", "Member", "Pay ment", "Meta", "sqlite_sequence"] {
            let mut rows = conn
                .prepare(&format!("SELECT * FROM \"{table}\" ORDER BY 1"))
                .unwrap();
            let width = rows.column_count();
            let mut rows = rows.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let cells: Vec<Value> = (0..width).map(|at| row.get(at).unwrap()).collect();
                writeln!(out, "{table} {cells:?}").unwrap();
            }
        }
        out
    }

    /// Applies records, each a record line without `at`, and returns the run ID.
    pub fn apply(&self, lines: &[&str]) -> String {
        let plan = LoadedPlan::parse("plan.toml".as_ref(), self.plan.clone()).unwrap();
        let records: Vec<Record> = lines
            .iter()
            .zip(1..)
            .map(|(line, number)| {
                let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
                record["at"] = json!({"file": "source.csv", "line": number});
                serde_json::from_value(record).unwrap()
            })
            .collect();
        let mut writer = Writer::new(Sqlite::open(&self.path()).unwrap());
        let id = uuid::Uuid::now_v7().to_string();
        let new = NewRun {
            id: id.clone(),
            bundle: Digest::of(b"none"),
            bundle_path: None,
            operator: "ann".into(),
            tool: "test".into(),
            batch_size: 50,
            started: 4_070_000_000_000,
            reason: None,
            records: records.len() as u64,
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
        assert_eq!(writer.preflight(&plan).unwrap(), Vec::<String>::new());
        writer.start(&plan, start).unwrap();
        let (mut no, mut applied) = (0, 0);
        for phase in [Phase::Put, Phase::Late, Phase::Delete] {
            let mut entities = plan.plan.in_dependency_order();
            if phase == Phase::Delete {
                entities.reverse();
            }
            for entity in entities {
                let records: Vec<Record> = records
                    .iter()
                    .filter(|record| {
                        record.entity == entity.name
                            && (record.op == Op::Delete) == (phase == Phase::Delete)
                    })
                    .cloned()
                    .collect();
                for records in records.chunks(self.batch) {
                    no += 1;
                    let outcome = writer
                        .apply(&Batch {
                            no,
                            phase,
                            entity: &entity.name,
                            records,
                            quarantine: false,
                            abort: &|| false,
                            judge: &|_, _| true,
                        })
                        .unwrap();
                    assert!(outcome.applied || self.lenient, "{:?}", outcome.rejects);
                    applied += i64::from(outcome.applied);
                }
            }
        }
        assert!(applied > 0 || records.is_empty() || self.lenient);
        writer.commit(true).unwrap();
        writer
            .finish(&End {
                records: records.len() as u64,
                batches: usize::try_from(no).unwrap(),
                interrupted: false,
                reason: None,
                at: 4_070_000_001_000,
            })
            .unwrap();
        id
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollback"));
        command
            .args(args)
            .env("DATABASE_URL", format!("sqlite:{}", self.path().display()))
            .stdin(Stdio::null());
        command
    }

    pub fn rollback(&self, args: &[&str]) -> Said {
        let out = self.command(args).output().unwrap();
        Said {
            code: out.status.code().unwrap_or(-1),
            out: String::from_utf8(out.stdout).unwrap(),
            err: String::from_utf8(out.stderr).unwrap(),
        }
    }
}
