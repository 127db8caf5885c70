//! References of others to rows that go: set NULL by `--detach` where their foreign key says so itself,
//! listed, kept in the ledger, and restorable.

use serde_json::Value;
use tests::db::same;
use tests::{Case, Room};

tests::both!(
    references_that_say_set_null_are_detached_when_asked_for_and_each_is_listed,
    without_detach_nothing_of_it_is_written,
    what_another_key_ties_stays_and_nothing_is_detached_for_it,
    every_detached_row_is_a_change_of_its_own_and_the_export_restores_it,
    a_row_that_a_later_run_wrote_is_not_detached,
    a_trigger_that_keeps_the_reference_makes_it_a_failed_row,
    rows_of_the_same_table_and_several_keys_are_detached_too,
);

const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["m.csv"], key = "id" }
fields = { name = { from = "name" } }

[[entity]]
name = "seat"
table = "seat"
id = { column = "id", from = "key" }
source = { format = "csv", files = ["s.csv"], key = "id", allow_empty = true }
fields = { member = { from = "member", ref = "member", outside = "target" } }
"#;

/// Members that may have a mentor, an audit table of the application's own, seats, and bills.
fn schema(case: Case) -> String {
    let touch = case.either(
        "CREATE TRIGGER audit_touch AFTER UPDATE ON audit WHEN NEW.touched IS OLD.touched BEGIN
           UPDATE audit SET touched = 'yes' WHERE id = NEW.id; END;",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.touched := 'yes'; RETURN NEW; END $$;
         CREATE TRIGGER audit_touch BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION touch();",
    );
    format!(
        "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, mentor TEXT REFERENCES member (id) ON DELETE SET NULL);
         CREATE TABLE audit (id INTEGER PRIMARY KEY, what TEXT, touched TEXT,
           who TEXT REFERENCES member (id) ON DELETE SET NULL, whom TEXT REFERENCES member (id) ON DELETE SET NULL);
         CREATE TABLE seat (id TEXT PRIMARY KEY, member TEXT REFERENCES member (id) ON DELETE SET NULL);
         CREATE TABLE bill (id INTEGER PRIMARY KEY, member TEXT REFERENCES member (id) ON DELETE CASCADE);
         {touch}
         INSERT INTO member VALUES ('a', 'Ann', NULL);"
    )
}

fn club(case: Case) -> (Room, String, String) {
    let sources = [
        ("m.csv", "id,name\na,Anna\nb,Bob\n"),
        ("s.csv", "id,member\n"),
    ];
    let room = Room::with(case, PLAN, &sources, &schema(case));
    room.bundle("B");
    let before = room.dump();
    let run = room.apply("B");
    (room, run, before)
}

