//! A run that adds a column and a table, broken at every step: they are there with its ledger entries
//! or not at all, and go with it as wholly.

use std::process::Command;

use tests::db::same;
use tests::lab::{Lab, Place, RUN, count, each, ledger, memory, run, some, whole};
use tests::{Case, Db, Room, both, command};

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

/// A trigger changes what an update does not: it must be restored too.
const SQLITE: &str = "CREATE TABLE person (id TEXT PRIMARY KEY, updated TEXT -- last
    );
    CREATE TRIGGER touch AFTER UPDATE ON person WHEN NEW.updated IS OLD.updated
    BEGIN UPDATE person SET updated = OLD.updated || '+' WHERE id = NEW.id; END;
    INSERT INTO person VALUES ('a', 'x'), ('b', 'y');";
const POSTGRES: &str = "CREATE TABLE person (id text PRIMARY KEY, updated text);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN NEW.updated := OLD.updated || ''+''; RETURN NEW; END';
    CREATE TRIGGER touch BEFORE UPDATE ON person FOR EACH ROW WHEN (NEW.updated IS NOT DISTINCT FROM OLD.updated)
      EXECUTE FUNCTION touch();
    INSERT INTO person VALUES ('a', 'x'), ('b', 'y');";

struct Adds {
    case: Case,
    room: Room,
    /// In memory, where there is such a place.
    folder: tempfile::TempDir,
    /// The database after an undisturbed run.
    done: Db,
    before: String,
    after: String,
    ledger: String,
}

impl Adds {
    fn new(case: Case) -> Self {
        let people = [("people.csv", "id,level,card\na,1,c1\nb,5,c2\nc,0,c3\n")];
        let room = Room::with(case, PLAN, &people, case.either(SQLITE, POSTGRES));
        room.bundle("B");
        let folder = memory();
        let place = Place::with(folder.path().join("after"), &room.db);
        let before = room.dump();
        let _ = run(&mut apply(&room, &place), None).code(0);
        Self {
            case,
            room,
            before,
            after: place.db.dump(),
            ledger: ledger(&place.db),
            done: place.db.copy(&folder.path().join("after.db")),
            folder,
        }
    }

    /// Makes a folder with a copy of the database of before, or of after.
    fn place(&self, base: &Db, name: &str) -> Place {
        Place::with(self.folder.path().join(name), base)
    }

    /// How many of the column and the table are there.
    fn there(&self, place: &Place) -> String {
        place.db.ask(self.case.either(
            "SELECT (SELECT count(*) FROM pragma_table_info('person') WHERE name = 'level') + \
             (SELECT count(*) FROM sqlite_master WHERE name = 'card')",
            "SELECT (SELECT count(*) FROM pg_attribute WHERE attrelid = 'person'::regclass AND attname = 'level') + \
             (SELECT count(*) FROM pg_class WHERE relname = 'card')",
        ))
    }

    fn take_back(&self, place: &Place) {
        let _ = run(&mut Lab::rollback(place), None).code(0);
        same(&place.db.dump(), &self.before, "after rollback");
    }
}

/// Each batch of two records in a commit of its own.
fn apply(room: &Room, place: &Place) -> Command {
    let bundle = room.path("B");
    let mut apply = command("crash/apply", &place.folder, [bundle.as_os_str()]);
    apply.args(["--to", &place.url, "--batch-size", "2", "--run-id", RUN]);
    apply.args(["--now", "2099-05-01T00:00:00Z"]);
    apply.args(["--commit-every", "0"]);
    apply
}

fn apply_at_every_step(case: Case, kind: &str) {
    let adds = Adds::new(case);
    let place = adds.place(&adds.room.db, "count");
    let steps = count(&mut apply(&adds.room, &place), &place);
    each(case.test, some(case, points(kind, steps), 12), |point| {
        let place = adds.place(&adds.room.db, point);
        let mut broken = apply(&adds.room, &place);
        let _ = run(broken.env("SWITCHBACK_CRASH", point), None);
        whole(&place.db);
        let there = place.run_is_there();
        if there {
            assert_eq!(adds.there(&place), "2", "a run without its additions");
            let twin = place.copy();
            adds.take_back(&twin);
            twin.remove();
        } else {
            same(&place.db.dump(), &adds.before, "additions without a run");
        }
        if !(there && place.status() == "completed") {
            let mut apply = apply(&adds.room, &place);
            let _ = run(apply.args(there.then_some("--resume")), None).code(0);
        }
        same(&place.db.dump(), &adds.after, "after resume");
        same(&ledger(&place.db), &adds.ledger, "after resume");
        adds.take_back(&place);
        place.remove();
    });
}

fn additions_killed_at_every_step(case: Case) {
    apply_at_every_step(case, "kill");
}

fn additions_with_every_call_failing_once(case: Case) {
    apply_at_every_step(case, "fail");
}

fn rollback_at_every_step(case: Case, kind: &str) {
    let adds = Adds::new(case);
    let place = adds.place(&adds.done, "count");
    let steps = count(&mut Lab::rollback(&place), &place);
    each(case.test, some(case, points(kind, steps), 8), |point| {
        let place = adds.place(&adds.done, point);
        let _ = run(Lab::rollback(&place).env("SWITCHBACK_CRASH", point), None);
        whole(&place.db);
        let left = "SELECT count(*) FROM switchback_changes WHERE action > 5 AND seq < \
                    (SELECT coalesce(undo_seq, last_seq + 1) FROM switchback_runs)";
        assert_eq!(
            adds.there(&place),
            place.db.ask(left),
            "what is there is what the ledger says is left"
        );
        adds.take_back(&place);
        place.remove();
    });
}

fn taking_additions_back_killed_at_every_step(case: Case) {
    rollback_at_every_step(case, "kill");
}

fn taking_additions_back_with_every_call_failing_once(case: Case) {
    rollback_at_every_step(case, "fail");
}

both!(
    additions_killed_at_every_step,
    additions_with_every_call_failing_once,
    taking_additions_back_killed_at_every_step,
    taking_additions_back_with_every_call_failing_once,
);
