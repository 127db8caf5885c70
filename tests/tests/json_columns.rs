//! JSON and text: what may go into a column of JSON, and what becomes of JSON in a column of text.

use tests::db::same;
use tests::{Case, Room};

tests::both!(
    a_field_that_is_no_json_into_a_json_column_is_refused_before_any_write,
    a_text_field_into_a_json_column_that_the_plan_adds_is_a_fault_of_the_plan,
    json_into_a_json_column_is_applied_verified_and_taken_back,
    json_into_a_text_column_keeps_its_quotes,
    a_number_that_a_json_column_would_not_keep_is_its_records_fault,
    what_describes_the_run_is_an_object_whatever_its_field_and_column_are,
    a_description_that_can_not_be_marked_is_named_and_fails_the_proof,
    a_description_of_which_no_mark_is_asked_is_not_said_to_be_marked,
    the_exported_inverse_of_a_json_column_holds_json,
);

mod on_a_server {
    tests::on_target!(
        Postgres,
        a_description_that_an_older_run_wrote_as_a_string_is_marked
    );
}

mod on_a_file {
    tests::on_target!(
        Sqlite,
        numbers_in_a_json_column_of_sqlite_stay_what_they_are
    );
}

/// A plan whose one column `data` is this field.
fn plan(field: &str) -> String {
    format!(
        "name = \"docs\"\nsystem = \"s\"\nzone = \"UTC\"\n[[entity]]\nname = \"doc\"\ntable = \"doc\"\n\
         id = {{ column = \"id\", from = \"key\" }}\nmatch = [\"id\"]\non_match = \"update\"\n\
         source = {{ format = \"json\", files = [\"docs.ndjson\"], key = \"k\" }}\nfields.data = {{ {field} }}\n"
    )
}

/// A column of JSON as each of the two declares it.
fn schema(case: Case) -> String {
    let kind = case.either("JSON", "jsonb");
    format!("CREATE TABLE doc (id TEXT PRIMARY KEY, data {kind});")
}

const DOCS: &str = r#"{"k":"a","data":{"b":[1.50,null],"a":"ü"}}
{"k":"b","data":"020"}
{"k":"c","data":true}
{"k":"d","data":[]}
{"k":"e","data":123}
{"k":"f","data":null}
"#;

fn a_field_that_is_no_json_into_a_json_column_is_refused_before_any_write(case: Case) {
    for (field, says) in [
        (
            "from = \"data\"",
            "which holds JSON, and the field is text: say `type = \"json\"`",
        ),
        (
            "from = \"data\", map = \"m\"",
            "the field is text: say `type = \"json\"`",
        ),
        (
            "from = \"data\", type = \"date\"",
            "the field is date: say `type = \"json\"`",
        ),
        (
            "run = \"operator\"",
            "the field is text: say `type = \"json\"`",
        ),
        (
            "from = \"data\", type = \"list\", list = { split = [\",\"] }, store = { separated = \";\" }",
            "say `store = \"json\"`",
        ),
    ] {
        let map = "\n[map.m]\nvalues = { x = \"y\" }\n";
        let text = plan(field) + if field.contains("map") { map } else { "" };
        let docs = ("docs.ndjson", "{\"k\":\"a\"}\n");
        let room = Room::with(case, &text, &[docs], &schema(case));
        room.bundle("B");
        let before = room.dump();
        let _ = room
            .on("apply", &["B"])
            .code(4)
            .says(&["plan.toml:11: doc: doc: column `data` is", says]);
        same(&room.dump(), &before, "nothing was written");
        assert!(!room.db.has_ledger());
    }
}

fn a_text_field_into_a_json_column_that_the_plan_adds_is_a_fault_of_the_plan(case: Case) {
    let kind = case.either("JSON", "jsonb");
    let add = format!("[[add.column]]\ntable = \"doc\"\ncolumn = \"data\"\ntype = \"{kind}\"\n");
    let room = Room::new(case);
    room.write("migration.toml", plan("from = \"data\"") + &add);
    room.write("docs.ndjson", DOCS);
    let _ = room
        .run("parse", &[])
        .code(2)
        .says(&["migration.toml:11:8: ", "say `type = \"json\"`"]);
}

