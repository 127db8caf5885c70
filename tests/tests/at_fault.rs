//! Who is at fault where the target refuses: the record, its column, or the statement itself.

use tests::{Case, Done, Room};

tests::both!(
    a_trigger_with_an_error_of_its_own_names_the_record,
    a_column_that_refuses_its_value_is_named,
    an_error_that_every_record_meets_is_no_records_fault,
    a_last_batch_of_one_bad_record_is_told_from_a_bad_statement,
    a_match_that_no_index_serves_is_looked_up_or_refused_with_the_index_to_make,
);

const PLAN: &str = r#"
name = "people"
system = "club"
accept_triggers = ["says"]
[[entity]]
name = "m"
source = { format = "csv", files = ["m.csv"], key = "id" }
table = "m"
id = { column = "id", from = "key" }
[entity.fields]
name = { from = "name" }
"#;

const ROWS: &str = "id,name\n1,Ann\n2,BAD\n3,Bob\n";

/// Applies a bundle so that a record at fault is set aside alone.
fn aside(room: &Room) -> Done {
    let args = ["B", "--on-error=record", "--max-failed-percent=100"];
    room.on("apply", &args)
}

fn others(room: &Room) -> String {
    room.ask("SELECT string_agg(CAST(id AS TEXT), ',' ORDER BY id) FROM m")
}

fn a_trigger_with_an_error_of_its_own_names_the_record(case: Case) {
    let trigger = case.either(
        // A function of SQLite's that refuses its argument.
        "CREATE TRIGGER says BEFORE INSERT ON m BEGIN \
         SELECT CASE NEW.name WHEN 'BAD' THEN json_extract(NEW.name, '$.x') END; END",
        "CREATE FUNCTION says() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.name = 'BAD' THEN RAISE EXCEPTION 'we know no BAD' USING ERRCODE = 'APP01'; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER says BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION says()",
    );
    let table = "CREATE TABLE m (id INTEGER NOT NULL PRIMARY KEY, name TEXT);";
    let room = Room::with(case, PLAN, &[("m.csv", ROWS)], &format!("{table}{trigger}"));
    room.bundle("B");
    let why = case.either("malformed JSON", "we know no BAD");
    let _ = room
        .on("apply", &["B"])
        .code(3)
        .says(&["m.csv:3", "m 2", why]);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "0");
    let _ = aside(&room).code(3).says(&["m.csv:3", why, "1 failed"]);
    assert_eq!(others(&room), "1,3");
    let failures = room.read(".migration-failures.json");
    assert!(failures.contains(why), "{failures}");
}

