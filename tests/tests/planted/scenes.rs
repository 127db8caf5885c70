//! The targets that faults are planted in.

use std::fs;

use tests::{Case, Db, Room};

use super::plants::Plant;

/// A target with runs that verify has looked at.
pub struct Scene {
    pub name: &'static str,
    pub room: Room,
    pub runs: Vec<String>,
    /// How verify ends for each of them.
    pub codes: Vec<i32>,
}

fn schema(case: Case) -> String {
    let (list, tags) = case.either(("TEXT", r#"["a"]"#), ("TEXT[]", "{a}"));
    let (exact, flag, json) =
        case.either(("TEXT", "INTEGER", "TEXT"), ("NUMERIC", "BOOLEAN", "JSON"));
    format!(
        r#"
CREATE TABLE "Status" ("id" INTEGER PRIMARY KEY, "code" TEXT NOT NULL UNIQUE);
CREATE TABLE "Team" ("id" TEXT PRIMARY KEY, "name" TEXT NOT NULL, "captain" TEXT);
CREATE TABLE "Member" ("id" TEXT PRIMARY KEY, "email" TEXT NOT NULL, "phone" TEXT, "note" TEXT,
  "team" TEXT REFERENCES "Team"("id"), "statusId" BIGINT REFERENCES "Status"("id"), "tags" {list},
  "balance" {exact}, "active" {flag}, "data" {json}, "stamp" TEXT, "made" TEXT DEFAULT 'by default');
CREATE TABLE "Log" ("id" TEXT PRIMARY KEY, "run" TEXT, "state" TEXT);
CREATE INDEX "by_email" ON "Member" ("email");
INSERT INTO "Status" VALUES (1, 'NEW'), (2, 'OLD');
INSERT INTO "Member" ("id", "email", "tags") VALUES ('m1', 'ann@example.org', '{tags}'), ('m2', 'bob@example.org', NULL),
  ('m3', 'cyd@example.org', NULL);
"#
    )
}

const PLAN: &str = r#"
name = "planted"
system = "old"

[[add.column]]
table = "Member"
column = "level"
type = "INTEGER"
not_null = true
default = 0
initial = 1

[[add.column]]
table = "Member"
column = "wa"
type = "TEXT"

[[hook]]
on = ["started", "completed", "failed", "rolled-back"]
command = ["true"]

[metadata]
table = "Log"
id = { column = "id", from = "uuid" }
on_rollback = "delete"
[metadata.fields]
run = { run = "id" }
state = { value = "done" }

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
on_drift = "keep"
volatile = ["note"]
tag = { column = "tags", text = "run:{run}" }
source = { format = "csv", files = ["b.csv"], key = "id" }

[entity.fields]
email = { from = "email", unique = "fold" }
phone = { from = "phone" }
note = { from = "note" }
team = { from = "team", ref = "team" }
statusId = { from = "status", lookup = { table = "Status", by = "code" } }
tags = { from = "tags", type = "list" }
balance = { from = "balance", type = "decimal" }
active = { from = "active", type = "boolean" }
data = { from = "data", type = "json" }
stamp = { run = "started_at" }
wa = { from = "wa" }

[[entity]]
name = "gone"
table = "Member"
id = { column = "id", from = "key" }
op = "delete"
source = { format = "csv", files = ["c.csv"], key = "id" }
"#;

const TEAM: &str = r#"{"entity":"team","key":"t1","fields":{"name":"Red"},"refs":{"captain":{"entity":"member","key":"n1"}}}"#;
const EVE: &str = r#"{"entity":"member","key":"n1","fields":{"email":"eve@example.org","phone":"1","note":"x","tags":["b"],"balance":0.10,"active":true,"data":{"b":[1]},"wa":"w1"},"refs":{"team":{"entity":"team","key":"t1"}},"lookups":{"statusId":"NEW"}}"#;
const FAY: &str = r#"{"entity":"member","key":"n2","fields":{"email":"fay@example.org","phone":"2","active":false},"lookups":{"statusId":"OLD"}}"#;
const ANN: &str = r#"{"entity":"member","key":"a1","fields":{"email":"ann@example.org","phone":"3","tags":["a"]}}"#;
const CYD: &str = r#"{"entity":"gone","key":"x","op":"delete","target":"m3"}"#;

impl Scene {
    /// Two runs that passed: the second found an edit, and left it.
    pub fn verified(case: Case) -> Self {
        let room = Room::with(case, PLAN, &[], &schema(case)).with_own_plan();
        let first = applied(&room, &[TEAM, EVE, FAY, ANN, CYD], 0);
        room.sql(r#"UPDATE "Member" SET "phone" = '9' WHERE "id" = 'n2'"#);
        let fay = FAY.replace("fay@", "fae@");
        let second = applied(&room, &[TEAM, EVE, &fay, ANN], 0);
        // What the second one left is no longer as the first one wrote it.
        Self::new("verified", room, vec![first, second], vec![1, 0])
    }

    /// A run that was taken back but for a row that was edited since.
    pub fn rolled_back(case: Case) -> Self {
        let room = Room::with(case, PLAN, &[], &schema(case)).with_own_plan();
        let run = applied(&room, &[TEAM, EVE, FAY, ANN, CYD], 0);
        room.sql(r#"UPDATE "Member" SET "email" = 'fae@example.org' WHERE "id" = 'n2'"#);
        let args = [
            &run,
            "--skip-conflicts",
            "--reason",
            "a test",
            "--operator=bea",
        ];
        let _ = room.on("rollback", &args).code(0);
        Self::new("rolled-back", room, vec![run], vec![0])
    }

    /// A run with a record that failed.
    pub fn failed(case: Case) -> Self {
        let room = Room::with(case, PLAN, &[], &schema(case)).with_own_plan();
        room.db
            .refuse("INSERT", "\"Member\"", "NEW.email LIKE 'fay%'", "no fay");
        let run = applied(&room, &[TEAM, EVE, FAY, ANN, CYD], 3);
        Self::new("failed", room, vec![run], vec![1])
    }

    fn new(name: &'static str, room: Room, runs: Vec<String>, codes: Vec<i32>) -> Self {
        let scene = Self {
            name,
            room,
            runs,
            codes,
        };
        match &scene.room.db {
            Db::Sqlite(file) => {
                fs::copy(file, scene.room.path("whole.db")).unwrap();
            }
            Db::Postgres(database) => {
                let mut copy = "CREATE SCHEMA planted;".to_owned();
                for table in scene.tables() {
                    copy += &format!(
                        "CREATE TABLE planted.\"{}\" AS SELECT * FROM {};",
                        table.replace('"', ""),
                        scene.quoted(&table)
                    );
                }
                database.sql(&copy);
            }
        }
        scene
    }

    /// Returns the tables: those of the ledger as `ledger.NAME`.
    pub fn tables(&self) -> Vec<String> {
        let sql = match &self.room.db {
            Db::Sqlite(_) => {
                "SELECT CASE WHEN name LIKE 'switchback_%' THEN 'ledger.' || substr(name, 12) ELSE name END \
                 FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1"
            }
            Db::Postgres(_) => {
                "SELECT CASE nspname WHEN 'public' THEN relname ELSE 'ledger.' || relname END \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
                 WHERE relkind = 'r' AND nspname IN ('public', 'switch' || 'back') ORDER BY 1"
            }
        };
        let rows = self.room.db.rows(sql);
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    }

    /// Returns the name of a table for a statement.
    pub fn quoted(&self, table: &str) -> String {
        match (table.strip_prefix("ledger."), &self.room.db) {
            (Some(name), Db::Sqlite(_)) => format!("\"switchback_{name}\""),
            (Some(name), Db::Postgres(_)) => format!("switchback.\"{name}\""),
            (None, _) => format!("\"{table}\""),
        }
    }

    /// Plants a fault. Returns whether the target took it.
    pub fn plant(&self, plant: &Plant) -> bool {
        let sql = plant.sql.join(";\n");
        match &self.room.db {
            Db::Sqlite(_) => self
                .room
                .db
                .try_sql(&format!("PRAGMA foreign_keys = OFF; {sql}"))
                .is_ok(),
            Db::Postgres(database) => {
                let sql = format!("SET session_replication_role = replica; BEGIN; {sql}; COMMIT;");
                database.try_sql(&sql).is_ok()
            }
        }
    }

    /// Takes a fault out again.
    pub fn restore(&self, plant: &Plant) {
        match &self.room.db {
            Db::Sqlite(file) => {
                fs::copy(self.room.path("whole.db"), file).unwrap();
            }
            Db::Postgres(database) => {
                let table = self.quoted(&plant.table);
                database.sql(&format!(
                    "SET session_replication_role = replica; DELETE FROM {table}; \
                     INSERT INTO {table} SELECT * FROM planted.\"{}\"",
                    plant.table.replace('"', "")
                ));
            }
        }
    }
}

/// Applies records in batches of two, sets aside those that fail, and returns the run ID.
#[track_caller]
fn applied(room: &Room, lines: &[&str], code: i32) -> String {
    let bundle = room.seal(lines);
    let args = [
        &*bundle,
        "--batch-size=2",
        "--operator=ann",
        "--on-error=record",
        "--max-failed-percent=100",
    ];
    room.on("apply", &args).code(code).id()
}
