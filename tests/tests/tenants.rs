//! One server, many schemas: a table is its schema and its name, whatever a login looks at first.

use std::process::Command;

use tests::postgres::bin;
use tests::{Done, Room, Target};

const PLAN: &str = r#"
name = "guild"
system = "s"
[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["members.csv"], key = "id" }
[entity.fields]
name = { from = "name" }
"#;

const CSV: &str = "id,name\nm1,Ann\nm2,Bo\n";

const TABLE: &str = "(id text PRIMARY KEY, name text, at timestamptz DEFAULT now())";

/// A room with a table of members in some schemas.
fn room(schemas: &[&str]) -> Room {
    let tables = schemas.iter().map(|schema| {
        format!("CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE {schema}.member {TABLE};")
    });
    let tables: String = tables.collect();
    let room = Room::with(Target::Postgres, PLAN, &[("members.csv", CSV)], &tables);
    room.bundle("B");
    room
}

/// Runs a program by a login that looks at one schema.
fn at(room: &Room, schema: &str, program: &str, args: &[&str]) -> Done {
    let url = format!("{}?schema={schema}", room.url());
    room.run(program, &[args, &["--to", &url]].concat())
}

fn names(room: &Room, schema: &str) -> String {
    room.ask(&format!(
        "SELECT coalesce(string_agg(id || ' ' || name, ', ' ORDER BY id), '') FROM {schema}.member"
    ))
}

#[test]
fn a_login_that_looks_elsewhere_takes_back_what_the_run_wrote_and_not_its_look_alike() {
    let room = room(&["club", "public"]);
    // The same rows, but of others.
    room.sql("INSERT INTO public.member VALUES ('m1', 'Ann'), ('m2', 'Bo')");
    let run = at(&room, "club", "apply", &["B"]).code(0).id();
    let _ = room
        .on("verify", &[&run])
        .code(0)
        .prints(&["club.member: 2 created"]);
    let _ = room.on("rollback", &[&run, "--check"]).code(0);
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&["club.member: 2 of 2 rows are what they were"]);
    assert_eq!(names(&room, "club"), "");
    assert_eq!(names(&room, "public"), "m1 Ann, m2 Bo");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = at(&room, "club", "verify", &[&run]).code(0);
}

#[test]
fn an_updated_row_is_put_back_in_the_schema_of_the_run() {
    let room = room(&["club", "public"]);
    room.sql("INSERT INTO club.member VALUES ('m1', 'Anne'); INSERT INTO public.member VALUES ('m1', 'Ann')");
    let run = at(&room, "club", "apply", &["B"]).code(0).id();
    assert_eq!(names(&room, "club"), "m1 Ann, m2 Bo");
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(names(&room, "club"), "m1 Anne");
    assert_eq!(names(&room, "public"), "m1 Ann");
}

#[test]
fn a_second_tenant_gets_rows_of_its_own_from_the_same_bundle() {
    let room = room(&["club", "other"]);
    let first = at(&room, "club", "apply", &["B"]).code(0).id();
    let second = at(&room, "other", "apply", &["B"])
        .code(0)
        .says(&["2 created"])
        .id();
    assert_eq!(names(&room, "other"), "m1 Ann, m2 Bo");
    for (schema, run) in [("club", &first), ("other", &second)] {
        let _ = at(&room, schema, "apply", &["B"])
            .code(0)
            .says(&["0 created, 0 updated, 2 unchanged"]);
        let _ = room.on("verify", &[run]).code(0);
    }
    let _ = room.on("rollback", &[&first]).code(0);
    assert_eq!(names(&room, "club"), "");
    assert_eq!(names(&room, "other"), "m1 Ann, m2 Bo");
    let _ = room.on("verify", &[&second]).code(0);
    let _ = room.on("rollback", &[&second]).code(0);
    assert_eq!(names(&room, "other"), "");
}

#[test]
fn a_run_is_resumed_only_where_its_tables_are_meant() {
    let room = room(&["club", "public"]);
    room.db
        .refuse("INSERT", "club.member", "NEW.id = 'm2'", "no Bo");
    let args = ["B", "--batch-size=1"];
    let run = at(&room, "club", "apply", &args).code(3).id();
    room.db.allow("club.member");
    let resume = format!("--resume={run}");
    let _ = room
        .on("apply", &["B", &resume])
        .code(4)
        .says(&["wrote member to club.member, and here `member` is public.member"]);
    assert_eq!(names(&room, "public"), "");
    let _ = at(&room, "club", "apply", &["B", &resume]).code(0);
    assert_eq!(names(&room, "club"), "m1 Ann, m2 Bo");
}

