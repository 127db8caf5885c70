//! Taken back, applied again, and told beforehand.

use tests::Case;
use tests::db::same;

use super::{entries, room, stopped, summary};

tests::both!(
    rolling_back_a_failed_run_removes_what_it_committed,
    the_same_bundle_again_inserts_nothing_and_is_on_record,
    apply_rollback_apply_gives_the_same_rows_again,
    the_dry_run_gives_the_figures_of_the_run,
);

fn rolling_back_a_failed_run_removes_what_it_committed(case: Case) {
    let (room, run) = stopped(case);
    room.sql("INSERT INTO entry VALUES ('mine', 'mine', 1)");
    room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT count(*), max(id) FROM entry"), "1|mine");
    // What failed is in its report still, and no fault of what stands.
    let _ = room.on("verify", &[&run]).code(0);
    let report = room.run("verify", &["report", &run, "--to", &room.url()]);
    assert!(report.code(0).out.contains("failed"));
}

fn the_same_bundle_again_inserts_nothing_and_is_on_record(case: Case) {
    let room = room(case, 0);
    room.apply("B");
    let before = room.dump();
    let said = summary(&room.on("apply", &["B", "--json"]).code(0));
    assert_eq!(
        (&said["counts"]["created"], &said["counts"]["unchanged"]),
        (&0.into(), &200.into())
    );
    same(&room.dump(), &before, "nothing was written");
    assert_eq!(
        room.ask("SELECT count(*), max(status) FROM switchback_runs"),
        "2|completed"
    );
}

fn apply_rollback_apply_gives_the_same_rows_again(case: Case) {
    let room = room(case, 0);
    let run = room.apply("B");
    let applied = room.dump();
    room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM entry"), "0");
    let said = summary(&room.on("apply", &["B", "--json"]).code(0));
    assert_eq!(said["counts"]["created"], 200);
    same(&room.dump(), &applied, "ids are derived from the records");
}

fn the_dry_run_gives_the_figures_of_the_run(case: Case) {
    let room = room(case, 0);
    room.apply("B");
    room.sql("UPDATE entry SET size = 0 WHERE code = 'k3'");
    room.write("a.csv", entries(1, 210, 0).replace("k9,9\n", "k9,999\n"));
    room.bundle("C");
    let before = room.dump();
    let dry = summary(&room.on("apply", &["C", "--dry-run", "--json"]).code(0));
    same(&room.dump(), &before, "a dry run");
    let live = summary(&room.on("apply", &["C", "--json"]).code(0));
    assert_eq!(dry["counts"], live["counts"]);
    assert_eq!(dry["entities"], live["entities"]);
    let counts = &live["counts"];
    let figures =
        ["created", "updated", "unchanged", "drifted"].map(|part| counts[part].as_u64().unwrap());
    assert_eq!(figures, [10, 1, 199, 1]);
}
