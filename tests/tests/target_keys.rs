//! Target keys in record lines: spelled as the key's column spells them, or their record is at fault. The
//! database's own idea of what is equal never picks a row.

use tests::db::same;
use tests::{Case, Room};

tests::both!(
    a_key_that_is_not_spelled_as_its_column_spells_it_is_its_records_fault,
    a_key_that_is_spelled_right_is_taken,
    a_column_that_takes_for_equal_what_is_not_picks_no_row,
    a_key_of_another_number_of_columns_is_refused,
    a_source_key_that_the_id_column_would_convert_picks_no_row,
);

/// A plan that deletes rows and corrects mappings of one table.
fn plan(key: &[&str]) -> String {
    let (id, fields) = match key {
        [only] => (
            format!("id = {{ column = \"{only}\", from = \"target\" }}"),
            String::new(),
        ),
        several => {
            let field = |column: &&str| {
                format!("{column} = {{ from = \"{column}\", type = \"integer\" }}\n")
            };
            let fields = several.iter().map(field).collect();
            (format!("match = {several:?}"), fields)
        }
    };
    format!(
        "name = \"keys\"\nsystem = \"s\"\n[[entity]]\nname = \"thing\"\ntable = \"thing\"\n{id}\n\
         source = {{ format = \"csv\", files = [\"t.csv\"], key = \"k\" }}\ntarget = \"t\"\nto = \"t\"\n\
         op = {{ from = \"op\", values = {{ del = \"delete\", move = \"remap\", put = \"put\" }} }}\n\
         [entity.fields]\nname = {{ from = \"name\" }}\n{fields}"
    )
}

fn room(case: Case, kind: &str, rows: &str) -> Room {
    let schema = format!(
        "CREATE TABLE thing (id {kind} PRIMARY KEY, name TEXT); INSERT INTO thing (id) VALUES {rows};"
    );
    Room::with(case, &plan(&["id"]), &[], &schema)
}

