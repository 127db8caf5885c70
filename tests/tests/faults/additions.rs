//! A run that adds a column and a table, broken at every step: they are there with its ledger entries
//! or not at all, and go with it as wholly.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::lab::{Lab, Place, RUN, count, each, ledger, memory, run};
use tests::{Room, Target, command};

use crate::steps::points;

const PLAN: &str = r#"
name = "adds"
system = "faults"
[[add.column]]
table = "person"
column = "level"
type = "INTEGER"
not_null = true
default = 0
initial = 1
[[add.table]]
table = "card"
columns = { no = { type = "TEXT" }, person = { type = "TEXT" } }
primary_key = ["no"]
foreign_keys = [{ columns = ["person"], table = "person", to = ["id"] }]
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
[entity.fields]
level = { from = "level", type = "integer" }
[[entity]]
name = "card"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "card"
match = ["no"]
[entity.fields]
no = { from = "card", required = true }
person = { from = "id", ref = "person" }
"#;

struct Adds {
    room: Room,
    /// In memory, where there is such a place.
    folder: tempfile::TempDir,
    before: String,
    after: String,
    ledger: String,
}

impl Adds {
    fn new() -> Self {
        let people = [("people.csv", "id,level,card\na,1,c1\nb,5,c2\nc,0,c3\n")];
        let tables = "CREATE TABLE person (id TEXT PRIMARY KEY, updated TEXT -- last
            );
            CREATE TRIGGER touch AFTER UPDATE ON person WHEN NEW.updated IS OLD.updated
            BEGIN UPDATE person SET updated = OLD.updated || '+' WHERE id = NEW.id; END;
            INSERT INTO person VALUES ('a', 'x'), ('b', 'y');";
        let mut adds = Self {
            room: Room::with(Target::Sqlite, PLAN, &people, tables),
            folder: memory(),
            before: String::new(),
            after: String::new(),
            ledger: String::new(),
        };
        adds.room.bundle("B");
        adds.before = adds.room.dump();
        let place = adds.place("after");
        let _ = run(&mut adds.apply(&place), None).code(0);
        adds.after = place.db.dump();
        adds.ledger = ledger(&place.db);
        adds
    }

    fn copy_of(&self, base: &Path, name: &str) -> Place {
        let place = Place::sqlite(self.folder.path().join(name));
        fs::create_dir(&place.folder).unwrap();
        fs::copy(base, place.file()).unwrap();
        place
    }

    fn place(&self, name: &str) -> Place {
        self.copy_of(&self.room.path("t.db"), name)
    }

    /// Each batch of two records in a commit of its own.
    fn apply(&self, place: &Place) -> Command {
        let mut apply = command(
            "crash/apply",
            &place.folder,
            [self.room.path("B").as_os_str()],
        );
        apply.args(["--to", &place.url, "--batch-size", "2", "--run-id", RUN]);
        apply.args(["--now", "2099-05-01T00:00:00Z"]);
        apply.env("SWITCHBACK_GROUP", "0");
        apply
    }

    fn take_back(&self, place: &Place) {
        let _ = run(&mut Lab::rollback(place), None).code(0);
        assert_eq!(place.db.dump(), self.before, "after rollback");
    }
}

fn apply_at_every_step(test: &str, kind: &str) {
    let adds = Adds::new();
    let place = adds.place("count");
    let steps = count(&mut adds.apply(&place), &place);
    each(test, points(kind, steps), |point| {
        let place = adds.place(point);
        let _ = run(adds.apply(&place).env("SWITCHBACK_CRASH", point), None);
        let there = place.run_is_there();
        assert_eq!(place.db.ask("PRAGMA integrity_check"), "ok");
        if there {
            let added = "SELECT count(*) FROM pragma_table_info('person') WHERE name = 'level'";
            assert_eq!(place.db.ask(added), "1", "a run without its column");
            adds.take_back(&place.copy());
        } else {
            assert_eq!(place.db.dump(), adds.before, "columns without a run");
        }
        if !(there && place.status() == "completed") {
            let mut apply = adds.apply(&place);
            let _ = run(apply.args(there.then_some("--resume")), None).code(0);
        }
        assert_eq!(place.db.dump(), adds.after, "after resume");
        assert_eq!(ledger(&place.db), adds.ledger, "after resume");
        adds.take_back(&place);
        place.remove();
    });
}

#[test]
fn additions_killed_at_every_step() {
    apply_at_every_step("additions::additions_killed_at_every_step", "kill");
}

#[test]
fn additions_with_every_call_failing_once() {
    apply_at_every_step("additions::additions_with_every_call_failing_once", "fail");
}

fn rollback_at_every_step(test: &str, kind: &str) {
    let adds = Adds::new();
    let base = adds.folder.path().join("after/t.db");
    let place = adds.copy_of(&base, "count");
    let steps = count(&mut Lab::rollback(&place), &place);
    each(test, points(kind, steps), |point| {
        let place = adds.copy_of(&base, point);
        let _ = run(Lab::rollback(&place).env("SWITCHBACK_CRASH", point), None);
        assert_eq!(place.db.ask("PRAGMA integrity_check"), "ok");
        let left = "SELECT count(*) FROM switchback_changes WHERE action > 5 AND seq < \
                    (SELECT coalesce(undo_seq, last_seq + 1) FROM switchback_runs)";
        let there = "SELECT (SELECT count(*) FROM pragma_table_info('person') WHERE name = 'level') + \
                     (SELECT count(*) FROM sqlite_master WHERE name = 'card')";
        assert_eq!(
            place.db.ask(there),
            place.db.ask(left),
            "what is there is what the ledger says is left"
        );
        adds.take_back(&place);
        place.remove();
    });
}

#[test]
fn taking_additions_back_killed_at_every_step() {
    rollback_at_every_step(
        "additions::taking_additions_back_killed_at_every_step",
        "kill",
    );
}

#[test]
fn taking_additions_back_with_every_call_failing_once() {
    rollback_at_every_step(
        "additions::taking_additions_back_with_every_call_failing_once",
        "fail",
    );
}
