//! What a run leaves on record: its ID, its row, its changes, its batches, its figures.

use serde_json::Value;
use tests::{Case, Room};

use super::{PLAN, SCHEMA, entries, room, stopped, summary};

tests::both!(
    each_apply_has_one_run_id_of_uuid_version_7,
    the_run_row_says_all_about_the_run,
    the_run_row_is_there_before_the_first_data_row,
    every_row_written_is_in_the_ledger,
    the_tag_of_a_run_has_49_characters,
    two_hundred_records_are_four_batches_of_fifty,
    rows_ledger_and_progress_stand_or_fall_together,
    the_figures_add_up_by_file_and_in_all,
    the_report_of_a_run_comes_from_the_ledger_alone,
    the_runs_are_listed_newest_first_the_rolled_back_among_them,
);

fn each_apply_has_one_run_id_of_uuid_version_7(case: Case) {
    let room = room(case, 0);
    let first = room.apply("B");
    let second = summary(&room.on("apply", &["B", "--json"]).code(0));
    let second = second["run"].as_str().unwrap().to_owned();
    for id in [&first, &second] {
        assert_eq!(id.len(), 36, "{id}");
        assert_eq!(id.as_bytes()[14], b'7', "{id}");
    }
    assert!(first < second, "ordered by time");
    let done = room.on("apply", &["B"]).code(0);
    assert_eq!(done.out.lines().count(), 1, "stdout is the run ID alone");
    assert!(
        done.err
            .starts_with(&format!("apply: run {} into ", done.id())),
        "{}",
        done.err
    );
}

fn the_run_row_says_all_about_the_run(case: Case) {
    let (room, run) = stopped(case);
    let row = room.ask(&format!(
        "SELECT bundle || ' ' || target || ' ' || tool || ' ' || status || ' ' || batch_size FROM switchback_runs WHERE id = '{run}'"
    ));
    let bundle = room.run("bundle", &["check", "B"]).code(0).id();
    let tool = format!("switchback apply {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(row, format!("{bundle} {} {tool} failed 50", room.url()));
    let times =
        "SELECT count(*) FROM switchback_runs WHERE started > 1600000000000 AND ended >= started";
    assert_eq!(room.ask(times), "1");
    let counts: Value =
        serde_json::from_str(&room.ask("SELECT counts FROM switchback_runs")).unwrap();
    assert_eq!(
        (&counts["created"], &counts["failed"]),
        (&50.into(), &1.into())
    );
}

fn the_run_row_is_there_before_the_first_data_row(case: Case) {
    // Found by the first row itself: the ledger's run must be in progress.
    let room = room(case, 0);
    let accepted = "accept_triggers = [\"watch\"]\nsystem = ";
    room.mend("migration.toml", "system = ", accepted);
    room.bundle("W");
    room.sql(case.either(
        "CREATE TRIGGER watch BEFORE INSERT ON entry WHEN NOT EXISTS (SELECT 1 FROM switchback_runs \
         WHERE status = 'in-progress') BEGIN SELECT RAISE(ABORT, 'no run'); END",
        "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NOT EXISTS (SELECT 1 FROM switchback_runs WHERE status = 'in-progress') THEN RAISE EXCEPTION 'no run'; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER watch BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION watch()",
    ));
    room.db
        .try_sql("INSERT INTO entry VALUES ('x', 'x', 1)")
        .unwrap_err();
    let run = room.apply("W");
    let status = || {
        room.ask(&format!(
            "SELECT status FROM switchback_runs WHERE id = '{run}'"
        ))
    };
    assert_eq!(status(), "completed");
    room.on("rollback", &[&run]).code(0);
    assert_eq!(status(), "rolled-back");
    let (room, _) = stopped(case);
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "failed");
}

fn every_row_written_is_in_the_ledger(case: Case) {
    let room = room(case, 0);
    room.apply("B");
    room.write("a.csv", entries(1, 200, 0).replace("k9,9\n", "k9,999\n"));
    room.bundle("C");
    room.apply("C");
    let inserted = "SELECT count(*), count(DISTINCT target), count(before), min(length(hash)), min(seq), max(seq), \
                    count(DISTINCT batch) FROM switchback_changes WHERE run = 1 AND action = 1";
    assert_eq!(room.ask(inserted), "200|200|0|16|1|200|4");
    // On PostgreSQL the ledger keeps a key in bytes, its text last.
    let same = case.either(
        "target = entry.id",
        "convert_from(substr(target, length(target) - 35), 'UTF8') = entry.id",
    );
    let all = format!(
        "SELECT count(*) FROM entry JOIN switchback_changes ON {same} AND run = 1 \
         JOIN switchback_names n ON n.id = shape WHERE name ->> 'table' = 'entry'"
    );
    assert_eq!(room.ask(&all), "200");
    let updated = format!(
        "SELECT count(*), min(sign(length(before))), max(entry.size) FROM switchback_changes \
         JOIN entry ON {same} WHERE run = 2 AND action = 2"
    );
    assert_eq!(room.ask(&updated), "1|1|999");
}

fn the_tag_of_a_run_has_49_characters(case: Case) {
    let room = Room::with(
        case,
        &PLAN.replace(
            "\n[entity.fields]",
            "tag = { column = \"tags\", text = \"migration-run-id:{run}\", max_length = 50 }\n[entity.fields]",
        ),
        &[("a.csv", &entries(1, 3, 0))],
        "CREATE TABLE entry (id TEXT PRIMARY KEY, code TEXT, size INTEGER, tags TEXT)",
    );
    room.bundle("B");
    let run = room.apply("B");
    let tag = format!("migration-run-id:{}", run.replace('-', ""));
    assert_eq!(tag.len(), 49);
    assert_eq!(
        room.ask("SELECT DISTINCT tags FROM entry"),
        format!("[\"{tag}\"]")
    );
}

