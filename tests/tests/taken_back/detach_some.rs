//! `ON DELETE SET NULL (columns)` of PostgreSQL: `--detach` sets what the key sets, and leaves the rest.

use serde_json::Value;
use tests::db::same;
use tests::{Room, Target};

const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "key" }
source = { format = "csv", files = ["m.csv"], key = "id" }
fields = { club = { value = "k" }, name = { from = "name" } }
"#;

/// Members of clubs, and what the application keeps of them: the club stays, whoever goes.
fn room(on_delete: &str) -> (Room, String, String) {
    let sql = format!(
        "CREATE TABLE member (club TEXT NOT NULL, id TEXT PRIMARY KEY, name TEXT, UNIQUE (club, id));
         CREATE TABLE audit (id INTEGER PRIMARY KEY, club TEXT NOT NULL, who TEXT, what TEXT,
           FOREIGN KEY (club, who) REFERENCES member (club, id) ON DELETE {on_delete});"
    );
    let room = Room::with(
        Target::Postgres,
        PLAN,
        &[("m.csv", "id,name\na,Ann\nb,Bob\n")],
        &sql,
    );
    room.bundle("B");
    let before = room.dump();
    let run = room.apply("B");
    room.sql("INSERT INTO audit VALUES (1, 'k', 'a', 'login'), (2, 'k', 'b', 'logout')");
    (room, run, before)
}

#[test]
fn the_columns_that_the_key_names_are_set_null_and_the_others_stay() {
    let (room, run, before) = room("SET NULL (who)");
    let done = room.on("rollback", &[&run, "--detach", "--json"]).code(0);
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["detached"], &last["proved"]),
        (&2.into(), &true.into())
    );
    done.says(&["audit 1: who (it was \"a\") is set NULL, as member a goes"]);
    assert_eq!(
        room.ask(
            "SELECT string_agg(club || coalesce(who, '-') || what, ' ' ORDER BY id) FROM audit"
        ),
        "k-login k-logout"
    );
    let kept = "SELECT count(*) FROM switchback_changes WHERE action = 8";
    assert_eq!(room.ask(kept), "2");
    room.on("verify", &[&run]).code(0);
    let out = room.on("rollback", &[&run, "--export"]).code(0).out;
    assert!(out.contains("\"who\""), "{out}");
    room.sql("DELETE FROM audit");
    same(&room.dump(), &before, "all else is what it was");
}

#[test]
fn a_key_that_would_set_a_column_that_must_not_be_null_is_not_detached() {
    let (room, run, _) = room("SET NULL");
    let now = room.dump();
    room.on("rollback", &[&run, "--detach"])
        .code(1)
        .says(&["depends on it by club, who"]);
    same(&room.dump(), &now, "nothing was written");
}
