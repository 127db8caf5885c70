//! Tables that the plan names with their schema.

use tests::db::same;
use tests::{Case, Room};

mod on_a_server {
    tests::on_target!(
        Postgres,
        a_new_table_refers_to_one_that_is_named_with_its_schema,
        what_a_run_added_is_known_again_from_another_search_path
    );
}

const PLAN: &str = r#"
name = "adds"
system = "adds"

[[add.table]]
table = "club.sync"
columns = { wa = { type = "text" }, member = { type = "text", not_null = true } }
primary_key = ["wa"]
foreign_keys = [{ columns = ["member"], table = "club.member", to = ["id"] }]

[[add.table]]
table = "club.note"
columns = { wa = { type = "text" }, note = { type = "text" } }
primary_key = ["wa"]
foreign_keys = [{ columns = ["wa"], table = "club.sync", to = ["wa"] }]

[[entity]]
name = "member"
source = { format = "csv", files = ["members.csv"], key = "id" }
table = "club.member"
id = { column = "id", from = "key" }
fields.name = { from = "name" }

[[entity]]
name = "sync"
source = { format = "csv", files = ["members.csv"], key = "id" }
table = "club.sync"
match = ["wa"]
fields.wa = { from = "wa", required = true }
fields.member = { from = "id", ref = "member", required = true }
"#;

/// A table of the same name is in the way of the login.
const SCHEMA: &str =
    "CREATE SCHEMA club; CREATE TABLE club.member (id text PRIMARY KEY, name text);
    CREATE TABLE member (LIKE club.member INCLUDING ALL)";

fn a_new_table_refers_to_one_that_is_named_with_its_schema(case: Case) {
    let members = [("members.csv", "id,name,wa\n1,Ann,w1\n2,Bob,w2\n")];
    for path in ["public", "club, public"] {
        let room = Room::with(case, PLAN, &members, SCHEMA);
        room.sql(&format!(
            "ALTER DATABASE {} SET search_path = {path}",
            room.db.postgres().name
        ));
        room.bundle("B");
        let before = room.dump();
        let run = room.apply("B");
        let keys = "SELECT count(*) FROM pg_constraint \
                    WHERE contype = 'f' AND confrelid IN ('club.member'::regclass, 'club.sync'::regclass)";
        assert_eq!(room.ask(keys), "2", "{path}");
        let _ = room.on("rollback", &[&run]).code(0);
        same(&room.dump(), &before, path);
        room.db.remove();
    }
}

/// The names in a definition depend on what the login sees; what it is does not.
fn what_a_run_added_is_known_again_from_another_search_path(case: Case) {
    let plan = format!(
        "{PLAN}\n[[add.column]]\ntable = \"club.member\"\ncolumn = \"mood\"\ntype = \"club.mood\"\ndefault = \"calm\"\n"
    );
    let schema = format!("{SCHEMA}; CREATE TYPE club.mood AS ENUM ('calm', 'wild')");
    let members = [("members.csv", "id,name,wa\n1,Ann,w1\n2,Bob,w2\n")];
    for plan in [plan.clone(), plan.replace("club.", "")] {
        let room = Room::with(case, &plan, &members, &schema);
        there_and_back(&room);
        room.db.remove();
    }
}

/// Applies with one search path, and takes it back with another.
fn there_and_back(room: &Room) {
    let looks_at = |path: &str| {
        let name = &room.db.postgres().name;
        room.sql(&format!("ALTER DATABASE {name} SET search_path = {path}"));
    };
    looks_at("club, public");
    room.bundle("B");
    let before = room.dump();
    looks_at("club, public");
    let run = room.apply("B");
    looks_at("public");
    let verified = room.on("verify", &[&run]).code(0);
    assert!(!verified.out.contains("was changed"), "{}", verified.out);
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&["column club.member.mood is gone, the definition of the table is what it was"]);
    same(&room.dump(), &before, "all is taken back");
    let _ = room.on("verify", &[&run]).code(0);
}
