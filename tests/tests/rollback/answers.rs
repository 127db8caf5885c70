//! What it answers without writing: checks, secrets, unknown runs, a lock that somebody holds.

use serde_json::Value;
use tests::{Case, Db};

use super::{ALL, BOB, applied, club};

tests::both!(
    secret_values_are_not_shown,
    an_unknown_run_and_no_run_at_all_are_refused,
    check_answers_and_writes_nothing,
    check_passes_where_nothing_can_be_written,
    a_live_holder_of_the_lock_is_not_disturbed,
);

fn secret_values_are_not_shown(case: Case) {
    let club = club(case);
    let run = applied(&club, &[BOB]);
    club.sql("UPDATE member SET phone = '5550100' WHERE id = 'm2'");
    let said = club.on("rollback", &[&run, "--json"]).code(1);
    // A run ID may hold any digits.
    let all = (said.out + &said.err).replace(&run, "RUN");
    assert!(
        all.contains("phone") && !all.contains("5550100") && !all.contains("222"),
        "{all}"
    );
}

fn an_unknown_run_and_no_run_at_all_are_refused(case: Case) {
    let club = club(case);
    let _ = club
        .on("rollback", &["nonsense"])
        .code(4)
        .says(&["Migration run nonsense not found"]);
    let run = applied(&club, &ALL);
    let before = club.dump();
    let other = "01890000-0000-7000-8000-000000000000";
    let _ = club
        .on("rollback", &[other])
        .code(4)
        .says(&[&format!("Migration run {other} not found")]);
    let _ = club.on("rollback", &[]).code(2).says(&[&run, "completed"]);
    let _ = club.on("rollback", &[&run, "--resume"]).code(4);
    assert_eq!(club.dump(), before);
}

fn check_answers_and_writes_nothing(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL);
    let file = club.db.everything();
    let said = club.on("rollback", &[&run, "--check", "--json"]).code(0);
    assert_eq!(club.db.everything(), file);
    let lines: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 9, "a line a row, and the answer");
    assert_eq!(lines[8]["canRollback"], true);
    assert!(
        lines[..8]
            .iter()
            .all(|line| line["verdict"] == "reversible")
    );
    club.sql("UPDATE member SET team = NULL WHERE id = 'm1'");
    let said = club.on("rollback", &[&run, "--check", "--json"]).code(1);
    let changed = said
        .out
        .lines()
        .find(|line| line.contains("\"changed\""))
        .unwrap();
    let changed: Value = serde_json::from_str(changed).unwrap();
    assert_eq!(changed["columns"][0]["run"], "t9");
    assert_eq!(changed["columns"][0]["now"], Value::Null);
}

fn check_passes_where_nothing_can_be_written(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL);
    match &club.db {
        Db::Sqlite(path) => {
            let mut mode = std::fs::metadata(path).unwrap().permissions();
            mode.set_readonly(true);
            std::fs::set_permissions(path, mode).unwrap();
        }
        Db::Postgres(database) => club.sql(&format!(
            "ALTER DATABASE {} SET default_transaction_read_only = on",
            database.name
        )),
    }
    let file = club.db.everything();
    let _ = club.on("rollback", &[&run, "--check"]).code(0);
    assert_eq!(club.db.everything(), file);
}

fn a_live_holder_of_the_lock_is_not_disturbed(case: Case) {
    let club = club(case);
    let run = applied(&club, &ALL);
    let before = club.dump();
    let second = case.either("unixepoch()", "extract(epoch FROM now())");
    club.sql(&format!(
        "UPDATE switchback_lock SET run = '{run}', since = 1, expires = ({second} + 20) * 1000, holder = \
         '{}'",
        tests::holder("bob", &run)
    ));
    let _ = club
        .on("rollback", &[&run])
        .code(11)
        .says(&["Migration already in progress", "by bob on "]);
    club.sql("UPDATE switchback_runs SET status = 'rolling-back'");
    let _ = club
        .on("rollback", &[&run])
        .code(11)
        .says(&["Rollback already in progress"]);
    assert_eq!(club.dump(), before);
    club.sql("UPDATE switchback_lock SET expires = 1");
    let _ = club.on("rollback", &[&run]).code(0);
}
