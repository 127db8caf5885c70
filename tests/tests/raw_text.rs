//! Text that is not Unicode, which a SQLite file may hold: it comes back as it was, text, byte for byte.

use tests::postgres::{Database, Server};
use tests::{Case, Db, Room};

mod sqlite {
    tests::on_target!(
        Sqlite,
        text_that_is_not_unicode_comes_back_as_text_with_its_bytes,
        a_strict_table_takes_its_text_back,
        a_file_in_utf_16_gets_the_bytes_of_its_own_encoding_back,
        an_edit_to_bytes_that_look_the_same_is_seen,
        an_export_names_the_text_that_no_line_can_hold
    );
}

mod on_a_server {
    tests::on_target!(
        Postgres,
        rows_of_a_database_without_an_encoding_come_back_byte_for_byte
    );
}

const PLAN: &str = r#"
name = "club"
system = "old"

[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "key" }
match = ["email"]
on_match = "update"
source = { format = "csv", files = ["a.csv"], key = "id" }
fields = { email = { from = "email" }, name = { from = "name" } }

[[entity]]
name = "gone"
table = "member"
id = { column = "id", from = "key" }
op = "delete"
source = { format = "csv", files = ["b.csv"], key = "id" }
"#;

/// Ann's name is overwritten, Bob's key is such a text, Cy and what is said of him go.
const LINES: [&str; 4] = [
    r#"{"entity":"member","key":"1","fields":{"email":"ann@example.org","name":"Ann"}}"#,
    r#"{"entity":"member","key":"2","fields":{"email":"bob@example.org","name":"Bob"}}"#,
    r#"{"entity":"member","key":"3","fields":{"email":"new@example.org","name":"New"}}"#,
    r#"{"entity":"gone","key":"4","op":"delete","target":"c"}"#,
];

const ROWS: &str = "SELECT typeof(id), hex(CAST(id AS BLOB)), typeof(name), hex(CAST(name AS BLOB)), \
                    typeof(note), hex(CAST(note AS BLOB)) FROM member ORDER BY email";

/// Three members with text of these bytes, in hex.
fn club(encoding: &str, how: &str, text: &str) -> Room {
    let sql = format!(
        "PRAGMA encoding = '{encoding}';
         CREATE TABLE member (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, note TEXT) {how};
         INSERT INTO member VALUES ('a', 'ann@example.org', CAST(x'{text}' AS TEXT), NULL),
           (CAST(x'{text}' AS TEXT), 'bob@example.org', 'Robert', CAST(x'{text}' AS TEXT)),
           ('c', 'cy@example.org', CAST(x'{text}' AS TEXT), CAST(x'{text}' AS TEXT))"
    );
    let room = Room::with(tests::Target::Sqlite, PLAN, &[], &sql);
    assert_eq!(room.ask("PRAGMA encoding"), encoding);
    room
}

/// Applies, verifies, takes back, verifies; the rows are then what they were.
fn there_and_back(room: &Room) {
    let before = room.db.rows(ROWS);
    let run = room.apply(&room.seal(&LINES));
    assert_ne!(room.db.rows(ROWS), before);
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run, "--check"]).code(0);
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&["Rolled back 4"]);
    assert_eq!(room.db.rows(ROWS), before);
    let _ = room.on("verify", &[&run]).code(0);
}

fn text_that_is_not_unicode_comes_back_as_text_with_its_bytes(_: Case) {
    for how in ["", "WITHOUT ROWID"] {
        for text in ["ff41", "c328", "61e9", "eda080", "00ff"] {
            there_and_back(&club("UTF-8", how, text));
        }
    }
}

fn a_strict_table_takes_its_text_back(_: Case) {
    there_and_back(&club("UTF-8", "STRICT", "ff41"));
    there_and_back(&club("UTF-16le", "STRICT", "00d84100"));
}

fn a_file_in_utf_16_gets_the_bytes_of_its_own_encoding_back(_: Case) {
    // Half a pair, alone and where SQLite takes the next character for the other half; characters that
    // SQLite replaces on the way from UTF-8; a pair; letters.
    for (little, big) in [
        ("00d8", "d800"),
        ("00d86100", "d8000061"),
        ("00dc", "dc00"),
        ("6100ffff6200", "0061ffff0062"),
        ("feff", "fffe"),
        ("3dd800de", "d83dde00"),
        ("e9006100", "00e90061"),
    ] {
        there_and_back(&club("UTF-16le", "", little));
        there_and_back(&club("UTF-16be", "", big));
    }
}

fn an_edit_to_bytes_that_look_the_same_is_seen(_: Case) {
    let room = club("UTF-8", "", "ff41");
    let line = r#"{"entity":"gone","key":"4","op":"delete","target":"c"}"#;
    let run = room.apply(&room.seal(&[line]));
    room.sql("INSERT INTO member VALUES ('c', 'cy@example.org', x'ff41', CAST(x'ff41' AS TEXT))");
    let _ = room
        .on("rollback", &[&run])
        .code(1)
        .says(&["there is a row c again"]);
    room.sql("UPDATE member SET name = CAST(x'ff41' AS TEXT) WHERE id = 'c'");
    let _ = room.on("rollback", &[&run]).code(0);
}

fn an_export_names_the_text_that_no_line_can_hold(_: Case) {
    let room = club("UTF-8", "", "ff41");
    let run = room.apply(&room.seal(&LINES));
    let done = room.on("rollback", &[&run, "--export"]).code(1);
    assert_eq!(done.out.lines().count(), 2, "{}", done.out);
    let _ = done.says(&[
        "3 changes",
        "hold what no line can",
        "text that is not Unicode, x'ff41'",
    ]);
}

fn rows_of_a_database_without_an_encoding_come_back_byte_for_byte(case: Case) {
    let server = Server::shared();
    Database::named(&server, "postgres")
        .sql("CREATE DATABASE no_encoding ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
    let mut room = Room::new(case);
    room.db = Db::Postgres(Database::named(&server, "no_encoding"));
    room.write("migration.toml", PLAN);
    let raw = "convert_from('\\xff41'::bytea, 'SQL_ASCII')";
    room.sql(&format!(
        "CREATE TABLE member (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, note TEXT);
         INSERT INTO member VALUES ('a', 'ann@example.org', {raw}, NULL), ({raw}, 'bob@example.org', 'Robert', {raw}),
           ('c', 'cy@example.org', {raw}, {raw})"
    ));
    let rows = "SELECT encode(convert_to(id, 'SQL_ASCII'), 'hex'), encode(convert_to(name, 'SQL_ASCII'), 'hex'), \
                encode(convert_to(note, 'SQL_ASCII'), 'hex') FROM member ORDER BY email";
    let before = room.db.rows(rows);
    let run = room.apply(&room.seal(&LINES));
    assert_ne!(room.db.rows(rows), before);
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run, "--check"]).code(0);
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&["Rolled back 4"]);
    assert_eq!(room.db.rows(rows), before);
    let _ = room.on("verify", &[&run]).code(0);
}
