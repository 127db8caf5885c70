//! What only a server has: readers that a change of a table waits for, owners, types of its own.

use std::time::Duration;

use tests::Case;
use tests::db::same;

use super::{PLAN, members, room, room_with};

mod on_a_server {
    tests::on_target!(
        Postgres,
        readers_in_the_way_stop_a_run_before_its_first_write,
        a_login_that_does_not_own_the_table_is_told_so,
        values_are_of_the_type_that_the_server_makes_of_them,
        a_type_that_counts_up_or_is_none_is_refused
    );
}

fn readers_in_the_way_stop_a_run_before_its_first_write(case: Case) {
    let room = room(case);
    let database = room.db.postgres();
    let before = room.dump();
    let told = "dry run: nobody else reads member either";
    let _ = room.on("apply", &["B", "--dry-run"]).code(0).says(&[told]);
    let url = format!("{}?lock_timeout=200ms", database.url());
    let reading = |work: &dyn Fn()| {
        std::thread::scope(|scope| {
            scope.spawn(|| database.sql("BEGIN; SELECT FROM member; SELECT pg_sleep(3); ROLLBACK"));
            let held = "SELECT count(*) FROM pg_locks WHERE relation = 'member'::regclass AND mode = 'AccessShareLock'";
            while database.ask(held) == "0" {
                std::thread::sleep(Duration::from_millis(20));
            }
            work();
        });
    };
    reading(&|| {
        for how in [&["B"][..], &["B", "--dry-run"]] {
            let args = [how, &["--to", &url]].concat();
            let _ = room.run("apply", &args).code(5).says(&["lock timeout"]);
        }
    });
    same(&room.dump(), &before, "nothing was written");
    assert!(!room.db.has_ledger());
    let run = room.apply("B");
    reading(&|| {
        let args = [run.as_str(), "--to", &url];
        let _ = room.run("rollback", &args).code(3).says(&["lock timeout"]);
    });
    let _ = room.on("rollback", &["--resume", &run]).code(0);
    same(&room.dump(), &before, "rolled back");
}

fn a_login_that_does_not_own_the_table_is_told_so(case: Case) {
    let room = room(case);
    let database = room.db.postgres();
    let clerk = database.owned_by_a_clerk();
    let before = room.dump();
    let url = database.url().replace("app@", &format!("{clerk}@"));
    let run = room.run("apply", &["B", "--to", &url]).code(0).id();
    let _ = room.run("rollback", &[&run, "--to", &url]).code(0);
    same(&room.dump(), &before, "the owner may");
    room.sql("ALTER TABLE member OWNER TO app; ALTER SCHEMA public OWNER TO app");
    room.sql(&format!(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT ALL ON member TO {clerk}"
    ));
    let before = room.dump();
    let _ = room.run("apply", &["B", "--to", &url]).code(4).says(&[
        "plan.toml:5: must be owner of table member",
        "plan.toml:18: permission denied for schema public",
    ]);
    same(&room.dump(), &before, "nothing was written");
}

fn values_are_of_the_type_that_the_server_makes_of_them(case: Case) {
    let more = r#"
[[add.column]]
table = "member"
column = "rate"
type = "numeric(6, 2)"
default = 1
initial = 2
[[add.column]]
table = "member"
column = "doc"
type = "json"
default = '{"a": 1}'
[[add.column]]
table = "member"
column = "seen"
type = "timestamptz"
initial = "now"
[[add.column]]
table = "member"
column = "ok"
type = "boolean"
default = true
[[add.table]]
table = "theirs.log"
columns = { id = { type = "bigserial" }, at = { type = "timestamptz", default = "2024-01-01 00:00:00+00" } }
primary_key = ["id"]

[[entity]]
name = "member""#;
    let plan = PLAN.replacen("\n[[entity]]\nname = \"member\"", more, 1);
    let room = room_with(case, &plan);
    room.sql("CREATE SCHEMA theirs");
    let before = room.dump();
    let run = room.apply("B");
    assert_eq!(
        members(&room, "id, rate, doc, ok, seen IS NULL"),
        "1 2.00 {\"a\": 1} t f, 2 2.00 {\"a\": 1} t f, 3 2.00 {\"a\": 1} t f, 9 1.00 {\"a\": 1} t t"
    );
    assert_eq!(
        room.ask("SELECT to_regclass('theirs.log') IS NOT NULL"),
        "t"
    );
    let again = room.on("apply", &["B"]).code(0).says(&["6 unchanged"]);
    assert!(!again.err.contains("added"), "{}", again.err);
    room.sql("INSERT INTO member (id, updated) VALUES ('10', 'x')");
    let _ = room.on("rollback", &[&run, "--check"]).code(0);
    room.sql("UPDATE member SET doc = '{}', rate = 3, updated = 'x' WHERE id = '10'");
    let _ = room.on("rollback", &[&run]).code(1).says(&[
        "column member.doc: 1 row with values that the run did not leave there (10: \"{}\")",
        "column member.rate: 1 row with values that the run did not leave there (10: \"3.00\")",
    ]);
    room.sql("DELETE FROM member WHERE id = '10'");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "rolled back");
}

fn a_type_that_counts_up_or_is_none_is_refused(case: Case) {
    for (kind, says) in [
        ("SERIAL", "SERIAL counts up"),
        ("SEREAL", "type \"sereal\" does not exist"),
        (
            "DATE",
            "column \"level\" is of type date but default expression is of type integer",
        ),
    ] {
        let plan = PLAN.replacen("type = \"INTEGER\"", &format!("type = \"{kind}\""), 1);
        let plan = match kind {
            "SERIAL" => plan.replacen("default = 0\ninitial = 1\n", "", 1).replacen(
                "not_null = true\n",
                "",
                1,
            ),
            _ => plan,
        };
        let room = room_with(case, &plan);
        let before = room.dump();
        let _ = room
            .on("apply", &["B"])
            .code(4)
            .says(&["plan.toml:10: ", says]);
        same(&room.dump(), &before, "nothing was written");
        assert!(!room.db.has_ledger());
    }
}
