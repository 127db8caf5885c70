//! A bundle whose records `validate` has not seen starts a run only where that is asked for.

use std::process::Stdio;

use tests::{Case, Done, Room, program};

tests::both!(what_validate_has_not_seen_is_refused_before_the_first_write);

const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "key" }
source = { format = "csv", files = ["m.csv"], key = "id" }
fields = { name = { from = "name", required = true } }
"#;

/// Runs `apply` with these arguments alone.
fn apply(room: &Room, args: &[&str]) -> Done {
    let mut command = std::process::Command::new(program("apply"));
    command
        .args(args)
        .args(["--to", &room.url()])
        .current_dir(room.path("."))
        .stdin(Stdio::null());
    command.output().unwrap().into()
}

fn what_validate_has_not_seen_is_refused_before_the_first_write(case: Case) {
    let schema = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT)";
    let room = Room::with(case, PLAN, &[("m.csv", "id,name\na,Ann\n")], schema);
    let lines = room.run("parse", &[]).code(0).out;
    let _ = room.feed("bundle", &["-o", "raw"], lines).code(0);
    let _ = room
        .run("bundle", &["show", "raw"])
        .code(0)
        .prints(&["never went through validate"]);
    let before = room.db.everything();
    for flags in [
        &["raw"][..],
        &["raw", "--dry-run"],
        &["raw", "--resume=auto"],
    ] {
        let _ = apply(&room, flags).code(4).says(&[
            "raw never went through validate",
            "parse | validate | bundle -o DIR",
            "--unvalidated",
        ]);
    }
    assert_eq!(room.db.everything(), before);
    let _ = apply(&room, &["raw", "--rehearse"])
        .code(1)
        .says(&["raw never went through validate"]);
    let _ = apply(&room, &["raw", "--unvalidated", "--rehearse"]).code(0);
    let run = apply(&room, &["raw", "--unvalidated"]).code(0).id();
    // Whoever has begun with it verifies it and takes it back as ever.
    let _ = room.on("verify", &[&run, "--bundle", "raw"]).code(0);
    let _ = room.on("rollback", &[&run, "--bundle", "raw"]).code(0);
    room.bundle("whole");
    let _ = apply(&room, &["whole"]).code(0);
}
