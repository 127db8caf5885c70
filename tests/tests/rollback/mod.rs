//! `rollback`: what comes back, what stays, and what is said of it. A small club, and runs on it.

mod answers;
mod any_order;
mod back;
mod broken_off;
mod in_the_way;

use tests::{Case, Room};

/// Members with a touch trigger and a sponsor, teams that own them, payments, and a place for marks.
fn schema(case: Case) -> String {
    let (list, old, empty) = case.either(("TEXT", "[ \"old\" ]", "[]"), ("TEXT[]", "{old}", "{}"));
    let json = case.either("TEXT", "JSONB");
    let touch = case.either(
        "CREATE TRIGGER touch AFTER UPDATE ON member BEGIN
           UPDATE member SET \"updatedAt\" = 'touched ' || hex(randomblob(8)) WHERE id = NEW.id; END;",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           NEW.\"updatedAt\" := 'touched ' || clock_timestamp(); RETURN NEW; END $$;
         CREATE TRIGGER touch BEFORE UPDATE ON member FOR EACH ROW EXECUTE FUNCTION touch();",
    );
    // SQLite takes a reference to a table that is still to come; PostgreSQL takes one that is added.
    let (inside, after) = case.either(
        (" REFERENCES member (id)", ""),
        (
            "",
            "ALTER TABLE team ADD FOREIGN KEY (captain) REFERENCES member (id);",
        ),
    );
    format!(
        "CREATE TABLE team (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, captain TEXT{inside});
CREATE TABLE member (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, phone TEXT, note TEXT,
  team TEXT REFERENCES team (id), sponsor TEXT REFERENCES member (id), tags {list}, balance NUMERIC,
  picture BLOB, stamp TEXT, \"updatedAt\" TEXT NOT NULL DEFAULT 'new',
  shout TEXT GENERATED ALWAYS AS (upper(email)) STORED);
{after} {touch}
CREATE TABLE \"Pay ment\" (id INTEGER PRIMARY KEY AUTOINCREMENT, member TEXT NOT NULL REFERENCES member (id) ON DELETE CASCADE,
  \"order\" TEXT);
CREATE TABLE meta (id TEXT PRIMARY KEY, content {json});
INSERT INTO team VALUES ('t1', 'Red', NULL);
INSERT INTO member (id, email, phone, note, team, balance, picture, tags, \"updatedAt\") VALUES
  ('m1', 'ann@example.org', '', NULL, 't1', 1.50, x'00ff', NULL, '2020-01-01'),
  ('m2', 'bob@example.org', NULL, '', NULL, 12345678901234, NULL, '{old}', '2020-01-02'),
  ('m3', 'cy@example.org', '7', 'x', NULL, NULL, x'', '{empty}', '2020-01-03');
INSERT INTO \"Pay ment\" (member, \"order\") VALUES ('m1', 'first');"
    )
}

const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "team"
table = "team"
id = { column = "id", from = "key" }
source = { format = "csv", files = ["a.csv"], key = "id" }
fields = { name = { from = "name" }, captain = { from = "captain", ref = "member", late = true } }

[[entity]]
name = "member"
table = "member"
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
table = "member"
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

/// A run of all kinds: a new team and two new members (one sponsors the other, the second is the
/// team's captain), an update of Ann and Bob, a payment, a payment and a member deleted.
const ALL: [&str; 8] = [
    r#"{"entity":"team","key":"t9","fields":{"name":"Blue"},"refs":{"captain":{"entity":"member","key":"m9"}}}"#,
    r#"{"entity":"member","key":"m8","fields":{"email":"eve@example.org","phone":"8"},"refs":{"team":{"entity":"team","key":"t9"},"sponsor":{"entity":"member","key":"m9"}}}"#,
    r#"{"entity":"member","key":"m9","fields":{"email":"fay@example.org","balance":2.25},"refs":{"team":{"entity":"team","key":"t9"},"sponsor":{"entity":"member","key":"a1"}}}"#,
    r#"{"entity":"member","key":"a1","fields":{"email":"ann@example.org","phone":"111"},"refs":{"team":{"entity":"team","key":"t9"},"sponsor":{"entity":"member","key":"m8"}}}"#,
    BOB,
    r#"{"entity":"payment","key":"p1","fields":{"order":"second"},"refs":{"member":{"entity":"member","key":"m9"}}}"#,
    r#"{"entity":"old_payment","key":"x1","op":"delete","target":1}"#,
    r#"{"entity":"old_member","key":"x3","op":"delete","target":"m3"}"#,
];

/// An update of Bob alone.
const BOB: &str =
    r#"{"entity":"member","key":"b1","fields":{"email":"bob@example.org","phone":"222"}}"#;

fn club(case: Case) -> Room {
    Room::with(case, PLAN, &[], &schema(case))
}

/// Applies records (lines without `at`), and returns the run ID.
#[track_caller]
fn applied(club: &Room, lines: &[&str]) -> String {
    club.apply(&club.seal(lines))
}