fn two_hundred_records_are_four_batches_of_fifty(case: Case) {
    let room = room(case, 0);
    room.apply("B");
    let batches =
        "SELECT count(*), min(records), max(records), min(status) FROM switchback_batches";
    assert_eq!(room.ask(batches), "4|50|50|applied");
    room.on("apply", &["B", "--batch-size", "0"]).code(2);
    for size in ["1", "1000"] {
        room.on("apply", &["B", "--batch-size", size]).code(0);
    }
    let sizes = "SELECT string_agg(CAST(n AS text), ',' ORDER BY run) FROM \
                 (SELECT run, count(*) AS n FROM switchback_batches GROUP BY run) AS of_run";
    assert_eq!(room.ask(sizes), "4,200,1");
}

fn rows_ledger_and_progress_stand_or_fall_together(case: Case) {
    let room = room(case, 0);
    // The ledger is made by a run of nothing much, so that a trigger can stand on its table.
    room.write("a.csv", entries(201, 201, 0));
    room.bundle("A");
    room.apply("A");
    room.db.refuse(
        "INSERT",
        "switchback_batches",
        "NEW.run = 2 AND NEW.no = 3",
        "the ledger is full",
    );
    room.on("apply", &["B"])
        .code(3)
        .says(&["the ledger is full"]);
    let standing = "SELECT (SELECT count(*) FROM entry) - 1, (SELECT count(*) FROM switchback_changes WHERE run = 2), \
                    (SELECT count(*) FROM switchback_ids WHERE run = 2), \
                    (SELECT coalesce(sum(records), 0) FROM switchback_batches WHERE run = 2)";
    let found = room.ask(standing);
    let figures: Vec<&str> = found.split('|').collect();
    assert!(
        figures.iter().all(|figure| *figure == figures[0]),
        "{found}"
    );
    assert!(["0", "50", "100"].contains(&figures[0]), "{found}");
    room.db.allow("switchback_batches");
    room.on("apply", &["B", "--resume"]).code(0);
    assert_eq!(room.ask(standing), "200|200|200|200");
}

fn the_figures_add_up_by_file_and_in_all(case: Case) {
    let sources = [
        ("a.csv", &*entries(1, 120, 0)),
        ("b.csv", &*entries(121, 200, 130)),
    ];
    let room = Room::with(case, PLAN, &sources, SCHEMA);
    room.bundle("B");
    let said = summary(&room.on("apply", &["B", "--json"]).code(3));
    let sum = |counts: &Value| {
        let part = |name: &str| counts[name].as_u64().unwrap();
        let skipped: u64 = counts["skipped"]
            .as_object()
            .unwrap()
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum();
        [
            "created",
            "updated",
            "unchanged",
            "deleted",
            "failed",
            "not_attempted",
        ]
        .map(part)
        .iter()
        .sum::<u64>()
            + skipped
    };
    assert_eq!(sum(&said["counts"]), 200);
    assert_eq!(
        (&said["counts"]["created"], &said["counts"]["failed"]),
        (&100.into(), &1.into())
    );
    let files = |no: u32| -> Value {
        serde_json::from_str(&room.ask(&format!(
            "SELECT files FROM switchback_batches WHERE no = {no}"
        )))
        .unwrap()
    };
    // The third batch holds the end of one file and the beginning of the other.
    let third = files(3);
    assert_eq!((sum(&third["a.csv"]), sum(&third["b.csv"])), (20, 30));
    assert_eq!(
        (&third["b.csv"]["failed"], &third["a.csv"]["failed"]),
        (&1.into(), &0.into())
    );
    let run = said["run"].as_str().unwrap();
    room.on("verify", &["report", run]).code(0);
}

fn the_report_of_a_run_comes_from_the_ledger_alone(case: Case) {
    let room = room(case, 70);
    let said = summary(&room.on("apply", &["B", "--json"]).code(3));
    for gone in ["B", "a.csv", "migration.toml", ".migration-failures.json"] {
        let path = room.path(gone);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
    let done = room
        .on(
            "verify",
            &["report", said["run"].as_str().unwrap(), "--json"],
        )
        .code(0);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    for part in ["run", "bundle", "status", "counts"] {
        assert_eq!(report[part], said[part], "{part}");
    }
}

fn the_runs_are_listed_newest_first_the_rolled_back_among_them(case: Case) {
    let room = room(case, 0);
    let none = room.on("verify", &["runs", "--json"]).code(0);
    assert_eq!(summary(&none)["runs"], Value::Array(vec![]));
    let first = room.apply("B");
    room.on("rollback", &[&first]).code(0);
    let second = room.apply("B");
    let listed = summary(&room.on("verify", &["runs", "--json"]).code(0));
    let runs: Vec<[&str; 3]> = listed["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| ["run", "status", "target"].map(|part| run[part].as_str().unwrap()))
        .collect();
    let url = room.url();
    assert_eq!(
        runs,
        [
            [&*second, "completed", &*url],
            [&*first, "rolled-back", &*url]
        ]
    );
    assert_eq!(listed["runs"][0]["counts"]["created"], 200);
}
