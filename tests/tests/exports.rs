//! What rollback hands out: the inverse of a run as lines, what a damaged ledger still tells, the sources.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tests::Case;
use tests::db::same;

use crate::eligibility::applied;

tests::both!(
    the_inverse_is_written_as_sealed_lines,
    a_damaged_ledger_says_what_can_still_be_reversed,
    a_before_image_that_was_tampered_with_is_refused_and_its_row_named,
    the_sources_are_handed_back_byte_for_byte,
);

fn the_inverse_is_written_as_sealed_lines(case: Case) {
    let (room, run, before) = applied(case);
    let now = room.dump();
    let done = room.on("rollback", &["--export", &run]).code(0);
    same(&room.dump(), &now, "nothing was written");
    let lines: Vec<Value> = done
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seal = &lines.last().unwrap()["end"];
    assert_eq!(seal["records"], lines.len() - 1);
    assert_eq!(seal["run"], run);
    // Whoever follows the lines by hand gets what was before.
    let mut sql = String::from(case.either(
        "PRAGMA foreign_keys = OFF; DROP TRIGGER person_touch;",
        "SET session_replication_role = replica;",
    ));
    let quoted = |value: &Value| match value {
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Object(bytes) => format!("x'{}'", bytes["hex"].as_str().unwrap()),
        other => other.to_string(),
    };
    for line in &lines[..lines.len() - 1] {
        let table = line["entity"].as_str().unwrap();
        let id = if table == "person" { "id" } else { "no" };
        let fields = line["fields"].as_object();
        if line["op"] == "delete" {
            sql += &format!(
                "DELETE FROM {table} WHERE {id} = {};",
                quoted(&line["target"])
            );
        } else if table == "leaver" {
            let values: Vec<String> = fields.unwrap().values().map(quoted).collect();
            sql += &format!("INSERT INTO leaver VALUES ({});", values.join(", "));
        } else {
            let email = line["key"].as_str().unwrap();
            for (column, value) in fields.unwrap() {
                sql += &format!(
                    "UPDATE person SET {column} = {} WHERE email = '{email}@example.org';",
                    quoted(value)
                );
            }
        }
    }
    room.sql(&sql);
    let rows = |dump: &str, table: &str| {
        let mark = case.either(
            format!("{table}: "),
            format!("INSERT INTO public.{table} VALUES"),
        );
        dump.lines()
            .filter(|line| line.starts_with(&mark))
            .fold(String::new(), |lines, line| lines + line + "\n")
    };
    for table in ["person", "visit", "leaver"] {
        same(&rows(&room.dump(), table), &rows(&before, table), table);
    }
}

fn a_damaged_ledger_says_what_can_still_be_reversed(case: Case) {
    let (room, run, _) = applied(case);
    room.sql("UPDATE switchback_changes SET action = 99 WHERE seq = 20");
    let _ = room
        .on("rollback", &[&run, "--outside-window"])
        .code(4)
        .says(&["damaged", "--export"]);
    let done = room
        .on("rollback", &["--export", &run])
        .code(1)
        .says(&["2 changes", "do not read"]);
    assert!(done.out.lines().count() > 10);
}

fn a_before_image_that_was_tampered_with_is_refused_and_its_row_named(case: Case) {
    let (room, run, _) = applied(case);
    let updated = case.either(
        "action = 2 AND instr(before, 'Somebody 8') > 0",
        "action = 2 AND position('Somebody 8'::bytea IN before) > 0",
    );
    let seq = room.ask(&format!(
        "SELECT min(seq) FROM switchback_changes WHERE {updated}"
    ));
    let changed = case.either(
        "CAST(replace(before, 'Somebody 8', 'Somebody 9') AS BLOB)",
        "overlay(before PLACING 'Somebody 9'::bytea FROM position('Somebody 8'::bytea IN before))",
    );
    room.sql(&format!(
        "UPDATE switchback_changes SET before = {changed} WHERE seq = {seq}"
    ));
    let now = room.dump();
    for how in [&["--outside-window"][..], &["--outside-window", "--check"]] {
        let args: Vec<&str> = [run.as_str()]
            .into_iter()
            .chain(how.iter().copied())
            .collect();
        let done = room.on("rollback", &args);
        assert_ne!(done.code, 0);
        let named = format!("change {seq}, of row row8, is not as the run wrote it");
        let _ = done.says(&["damaged", &named]);
    }
    same(&room.dump(), &now, "nothing was written");
}

fn the_sources_are_handed_back_byte_for_byte(case: Case) {
    let (room, run, _) = applied(case);
    let names = ["people.csv", "visits.csv", "leavers.csv"];
    let bytes: Vec<Vec<u8>> = names
        .iter()
        .map(|name| std::fs::read(room.path(name)).unwrap())
        .collect();
    let _ = room.on("rollback", &["--hand-back", "back", &run]).code(0);
    for (name, bytes) in names.iter().zip(&bytes) {
        let path = room.path("back").join(name);
        assert_eq!(&std::fs::read(&path).unwrap(), bytes);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    room.write("back/visits.csv", "mine");
    let _ = room
        .on("rollback", &["--hand-back", "back", &run])
        .code(4)
        .says(&["visits.csv", "--overwrite"]);
    assert_eq!(room.read("back/visits.csv"), "mine");
    let _ = room
        .on("rollback", &["--hand-back", "back", "--overwrite", &run])
        .code(0);
    assert_eq!(
        std::fs::read(room.path("back/visits.csv")).unwrap(),
        bytes[1]
    );
}
