//! Triggers that keep a tree or a column called `begin`: whatever their text looks like, rows that they write
//! beside the one that fired them are counted.

use tests::db::same;
use tests::{Case, Room};

use super::{ITEMS, PLAN, TABLES};

tests::both!(
    a_counter_of_children_in_the_parent_row_is_named,
    a_condition_over_a_column_called_begin_hides_no_statement,
);

fn club(case: Case, sql: &str, items: &str) -> Room {
    let plan = format!("{PLAN}parent = {{ from = \"parent\" }}\n");
    let room = Room::with(case, &plan, &[("items.csv", items)], TABLES);
    room.sql(sql);
    room.bundle("B");
    room
}

#[track_caller]
fn refused(room: &Room, parts: &[&str]) {
    let before = room.dump();
    let _ = room.on("apply", &["B", "--dry-run"]).code(4).says(parts);
    let _ = room.on("apply", &["B"]).code(4).says(parts);
    same(&room.dump(), &before, "nothing was written");
}

fn a_counter_of_children_in_the_parent_row_is_named(case: Case) {
    let count = "UPDATE item SET pos = pos + 1 WHERE id = NEW.parent;";
    let sql = case.either(
        format!("CREATE TRIGGER grow AFTER INSERT ON item WHEN NEW.parent IS NOT NULL BEGIN {count} END"),
        format!(
            "CREATE FUNCTION grow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {count} RETURN NULL; END $$;
             CREATE TRIGGER grow AFTER INSERT ON item FOR EACH ROW WHEN (NEW.parent IS NOT NULL) EXECUTE FUNCTION grow()"
        ),
    );
    let child = "id,list,pos,parent\nx,a,9,a1\n";
    let room = club(case, &sql, child);
    refused(&room, &["`grow`", "of item"]);
    // A row that is nobody's child changes nothing beside it.
    let room = club(case, &sql, "id,list,pos,parent\nx,a,9,\n");
    let run = room.apply("B");
    let _ = room.on("rollback", &[&run]).code(0);
}

fn a_condition_over_a_column_called_begin_hides_no_statement(case: Case) {
    let room_for =
        "UPDATE item SET pos = pos + 1 WHERE list = NEW.list AND pos >= NEW.pos AND id <> NEW.id;";
    let sql = case.either(
        format!(
            "CREATE TRIGGER shift AFTER INSERT ON item WHEN NEW.\"begin\" IS NULL BEGIN {room_for} SELECT 1; END;
             CREATE TRIGGER again AFTER UPDATE OF \"begin\", pos ON item WHEN NEW.\"begin\" > 0 /* begin */ BEGIN SELECT 1; END;"
        ),
        format!(
            "CREATE FUNCTION shift() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {room_for} RETURN NULL; END $$;
             CREATE TRIGGER shift AFTER INSERT ON item FOR EACH ROW WHEN (NEW.\"begin\" IS NULL) EXECUTE FUNCTION shift()"
        ),
    );
    let room = Room::with(case, PLAN, &[("items.csv", ITEMS)], TABLES);
    room.sql(&sql);
    room.bundle("B");
    refused(&room, &["`shift`", "of item"]);
}