fn line(op: &str, key: &str) -> String {
    let way = if op == "delete" { "target" } else { "to" };
    format!(r#"{{"entity":"thing","key":"k","op":"{op}","{way}":{key}}}"#)
}

fn a_key_that_is_not_spelled_as_its_column_spells_it_is_its_records_fault(case: Case) {
    let uuid = "00000000-0000-4000-8000-00000000abcd";
    for (kind, row, keys) in [
        (
            "INT",
            "7".to_owned(),
            vec![
                r#""007""#, r#"" 7""#, r#""7 ""#, r#""+7""#, r#""7.0""#, "7.0", r#""7e0""#,
            ],
        ),
        (
            case.either("TEXT", "UUID"),
            format!("'{uuid}'"),
            vec![
                r#""00000000-0000-4000-8000-00000000ABCD""#,
                r#""0000000000004000800000000000abcd""#,
            ],
        ),
        (
            case.either("DECIMAL(5,1)", "NUMERIC"),
            "1.5".to_owned(),
            vec![r#""1.50""#, r#""01.5""#, r#""15e-1""#],
        ),
    ] {
        for op in ["delete", "remap"] {
            for key in &keys {
                let room = room(case, kind, &format!("({row})"));
                let before = room.dump();
                let bundle = room.seal(&[&line(op, key)]);
                let done = room.on("apply", &[&bundle]).code(3);
                let _ = done.says(&["source.csv:2: thing k: "]);
                same(&room.dump(), &before, "no row was picked");
                assert_eq!(
                    room.ask("SELECT count(*) FROM switchback_ids"),
                    "0",
                    "{kind} {op} {key}"
                );
            }
        }
    }
}

fn a_key_that_is_spelled_right_is_taken(case: Case) {
    let uuid = "00000000-0000-4000-8000-00000000abcd";
    let quoted = format!("\"{uuid}\"");
    for (kind, row, keys) in [
        ("INT", "7".to_owned(), vec!["7", r#""7""#]),
        (
            case.either("TEXT", "UUID"),
            format!("'{uuid}'"),
            vec![quoted.as_str()],
        ),
        ("TEXT", "'007'".to_owned(), vec![r#""007""#]),
        (
            case.either("DECIMAL(5,1)", "NUMERIC"),
            "1.5".to_owned(),
            vec!["1.5", r#""1.5""#],
        ),
        (
            case.either("TEXT", "TIMESTAMPTZ"),
            "'2024-01-15 08:00:00+00'".to_owned(),
            vec![r#""2024-01-15 08:00:00+00""#],
        ),
    ] {
        for key in keys {
            let room = room(case, kind, &format!("({row})"));
            let before = room.dump();
            let bundle = room.seal(&[&line("delete", key)]);
            let run = room.on("apply", &[&bundle]).code(0).id();
            assert_eq!(room.ask("SELECT count(*) FROM thing"), "0", "{kind} {key}");
            let _ = room.on("verify", &[&run]).code(0);
            let _ = room.on("rollback", &[&run]).code(0);
            same(&room.dump(), &before, "it is back");
        }
    }
}

fn a_column_that_takes_for_equal_what_is_not_picks_no_row(case: Case) {
    let kind = case.either("TEXT COLLATE NOCASE", "TEXT COLLATE blind");
    let room = Room::new(case);
    if case.either(false, true) {
        room.sql("CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
    }
    room.sql(&format!(
        "CREATE TABLE thing (id {kind} PRIMARY KEY, name TEXT); INSERT INTO thing (id) VALUES ('Ann')"
    ));
    room.write("migration.toml", plan(&["id"]));
    let before = room.dump();
    for op in ["delete", "remap"] {
        let bundle = room.seal(&[&line(op, "\"ANN\"")]);
        let done = room.on("apply", &[&bundle]).code(3);
        let _ = done.says(&["thing has no row ANN; what it takes for it is the row Ann"]);
    }
    same(&room.dump(), &before, "no row was picked");
}

fn a_key_of_another_number_of_columns_is_refused(case: Case) {
    let schema = "CREATE TABLE thing (a INT, b INT, name TEXT, PRIMARY KEY (a, b)); INSERT INTO thing VALUES (1, 2, 'x')";
    let room = Room::with(case, &plan(&["a", "b"]), &[], schema);
    let bundle = room.seal(&[&line("delete", "1")]);
    let _ = room
        .on("apply", &[&bundle])
        .code(3)
        .says(&["the key of thing has 2 columns, not 1"]);
    let bundle = room.seal(&[&line("delete", "[1,2]")]);
    let _ = room.on("apply", &[&bundle]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM thing"), "0");
}

fn a_source_key_that_the_id_column_would_convert_picks_no_row(case: Case) {
    let plan = |more: &str| {
        format!(
            "name = \"keys\"\nsystem = \"s\"\n[[entity]]\nname = \"thing\"\ntable = \"thing\"\n\
             id = {{ column = \"id\", from = \"key\" }}\non_match = \"update\"\n{more}\n\
             source = {{ format = \"csv\", files = [\"t.csv\"], key = \"id\" }}\nfields.name = {{ from = \"name\" }}\n"
        )
    };
    for more in ["", "match = [\"id\"]"] {
        let schema = "CREATE TABLE thing (id INT PRIMARY KEY, name TEXT); INSERT INTO thing VALUES (7, 'x'), (8, 'y')";
        let sources = [("t.csv", "id,name\n007,Bond\n")];
        let room = Room::with(case, &plan(more), &sources, schema);
        let before = room.dump();
        room.bundle("B");
        let _ = room
            .on("apply", &["B"])
            .code(3)
            .says(&["t.csv:2: thing 007: id: thing has no row with id = \"007\""]);
        same(&room.dump(), &before, "row 7 is another");
        room.write("t.csv", "id,name\n8,Q\n");
        room.bundle("C");
        let _ = room.on("apply", &["C"]).code(0).says(&["1 updated"]);
    }
}
