//! Who may have a hook run: the operator. A bundle and a ledger come from others.

use tests::{Case, Done, Room, finish, spawn};

tests::both!(
    hooks_of_a_bundle_are_named_and_run_only_with_permission,
    a_required_hook_without_permission_refuses_before_the_first_write,
    the_operators_own_copy_of_the_plan_is_permission_and_another_plan_is_not,
    a_hook_that_was_put_into_the_ledger_does_not_run,
    a_hook_is_given_no_variable_that_was_not_named,
    a_variable_that_holds_a_secret_of_the_target_reaches_no_hook,
    a_rollback_that_apply_starts_has_its_permission,
);

const PLAN: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
fields.name = { from = "name" }
"#;

fn room(case: Case, hooks: &str) -> Room {
    let sources = [("people.csv", "id,name\n1,Ann\n2,Bo\n")];
    let schema = "CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT CHECK (name <> 'Mallory'));";
    let room = Room::with(case, &format!("{PLAN}{hooks}"), &sources, schema);
    room.bundle("B");
    room
}

/// A hook that runs a script.
fn hook(on: &str, required: bool, script: &str) -> String {
    format!(
        "[[hook]]\non = [{on}]\nrequired = {required}\ncommand = [\"sh\", \"-c\", '''{script}''']\n"
    )
}

/// Runs a program with this in its environment.
fn with(room: &Room, program: &str, args: &[&str], variables: &[(&str, &str)]) -> Done {
    let url = room.url();
    let args: Vec<&str> = args.iter().copied().chain(["--to", &url]).collect();
    let mut command = room.command(program, &args);
    finish(spawn(command.envs(variables.iter().copied())), None)
}

fn hooks_of_a_bundle_are_named_and_run_only_with_permission(case: Case) {
    let hook = hook("\"started\", \"completed\"", false, "echo ran >> log");
    let room = room(case, &hook);
    let listed = "hook 1 on started, completed (runs sh -c 'echo ran >> log')";
    let show = room.run("bundle", &["show", "B"]).code(0);
    assert!(show.out.contains(listed), "{}", show.out);
    let dry = room.on("apply", &["B", "--dry-run"]).code(0);
    let _ = dry.says(&[listed, "will not run: it comes with the bundle"]);
    let run = room.on("apply", &["B"]).code(0).says(&[
        listed,
        "--hooks",
        "--plan FILE",
        "hook 1 (sh) on completed is left due",
    ]);
    assert!(!room.path("log").exists(), "it ran");
    assert_eq!(room.ask("SELECT count(*) FROM person"), "2");
    let again = room.on("apply", &["B", "--resume", "--hooks"]).code(0);
    assert_eq!(again.id(), run.id());
    assert_eq!(room.read("log"), "ran\nran\n");
}

fn a_required_hook_without_permission_refuses_before_the_first_write(case: Case) {
    let hook = hook("\"completed\", \"rolled-back\"", true, "echo ran >> log");
    let room = room(case, &hook);
    let before = room.dump();
    for dry in [&["B", "--dry-run"][..], &["B"]] {
        let _ = room.on("apply", dry).code(4).says(&[
            "is required",
            "apply B --to",
            "--hooks; or with your own copy",
            "--plan FILE",
        ]);
        assert_eq!(room.dump(), before);
    }
    let run = room.on("apply", &["B", "--hooks"]).code(0).id();
    assert_eq!(room.read("log"), "ran\n");
    let after = room.dump();
    // The bundle lies where the ledger says: that is not the operator's word.
    for options in [&[][..], &["--hooks"]] {
        let args: Vec<&str> = [&run[..]].iter().chain(options).copied().collect();
        let _ = room.on("rollback", &args).code(4).says(&[
            "is required",
            &format!("rollback {run} --to"),
            "--hooks --bundle DIR; or with your own copy",
        ]);
        assert_eq!(room.dump(), after);
    }
    let _ = room
        .on("rollback", &[&run, "--hooks", "--bundle", "B"])
        .code(0);
    assert_eq!(room.read("log"), "ran\nran\n");
}