fn a_column_that_refuses_its_value_is_named(case: Case) {
    let columns = case.either(
        "code TEXT UNIQUE, size INTEGER, born TEXT NOT NULL",
        "code VARCHAR(3) UNIQUE, size NUMERIC(4,2), born TEXT NOT NULL, rank SMALLINT, \
         tag short, note TEXT CHECK (note <> 'BAD')",
    );
    let strict = case.either(" STRICT", "");
    let schema = format!(
        "{} CREATE TABLE m (id INTEGER NOT NULL PRIMARY KEY, {columns}){strict};",
        case.either(
            "",
            "CREATE DOMAIN short AS varchar(4) CHECK (VALUE <> 'no');"
        )
    );
    let fields = [
        ("code", r#"{ from = "code" }"#),
        ("size", r#"{ from = "size", type = "decimal" }"#),
        ("born", r#"{ from = "born" }"#),
        ("rank", r#"{ from = "rank", type = "integer" }"#),
        ("tag", r#"{ from = "tag" }"#),
        ("note", r#"{ from = "note" }"#),
    ];
    let count = case.either(3, 6);
    let mut plan = PLAN.replace("name = { from = \"name\" }\n", "");
    for (name, how) in fields.iter().take(count) {
        let how = case.either(how.replace("decimal", "integer"), (*how).to_owned());
        plan += &format!("{name} = {how}\n");
    }
    let header: Vec<&str> = fields.iter().take(count).map(|(name, _)| *name).collect();
    let rows: &[(&str, &str)] = case.either(
        &[
            ("abc,1,1990", ""),
            ("abc,2,1990", "code"),
            ("abd,2,", "born"),
        ][..],
        &[
            ("abc,1.25,1990,7,ok,x", ""),
            ("abcd,2,1990,7,ok,x", "code"),
            ("abc,2,1990,7,ok,x", "code"),
            ("abe,123.4,1990,7,ok,x", "size"),
            ("abf,2,,7,ok,x", "born"),
            ("abg,2,1990,70000,ok,x", "rank"),
            ("abh,2,1990,7,no,x", "tag"),
            ("abi,2,1990,7,lengthy,x", "tag"),
            ("abj,2,1990,7,ok,BAD", "note"),
        ][..],
    );
    let mut csv = format!("id,{}\n", header.join(","));
    for (at, (row, _)) in rows.iter().enumerate() {
        csv += &format!("{},{row}\n", at + 1);
    }
    let room = Room::with(case, &plan, &[("m.csv", &csv)], &schema);
    room.bundle("B");
    let done = aside(&room).code(3);
    assert_eq!(others(&room), "1", "{}", done.err);
    let failures = room.read(".migration-failures.json");
    for (at, (_, column)) in rows.iter().enumerate().skip(1) {
        let place = format!("m.csv:{}: m {}: {column}: ", at + 2, at + 1);
        assert!(done.err.contains(&place), "{place} in\n{}", done.err);
        let line = format!("\"line\":{}}}", at + 2);
        let reject = failures.lines().find(|reject| reject.contains(&line));
        let named = format!("\"field\":\"{column}\"");
        assert!(reject.unwrap().contains(&named), "{named} in {failures}");
    }
}

fn an_error_that_every_record_meets_is_no_records_fault(case: Case) {
    let trigger = case.either(
        // A trigger that names what is not there is refused before the run begins.
        "CREATE TRIGGER says AFTER INSERT ON m BEGIN SELECT json_extract(NEW.name, '$.x'); END",
        "CREATE FUNCTION says() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO gone VALUES (NEW.id); RETURN NULL; END $$; \
         CREATE TRIGGER says AFTER INSERT ON m FOR EACH ROW EXECUTE FUNCTION says(); \
         DROP TABLE gone",
    );
    let tables = "CREATE TABLE m (id INTEGER NOT NULL PRIMARY KEY, name TEXT); \
                  CREATE TABLE gone (id INTEGER);";
    let room = Room::with(
        case,
        PLAN,
        &[("m.csv", ROWS)],
        &format!("{tables}{trigger}"),
    );
    room.bundle("B");
    let done = aside(&room).code(3);
    let why = case.either("malformed JSON", "gone");
    let done = done.says(&[why, "none is at fault", "INSERT INTO", "--resume="]);
    assert!(!done.err.contains("m.csv:"), "{}", done.err);
    assert_eq!(room.ask("SELECT count(*) FROM m"), "0");
    assert_eq!(room.ask("SELECT count(*) FROM switchback_failures"), "0");
    // Once that is put right, the run goes on.
    room.sql(case.either("DROP TRIGGER says", "CREATE TABLE gone (id INTEGER)"));
    let _ = room.on("apply", &["B", "--resume"]).code(0);
    assert_eq!(others(&room), "1,2,3");
}

fn a_last_batch_of_one_bad_record_is_told_from_a_bad_statement(case: Case) {
    let trigger = case.either(
        "CREATE TRIGGER says BEFORE INSERT ON m BEGIN \
         SELECT CASE NEW.name WHEN 'BAD' THEN json_extract(NEW.name, '$.x') END; END",
        "CREATE FUNCTION says() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.name = 'BAD' THEN RAISE EXCEPTION 'no' USING ERRCODE = 'feature_not_supported'; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER says BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION says()",
    );
    let table = "CREATE TABLE m (id INTEGER NOT NULL PRIMARY KEY, name TEXT);";
    let room = Room::with(case, PLAN, &[("m.csv", ROWS)], &format!("{table}{trigger}"));
    room.bundle("B");
    let args = [
        "B",
        "--on-error=record",
        "--max-failed-percent=100",
        "--batch-size=1",
    ];
    let _ = room
        .on("apply", &args)
        .code(3)
        .says(&["m.csv:3", "1 failed", "2 created"]);
    assert_eq!(others(&room), "1,3");
}

fn a_match_that_no_index_serves_is_looked_up_or_refused_with_the_index_to_make(case: Case) {
    let plan = PLAN
        .replace(
            "id = { column = \"id\", from = \"key\" }",
            "id = { column = \"id\", from = \"target\" }\nmatch = [\"email\"]\non_match = \"update\"",
        )
        .replace(
            "name = { from = \"name\" }",
            "email = { from = \"email\" }\nname = { from = \"name\" }",
        );
    let csv = "id,email,name\nA,jo@example.org,Jo New\nB,ed@example.org,Ed\n";
    let schema = "CREATE TABLE m (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, name TEXT); \
                  INSERT INTO m (email, name) VALUES ('jo@example.org', 'Jo'), ('al@example.org', 'Al')";
    let room = Room::with(case, &plan, &[("m.csv", csv)], schema);
    room.bundle("B");
    let before = room.dump();
    let run = room.apply("B");
    assert_eq!(
        room.ask("SELECT string_agg(name, ',' ORDER BY id) FROM m"),
        "Jo New,Al,Ed"
    );
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    tests::db::same(&room.dump(), &before, "as before");
    // A large one is not read record by record.
    room.sql(
        "INSERT INTO m (email, name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
         SELECT 'p' || i, 'P' FROM n",
    );
    let before = room.dump();
    let _ = room.on("apply", &["B"]).code(4).says(&[
        "no index of m serves `match`",
        "CREATE INDEX \"m_match\" ON",
    ]);
    tests::db::same(&room.dump(), &before, "nothing was written");
}
