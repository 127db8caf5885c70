//! Triggers and conflict clauses of the user's: what they write beside the rows that are sent, and whether
//! they let a run be taken back.

mod bare;
mod beside;
mod broken;
mod copies;
mod counters;
mod description;
mod file;
mod server;
mod trial;
mod whole;

use tests::{Case, Room};

/// Lists of items, each with its place in its list.
const PLAN: &str = r#"
name = "lists"
system = "s"
[[entity]]
name = "item"
table = "item"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["items.csv"], key = "id" }
[entity.fields]
list = { from = "list" }
pos = { from = "pos", type = "integer" }
"#;

const TABLES: &str = "CREATE TABLE item (id TEXT PRIMARY KEY, list TEXT, pos INTEGER, parent TEXT, touched TEXT, \"begin\" INTEGER);
INSERT INTO item (id, list, pos) VALUES ('a1', 'a', 1), ('a2', 'a', 2), ('b1', 'b', 1);
CREATE TABLE log (item TEXT);";

/// An item in the middle of a list and one at the end of another, and a change of a third.
const ITEMS: &str = "id,list,pos\nb2,b,2\nx,a,2\nb1,c,7\n";

/// A trigger on the items: when it fires, under which condition, and what it does.
struct Trigger<'a> {
    name: &'a str,
    when: &'a str,
    body: &'a str,
}

impl Trigger<'_> {
    /// Makes it; a BEFORE ROW trigger of a server returns its row.
    fn on(&self, room: &Room, case: Case) {
        let Self { name, when, body } = self;
        let row = if when.contains("DELETE") {
            "OLD"
        } else {
            "NEW"
        };
        room.sql(&case.either(
            format!("CREATE TRIGGER {name} {when} ON item BEGIN {body}; END"),
            format!(
                "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN {row}; END $$; \
                 CREATE TRIGGER {name} {when} ON item FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION {name}()"
            ),
        ));
    }
}

/// Moves the items behind a new one.
const MAKE_ROOM: Trigger<'_> = Trigger {
    name: "make_room",
    when: "BEFORE INSERT",
    body: "UPDATE item SET pos = pos + 1 WHERE list = NEW.list AND pos >= NEW.pos",
};

/// Changes the row that fired it, by its key among other conditions.
const TOUCH: Trigger<'_> = Trigger {
    name: "touch",
    when: "AFTER UPDATE",
    body: "UPDATE item SET touched = 'yes' WHERE list = NEW.list AND id = NEW.id AND pos IS NOT NULL",
};

const LOG: Trigger<'_> = Trigger {
    name: "keep_log",
    when: "AFTER INSERT",
    body: "INSERT INTO log VALUES (NEW.id)",
};

/// A bundle `B` of the items, for a database with these triggers; `top`: keys of the plan.
fn room(case: Case, top: &str, triggers: &[Trigger<'_>]) -> Room {
    let plan = format!("{top}\n{PLAN}");
    let room = Room::with(case, &plan, &[("items.csv", ITEMS)], TABLES);
    for trigger in triggers {
        trigger.on(&room, case);
    }
    room.bundle("B");
    room
}
