//! Bytes: in a source their digits, in a record `{"hex":"…"}`, in the target bytes.

use tests::db::same;
use tests::{Case, Room};

tests::both!(bytes_go_in_are_verified_and_come_out);

mod on_a_server {
    tests::on_target!(Postgres, a_column_of_another_type_is_no_place_for_bytes);
}

const PLAN: &str = r#"
name = "photos"
system = "s"
[[entity]]
name = "photo"
table = "photo"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["photos.csv"], key = "id" }
fields.data = { from = "data", type = "bytes", empty = "null" }
"#;

const CSV: &str = "id,data\na,00ff10\nb,\nc,7f\n";

fn bytes_go_in_are_verified_and_come_out(case: Case) {
    let sql = "CREATE TABLE photo (id TEXT PRIMARY KEY, data BLOB); \
               INSERT INTO photo VALUES ('a', x'00'), ('b', x'01'), ('c', x'7f')";
    let room = Room::with(case, PLAN, &[("photos.csv", CSV)], sql);
    let before = room.dump();
    room.bundle("B");
    let done = room.on("apply", &["B"]).code(0);
    let run = done.says(&["0 created, 2 updated, 1 unchanged"]).id();
    let hex = case.either("lower(hex(data))", "encode(data, 'hex')");
    let rows =
        format!("SELECT string_agg(id || {hex}, ' ' ORDER BY id) FROM photo WHERE id <> 'b'");
    assert_eq!(room.ask(&rows), "a00ff10 c7f");
    let null = "SELECT count(*) FROM photo WHERE data IS NULL";
    assert_eq!(room.ask(null), "1");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "the bytes of before");
}

fn a_column_of_another_type_is_no_place_for_bytes(case: Case) {
    let sql = "CREATE TABLE photo (id TEXT PRIMARY KEY, data TEXT)";
    let room = Room::with(case, PLAN, &[("photos.csv", CSV)], sql);
    room.bundle("B");
    let said = "column `data` is text, which is no place for bytes";
    let _ = room.on("apply", &["B"]).code(4).says(&[said]);
    assert!(!room.db.has_ledger());
}
