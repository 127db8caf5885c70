//! Tables whose names look like the ledger's own language, and keys that no index can hold.

use tests::{Case, Room};

tests::both!(
    a_table_may_be_called_as_the_ledger_calls_its_own,
    a_source_key_may_be_longer_than_an_index_holds,
);

fn plan(table: &str) -> String {
    format!(
        r#"
name = "odd"
system = "s"
[limits]
change_rows = 1
delete_percent = 50
[[entity]]
name = "item"
table = "{table}"
id = {{ column = "id", from = "target" }}
match = ["name"]
on_match = "update"
source = {{ format = "csv", files = ["items.csv"], key = "key" }}
[entity.fields]
name = {{ from = "name" }}
size = {{ from = "size", type = "integer" }}
"#
    )
}

fn a_table_may_be_called_as_the_ledger_calls_its_own(case: Case) {
    for table in ["ledger.items", "?1", "a.ledger.b", "switchback.x ?2"] {
        let sql = format!(
            "CREATE TABLE \"{table}\" (id INTEGER PRIMARY KEY, name TEXT, size INTEGER); \
             INSERT INTO \"{table}\" (name, size) VALUES ('a', 1), ('b', 2)"
        );
        let sources = [("items.csv", "key,name,size\n1,a,1\n2,b,3\n3,c,4\n")];
        let room = Room::with(case, &plan(table), &sources, &sql);
        room.bundle("B");
        let rows = format!(
            "SELECT string_agg(concat_ws(' ', name, size), ', ' ORDER BY name) FROM \"{table}\""
        );
        let done = room.on("apply", &["B"]).code(0);
        let run = done.says(&["1 created, 1 updated, 1 unchanged"]).id();
        assert_eq!(room.ask(&rows), "a 1, b 3, c 4");
        let _ = room.on("verify", &[&run]).code(0);
        room.write("items.csv", "key,name,size\n1,a,7\n2,b,8\n3,c,4\n");
        room.bundle("C");
        let _ = room.on("apply", &["C"]).code(4).says(&["change_rows"]);
        let _ = room.on("rollback", &[&run]).code(0);
        assert_eq!(room.ask(&rows), "a 1, b 2");
        let _ = room.on("verify", &[&run]).code(0);
    }
}

/// A text that no compression makes short.
fn long(seed: u32, length: usize) -> String {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(state >> 27) as usize])
    };
    (0..length).map(|_| next()).collect()
}

fn a_source_key_may_be_longer_than_an_index_holds(case: Case) {
    let (one, two) = (long(1, 9_000), long(2, 1_001));
    let csv = |last: &str| format!("key,name,size\n{one},a,1\n{two},b,2\nshort,c,{last}\n");
    let sql = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, size INTEGER)";
    let room = Room::with(case, &plan("items"), &[("items.csv", &csv("3"))], sql);
    room.bundle("B");
    let done = room.on("apply", &["B"]).code(0);
    let run = done.says(&["3 created"]).id();
    let _ = room
        .on("apply", &["B"])
        .code(0)
        .says(&["0 created, 0 updated, 3 unchanged"]);
    let kept = "SELECT max(length(source)), sum(CASE WHEN long IS NULL THEN 0 ELSE 1 END) FROM switchback_ids";
    assert_eq!(room.ask(kept), "72|2");
    let _ = room.on("verify", &[&run]).code(0);
    room.write("items.csv", csv("4").replace(",a,1", ",a,9"));
    room.mend("migration.toml", "change_rows = 1", "change_rows = 2");
    room.bundle("C");
    let next = room.on("apply", &["C"]).code(0).id();
    let _ = room.on("verify", &[&next]).code(0);
    let _ = room.on("rollback", &[&next]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM items"), "0");
    assert_eq!(room.ask("SELECT count(*) FROM switchback_ids"), "0");
    let _ = room.on("verify", &[&run]).code(0);
}
