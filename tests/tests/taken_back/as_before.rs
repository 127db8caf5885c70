//! Rows that already are what they were before the run: others set them back, or an earlier dump was
//! restored under a ledger that stayed.

use serde_json::Value;
use tests::db::same;
use tests::{Case, Room};

tests::both!(
    rows_that_others_set_back_are_as_before_and_no_conflict,
    one_column_set_back_by_others_is_no_conflict_and_the_rest_is_undone,
    a_later_run_that_set_a_row_back_must_still_go_first,
    a_table_that_was_restored_from_an_earlier_dump_is_as_before,
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
fields = { name = { from = "name" }, phone = { from = "phone" } }

[[entity]]
name = "left"
table = "member"
id = { column = "id", from = "key" }
op = "delete"
target = "id"
source = { format = "csv", files = ["l.csv"], key = "id" }
"#;

const TABLE: &str = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, phone TEXT, note TEXT);";
const ROWS: &str = "INSERT INTO member VALUES ('a', 'Ann', '1', 'x'), ('b', 'Bob', '2', NULL), ('c', 'Cy', NULL, '');";

fn club(case: Case) -> Room {
    let csv = "id,name,phone\na,Anna,11\nb,Bob,22\nd,Dan,4\n";
    let sources = [("m.csv", csv), ("l.csv", "id\nc\n")];
    let room = Room::with(case, PLAN, &sources, &format!("{TABLE}{ROWS}"));
    room.bundle("B");
    room
}

/// The verdicts of `--json`, by key.
fn verdicts(out: &str) -> Vec<(String, String)> {
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    let verdict = |line: Value| {
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        Some((text("key")?, text("verdict")?))
    };
    let mut found: Vec<(String, String)> = lines.filter_map(verdict).collect();
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    expected.iter().map(pair).collect()
}

fn rows_that_others_set_back_are_as_before_and_no_conflict(case: Case) {
    let club = club(case);
    let before = club.dump();
    let run = club.apply("B");
    club.sql(
        "UPDATE member SET name = 'Ann', phone = '1' WHERE id = 'a';
         INSERT INTO member VALUES ('c', 'Cy', NULL, '');",
    );
    let done = club.on("rollback", &[&run, "--check", "--json"]).code(0);
    let expected = [
        ("a", "as-before"),
        ("b", "reversible"),
        ("c", "as-before"),
        ("d", "reversible"),
    ];
    assert_eq!(verdicts(&done.out), pairs(&expected));
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["as_before"], &last["conflicts"]),
        (&2.into(), &0.into())
    );
    done.says(&["2 as before the run"]);
    let done = club.on("rollback", &[&run, "--json"]).code(0);
    assert_eq!(verdicts(&done.out), pairs(&expected));
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["tables"][0]["as_before"], 4);
    assert_eq!(last["proved"], true);
    same(&club.dump(), &before, "all is what it was");
    club.on("verify", &[&run]).code(0);
    // The id map was set back with them: the same bundle is new again.
    club.on("apply", &["B"])
        .code(0)
        .says(&["1 created, 2 updated"]);
}

fn one_column_set_back_by_others_is_no_conflict_and_the_rest_is_undone(case: Case) {
    let club = club(case);
    let before = club.dump();
    let run = club.apply("B");
    club.sql("UPDATE member SET phone = '1' WHERE id = 'a'");
    let done = club.on("rollback", &[&run, "--json"]).code(0);
    assert!(verdicts(&done.out).contains(&("a".into(), "reversible".into())));
    same(&club.dump(), &before, "all is what it was");
}

fn a_later_run_that_set_a_row_back_must_still_go_first(case: Case) {
    let club = club(case);
    let before = club.dump();
    let first = club.apply("B");
    let between = club.dump();
    club.write("m.csv", "id,name,phone\na,Ann,1\n");
    club.write("l.csv", "id\n");
    club.mend(
        "migration.toml",
        "files = [\"l.csv\"], key = \"id\"",
        "files = [\"l.csv\"], key = \"id\", allow_empty = true",
    );
    club.bundle("B2");
    let second = club.apply("B2");
    club.on("rollback", &[&first]).code(1).says(&[&second]);
    club.on("rollback", &[&second]).code(0);
    same(&club.dump(), &between, "the second alone");
    club.on("rollback", &[&first]).code(0);
    same(&club.dump(), &before, "both");
}

fn a_table_that_was_restored_from_an_earlier_dump_is_as_before(case: Case) {
    let club = club(case);
    let before = club.dump();
    let run = club.apply("B");
    // As `pg_restore --clean` does: the table goes, with its number in the catalogue, and comes back.
    club.sql(&format!("DROP TABLE member; {TABLE}{ROWS}"));
    let done = club.on("rollback", &[&run, "--check", "--json"]).code(0);
    let expected = [
        ("a", "as-before"),
        ("b", "as-before"),
        ("c", "as-before"),
        ("d", "gone"),
    ];
    assert_eq!(verdicts(&done.out), pairs(&expected));
    let done = club.on("rollback", &[&run, "--json"]).code(0);
    assert!(done.out.contains("\"proved\":true"), "{}", done.out);
    same(&club.dump(), &before, "all is what it was");
    club.on("verify", &[&run]).code(0);
}