#[test]
fn a_database_that_was_dumped_and_restored_is_known_again() {
    let room = room(&["club"]);
    let run = at(&room, "club", "apply", &["B"]).code(0).id();
    let copy = Room::new(Target::Postgres);
    let mut dump = Command::new(bin().join("pg_dump"));
    let dump = dump.arg("--no-owner").arg(room.url()).output().unwrap();
    copy.db
        .postgres()
        .sql(&String::from_utf8(dump.stdout).unwrap());
    let before = "SELECT oid::text FROM pg_class WHERE relname = 'member' AND relkind = 'r'";
    assert_ne!(room.ask(before), copy.ask(before), "the numbers are others");
    let bundle = room.path("B").to_string_lossy().into_owned();
    let _ = copy.on("verify", &[&run, "--bundle", &bundle]).code(0);
    let _ = at(&copy, "club", "apply", &[&bundle])
        .code(0)
        .says(&["0 created, 0 updated, 2 unchanged"]);
    let _ = copy.on("rollback", &[&run]).code(0);
    assert_eq!(names(&copy, "club"), "");
}

#[test]
fn another_table_in_the_place_of_the_run_s_is_refused() {
    let room = room(&["club"]);
    let run = at(&room, "club", "apply", &["B"]).code(0).id();
    room.sql(
        "ALTER TABLE club.member RENAME TO member_old; DROP TABLE club.member_old; \
         CREATE TABLE club.member (id text PRIMARY KEY, name varchar(40), at timestamptz)",
    );
    let why = "is another table than the one that runs wrote to: its column `name` is character varying(40), and was text";
    let _ = room.on("rollback", &[&run]).code(4).says(&[why]);
    let _ = room.on("rollback", &[&run, "--check"]).code(4).says(&[why]);
    let _ = room.on("verify", &[&run]).code(1).prints(&[why]);
    let _ = at(&room, "club", "apply", &["B"]).code(4).says(&[why]);
}

#[test]
fn a_table_that_its_owner_renamed_is_followed_and_said() {
    let room = room(&["club"]);
    let run = at(&room, "club", "apply", &["B"]).code(0).id();
    room.sql("CREATE SCHEMA guild; ALTER TABLE club.member RENAME TO person; ALTER TABLE club.person SET SCHEMA guild");
    let said = "table club.member is called guild.person now";
    let _ = room.on("verify", &[&run]).code(0).says(&[said]);
    let _ = room
        .on("rollback", &[&run, "--check"])
        .code(0)
        .says(&[said]);
    // The next export is for the table as it is called now: the records are known.
    room.mend("migration.toml", "table = \"member\"", "table = \"person\"");
    room.write("members.csv", "id,name\nm1,Ann\nm2,Bob\n");
    room.bundle("C");
    let next = at(&room, "guild", "apply", &["C"])
        .code(0)
        .says(&[said, "0 created, 1 updated, 1 unchanged"])
        .id();
    let audit = "SELECT detail FROM switchback_audit WHERE action = 'migration:table:renamed'";
    assert_eq!(
        room.ask(audit),
        r#"{"from":"club.member","to":"guild.person"}"#
    );
    for run in [&run, &next] {
        let _ = room.on("verify", &[run]).code(0);
    }
    let _ = room.on("rollback", &[&next]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM guild.person"), "0");
}

#[test]
fn a_table_that_took_the_name_of_a_renamed_one_is_left_alone() {
    let room = room(&["club"]);
    let run = at(&room, "club", "apply", &["B"]).code(0).id();
    room.sql(
        "ALTER TABLE club.member RENAME TO archive; CREATE TABLE club.member (LIKE club.archive INCLUDING ALL);
         INSERT INTO club.member SELECT * FROM club.archive",
    );
    let copied =
        "club.member is another one that holds the same rows: which of them is meant can't be told";
    let _ = room.on("rollback", &[&run]).code(4).says(&[copied]);
    let _ = at(&room, "club", "apply", &["B"])
        .code(4)
        .says(&["which of them is meant"]);
    room.sql("DELETE FROM club.member; INSERT INTO club.member (id, name) VALUES ('own', 'own')");
    let _ = at(&room, "club", "apply", &["B"]).code(4).says(&[
        "is another table than the one that runs wrote to, which is called club.archive now",
    ]);
    let _ = room.on("rollback", &[&run]).code(0).says(&[
        "table club.member is called club.archive now",
        "2 of 2 rows",
    ]);
    assert_eq!(room.ask("SELECT count(*) FROM club.archive"), "0");
    assert_eq!(room.ask("SELECT count(*) FROM club.member"), "1");
    let _ = room.on("verify", &[&run]).code(0);
}

#[test]
fn a_rollback_alone_follows_a_renamed_table_too() {
    let room = room(&["club"]);
    let run = at(&room, "club", "apply", &["B"]).code(0).id();
    room.sql("ALTER TABLE club.member RENAME TO person");
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&["table club.member is called club.person now", "2 of 2 rows"]);
    assert_eq!(room.ask("SELECT count(*) FROM club.person"), "0");
    let audit = "SELECT count(*) FROM switchback_audit WHERE action = 'migration:table:renamed'";
    assert_eq!(room.ask(audit), "1");
    let _ = room.on("verify", &[&run]).code(0);
}
