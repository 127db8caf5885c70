//! The recipe `migrate` of the justfile: its own lines, run by bash as just runs them.

use std::process::Command;

use tests::db::same;
use tests::{Case, Done, Room, program, recipe};

tests::both!(
    a_dry_one_leaves_nothing_and_a_live_one_does_it_all,
    after_a_failure_at_a_step_it_goes_on_where_it_stopped,
    a_failure_of_the_live_run_says_how_to_go_on_and_how_to_take_it_back,
    other_sources_make_another_bundle_only_by_force,
);

fn migrate(room: &Room, options: &[&str]) -> Done {
    room.migrate(&room.url(), options)
}

fn files(room: &Room) -> Vec<String> {
    let entries = std::fs::read_dir(room.path("")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn a_dry_one_leaves_nothing_and_a_live_one_does_it_all(case: Case) {
    let room = Room::example(case, "members");
    let (before, names, rows) = (room.db.everything(), files(&room), room.dump());
    migrate(&room, &["dry=true"])
        .code(0)
        .says(&["dry run, nothing written: 302 records"]);
    assert_eq!(files(&room), names);
    assert!(room.db.everything() == before);
    let done = migrate(&room, &[]).code(0).says(&["is completed"]);
    assert!(done.out.contains("passed: "), "{}", done.out);
    assert!(room.read("migration.report.txt").contains("302 records"));
    assert_eq!(room.ask("SELECT count(snapshot) FROM switchback_runs"), "1");
    let dump = room.dump();
    migrate(&room, &[])
        .code(0)
        .says(&["nothing was written", "302 unchanged"]);
    assert_eq!(room.dump(), dump);
    let snapshot = room.ask("SELECT snapshot ->> 'path' FROM switchback_runs ORDER BY seq LIMIT 1");
    let _ = room.on("rollback", &["--snapshot", &snapshot]).code(0);
    same(&room.dump(), &rows, "what the recipe did is taken back");
}

fn after_a_failure_at_a_step_it_goes_on_where_it_stopped(case: Case) {
    let room = Room::example(case, "members");
    room.mend("migration.toml", "zone   =", "zoen   =");
    migrate(&room, &[]).says(&["migrate: bundle ended with", "go on: just migrate"]);
    room.mend("migration.toml", "zoen   =", "zone   =");
    room.sql("ALTER TABLE \"WaIdMapping\" RENAME TO \"Away\"");
    migrate(&room, &[])
        .code(4)
        .says(&["migrate: the dry run ended with 4"]);
    room.sql("ALTER TABLE \"Away\" RENAME TO \"WaIdMapping\"");
    room.bundle("B");
    let undisturbed = Room::example(case, "members");
    undisturbed.bundle("B");
    undisturbed.apply("B");
    let id = undisturbed
        .ask("SELECT \"id\" FROM \"EventRegistration\" ORDER BY \"id\" LIMIT 1 OFFSET 60");
    let late = format!("NEW.\"id\" = '{id}'");
    room.db
        .refuse("INSERT", "\"EventRegistration\"", &late, "closed");
    let run = room.on("apply", &["B"]).code(3).id();
    room.db.allow("\"EventRegistration\"");
    migrate(&room, &[])
        .code(0)
        .says(&[&format!("run {run} is completed")]);
    assert_eq!(
        room.ask("SELECT count(*) FROM switchback_runs"),
        "1",
        "it went on with that run"
    );
    let count =
        "SELECT (SELECT count(*) FROM \"Member\"), (SELECT count(*) FROM \"EventRegistration\")";
    assert_eq!(room.ask(count), undisturbed.ask(count));
}

fn a_failure_of_the_live_run_says_how_to_go_on_and_how_to_take_it_back(case: Case) {
    let room = Room::example(case, "members");
    room.sql(case.either(
        "CREATE TRIGGER edited AFTER INSERT ON Event WHEN NEW.title LIKE '%' BEGIN \
         UPDATE Event SET title = 'edited' WHERE id = NEW.id; END",
        "CREATE FUNCTION edited() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN NEW.title := 'edited'; RETURN NEW; END $$; \
         CREATE TRIGGER edited BEFORE INSERT ON \"Event\" FOR EACH ROW EXECUTE FUNCTION edited()",
    ));
    migrate(&room, &[])
        .code(1)
        .says(&["migrate: the dry run ended with 1"]);
    room.sql(case.either("DROP TRIGGER edited", "DROP TRIGGER edited ON \"Event\""));
    // Found by verify alone: somebody changes a row between apply and verify.
    let bin = room.path("bin");
    std::fs::create_dir(&bin).unwrap();
    for name in ["parse", "validate", "bundle", "apply", "rollback"] {
        std::os::unix::fs::symlink(program(name), bin.join(name)).unwrap();
    }
    let verify = format!(
        "#!/bin/sh\n[ \"$1\" = report ] || exit 1\nexec {} \"$@\"\n",
        program("verify").display()
    );
    room.write("bin/verify", verify);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("verify"), mode).unwrap();
    let mut bash = Command::new("bash");
    bash.args(["-c", &recipe(), "migrate", "migration.toml", &room.url()])
        .env("SWITCHBACK_BIN", &bin)
        .current_dir(room.path(""));
    let done = Done::from(bash.output().unwrap()).code(1);
    let run = room.ask("SELECT id FROM switchback_runs");
    let back = format!("migrate: take it back: rollback {run} --to ");
    done.says(&["migrate: verify ended with 1; go on: just migrate", &back]);
    assert!(
        room.read("migration.report.txt").contains(&run),
        "the report is left"
    );
}

fn other_sources_make_another_bundle_only_by_force(case: Case) {
    let room = Room::example(case, "members");
    migrate(&room, &[]).code(0);
    room.mend("events/wa-events-export.csv", "\n", "\r\n");
    migrate(&room, &[])
        .code(4)
        .says(&["migrate: bundle ended with 4", "force=true"]);
    migrate(&room, &["force=true"]).code(0);
    migrate(&room, &["forse=true"])
        .code(2)
        .says(&["not forse=true"]);
}
