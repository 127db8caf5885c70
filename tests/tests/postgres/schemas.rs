//! Schemas that somebody else designed: constraints, partitions, identities, children and triggers.

use tests::db::same;
use tests::postgres::Database;
use tests::{Room, Target};

use super::on;

/// A room with a bundle `B` of `a.csv` for one table: how its ids come about, and more of the plan.
pub fn room(table: &str, id: &str, more: &str, csv: &str) -> Room {
    let room = Room::new(Target::Sqlite);
    let columns = csv.lines().next().unwrap().split(',').skip(1);
    let fields: String = columns
        .map(|name| format!("fields.\"{name}\" = {{ from = \"{name}\" }}\n"))
        .collect();
    room.write(
        "migration.toml",
        format!(
            "name = \"n\"\nsystem = \"s\"\nzone = \"UTC\"\n[[entity]]\nname = \"e\"\ntable = \"{table}\"\nid = {{ column = \"id\", {id} }}\n\
             source = {{ format = \"csv\", files = [\"a.csv\"], key = \"id\" }}\n{more}\n{fields}"
        ),
    );
    room.write("a.csv", csv);
    room.bundle("B");
    room
}

/// What a database holds, its sequences left out: these do not go back.
pub fn without_sequences(database: &Database) -> String {
    let dump = database.dump();
    let lines = dump
        .lines()
        .filter(|line| !line.contains("pg_catalog.setval"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Applies `B`, verifies, takes it back, verifies.
fn there_and_back(room: &Room, database: &Database) {
    let before = without_sequences(database);
    let run = on(room, database, "apply", &["B"]).code(0).id();
    assert_ne!(without_sequences(database), before);
    let _ = on(room, database, "verify", &[&run]).code(0);
    let _ = on(room, database, "rollback", &[&run]).code(0);
    same(&without_sequences(database), &before, "taken back");
    let _ = on(room, database, "verify", &[&run]).code(0);
}

#[test]
fn what_is_no_table_is_refused_by_name() {
    let kinds = "CREATE TABLE item (id text PRIMARY KEY, name text); CREATE VIEW seen AS SELECT * FROM item; \
                 CREATE MATERIALIZED VIEW kept AS SELECT * FROM item; CREATE TABLE ruled (id text PRIMARY KEY, name text); \
                 CREATE RULE elsewhere AS ON INSERT TO ruled DO INSTEAD INSERT INTO item VALUES (NEW.id, NEW.name)";
    let database = Database::with(kinds);
    for (table, why) in [
        ("seen", "is a view"),
        ("kept", "is a view"),
        ("ruled", "has rules"),
        ("nothing", "nothing"),
    ] {
        let room = room(table, "from = \"key\"", "", "id,name\n1,a\n");
        let _ = on(&room, &database, "apply", &["B"])
            .code(4)
            .says(&[table, why]);
    }
    assert_eq!(database.ask("SELECT count(*) FROM item"), "0");
    assert_eq!(
        database.ask("SELECT to_regclass('switchback.runs') IS NULL"),
        "t"
    );
}

#[test]
fn a_partitioned_table_is_written_and_taken_back() {
    let database = Database::with(
        "CREATE TABLE item (id int PRIMARY KEY, name text) PARTITION BY HASH (id);
         CREATE TABLE item_0 PARTITION OF item FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE item_1 PARTITION OF item FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         CREATE TABLE use (item int REFERENCES item ON DELETE CASCADE);
         INSERT INTO item SELECT n, 'old' FROM generate_series(1, 9) n; INSERT INTO use VALUES (3)",
    );
    let more = "match = [\"id\"]\non_match = \"update\"";
    let csv = "id,name\n1,new\n2,new\n30,b\n31,c\n";
    there_and_back(&room("item", "from = \"key\"", more, csv), &database);
    let gone = room(
        "item",
        "from = \"key\"",
        "op = \"delete\"\ntarget = \"id\"",
        "id\n2\n3\n",
    );
    let before = database.dump();
    let done = on(&gone, &database, "apply", &["B"]).code(3);
    let _ = done.says(&["a.csv:3", "use"]);
    same(&database.dump(), &before, "nothing was deleted");
}

#[test]
fn a_composite_foreign_key_keeps_its_parent() {
    let database = Database::with(
        "CREATE TABLE item (id int PRIMARY KEY, kind text NOT NULL, UNIQUE (id, kind));
         CREATE TABLE use (item int, kind text, FOREIGN KEY (item, kind) REFERENCES item (id, kind) ON UPDATE CASCADE ON DELETE CASCADE)",
    );
    let room = room("item", "from = \"key\"", "", "id,kind\n1,a\n2,b\n");
    let before = database.dump();
    let run = on(&room, &database, "apply", &["B"]).code(0).id();
    database.sql("INSERT INTO use VALUES (2, 'b'), (1, NULL)");
    let applied = database.dump();
    let done = on(&room, &database, "rollback", &[&run]).code(1);
    let _ = done.says(&["use", "cascade"]);
    same(&database.dump(), &applied, "nothing was written");
    database.sql("DELETE FROM use");
    let _ = on(&room, &database, "rollback", &[&run]).code(0);
    same(&database.dump(), &before, "taken back");
}

#[test]
fn a_deferred_constraint_that_fails_at_the_end_of_a_batch_names_its_record() {
    for constraint in [
        "CONSTRAINT once UNIQUE (name) DEFERRABLE INITIALLY DEFERRED",
        "CONSTRAINT once UNIQUE (name) DEFERRABLE INITIALLY IMMEDIATE",
        "CONSTRAINT once EXCLUDE (name WITH =) DEFERRABLE INITIALLY DEFERRED",
        "CONSTRAINT once FOREIGN KEY (name) REFERENCES other (name) DEFERRABLE INITIALLY DEFERRED",
    ] {
        let database = Database::with(&format!(
            "CREATE TABLE other (name text PRIMARY KEY); INSERT INTO other VALUES ('a'), ('c');
             CREATE TABLE item (id text PRIMARY KEY, name text, {constraint}); INSERT INTO item VALUES ('x', 'b')"
        ).replace("('x', 'b')", if constraint.contains("FOREIGN") { "('x', 'a')" } else { "('x', 'b')" }));
        let room = room("item", "from = \"key\"", "", "id,name\n1,a\n2,b\n3,c\n");
        let before = without_sequences(&database);
        let done = on(&room, &database, "apply", &["B"]).code(3);
        let _ = done.says(&["a.csv:3", "once"]);
        same(
            &without_sequences(&database),
            &before,
            "the batch is undone",
        );
        let done = on(
            &room,
            &database,
            "apply",
            &["B", "--on-error", "record", "--take-over"],
        );
        let _ = done.code(3).says(&["2 created"]);
    }
}

#[test]
fn explicit_ids_go_into_an_identity_column_and_back_into_it() {
    let database = Database::with(
        "CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, twice text GENERATED ALWAYS AS (name || name) STORED);
         INSERT INTO item (name) VALUES ('a'), ('b'), ('c')",
    );
    let before = without_sequences(&database);
    let new = room("item", "from = \"key\"", "", "id,name\n70,x\n90,y\n");
    let run = on(&new, &database, "apply", &["B"]).code(0).id();
    assert_eq!(
        database.ask("INSERT INTO item (name) VALUES ('next') RETURNING id"),
        "91"
    );
    let _ = on(&new, &database, "verify", &[&run]).code(0);
    database.sql("DELETE FROM item WHERE name = 'next'");
    let gone = room(
        "item",
        "from = \"key\"",
        "op = \"delete\"\ntarget = \"id\"",
        "id\n2\n3\n",
    );
    let run_of_deletes = on(&gone, &database, "apply", &["B"]).code(0).id();
    assert_eq!(
        database.ask("SELECT string_agg(name, '' ORDER BY id) FROM item"),
        "axy"
    );
    for run in [run_of_deletes, run] {
        let _ = on(&new, &database, "rollback", &[&run]).code(0);
    }
    same(
        &without_sequences(&database),
        &before,
        "the same ids are back",
    );
    assert_eq!(
        database.ask("INSERT INTO item (name) VALUES ('later') RETURNING id"),
        "92"
    );
}

#[test]
fn children_that_a_delete_would_take_along_or_empty_are_found_beforehand() {
    for action in ["CASCADE", "SET NULL", "SET DEFAULT"] {
        let database = Database::with(&format!(
            "CREATE SCHEMA aside; CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a'), (2, 'b');
             CREATE TABLE aside.child (no int PRIMARY KEY, item int DEFAULT 1 REFERENCES item ON DELETE {action}); INSERT INTO aside.child VALUES (5, 2)"
        ));
        let before = database.dump();
        let room = room(
            "item",
            "from = \"key\"",
            "op = \"delete\"\ntarget = \"id\"",
            "id\n2\n",
        );
        let done = on(&room, &database, "apply", &["B"]);
        let _ = done
            .code(3)
            .says(&["a.csv:2", "aside.child", &action.to_lowercase()]);
        same(&database.dump(), &before, "nothing was deleted");
        database.sql("DELETE FROM aside.child");
        let before = database.dump();
        let run = on(&room, &database, "apply", &["B", "--take-over"])
            .code(0)
            .id();
        let _ = on(&room, &database, "rollback", &[&run]).code(0);
        same(&database.dump(), &before, "taken back");
    }
}

#[test]
fn what_a_trigger_touches_is_restored_also_by_an_owner_with_no_other_rights() {
    let database = Database::with(
        "CREATE TABLE item (id text PRIMARY KEY, name text, at timestamptz NOT NULL DEFAULT '2020-01-01Z', v int NOT NULL DEFAULT 1);
         CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := clock_timestamp(); NEW.v := OLD.v + 1; RETURN NEW; END';
         CREATE TRIGGER stamp BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION stamp();
         INSERT INTO item (id, name) VALUES ('1', 'old'), ('2', 'old')",
    );
    let role = database.owned_by_a_clerk();
    let more = "match = [\"id\"]\non_match = \"update\"";
    let room = room(
        "item",
        "from = \"key\"",
        more,
        "id,name\n1,new\n2,old\n3,c\n",
    );
    let url = database.url().replace("app@", &format!("{role}@"));
    let before = database.dump();
    let run = room.run("apply", &["B", "--to", &url]).code(0).id();
    assert_eq!(database.ask("SELECT v FROM item WHERE id = '1'"), "2");
    let _ = room.run("verify", &[&run, "--to", &url]).code(0);
    let _ = room.run("rollback", &[&run, "--to", &url]).code(0);
    same(
        &database.dump(),
        &before,
        "stamps too, and the trigger fires again",
    );
    database.sql("UPDATE item SET name = 'x' WHERE id = '1'");
    assert_eq!(database.ask("SELECT v FROM item WHERE id = '1'"), "2");
}
