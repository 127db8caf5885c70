//! `verify`: what it finds and what it says. A small club, runs on it, and what somebody did afterwards.

mod added;
mod drift;
mod edits;
mod failed;
mod ledgers;
mod lost;
mod rows;
pub(crate) mod trail;
mod values;

use serde_json::Value;
use tests::{Case, Db, Done, Room};

fn schema(case: Case) -> String {
    let (list, tags) = case.either(("TEXT", r#"["a"]"#), ("TEXT[]", "{a}"));
    let (exact, flag, json) =
        case.either(("TEXT", "INTEGER", "TEXT"), ("NUMERIC", "BOOLEAN", "JSON"));
    format!(
        r#"
CREATE TABLE "Status" ("id" INTEGER PRIMARY KEY, "code" TEXT NOT NULL UNIQUE);
CREATE TABLE "Team" ("id" TEXT PRIMARY KEY, "name" TEXT NOT NULL, "captain" TEXT);
CREATE TABLE "Mem ber" ("id" TEXT PRIMARY KEY, "email" TEXT NOT NULL, "phone" TEXT, "note" TEXT,
  "team" TEXT REFERENCES "Team"("id"), "statusId" BIGINT REFERENCES "Status"("id"), "tags" {list},
  "balance" {exact}, "price" REAL, "active" {flag}, "data" {json}, "stamp" TEXT);
CREATE INDEX "by_email" ON "Mem ber" ("email");
CREATE TABLE "Badge" ("id" INTEGER PRIMARY KEY, "member" TEXT REFERENCES "Mem ber"("id"));
INSERT INTO "Status" VALUES (1, 'NEW'), (2, 'OLD');
INSERT INTO "Mem ber" ("id", "email", "tags") VALUES ('m1', 'ann@example.org', '{tags}'), ('m2', 'bob@example.org', NULL);
INSERT INTO "Badge" VALUES (1, 'm2');
"#
    )
}

const PLAN: &str = r#"
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
const CLUB: [&str; 4] = [
    r#"{"entity":"team","key":"t1","fields":{"name":"Red"},"refs":{"captain":{"entity":"member","key":"n1"}}}"#,
    r#"{"entity":"member","key":"n1","fields":{"email":"eve@example.org","phone":"555-SECRET","note":"x","tags":["b"],"balance":0.10,"price":12.50,"active":true,"data":{"b":[1],"a":null}},"refs":{"team":{"entity":"team","key":"t1"}},"lookups":{"statusId":"NEW"}}"#,
    r#"{"entity":"member","key":"n2","fields":{"email":"fay@example.org","phone":null,"active":false},"lookups":{"statusId":"OLD"}}"#,
    r#"{"entity":"member","key":"a1","fields":{"email":"ann@example.org","phone":"111","tags":["a"]}}"#,
];

fn club(case: Case) -> Room {
    Room::with(case, PLAN, &[], &schema(case))
}

/// Applies records (lines without `at`) in batches of two, and returns the run ID.
#[track_caller]
fn applied(club: &Room, lines: &[&str]) -> String {
    let bundle = club.seal(lines);
    let args = [&bundle, "--batch-size=2", "--operator=ann"];
    club.on("apply", &args).code(0).id()
}

fn verify(club: &Room, args: &[&str]) -> Done {
    club.on("verify", args)
}

/// Runs SQL as somebody who does not mind foreign keys.
#[track_caller]
fn careless(club: &Room, sql: &str) {
    let careless = match club.db {
        Db::Sqlite(_) => "PRAGMA foreign_keys = OFF",
        Db::Postgres(_) => "SET session_replication_role = replica",
    };
    club.sql(&format!("{careless}; {sql}"));
}

fn json(said: &Done) -> Value {
    serde_json::from_str(&said.out).unwrap()
}

/// Returns a check of a JSON report.
#[track_caller]
fn named(said: &Done, name: &str) -> Value {
    let report = json(said);
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no check {name}")).clone()
}
