//! The modes of every program whose answer goes to standard output, into a full disk and to a reader who left.

use tests::Case;

use super::lost::{full, into, is_all_there_is, target};

tests::both!(
    every_mode_that_changes_nothing_is_an_error_where_its_answer_is_lost,
    every_mode_that_changes_the_target_says_so_where_its_answer_is_lost,
);

const CSV: &str = "id,name\n1,Ann\n2,Bob\n3,BAD\n";

fn every_mode_that_changes_nothing_is_an_error_where_its_answer_is_lost(case: Case) {
    let room = super::room(case, CSV);
    let url = room.url();
    let args = [
        "B",
        "--on-error=record",
        "--max-failed-percent=100",
        "--snapshot",
    ];
    let run = room.on("apply", &args).code(3).id();
    let snapshot = room.ask("SELECT snapshot ->> 'path' FROM switchback_runs");
    let lost = |program: &str, args: &[&str]| {
        is_all_there_is(&room, program, &target(args, &url), None);
    };
    for args in [
        &[&*run, "--sample=1"][..],
        &[&run, "--bundle=B"],
        &["audit", "--run", &run],
        &["audit", "--rollbacks"],
    ] {
        lost("verify", args);
        lost("verify", &[args, &["--json"]].concat());
    }
    lost("rollback", &[&run, "--dry-run", "--json"]);
    lost("rollback", &["--snapshot", &snapshot, "--check", "--json"]);
    lost("rollback", &[&run, "--export", "--save-plan=inverse.toml"]);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "2");
}

fn every_mode_that_changes_the_target_says_so_where_its_answer_is_lost(case: Case) {
    let room = super::room(case, CSV);
    let url = room.url();
    let lost = |program: &str, args: &[&str], said: &[&str]| {
        let done = into(full(), &room, program, &target(args, &url), None).code(3);
        let _ = done
            .says(&["No space left", "the answer is lost"])
            .says(said);
    };
    let by_record = [
        "B",
        "--on-error=record",
        "--max-failed-percent=100",
        "--quiet",
        "--json",
    ];
    let done = into(full(), &room, "apply", &target(&by_record, &url), None).code(3);
    let run = room.ask("SELECT id FROM switchback_runs");
    let _ = done.says(&["No space left", &run]);
    room.write("m.csv", "id,name\n1,Ann\n2,Bob\n3,Cy\n");
    room.bundle("C");
    let snapshot = ["C", "--snapshot", "--quiet", "--json"];
    let second = || room.ask("SELECT id FROM switchback_runs ORDER BY seq DESC LIMIT 1");
    lost("apply", &snapshot, &[]);
    let second = second();
    let kept = room.ask(&format!(
        "SELECT snapshot ->> 'path' FROM switchback_runs WHERE id = '{second}'"
    ));
    assert_eq!(room.ask("SELECT count(*) FROM m"), "3");
    let back = ["--snapshot", &kept, "--quiet", "--json"];
    lost("rollback", &back, &[]);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "2");
    lost("rollback", &[&run, "--quiet", "--json"], &[&run]);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "0");
}
