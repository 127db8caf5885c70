//! What only a server has: triggers that wait for the end of the transaction, and locks of others.

use tests::db::same;
use tests::{Case, Room, Target};

use super::{ITEMS, MAKE_ROOM, PLAN, TABLES, TOUCH, room};

fn case(test: &'static str) -> Case {
    Case::new(Target::Postgres, test)
}

#[test]
fn a_trigger_that_waits_for_the_end_and_forbids_deletes_is_named() {
    let room = room(case("deferred"), "", &[]);
    room.sql(
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no row goes'; END $$;
         CREATE CONSTRAINT TRIGGER late AFTER DELETE ON item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()",
    );
    let before = room.dump();
    let _ = room
        .on("apply", &["B"])
        .code(4)
        .says(&["no row goes", "`late`"]);
    same(&room.dump(), &before, "nothing was written");
}

#[test]
fn a_trigger_that_waits_for_the_end_and_moves_other_rows_is_named() {
    let room = room(case("deferred"), "", &[]);
    room.sql(
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           UPDATE item SET pos = 0 WHERE id = 'a1'; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()",
    );
    let before = room.dump();
    let parts = ["`late` wrote 2 other rows of item"];
    let _ = room.on("apply", &["B"]).code(4).says(&parts);
    same(&room.dump(), &before, "nothing was written");
    room.sql(
        "DROP TRIGGER late ON item;
         CREATE CONSTRAINT TRIGGER late AFTER DELETE ON item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()",
    );
    let before = room.dump();
    let _ = room.on("apply", &["B"]).code(4).says(&parts);
    same(&room.dump(), &before, "nothing was written");
}

#[test]
fn what_others_lock_is_not_tried_and_that_is_said() {
    let room = room(case("locked"), "", &[]);
    room.sql(
        "INSERT INTO log VALUES ('one');
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM log FOR UPDATE; RETURN OLD; END $$;
         CREATE TRIGGER look BEFORE DELETE ON item FOR EACH ROW EXECUTE FUNCTION look()",
    );
    let mut other = room.db.postgres().session();
    other
        .batch_execute("BEGIN; SELECT 1 FROM log FOR UPDATE")
        .unwrap();
    let run = room
        .on("apply", &["B"])
        .code(0)
        .says(&["rows of item can be taken back was not tried"])
        .id();
    other.batch_execute("ROLLBACK").unwrap();
    let _ = room.on("rollback", &[&run]).code(0);
}

#[test]
fn a_dry_run_of_a_rollback_gives_up_in_time() {
    let room = room(case("slow"), "", &[]);
    room.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.6); RETURN OLD; END $$;",
    );
    let run = room.apply("B");
    room.sql("CREATE TRIGGER slow BEFORE DELETE ON item FOR EACH ROW EXECUTE FUNCTION slow()");
    let after = room.dump();
    let args = [&*run, "--dry-run", "--max-seconds=1", "--batch-size=1"];
    let _ = room.on("rollback", &args).code(1).says(&[
        "was not tried",
        "longer than 1 s",
        "nothing was written",
    ]);
    same(&room.dump(), &after, "nothing was written");
}

#[test]
fn where_the_server_counts_no_rows_triggers_are_accepted_by_name() {
    let room = room(case("uncounted"), "", &[TOUCH]);
    let database = room.db.postgres();
    let name = database.ask("SELECT current_database()");
    database.sql(&format!(
        "CREATE ROLE uncounted LOGIN; ALTER ROLE uncounted SET track_counts = off;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO uncounted; GRANT CREATE ON DATABASE {name} TO uncounted"
    ));
    let url = database.url().replace("app@", "uncounted@");
    let before = database.dump();
    let parts = ["`touch` on item", "track_counts is off"];
    let _ = room.run("apply", &["B", "--to", &url]).code(4).says(&parts);
    same(&database.dump(), &before, "nothing was written");
    // A login that may turn it on does so for itself.
    room.apply("B");
}

#[test]
fn rows_of_partitions_are_counted_together_and_told_apart() {
    let (item, rest) = TABLES.split_once(";\n").unwrap();
    let partitions = ["0", "1", "2"].map(|n| {
        format!(
            "CREATE TABLE item_{n} PARTITION OF item FOR VALUES WITH (MODULUS 3, REMAINDER {n});"
        )
    });
    let partitions = partitions.concat();
    let sql = format!("{item} PARTITION BY HASH (id); {partitions} {rest}");
    let with = |trigger: &super::Trigger<'_>| {
        let room = Room::with(Target::Postgres, PLAN, &[("items.csv", ITEMS)], &sql);
        trigger.on(&room, case("partitions"));
        room.bundle("B");
        room
    };
    let room = with(&TOUCH);
    let before = room.dump();
    let run = room.apply("B");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "all is taken back");
    let room = with(&MAKE_ROOM);
    let parts = ["`make_room` wrote", "of item, when item was written"];
    let _ = room.on("apply", &["B"]).code(4).says(&parts);
}

#[test]
fn a_trigger_that_empties_or_makes_a_table_is_named() {
    for (body, table) in [
        ("TRUNCATE cache", "cache"),
        ("CREATE TABLE made ()", "made"),
    ] {
        let room = room(case("emptied"), "", &[]);
        room.sql(&format!(
            "CREATE TABLE cache (k text); INSERT INTO cache VALUES ('precious');
             CREATE FUNCTION clear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NULL; END $$;
             CREATE TRIGGER clear AFTER INSERT ON item FOR EACH STATEMENT EXECUTE FUNCTION clear()"
        ));
        let before = room.dump();
        let part = format!("`clear` wrote {table} as a whole");
        let _ = room.on("apply", &["B"]).code(4).says(&[&part]);
        same(&room.dump(), &before, "nothing was written");
        // One that others make after the run: the trial before the rollback meets it.
        room.sql("DROP TRIGGER clear ON item");
        let run = room.apply("B");
        room.sql(
            "CREATE TRIGGER clear AFTER DELETE ON item FOR EACH STATEMENT EXECUTE FUNCTION clear()",
        );
        let before = room.dump();
        let done = room.on("rollback", &[&run]);
        assert_ne!(done.code, 0);
        let _ = done.says(&[&part]);
        same(&room.dump(), &before, "nothing was written");
    }
}
