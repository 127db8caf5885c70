//! Show 7: what is said when something can't be done, and by which code.

use std::time::{Duration, Instant};

use tests::db::same;
use tests::{Bulk, Case, Db, Room, Target, command, finish, spawn};

tests::both!(
    a_run_id_that_nobody_knows,
    a_run_id_where_there_is_no_ledger,
    nothing_to_resume,
    a_second_apply_while_one_runs_and_the_first_is_unharmed,
    a_missing_table_and_a_missing_column_are_refused_together_before_any_write,
    a_code_that_the_target_lacks_refuses_the_run_and_names_every_place,
    a_target_that_is_not_there_is_5_and_is_not_made,
    a_bundle_of_another_plan_does_not_resume_a_run,
    resume_of_a_completed_or_rolled_back_run_is_refused,
    a_second_rollback_does_nothing_and_says_so,
);

const NOBODY: &str = "01900000-0000-7000-8000-00000000dead";

fn a_run_id_that_nobody_knows(case: Case) {
    let room = Room::example(case, "lessons");
    room.bundle("B");
    room.apply("B");
    let message = format!("Migration run {NOBODY} not found");
    for done in [
        room.on("rollback", &[NOBODY]),
        room.on("verify", &[NOBODY]),
        room.on("verify", &["report", NOBODY]),
        room.on("apply", &["B", &format!("--resume={NOBODY}")]),
    ] {
        done.code(4).says(&[&message]);
    }
}

fn a_run_id_where_there_is_no_ledger(case: Case) {
    let room = Room::example(case, "lessons");
    let message = format!("Migration run {NOBODY} not found");
    let before = room.db.everything();
    for program in ["rollback", "verify"] {
        room.on(program, &[NOBODY]).code(4).says(&[&message]);
    }
    assert!(room.db.everything() == before, "asking writes nothing");
}

fn nothing_to_resume(case: Case) {
    let message = "No checkpoint file found. Run migration without --resume to start fresh.";
    let room = Room::example(case, "lessons");
    room.bundle("B");
    room.on("apply", &["B", "--resume"])
        .code(4)
        .says(&[message]);
    room.apply("B");
    room.on("apply", &["B", "--resume"])
        .code(4)
        .says(&[message]);
}

