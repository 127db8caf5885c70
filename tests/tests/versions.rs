//! Bundles and streams of older versions.

use tests::{Case, Room, repository};

tests::both!(a_bundle_of_older_rules_starts_no_new_run);

/// The bundle of version 1 among the frozen files.
fn old_bundle() -> String {
    let folder = repository().join("tests/formats/v1/stages/bundle");
    folder.to_str().unwrap().to_owned()
}

fn a_bundle_of_older_rules_starts_no_new_run(case: Case) {
    let room = Room::new(case);
    let tables = "CREATE TABLE member (id TEXT PRIMARY KEY, email TEXT UNIQUE, name TEXT, balance TEXT, joined TEXT, \
                  friend TEXT REFERENCES member (id)); \
                  CREATE TABLE visit (id TEXT PRIMARY KEY, member TEXT NOT NULL REFERENCES member (id), notes TEXT)";
    room.sql(tables);
    room.on("apply", &[&old_bundle()]).code(4).says(&[
        "was made by rules 1, this build makes 2: it starts no new run",
        "hint: bundle the sources again: parse | validate | bundle -o DIR",
    ]);
    assert_eq!(room.ask("SELECT count(*) FROM member"), "0");
    assert!(!room.db.has_ledger());
}

#[test]
fn a_bundle_of_version_1_is_still_checked_and_shown() {
    let room = Room::new(tests::Target::Sqlite);
    let _ = room.run("bundle", &["check", &old_bundle()]).code(0);
    room.run("bundle", &["show", &old_bundle()])
        .code(0)
        .prints(&["(format 1, rules 1)", "edited   no"]);
}

#[test]
fn a_stream_of_version_1_is_refused_with_what_to_do() {
    let room = Room::new(tests::Target::Sqlite);
    let frozen = repository().join("tests/formats");
    let plan = std::fs::read(frozen.join("source/migration.toml")).unwrap();
    room.write("migration.toml", plan);
    let stream = std::fs::read(frozen.join("v1/stages/parsed.ndjson")).unwrap();
    room.feed("validate", &[], stream)
        .code(4)
        .says(&["the input was made by rules 1, this build makes 2: run parse again"]);
}

#[test]
fn items_that_start_on_one_line_are_told_apart_by_their_number() {
    let plan = "name = \"p\"\nsystem = \"s\"\n[[entity]]\nname = \"a\"\ntable = \"a\"\n\
                id = { column = \"id\", from = \"key\" }\n\
                source = { format = \"json\", files = [\"a.json\"], key = \"id\" }\n\
                fields.n = { from = \"n\", type = \"integer\", required = true }\n";
    let source =
        "[{\"id\":\"1\",\"n\":1},{\"id\":\"2\",\"n\":2},\n{\"id\":\"3\",\"n\":3},{\"id\":\"4\"}]\n";
    let room = Room::with(tests::Target::Sqlite, plan, &[("a.json", source)], "");
    room.run("parse", &[])
        .code(0)
        .prints(&[
            "\"key\":\"1\",\"at\":{\"file\":\"a.json\",\"line\":1},",
            "\"key\":\"2\",\"at\":{\"file\":\"a.json\",\"line\":1,\"item\":2},",
            "\"key\":\"3\",\"at\":{\"file\":\"a.json\",\"line\":2},",
            "\"at\":{\"file\":\"a.json\",\"line\":2,\"item\":4}",
        ])
        .says(&["a.json:2 (item 4)"]);
}
