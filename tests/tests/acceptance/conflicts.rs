//! Rollback where others changed, deleted or refer to what the run wrote.

use tests::Case;
use tests::db::same;

use super::rollback::{lines, room};

tests::both!(
    a_row_changed_since_in_a_column_that_the_run_wrote_is_a_conflict,
    a_row_that_is_gone_counts_as_gone_and_not_as_deleted,
    rows_that_refer_to_it_are_found_beforehand,
    the_check_gives_the_figures_of_the_rollback_and_writes_nothing,
);

fn a_row_changed_since_in_a_column_that_the_run_wrote_is_a_conflict(case: Case) {
    let room = room(
        case,
        3,
        "INSERT INTO entry VALUES ('2', 'k2', 'Two', NULL, 'x', NULL);",
    );
    let before = room.dump();
    let run = room.apply("B");
    // A column that the run did not write is nobody's conflict.
    room.sql("UPDATE entry SET updated = 'y' WHERE id = '2'");
    let _ = room.on("rollback", &[&run, "--check"]).code(0);
    room.sql("UPDATE entry SET title = 'Edited' WHERE id = '2'");
    let now = room.dump();
    let _ = room.on("rollback", &[&run]).code(1).says(&[
        "title",
        "Title 2",
        "Edited",
        "nothing was written",
    ]);
    same(&room.dump(), &now, "it stopped with nothing changed");
    let _ = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    assert_eq!(room.ask("SELECT id, title FROM entry"), "2|Edited");
    let _ = room.on("rollback", &[&run, "--force"]).code(0);
    room.sql("UPDATE entry SET updated = 'x' WHERE id = '2'");
    same(&room.dump(), &before, "--force restores it");
}

fn a_row_that_is_gone_counts_as_gone_and_not_as_deleted(case: Case) {
    let room = room(case, 5, "");
    let run = room.apply("B");
    room.sql("DELETE FROM entry WHERE code = 'k4'");
    let done = room
        .on("rollback", &[&run, "--json"])
        .code(0)
        .says(&["Rolled back 4 entries", "1 gone already"]);
    let report = lines(&done.out);
    let table = report
        .iter()
        .find_map(|line| line["tables"].as_array())
        .unwrap();
    assert_eq!(
        (&table[0]["gone"], &table[0]["rows"]),
        (&1.into(), &5.into())
    );
    let end = report.iter().rfind(|line| line["reversed"].is_u64());
    assert_eq!(end.unwrap()["reversed"], 4, "not as deleted");
}

fn rows_that_refer_to_it_are_found_beforehand(case: Case) {
    let room = room(
        case,
        3,
        "INSERT INTO entry VALUES ('mine', 'own', 'Mine', NULL, 'x', NULL);",
    );
    let run = room.apply("B");
    room.sql("UPDATE entry SET up = (SELECT id FROM entry WHERE code = 'k1') WHERE id = 'mine'");
    let now = room.dump();
    let check = room
        .on("rollback", &[&run, "--check", "--json"])
        .code(1)
        .says(&["1 row of entry depends on it by up", "set null"]);
    let answer = lines(&check.out).pop().unwrap();
    assert_eq!(
        (&answer["conflicts"], &answer["dependents"]),
        (&1.into(), &1.into())
    );
    let _ = room.on("rollback", &[&run]).code(1);
    same(&room.dump(), &now, "refused");
    let _ = room.on("rollback", &[&run, "--force"]).code(1);
    assert_eq!(
        room.ask("SELECT count(*) FROM entry a JOIN entry b ON b.id = a.up"),
        "1",
        "not even --force sets it to null"
    );
}

fn the_check_gives_the_figures_of_the_rollback_and_writes_nothing(case: Case) {
    let room = room(
        case,
        20,
        "INSERT INTO entry VALUES ('1', 'k1', 'One', NULL, 'x', NULL);",
    );
    let run = room.apply("B");
    room.sql(
        "DELETE FROM entry WHERE code = 'k7'; UPDATE entry SET title = 'Mine' WHERE code = 'k8'",
    );
    let before = room.db.everything();
    let check = room
        .on("rollback", &[&run, "--check", "--json", "--skip-conflicts"])
        .code(0);
    assert!(room.db.everything() == before, "it wrote");
    let check = lines(&check.out).pop().unwrap();
    let live = room
        .on("rollback", &[&run, "--json", "--skip-conflicts"])
        .code(0);
    let live = lines(&live.out);
    let live = live.iter().rfind(|line| line["tables"].is_array()).unwrap();
    assert_eq!(check["conflicts"], live["kept"]);
    assert_eq!(check["gone"], live["tables"][0]["gone"]);
    assert_eq!(check["rows"], live["tables"][0]["rows"]);
}