fn lines(out: &str) -> Vec<Value> {
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn without_detach_nothing_of_it_is_written(case: Case) {
    let (room, run, _) = club(case);
    room.sql("INSERT INTO audit VALUES (1, 'login', NULL, 'b', NULL)");
    let now = room.dump();
    room.on("rollback", &[&run]).code(1).says(&[
        "1 row of audit depends on it by who (on delete set null)",
        "--detach sets references NULL",
    ]);
    same(&room.dump(), &now, "refused");
}

fn references_that_say_set_null_are_detached_when_asked_for_and_each_is_listed(case: Case) {
    let (room, run, before) = club(case);
    room.sql(
        "INSERT INTO audit VALUES (1, 'login', NULL, 'b', 'a'), (2, 'logout', NULL, 'b', NULL)",
    );
    let now = room.dump();
    let listed = [
        "audit 1: who (it was \"b\") is set NULL, as member b goes",
        "audit 2: who (it was \"b\") is set NULL, as member b goes",
    ];
    let check = room.on("rollback", &[&run, "--detach", "--check", "--json"]);
    let check = check.code(0);
    same(&room.dump(), &now, "--check writes nothing");
    let answer = lines(&check.out).pop().unwrap();
    assert_eq!(
        (&answer["detached"], &answer["canRollback"]),
        (&2.into(), &true.into())
    );
    check.says(&listed);

    let done = room.on("rollback", &[&run, "--detach", "--json"]).code(0);
    let told = lines(&done.out);
    let of_ledger: Vec<&Value> = told
        .iter()
        .filter(|line| line["detached"].is_object())
        .collect();
    assert_eq!(of_ledger.len(), 2);
    assert_eq!(of_ledger[1]["detached"]["key"], "1");
    assert_eq!(of_ledger[1]["detached"]["columns"]["who"], "b");
    assert_eq!(told.last().unwrap()["detached"], 2);
    assert_eq!(told.last().unwrap()["proved"], true);
    done.says(&listed);
    let rows = "SELECT string_agg(id || ' ' || what || ' ' || coalesce(who, '-') || ' ' || coalesce(whom, '-'), ', ' ORDER BY id) FROM audit";
    assert_eq!(room.ask(rows), "1 login - a, 2 logout - -");
    room.on("verify", &[&run]).code(0);
    room.sql("DELETE FROM audit");
    same(&room.dump(), &before, "all else is what it was");
}

fn what_another_key_ties_stays_and_nothing_is_detached_for_it(case: Case) {
    let (room, run, _) = club(case);
    room.sql(
        "INSERT INTO audit VALUES (1, 'login', NULL, 'b', NULL); INSERT INTO bill VALUES (5, 'b')",
    );
    let now = room.dump();
    room.on("rollback", &[&run, "--detach"])
        .code(1)
        .says(&["1 row of bill depends on it by member (on delete cascade)"]);
    same(&room.dump(), &now, "nothing was written");
    room.on("rollback", &[&run, "--detach", "--skip-conflicts"])
        .code(0);
    assert_eq!(room.ask("SELECT who FROM audit"), "b", "its member stays");
    assert_eq!(
        room.ask("SELECT string_agg(name, ',' ORDER BY id) FROM member"),
        "Ann,Bob"
    );
}

fn every_detached_row_is_a_change_of_its_own_and_the_export_restores_it(case: Case) {
    let (room, run, _) = club(case);
    room.sql("INSERT INTO audit VALUES (1, 'login', NULL, 'b', NULL), (2, 'x', 'no', 'b', 'b')");
    room.on("rollback", &[&run, "--detach"]).code(0);
    let changes = "SELECT count(*) FROM switchback_changes WHERE action = 8 AND seq > (SELECT last_seq FROM switchback_runs)";
    assert_eq!(room.ask(changes), "3", "one for each reference");
    // The member comes again, under the same id, and the references with the lines of the export.
    let again = room.apply("B");
    let args = ["--export", "--save-plan", "inverse.toml", run.as_str()];
    let lines = room.on("rollback", &args).code(0).out;
    let args = ["--plan", "inverse.toml"];
    let sound = room.feed("validate", &args, lines).code(0).out;
    let args = ["--plan", "inverse.toml", "-o", "I"];
    let _ = room.feed("bundle", &args, sound).code(0);
    let back = room.apply("I");
    let rows = "SELECT string_agg(id || ' ' || coalesce(who, '-') || ' ' || coalesce(whom, '-'), ', ' ORDER BY id) FROM audit";
    assert_eq!(room.ask(rows), "1 b -, 2 b b");
    // And that is a run like any other.
    room.on("rollback", &[&back]).code(0);
    assert_eq!(room.ask(rows), "1 - -, 2 - -");
    room.on("rollback", &[&again]).code(0);
}

fn a_row_that_a_later_run_wrote_is_not_detached(case: Case) {
    let (room, run, before) = club(case);
    room.write("m.csv", "id,name\na,Anna\nb,Bob\n");
    room.write("s.csv", "id,member\ns1,b\n");
    room.bundle("B2");
    let later = room.apply("B2");
    room.on("rollback", &[&run, "--detach"])
        .code(1)
        .says(&["1 row of seat depends on it by member"]);
    assert_eq!(room.ask("SELECT member FROM seat"), "b");
    room.on("rollback", &[&later]).code(0);
    room.on("rollback", &[&run, "--detach"]).code(0);
    same(&room.dump(), &before, "both are back");
}

fn a_trigger_that_keeps_the_reference_makes_it_a_failed_row(case: Case) {
    let (room, run, _) = club(case);
    room.sql(case.either(
        "CREATE TRIGGER faithful BEFORE UPDATE OF who ON audit WHEN NEW.who IS NULL BEGIN SELECT RAISE(ABORT, 'it stays'); END",
        "CREATE FUNCTION faithful() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it stays'; END $$;
         CREATE TRIGGER faithful BEFORE UPDATE OF who ON audit FOR EACH ROW WHEN (NEW.who IS NULL) EXECUTE FUNCTION faithful()",
    ));
    room.sql("INSERT INTO audit VALUES (1, 'login', NULL, 'b', NULL)");
    let done = room
        .on("rollback", &[&run, "--detach", "--skip-conflicts"])
        .code(0);
    done.says(&["1 change kept in place"]);
    assert_eq!(room.ask("SELECT who FROM audit"), "b");
    assert_eq!(
        room.ask("SELECT string_agg(name, ',' ORDER BY id) FROM member"),
        "Ann,Bob"
    );
    let count = "SELECT count(*) FROM switchback_changes WHERE action = 8";
    assert_eq!(room.ask(count), "0", "no change without a deed");
}

fn rows_of_the_same_table_and_several_keys_are_detached_too(case: Case) {
    let (room, run, _) = club(case);
    room.sql("INSERT INTO member VALUES ('x', 'Xa', 'b'); INSERT INTO audit VALUES (1, 'x', NULL, 'b', 'b')");
    let done = room.on("rollback", &[&run, "--detach", "--json"]).code(0);
    assert_eq!(lines(&done.out).last().unwrap()["detached"], 3);
    assert_eq!(
        room.ask("SELECT coalesce(mentor, '-') FROM member WHERE id = 'x'"),
        "-"
    );
    assert_eq!(
        room.ask("SELECT coalesce(who, '-') || coalesce(whom, '-') FROM audit"),
        "--"
    );
}
