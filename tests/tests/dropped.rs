//! Source columns that are never carried: `[entity.source] drop`.

use tests::{Case, Room};

tests::both!(a_dropped_column_is_in_no_record_reject_or_bundle_and_its_source_is_not_handed_back);

const SECRET: &str = "hunter2-never";

fn plan(drop: &str) -> String {
    format!(
        r#"
name = "people"
system = "club"
[limits]
reject_fail = 100
[[entity]]
name = "person"
source = {{ format = "csv", files = ["people.csv"], key = "id", drop = [{drop}] }}
table = "person"
id = {{ column = "id", from = "key" }}
[entity.fields]
name = {{ from = "name", type = "integer" }}
note = {{ expr = "has(source.Password) ? source.Password : 'none'" }}
[[entity]]
name = "again"
source = {{ format = "csv", files = ["*.csv"], key = "id", where = "source.id != '7'", where_reason = "x" }}
table = "again"
id = {{ column = "id", from = "key" }}
[entity.fields]
name = {{ from = "name", type = "integer" }}
[[entity]]
name = "pet"
source = {{ format = "json", files = ["pets.json"], key = "id" }}
table = "pet"
id = {{ column = "id", from = "key" }}
fields.name = {{ from = "name" }}
"#
    )
}

fn a_dropped_column_is_in_no_record_reject_or_bundle_and_its_source_is_not_handed_back(case: Case) {
    let tables = "CREATE TABLE person (id TEXT PRIMARY KEY, name INTEGER, note TEXT); \
                  CREATE TABLE again (id TEXT PRIMARY KEY, name INTEGER); \
                  CREATE TABLE pet (id TEXT PRIMARY KEY, name TEXT)";
    let people = format!("id,Password,name\n1,{SECRET},5\n2,{SECRET},bad\n7,{SECRET}\n");
    let sources = [
        ("people.csv", people.as_str()),
        ("pets.json", r#"[{"id": "a", "name": "Rex"}]"#),
    ];
    let room = Room::with(case, &plan("\"Password\""), &sources, tables);
    let [parse, validate, bundle] = room.pipeline("B");
    for done in [&parse, &validate, &bundle] {
        assert!(
            !done.out.contains(SECRET) && !done.err.contains(SECRET),
            "{done:?}"
        );
    }
    let _ = parse.code(0).says(&["person: 1 records of"]);
    let _ = validate.code(0);
    let _ = bundle.code(0).says(&["people.csv is not carried"]);
    let manifest = room.read("B/manifest.json");
    assert!(
        manifest.contains("\"sources_left_out\": [\n    \"people.csv\"\n  ]"),
        "{manifest}"
    );
    assert!(!room.path("B/sources/people.csv").exists());
    assert!(room.path("B/sources/pets.json").exists());
    assert!(!room.read("B/rejects.ndjson").contains(SECRET));
    let _ = room.run("bundle", &["check", "B"]).code(0);
    let _ = room
        .run("bundle", &["show", "B"])
        .code(0)
        .prints(&["people.csv: ", "not carried"]);
    let run = room.apply("B");
    assert_eq!(room.ask("SELECT note FROM person"), "none");
    let back = room.on("rollback", &[&run, "--hand-back", "back"]).code(0);
    let _ = back.says(&["people.csv", "drops columns", "1 source, 1 written"]);
    assert!(!room.path("back/people.csv").exists());
    let _ = room.on("verify", &[&run]).code(0);
    // A column that no source has, and one that a field reads.
    room.write("migration.toml", plan("\"Password\", \"Pasword\""));
    let _ = room
        .run("parse", &[])
        .code(4)
        .says(&["a column Pasword", "`drop` names"]);
    room.write("migration.toml", plan("\"name\""));
    let _ = room.run("parse", &[]).code(2).says(&["`name` is dropped"]);
}