fn a_second_apply_while_one_runs_and_the_first_is_unharmed(case: Case) {
    let room = Bulk::room(case, case.either(3000, 400));
    room.bundle("B");
    let url = room.url();
    let first = spawn(&mut command(
        "apply",
        &room.path(""),
        ["B", "--to", &url, "--operator", "ann", "--batch-size", "5"],
    ));
    let since = Instant::now();
    // The lock is a row: it is there once the first has started its run.
    let held =
        || room.db.has_ledger() && room.ask("SELECT count(holder) FROM switchback_lock") == "1";
    while !held() {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "the first apply took no lock"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    let second = room.on("apply", &["B", "--operator", "bo"]).code(11);
    let year = room.ask(case.either(
        "SELECT strftime('%Y')",
        "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY')",
    ));
    second.says(&["Migration already in progress", "ann", "since", &year]);
    let first = finish(first, None).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM switchback_runs"), "1");
    room.on("verify", &[&first.id()]).code(0);
}

fn a_missing_table_and_a_missing_column_are_refused_together_before_any_write(case: Case) {
    let room = Room::example(case, "members");
    room.bundle("B");
    room.sql("DROP TABLE \"EventTag\"; ALTER TABLE \"Member\" DROP COLUMN \"phone\"");
    let before = room.dump();
    room.on("apply", &["B"])
        .code(4)
        .says(&["EventTag", "phone", "nothing was written"]);
    same(&room.dump(), &before, "nothing was written");
    assert!(!room.db.has_ledger());
}

fn a_code_that_the_target_lacks_refuses_the_run_and_names_every_place(case: Case) {
    let room = Room::example(case, "members");
    room.bundle("B");
    room.sql(r#"UPDATE "MembershipStatus" SET "code" = 'OTHER' WHERE "code" = 'EXTENDED'"#);
    let done = room.on("apply", &["B"]).code(4);
    done.says(&[
        "EXTENDED",
        "members/wa-members-export.csv:",
        "membershipStatusId",
    ]);
    assert_eq!(room.ask("SELECT count(*) FROM \"Member\""), "6");
}

fn a_target_that_is_not_there_is_5_and_is_not_made(case: Case) {
    let room = Room::example(case, "lessons");
    room.bundle("B");
    let url = match &room.db {
        Db::Sqlite(_) => format!("sqlite:{}", room.path("missing.db").display()),
        Db::Postgres(database) => format!(
            "postgres://app@127.0.0.1:{}/missing.db",
            database.server.port
        ),
    };
    for args in [
        &["apply", "B"][..],
        &["rollback", NOBODY],
        &["verify", NOBODY],
    ] {
        let done = room.run(args[0], &[&args[1..], &["--to", &url]].concat());
        done.code(5).says(&["missing.db"]);
    }
    let made = match &room.db {
        Db::Sqlite(_) => room.path("missing.db").exists(),
        Db::Postgres(_) => {
            room.ask("SELECT count(*) FROM pg_database WHERE datname = 'missing.db'") != "0"
        }
    };
    assert!(!made);
}

#[test]
fn a_plan_with_a_key_nobody_knows_is_2_and_names_the_nearest() {
    let room = Room::example(Target::Sqlite, "lessons");
    room.mend("migration.toml", "volatile = ", "volatil = ");
    room.run("parse", &[])
        .code(2)
        .says(&["migration.toml:", "volatil", "`volatile`"]);
}

fn a_bundle_of_another_plan_does_not_resume_a_run(case: Case) {
    let room = Room::example(case, "lessons");
    room.bundle("B");
    let run = room.apply("B");
    room.mend(
        "migration.toml",
        "name   = \"lessons\"",
        "name   = \"lessons-2\"",
    );
    room.bundle("C");
    room.on("apply", &["C", &format!("--resume={run}")])
        .code(4)
        .says(&["another bundle"]);
}

fn resume_of_a_completed_or_rolled_back_run_is_refused(case: Case) {
    let room = Room::example(case, "lessons");
    room.bundle("B");
    let run = room.apply("B");
    let resume = format!("--resume={run}");
    room.on("apply", &["B", &resume])
        .code(4)
        .says(&["completed"]);
    room.on("rollback", &[&run]).code(0);
    room.on("apply", &["B", &resume])
        .code(4)
        .says(&["rolled-back"]);
}

fn a_second_rollback_does_nothing_and_says_so(case: Case) {
    let room = Room::example(case, "lessons");
    room.bundle("B");
    let before = room.dump();
    let run = room.apply("B");
    room.on("rollback", &[&run]).code(0);
    room.on("rollback", &[&run]).code(0).says(&["rolled back"]);
    same(&room.dump(), &before, "it is as before");
    // What happened stays on record.
    assert_eq!(
        room.ask("SELECT status FROM switchback_runs"),
        "rolled-back"
    );
    let actions = room.ask("SELECT string_agg(action, ',' ORDER BY seq) FROM switchback_audit");
    let expected = "migration:started,migration:completed,migration:rollback:level1";
    assert!(actions.starts_with(expected), "{actions}");
}

#[test]
fn a_password_never_shows_even_in_a_url_that_is_refused() {
    let room = Room::new(Target::Sqlite);
    for url in [
        "postgres//u:hunter2@h/d",
        "mysql://u:hunter2@h/d",
        "hunter2",
    ] {
        for program in ["apply", "rollback", "verify"] {
            let done = room.run(program, &["x", "--to", url]).code(2);
            assert!(!done.err.contains("hunter2"), "{program}: {}", done.err);
        }
    }
}
