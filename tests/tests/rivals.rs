//! Two rollbacks of one run at the same time, and an audit trail that can't be written.

use serde_json::Value;
use tests::db::same;
use tests::{Bulk, Case, command, finish, spawn};

tests::both!(
    of_two_rollbacks_started_together_one_works_and_the_other_is_refused_or_finds_it_done,
    an_audit_entry_that_cannot_be_written_fails_the_operation_it_is_about,
    the_audit_trail_answers_what_a_run_did_what_was_taken_back_and_who_worked,
    progress_and_the_final_report_say_how_a_rollback_went,
);

fn of_two_rollbacks_started_together_one_works_and_the_other_is_refused_or_finds_it_done(
    case: Case,
) {
    let room = Bulk::room(case, 20);
    room.bundle("B");
    let before = room.dump();
    for turn in 0..case.either(50, 12) {
        let run = room.apply("B");
        let url = room.url();
        let start = || {
            spawn(&mut command(
                "rollback",
                &room.path(""),
                [&run, "--to", &url],
            ))
        };
        let both = [start(), start()].map(|child| finish(child, None));
        let worked = both
            .iter()
            .filter(|done| done.err.contains("Rolled back"))
            .count();
        assert_eq!(worked, 1, "turn {turn}: {both:?}");
        for done in &both {
            let fine = match done.code {
                0 => done.err.contains("Rolled back") || done.err.contains("already rolled back"),
                11 => done.err.contains("already in progress"),
                _ => false,
            };
            assert!(fine, "turn {turn}: {done:?}");
        }
        same(&room.dump(), &before, "the state is right");
        let ledger =
            format!("SELECT status || ' ' || kept FROM switchback_runs WHERE id = '{run}'");
        assert_eq!(room.ask(&ledger), "rolled-back 0");
    }
    let _ = room.on("verify", &["audit"]).code(0);
}

fn an_audit_entry_that_cannot_be_written_fails_the_operation_it_is_about(case: Case) {
    let room = Bulk::room(case, 20);
    room.bundle("B");
    let before = room.dump();
    let run = room.apply("B");
    let refuse = |action: &str| {
        let when = format!("NEW.action LIKE '{action}'");
        room.db
            .refuse("INSERT", "switchback_audit", &when, "the trail is full");
    };
    refuse("migration:rollback:level1");
    // The table has a trigger, so that the rollback is tried whole before its first write.
    let _ = room
        .on("rollback", &[&run])
        .code(4)
        .says(&["the trail is full", "nothing was written"]);
    let _ = room.untried(&[&run]).code(3).says(&["the trail is full"]);
    assert_eq!(
        room.ask("SELECT status FROM switchback_runs"),
        "rolling-back"
    );
    room.db.allow("switchback_audit");
    let _ = room.on("rollback", &[&run, "--resume"]).code(0);
    same(&room.dump(), &before, "it is rolled back");
    refuse("migration:started");
    let before = room.dump();
    assert_ne!(room.on("apply", &["B"]).code, 0);
    same(&room.dump(), &before, "nothing was applied");
    assert_eq!(room.ask("SELECT count(*) FROM switchback_runs"), "1");
    room.db.allow("switchback_audit");
    let _ = room.on("apply", &["B"]).code(0);
}

fn the_audit_trail_answers_what_a_run_did_what_was_taken_back_and_who_worked(case: Case) {
    let room = Bulk::room(case, 10);
    room.bundle("B");
    let run = room.on("apply", &["B", "--operator", "ann"]).code(0).id();
    let _ = room
        .on(
            "rollback",
            &[&run, "--operator", "bo", "--reason", "wrong export"],
        )
        .code(0);
    let other = room.on("apply", &["B", "--operator", "ann"]).code(0).id();
    let ask = |args: &[&str]| -> Value {
        let done = room
            .on("verify", &[&["audit"], args, &["--json"]].concat())
            .code(0);
        serde_json::from_str(&done.out).unwrap()
    };
    let actions = |answer: &Value| -> Vec<String> {
        let entries = answer["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["action"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        actions(&ask(&["--run", &run])),
        [
            "migration:started",
            "migration:completed",
            "migration:rollback:level1"
        ]
    );
    assert_eq!(actions(&ask(&["--run", &other])).len(), 2);
    let rollbacks = ask(&["--rollbacks"]);
    assert_eq!(actions(&rollbacks), ["migration:rollback:level1"]);
    assert_eq!(rollbacks["entries"][0]["operator"], "bo");
    assert_eq!(rollbacks["entries"][0]["detail"]["reason"], "wrong export");
    assert!(actions(&ask(&["--rollbacks", "--days", "0"])).is_empty());
    let who = ask(&["--by-operator"]);
    assert_eq!(who["operators"][0]["operator"], "ann");
    assert_eq!(who["operators"][0]["runs"], 2);
    assert_eq!(who["operators"][1]["rollbacks"], 1);
    let none = ask(&["--by-operator", "--since", "2999-01-01"]);
    assert_eq!(none["operators"].as_array().unwrap().len(), 0);
    let plain = room.on("verify", &["audit", "--by-operator"]).code(0);
    assert!(plain.out.contains("ann: 2 runs"), "{}", plain.out);
}

fn progress_and_the_final_report_say_how_a_rollback_went(case: Case) {
    let room = Bulk::room(case, 100);
    room.bundle("B");
    let run = room.apply("B");
    let done = room
        .on("rollback", &[&run, "--json", "--progress", "json"])
        .code(0);
    let progress: Vec<Value> = done
        .err
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let stages: Vec<&str> = progress
        .iter()
        .map(|line| line["stage"].as_str().unwrap())
        .collect();
    assert_eq!(stages[0], "PREPARING");
    assert_eq!(stages.last(), Some(&"COMPLETED"));
    assert!(
        stages.contains(&"EXECUTING") && stages.contains(&"VERIFYING"),
        "{stages:?}"
    );
    let percents: Vec<u64> = progress
        .iter()
        .map(|line| line["progress"].as_u64().unwrap())
        .collect();
    assert!(percents.is_sorted(), "{percents:?}");
    assert_eq!(percents.last(), Some(&100));
    for line in &progress {
        for key in ["currentStep", "estimatedTimeRemaining", "errors"] {
            assert!(line.get(key).is_some(), "{line}");
        }
    }
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["finalStatus"], "SUCCESS");
    assert_eq!(
        (&last["conflicts"], &last["retries"]),
        (&0.into(), &0.into())
    );
    assert!(last["totalTime"].as_f64().is_some());
    assert_eq!(last["restored"]["visit"], 100);
    let steps: Vec<&Value> = last["steps"].as_array().unwrap().iter().collect();
    assert_eq!(steps.len(), 3);
    assert!(
        steps.iter().all(|step| step["success"] == true),
        "{steps:?}"
    );

    let run = room.apply("B");
    room.sql("UPDATE person SET name = 'Somebody else' WHERE email = 'p1@example.org'");
    let done = room
        .on("rollback", &[&run, "--json", "--progress", "json"])
        .code(1);
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["finalStatus"], "FAILED");
    assert!(last["conflicts"].as_u64().unwrap() > 0);
    assert!(done.err.contains("\"stage\":\"FAILED\""), "{}", done.err);
    let done = room
        .on("rollback", &[&run, "--json", "--skip-conflicts"])
        .code(0);
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["finalStatus"], "PARTIAL");
}