fn json_into_a_json_column_is_applied_verified_and_taken_back(case: Case) {
    let json = plan("from = \"data\", type = \"json\"");
    let old = "INSERT INTO doc VALUES ('a', '{\"a\": 1}'), ('e', '7');";
    let schema = schema(case) + old;
    let room = Room::with(case, &json, &[("docs.ndjson", DOCS)], &schema);
    let before = room.dump();
    room.bundle("B");
    let run = room
        .on("apply", &["B"])
        .code(0)
        .says(&["4 created, 2 updated"])
        .id();
    let kind = case.either("json_type(data)", "jsonb_typeof(data)");
    let kinds =
        format!("SELECT string_agg(id || coalesce({kind}, ' NULL'), ' ' ORDER BY id) FROM doc");
    assert_eq!(
        room.ask(&kinds),
        case.either(
            "aobject btext ctrue darray einteger f NULL",
            "aobject bstring cboolean darray enumber f NULL"
        )
    );
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room
        .on("apply", &["B"])
        .code(0)
        .says(&["0 created, 0 updated, 6 unchanged"]);
    let _ = room.on("rollback", &[&run, "--fingerprint"]).code(0);
    same(&room.dump(), &before, "every value is what it was");
    let _ = room.on("verify", &[&run]).code(0);
}

fn json_into_a_text_column_keeps_its_quotes(case: Case) {
    let json = plan("from = \"data\", type = \"json\"");
    let schema = "CREATE TABLE doc (id TEXT PRIMARY KEY, data TEXT);\
                  INSERT INTO doc VALUES ('b', 'old');";
    let room = Room::with(case, &json, &[("docs.ndjson", DOCS)], schema);
    let before = room.dump();
    room.bundle("B");
    let run = room.on("apply", &["B"]).code(0).id();
    let all = "SELECT string_agg(id || coalesce(data, ' NULL'), ' ' ORDER BY id) FROM doc";
    assert_eq!(
        room.ask(all),
        "a{\"b\":[1.50,null],\"a\":\"ü\"} b\"020\" ctrue d[] e123 f NULL"
    );
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room
        .on("apply", &["B"])
        .code(0)
        .says(&["0 created, 0 updated, 6 unchanged"]);
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "every value is what it was");
}

fn a_number_that_a_json_column_would_not_keep_is_its_records_fault(case: Case) {
    let json = plan("from = \"data\", type = \"json\"");
    let docs = "{\"k\":\"a\",\"data\":12345678901234567890}\n{\"k\":\"b\",\"data\":[12345678901234567890]}\n";
    let room = Room::with(case, &json, &[("docs.ndjson", docs)], &schema(case));
    room.bundle("B");
    // A column of SQLite would make a float of it; jsonb keeps its digits.
    let run = room.on("apply", &["B", "--on-error", "record"]);
    let rows = "SELECT string_agg(id, ',') FROM doc";
    if case.either(true, false) {
        let _ = run
            .code(3)
            .says(&["docs.ndjson:1: doc a: data: 12345678901234567890 does not fit"]);
        assert_eq!(room.ask(rows), "b");
    } else {
        let run = run.code(0).id();
        assert_eq!(room.ask(rows), "a,b");
        let _ = room.on("verify", &[&run]).code(0);
    }
}

fn numbers_in_a_json_column_of_sqlite_stay_what_they_are(case: Case) {
    let json = plan("from = \"data\", type = \"json\"");
    let docs = "{\"k\":\"a\",\"data\":1.5}\n{\"k\":\"b\",\"data\":1e3}\n{\"k\":\"c\",\"data\":3.0}\n{\"k\":\"d\",\"data\":1e300}\n";
    let room = Room::with(case, &json, &[("docs.ndjson", docs)], &schema(case));
    room.bundle("B");
    let run = room.on("apply", &["B"]).code(0).id();
    assert_eq!(
        room.ask("SELECT string_agg(id || data, ' ' ORDER BY id) FROM doc"),
        "a1.5 b1000 c3 d1.0e+300"
    );
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room
        .on("apply", &["B"])
        .code(0)
        .says(&["0 created, 0 updated, 4 unchanged"]);
    let _ = room.on("rollback", &[&run]).code(0);
}

/// The plan of one record, with a metadata row.
fn described(content: &str, status: &str) -> String {
    plan("from = \"data\", type = \"json\"")
        + &format!(
            "[metadata]\ntable = \"log\"\nid = {{ column = \"id\", from = \"uuid\" }}\non_rollback = \"keep\"\n{status}\
             [metadata.fields]\ncontent = {{ {content} }}\n"
        )
}

