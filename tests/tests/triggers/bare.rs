//! Tables WITHOUT ROWID (SQLite), and triggers that a foreign key's action would fire.

use tests::db::same;
use tests::{Room, Target};

const PLAN: &str = r#"
name = "people"
system = "s"
[[entity]]
name = "person"
table = "bare"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["people.csv"], key = "id" }
fields = { email = { from = "email" } }
"#;

const CSV: &str = "id,email\np1,new@example.org\np8,x@example.org\n";

fn people(top: &str, sql: &str) -> Room {
    let plan = format!("{top}\n{PLAN}");
    let room = Room::with(Target::Sqlite, &plan, &[("people.csv", CSV)], sql);
    room.bundle("B");
    room
}

/// Rows without a number, by a key of two columns, with a trigger.
fn bare(trigger: &str) -> String {
    format!(
        "CREATE TABLE bare (id TEXT, part INT DEFAULT 0, email TEXT, n INT DEFAULT 0, PRIMARY KEY (part, id), UNIQUE (id)) WITHOUT ROWID;
         INSERT INTO bare (id, email) VALUES ('p1', 'x'), ('p2', 'y');
         CREATE TABLE log (id TEXT PRIMARY KEY) WITHOUT ROWID;
         CREATE TRIGGER it {trigger}; END;"
    )
}

#[test]
fn of_rows_without_a_number_a_trigger_that_changes_its_own_row_needs_no_word() {
    for trigger in [
        "AFTER UPDATE ON bare BEGIN UPDATE bare SET n = n + 1 WHERE id = NEW.id",
        "AFTER INSERT ON bare BEGIN UPDATE bare SET n = n + 1 WHERE id = NEW.id; UPDATE bare SET n = n + 1 WHERE id = NEW.id AND n > 0",
        "BEFORE UPDATE ON bare BEGIN UPDATE bare SET n = 7 WHERE part = OLD.part AND id = OLD.id AND n <> 7",
        "AFTER INSERT ON bare BEGIN SELECT 1",
    ] {
        for size in ["1", "50"] {
            let room = people("", &bare(trigger));
            let before = room.ask("SELECT group_concat(id || email) FROM bare");
            let args = ["B", "--batch-size", size, "--commit-every=0"];
            let _ = room.on("apply", &["B", "--dry-run"]).code(0);
            let run = room.on("apply", &args).code(0).id();
            let _ = room.on("verify", &[&run]).code(0);
            let _ = room.on("rollback", &[&run]).code(0);
            let after = room.ask("SELECT group_concat(id || email) FROM bare");
            assert_eq!(after, before, "{trigger}");
        }
    }
}

#[test]
fn of_rows_without_a_number_a_trigger_that_changes_others_is_named() {
    for trigger in [
        "AFTER INSERT ON bare BEGIN UPDATE bare SET n = n + 1 WHERE id = 'p2'",
        "BEFORE UPDATE ON bare BEGIN UPDATE bare SET n = 1 WHERE id = 'p2' AND part = NEW.part",
        "AFTER UPDATE ON bare BEGIN DELETE FROM bare WHERE id = 'p2'",
        "AFTER UPDATE ON bare BEGIN INSERT OR IGNORE INTO bare (id) VALUES ('p3')",
    ] {
        let room = people("", &bare(trigger));
        let before = room.dump();
        let parts = ["`it`", "1 other row of bare", "accept_triggers"];
        let _ = room.on("apply", &["B"]).code(4).says(&parts);
        same(&room.dump(), &before, "nothing was written");
        people("accept_triggers = [\"it\"]", &bare(trigger)).apply("B");
    }
}

#[test]
fn a_trigger_that_only_a_foreign_key_would_fire_needs_no_word() {
    let sql = "CREATE TABLE bare (id TEXT PRIMARY KEY, email TEXT, boss TEXT REFERENCES bare (id) ON DELETE SET NULL);
         INSERT INTO bare VALUES ('p1', 'x', NULL);
         CREATE TABLE seat (id INTEGER PRIMARY KEY, who TEXT REFERENCES bare (id) ON DELETE SET NULL, touched TEXT);
         CREATE TABLE log (id TEXT);
         CREATE TRIGGER seat_touch AFTER UPDATE ON seat WHEN NEW.touched IS OLD.touched BEGIN UPDATE seat SET touched = 'yes' WHERE id = NEW.id; END;
         CREATE TRIGGER seat_log AFTER UPDATE ON seat BEGIN INSERT INTO log VALUES (NEW.who); END;";
    let room = people("", sql);
    let before = room.dump();
    let run = room.apply("B");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "all is taken back");
    // What a trigger does to the other table is another matter.
    let clear = "CREATE TRIGGER clear AFTER UPDATE ON bare BEGIN UPDATE seat SET who = NULL WHERE who = NEW.id; END;";
    let room = people("", &format!("{sql} {clear}"));
    let parts = [
        "`clear` on bare writes rows of seat",
        "`seat_log` on seat writes rows of log",
    ];
    let _ = room.on("apply", &["B"]).code(4).says(&parts);
    people("accept_triggers = [\"clear\"]", &format!("{sql} {clear}")).apply("B");
}
