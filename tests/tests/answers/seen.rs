//! Control characters of data, where people read them.

use tests::{Case, Done};

tests::both!(control_characters_of_a_source_are_escaped_wherever_people_read_them);

/// Clears the screen, and forges a line.
const KEY: &str = "k\u{1b}[2J\napply: run 1 is completed\u{202e}";

#[track_caller]
fn is_harmless(done: &Done, what: &str) {
    for text in [&done.err, &done.out] {
        for hidden in ['\u{1b}', '\u{202e}', '\u{9b}', '\r'] {
            assert!(
                !text.contains(hidden),
                "{what} lets {hidden:?} pass: {text:?}"
            );
        }
        assert!(
            !text
                .lines()
                .any(|line| line.ends_with("run 1 is completed")
                    || line.starts_with("apply: run 1 ")),
            "{what} forges a line: {text:?}"
        );
    }
}

fn control_characters_of_a_source_are_escaped_wherever_people_read_them(case: Case) {
    let csv = format!("id,name\n\"{KEY}\",BAD\nx,fine\n");
    let room = super::room(case, &csv);
    let args = ["B", "--on-error=record", "--max-failed-percent=100", "-v"];
    let done = room.on("apply", &args).code(3);
    is_harmless(&done, "apply");
    let done = done.says(&["m k\\u{1b}[2J\\napply: run 1 is completed\\u{202e}: "]);
    let run = done.id();
    let line = room.ask("SELECT line FROM switchback_failures");
    assert!(
        !line.contains('\u{1b}') && line.contains("\\u001b"),
        "{line}"
    );
    let report = room.on("verify", &["report", &run]).code(0);
    is_harmless(&report, "verify report");
    let _ = report.prints(&["k\\u{1b}[2J\\napply"]);
    is_harmless(&room.on("verify", &[&run, "-v"]), "verify");
    // A batch that is undone keeps why in the ledger.
    let done = room.on("apply", &["B", "--max-failed-percent=100"]).code(3);
    is_harmless(&done, "apply");
    let errors = room.ask("SELECT error FROM switchback_batches WHERE error IS NOT NULL");
    assert!(!errors.contains('\u{1b}'), "{errors:?}");
    // Names of people, as they stand in the ledger.
    room.sql("UPDATE switchback_runs SET operator = 'o' || CAST('\u{1b}' AS TEXT) || '\u{202e}'");
    is_harmless(&room.on("verify", &["runs"]), "verify runs");
    is_harmless(&room.on("verify", &["report", &run]), "verify report");
}