fn logged(case: Case, plan: &str, kind: &str) -> (Room, String) {
    let schema = schema(case) + &format!("CREATE TABLE log (id TEXT PRIMARY KEY, content {kind});");
    let room = Room::with(case, plan, &[("docs.ndjson", DOCS)], &schema);
    room.bundle("B");
    let run = room.on("apply", &["B"]).code(0).id();
    (room, run)
}

const STATUS: &str = "status = \"content\"\n";

fn what_describes_the_run_is_an_object_whatever_its_field_and_column_are(case: Case) {
    let kinds = case.either(["JSON", "TEXT"], ["jsonb", "json"]);
    for kind in kinds.into_iter().chain(["TEXT"]) {
        for content in ["run = \"json\"", "run = \"json\", type = \"json\""] {
            let (room, run) = logged(case, &described(content, STATUS), kind);
            let field = |name: &str| room.ask(&format!("SELECT content ->> '{name}' FROM log"));
            assert_eq!(
                (field("run"), field("status")),
                (run.clone(), "completed".into())
            );
            let _ = room.on("verify", &[&run]).code(0);
            let _ = room
                .on("rollback", &[&run])
                .code(0)
                .says(&["stays, marked rolled-back"]);
            assert_eq!(field("status"), "rolled-back", "{kind} {content}");
            let _ = room.on("verify", &[&run]).code(0);
        }
    }
}

fn a_description_that_an_older_run_wrote_as_a_string_is_marked(case: Case) {
    let (room, run) = logged(case, &described("run = \"json\"", STATUS), "jsonb");
    room.sql("UPDATE log SET content = to_jsonb(content #>> '{}')");
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&["stays, marked rolled-back"]);
    assert_eq!(
        room.ask("SELECT content ->> 'status' FROM log"),
        "rolled-back"
    );
}

fn a_description_that_can_not_be_marked_is_named_and_fails_the_proof(case: Case) {
    let (room, run) = logged(case, &described("run = \"json\"", STATUS), "TEXT");
    room.sql("UPDATE log SET content = 'seen by Ann'");
    let done = room.on("rollback", &[&run]).code(1);
    assert!(!done.err.contains("marked rolled-back, as"), "{}", done.err);
    let _ = done.says(&["stays and is not marked rolled-back: its content is no JSON object"]);
    assert_eq!(room.ask("SELECT content FROM log"), "seen by Ann");
    let done = room.on("verify", &[&run]).code(1);
    assert!(
        done.out.contains("is not marked rolled-back"),
        "{}",
        done.out
    );
}

fn a_description_of_which_no_mark_is_asked_is_not_said_to_be_marked(case: Case) {
    let (room, run) = logged(case, &described("run = \"json\"", ""), "TEXT");
    let done = room.on("rollback", &[&run]).code(0);
    assert!(!done.err.contains("marked"), "{}", done.err);
    let _ = done.says(&["which describes the run, stays as it is, as the plan says"]);
    assert_eq!(
        room.ask("SELECT content ->> 'status' FROM log"),
        "completed"
    );
}

fn the_exported_inverse_of_a_json_column_holds_json(case: Case) {
    let json = plan("from = \"data\", type = \"json\"");
    let schema = schema(case) + "INSERT INTO doc VALUES ('a', '{\"a\":1}'), ('e', '[7]');";
    let docs = "{\"k\":\"a\",\"data\":1}\n{\"k\":\"e\",\"data\":\"x\"}\n";
    let room = Room::with(case, &json, &[("docs.ndjson", docs)], &schema);
    let before = room.dump();
    room.bundle("B");
    let run = room.on("apply", &["B"]).code(0).id();
    let lines = room
        .on(
            "rollback",
            &[&run, "--export", "--save-plan", "inverse.toml"],
        )
        .code(0)
        .out;
    room.write("migration.toml", room.read("inverse.toml"));
    let checked = room
        .feed("validate", &["--rejects", "r"], lines)
        .code(0)
        .out;
    let _ = room.feed("bundle", &["-o", "C"], checked).code(0);
    let _ = room.on("apply", &["C"]).code(0);
    same(&room.dump(), &before, "what was there before");
}