fn the_operators_own_copy_of_the_plan_is_permission_and_another_plan_is_not(case: Case) {
    let hook = hook("\"completed\", \"rolled-back\"", true, "echo ran >> log");
    let room = room(case, &hook);
    room.write("other.toml", format!("{PLAN}{hook}# edited\n"));
    let _ = room
        .on("apply", &["B", "--plan", "other.toml"])
        .code(4)
        .says(&["and other.toml is another plan"]);
    let _ = room
        .on("apply", &["B", "--plan", "none.toml"])
        .code(4)
        .says(&["your plan can't be read", "none.toml"]);
    let run = room
        .on("apply", &["B", "--plan", "migration.toml"])
        .code(0)
        .id();
    let plan = [("MIGRATION_PLAN", "migration.toml")];
    let _ = with(&room, "rollback", &[&run], &plan).code(0);
    assert_eq!(room.read("log"), "ran\nran\n");
}

fn a_hook_that_was_put_into_the_ledger_does_not_run(case: Case) {
    let room = room(case, "");
    let run = room.apply("B");
    let hook = hook("\"rolled-back\"", false, "echo ran >> log").replace('\'', "''");
    room.sql(&format!(
        "UPDATE switchback_runs SET plan = plan || '{hook}' WHERE id = '{run}'"
    ));
    for options in [&[][..], &["--hooks"], &["--hooks", "--bundle", "B"]] {
        let args: Vec<&str> = [&run[..]].iter().chain(options).copied().collect();
        let done = room.on("rollback", &args);
        assert!(!room.path("log").exists(), "{options:?}: {}", done.err);
    }
}

fn a_hook_is_given_no_variable_that_was_not_named(case: Case) {
    let script = "env | sort | cut -d= -f1 | grep -v -e '^_$' -e SHLVL -e OLDPWD > log";
    let room = room(case, &hook("\"completed\"", true, script));
    let path = std::env::var("PATH").unwrap();
    let variables = [
        ("CHAT_TOKEN", "t"),
        ("PLAIN", "p"),
        ("PATH", &path),
        ("HOME", "/"),
        ("PGPASSWORD", "s3cret"),
        ("DATABASE_URL", &room.url()),
        ("AWS_SECRET_ACCESS_KEY", "k"),
    ];
    let args = ["B", "--hooks", "--hook-env", "PLAIN"];
    let _ = with(&room, "apply", &args, &variables).code(0);
    let names = room.read("log");
    for name in ["PLAIN", "PATH", "HOME", "SWITCHBACK_RUN"] {
        assert!(names.lines().any(|line| line == name), "{name}: {names}");
    }
    for name in [
        "CHAT_TOKEN",
        "PGPASSWORD",
        "DATABASE_URL",
        "AWS_SECRET_ACCESS_KEY",
    ] {
        assert!(!names.contains(name), "{name}: {names}");
    }
}

fn a_variable_that_holds_a_secret_of_the_target_reaches_no_hook(case: Case) {
    let webhook = "[[hook]]\non = [\"completed\"]\nrequired = true\n\
         webhook = { url = \"http://127.0.0.1:1/\", headers = { X = \"OTHER\", Y = \"DATABASE_URL\" } }\n";
    let room = room(case, webhook);
    let _ = room
        .on("apply", &["B", "--hooks", "--hook-env", "DATABASE_URL"])
        .code(2)
        .says(&["--hook-env DATABASE_URL", "secret"]);
    let _ = room
        .on("apply", &["B", "--hooks"])
        .code(4)
        .says(&["it would read OTHER, DATABASE_URL"]);
    // The plan is the operator's own, and all the same it gets none of the target's secrets.
    let variables = [
        ("OTHER", "with s3cret-word in it"),
        ("PGPASSWORD", "s3cret-word"),
    ];
    let own = ["B", "--plan", "migration.toml"];
    let done = with(&room, "apply", &own, &variables).code(3);
    let done = done.says(
        &["DATABASE_URL holds a secret"]
            .map(|words| case.either(words, "OTHER holds a secret of the target")),
    );
    assert!(!done.err.contains("s3cret-word"), "{}", done.err);
}

fn a_rollback_that_apply_starts_has_its_permission(case: Case) {
    let hook = hook("\"rolled-back\"", true, "echo ran >> log");
    let room = room(case, &hook);
    room.mend("people.csv", "Bo", "Mallory");
    room.bundle("C");
    let args = ["C", "--on-failure", "rollback"];
    let _ = room.on("apply", &args).code(4).says(&["is required"]);
    let permitted = [&args[..], &["--hooks"]].concat();
    let _ = room.on("apply", &permitted).code(1);
    assert_eq!(room.read("log"), "ran\n");
}
