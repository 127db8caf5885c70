//! Columns and tables that a plan adds: there before the first row, gone with the run, and never
//! dropped with what others put there.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tests::db::{self, same};
use tests::postgres::Database;
use tests::{Done, Room, Target};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

/// Makes tests of functions, on one kind of target.
macro_rules! on_target {
    ($target:ident, $($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            super::$name(super::Kind::$target);
        })+
    };
}

/// Makes tests of functions, on both.
macro_rules! both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite { on_target!(Sqlite, $($name),+); }
        mod postgres { on_target!(Postgres, $($name),+); }
    };
}

/// A database of either kind.
enum Db {
    Sqlite(PathBuf),
    Postgres(Database),
}

impl Db {
    fn server(&self) -> &Database {
        match self {
            Self::Postgres(database) => database,
            Self::Sqlite(_) => panic!("a test for PostgreSQL alone"),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(database) => database.url(),
        }
    }
}

both!(
    columns_and_tables_come_with_the_run_and_go_with_it,
    what_is_there_already_stays_and_another_shape_is_refused,
    what_could_not_be_added_or_taken_away_is_refused_before_the_first_write,
    values_that_others_gave_a_column_keep_it_unless_forced,
    what_others_built_on_it_is_never_dropped,
    a_row_that_is_kept_keeps_the_column_that_it_has_a_value_in,
    a_row_that_is_kept_without_a_value_in_the_column_is_taken_back_without_it,
    a_later_run_that_wrote_to_the_table_goes_first,
    a_rehearsal_and_expected_decisions_know_what_is_to_be_added,
    the_inverse_by_hand_and_a_snapshot_know_them_too,
    the_row_that_describes_the_run_may_be_in_a_table_of_the_run,
    a_column_that_somebody_dropped_meanwhile_is_added_again_by_resume,
    once_pruned_what_the_run_added_stays_and_everything_says_so,
);

const PLAN: &str = r#"
name = "adds"
system = "adds"

[[add.column]]
table = "member"
column = "wa id"
type = "TEXT"

[[add.column]]
table = "member"
column = "level"
type = "INTEGER"
not_null = true
default = 0
initial = 1

[[add.table]]
table = "sync"
columns = { wa = { type = "TEXT" }, member = { type = "TEXT", not_null = true }, note = { type = "TEXT", default = "it's" } }
primary_key = ["wa"]
unique = [["member"]]
foreign_keys = [{ columns = ["member"], table = "member", to = ["id"] }]

[[entity]]
name = "member"
source = { format = "csv", files = ["members.csv"], key = "id" }
table = "member"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
[entity.fields]
name = { from = "name" }
"wa id" = { from = "wa" }
level = { from = "level", type = "integer" }

[[entity]]
name = "sync"
source = { format = "csv", files = ["members.csv"], key = "id" }
table = "sync"
match = ["wa"]
[entity.fields]
wa = { from = "wa", required = true }
member = { from = "id", ref = "member", required = true }
"#;

const MEMBERS: &str = "id,name,wa,level\n1,Ann,w1,5\n2,Bob,w2,1\n9,New,w9,0\n";

mod on_a_server {
    on_target!(
        Postgres,
        readers_in_the_way_stop_a_run_before_its_first_write,
        a_login_that_does_not_own_the_table_is_told_so,
        values_are_of_the_type_that_the_server_makes_of_them,
        a_type_that_counts_up_or_is_none_is_refused
    );
}

/// A layout that SQLite must bring back as it was, with a comment and a constraint after the columns.
const TABLES: &str = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT,
   updated TEXT NOT NULL DEFAULT 'made' -- a, comment
   , CHECK (name <> ''));
 CREATE TRIGGER touch AFTER UPDATE ON member WHEN NEW.updated IS OLD.updated
 BEGIN UPDATE member SET updated = OLD.updated || '+' WHERE id = NEW.id; END;";

/// The same, with the hole of a column that was dropped.
const TABLES_POSTGRES: &str = "CREATE TABLE member (id TEXT PRIMARY KEY, gone INTEGER, name TEXT,
   updated TEXT NOT NULL DEFAULT 'made', CHECK (name <> ''));
 ALTER TABLE member DROP COLUMN gone;
 CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
   IF NEW.updated = OLD.updated THEN NEW.updated := OLD.updated || '+'; END IF; RETURN NEW; END $$;
 CREATE TRIGGER touch BEFORE UPDATE ON member FOR EACH ROW EXECUTE FUNCTION touch();";

const ROWS: &str =
    "INSERT INTO member VALUES ('1', 'Ann', 'x'), ('2', 'Robert', 'y'), ('3', 'Cy', 'z');";

/// A folder with the plan, and a target.
struct Place {
    room: Room,
    db: Db,
}

impl Deref for Place {
    type Target = Room;

    fn deref(&self) -> &Room {
        &self.room
    }
}

impl Place {
    fn new(case: Kind, plan: &str) -> Self {
        let room = Room::new(Target::Sqlite);
        room.write("migration.toml", plan);
        room.write("members.csv", MEMBERS);
        room.bundle("B");
        let tables = case.either(TABLES, TABLES_POSTGRES);
        let sql = format!("{tables} {ROWS}");
        let db = match case {
            Kind::Sqlite => Db::Sqlite(room.path("t.db")),
            Kind::Postgres => Db::Postgres(Database::with("")),
        };
        let this = Self { room, db };
        this.sql(&sql);
        this
    }

    fn on(&self, name: &str, args: &[&str]) -> Done {
        let url = self.db.url();
        let args: Vec<&str> = args.iter().copied().chain(["--to", &url]).collect();
        self.run(name, &args)
    }

    #[track_caller]
    fn apply(&self, bundle: &str) -> String {
        self.on("apply", &[bundle]).code(0).id()
    }

    /// All that the target holds, the ledger too.
    fn everything(&self) -> Vec<u8> {
        match &self.db {
            Db::Sqlite(path) => std::fs::read(path).unwrap(),
            Db::Postgres(database) => {
                let runs = if self.has_ledger() {
                    database.ask("SELECT count(*) FROM switchback.runs")
                } else {
                    String::new()
                };
                format!("{}{runs}", database.dump()).into_bytes()
            }
        }
    }

    fn dump(&self) -> String {
        match &self.db {
            Db::Sqlite(path) => db::dump(path),
            Db::Postgres(database) => database.dump(),
        }
    }

    fn has_ledger(&self) -> bool {
        self.db
            .server()
            .ask("SELECT to_regclass('switchback.runs') IS NOT NULL")
            == "t"
    }

    #[track_caller]
    fn sql(&self, sql: &str) {
        match &self.db {
            Db::Sqlite(path) => db::run(path, sql),
            Db::Postgres(database) => database.sql(sql),
        }
    }

    #[track_caller]
    fn ask(&self, sql: &str) -> String {
        match &self.db {
            Db::Sqlite(path) => db::ask(path, sql),
            Db::Postgres(database) => database.ask(&sql.replace("switchback_", "switchback.")),
        }
    }

    /// The members, some columns of each.
    #[track_caller]
    fn members(&self, columns: &str) -> String {
        self.ask(&format!(
            "SELECT string_agg(concat_ws(' ', {columns}), ', ' ORDER BY id) FROM member"
        ))
    }
}

impl Kind {
    /// What differs between the targets.
    fn either<'a>(self, sqlite: &'a str, postgres: &'a str) -> &'a str {
        match self {
            Kind::Sqlite => sqlite,
            Kind::Postgres => postgres,
        }
    }
}

fn room(case: Kind) -> Place {
    Place::new(case, PLAN)
}

/// Applies, and returns the dump before and the run.
fn applied(case: Kind) -> (Place, String, String) {
    let room = room(case);
    let before = room.dump();
    let run = room.apply("B");
    (room, before, run)
}

fn last(done: &Done) -> Value {
    serde_json::from_str(done.out.lines().last().unwrap()).unwrap()
}

fn columns_and_tables_come_with_the_run_and_go_with_it(case: Kind) {
    let room = room(case);
    let before = room.dump();
    let told = ["table sync", "column member.wa id", "column member.level"];
    let dry = room.on("apply", &["B", "--dry-run"]).code(0);
    let _ = dry.says(
        &told
            .map(|name| format!("would add {name}"))
            .each_ref()
            .map(String::as_str),
    );
    same(&room.dump(), &before, "a dry run adds nothing");
    let run = room.on("apply", &["B"]).code(0);
    let run = run.says(
        &told
            .map(|name| format!("added {name}"))
            .each_ref()
            .map(String::as_str),
    );
    let run = run.id();
    assert_eq!(
        room.members("id, name, updated, \"wa id\", level"),
        "1 Ann x+ w1 5, 2 Bob y+ w2 1, 3 Cy z 1, 9 New made w9 0",
        "rows that were there have the initial value, and no trigger fired for it"
    );
    assert_eq!(
        room.ask("SELECT string_agg(concat_ws(' ', wa, member, note), ', ' ORDER BY wa) FROM sync"),
        "w1 1 it's, w2 2 it's, w9 9 it's"
    );
    let _ = room.on("verify", &[&run]).code(0);
    let again = room.on("apply", &["B"]).code(0).says(&["6 unchanged"]);
    assert!(!again.err.contains("added"), "{}", again.err);
    let again = room.on("rollback", &[&again.id()]).code(0);
    let _ = again.says(&["it wrote nothing"]);
    let check = last(&room.on("rollback", &[&run, "--check", "--json"]).code(0));
    assert_eq!((&check["rows"], &check["added"]), (&6.into(), &3.into()));
    let back = room.on("rollback", &[&run, "--json", "--batch-size", "2"]);
    let back = back.code(0).says(&[
        "member: 3 of 3 rows are what they were",
        "sync: 3 of 3 rows are what they were",
        "table sync is gone",
        "column member.level is gone, the definition of the table is what it was",
    ]);
    assert_eq!(last(&back)["finalStatus"], "SUCCESS");
    same(&room.dump(), &before, "the text of the schema too");
    let _ = room.on("verify", &[&run]).code(0);
    let again = room.on("rollback", &[&run]).code(0);
    let _ = again.says(&["nothing was changed"]);
    // The same bundle once more, and back.
    let run = room.apply("B");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "after the second time");
}

fn what_is_there_already_stays_and_another_shape_is_refused(case: Kind) {
    let room = room(case);
    room.sql(
        "ALTER TABLE member ADD COLUMN level integer not null default 0;
         CREATE TABLE sync (wa TEXT PRIMARY KEY, member TEXT NOT NULL UNIQUE REFERENCES member (id), note TEXT DEFAULT 'it''s')",
    );
    let before = room.dump();
    let done = room.on("apply", &["B"]).code(0);
    assert!(!done.err.contains("level"), "{}", done.err);
    let _ = room.on("rollback", &[&done.id()]).code(0);
    same(&room.dump(), &before, "what was there before the run stays");
    for (sql, line, says) in [
        (
            "ALTER TABLE member DROP COLUMN level; ALTER TABLE member ADD COLUMN level TEXT",
            "plan.toml:10: ",
            case.either(
                "column member.level is there already and is TEXT; the plan adds INTEGER NOT NULL DEFAULT 0",
                "column member.level is there already and is text; the plan adds integer NOT NULL DEFAULT 0",
            ),
        ),
        (
            "DROP TABLE sync; CREATE TABLE sync (wa TEXT PRIMARY KEY, member TEXT NOT NULL)",
            "plan.toml:18: ",
            case.either(
                "table sync is there already and is (\"wa\" TEXT, \"member\" TEXT NOT NULL, PRIMARY KEY (\"wa\")); the plan adds (",
                "table sync is there already and is (\"wa\" text NOT NULL, \"member\" text NOT NULL, PRIMARY KEY (wa)); \
                 the plan adds (",
            ),
        ),
    ] {
        room.sql(sql);
        let before = room.everything();
        for how in [&["B"][..], &["B", "--dry-run"]] {
            let _ = room.on("apply", how).code(4).says(&[line, says]);
        }
        assert!(room.everything() == before);
    }
}

fn what_could_not_be_added_or_taken_away_is_refused_before_the_first_write(case: Kind) {
    let broken = (
        "CREATE VIEW broken AS SELECT none FROM member",
        "rollback could not take it away again: error in view broken",
    );
    let held = (
        "CREATE TYPE sync AS ENUM ('a')",
        "plan.toml:18: type \"sync\" already exists",
    );
    for (sql, says) in [
        ("DROP TABLE member", "there is no table `member`"),
        (
            "CREATE VIEW sync AS SELECT 1",
            case.either("view \"sync\" already exists\n", "sync is a view"),
        ),
        match case {
            Kind::Sqlite => broken,
            Kind::Postgres => held,
        },
    ] {
        let room = room(case);
        room.sql(sql);
        let before = room.everything();
        let _ = room.on("apply", &["B"]).code(4).says(&["plan.toml:", says]);
        assert!(room.everything() == before, "{sql}");
    }
}

fn values_that_others_gave_a_column_keep_it_unless_forced(case: Kind) {
    let (room, before, run) = applied(case);
    room.sql("UPDATE member SET level = 7, updated = updated WHERE id = '3'");
    let says = ["column member.level: 1 row with values that the run did not leave there (3: 7)"];
    let check = room.on("rollback", &[&run, "--check", "--json"]).code(1);
    assert_eq!(last(&check.says(&says))["conflicts"], 1);
    let at = room.dump();
    let _ = room.on("rollback", &[&run]).code(1).says(&says);
    same(&room.dump(), &at, "nothing was written");
    let skipped = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    let _ = skipped.says(&["column member.level is kept", "column member.wa id is gone"]);
    assert_eq!(
        room.members("id, name, level"),
        "1 Ann 1, 2 Robert 1, 3 Cy 7"
    );
    let _ = room.on("verify", &[&run]).code(0).says(&[]);
    let _ = room.on("rollback", &[&run]).code(1).says(&says);
    room.sql("UPDATE member SET level = 0, updated = 'z' WHERE id = '3'");
    let _ = room
        .on("rollback", &[&run])
        .code(0)
        .says(&["column member.level is gone"]);
    same(&room.dump(), &before, "once nobody's value is in the way");

    let (room, before, run) = applied(case);
    room.sql("UPDATE member SET level = 7 WHERE id = '3'; UPDATE member SET updated = 'z' WHERE id = '3'");
    let _ = room.on("rollback", &[&run, "--force"]).code(0).says(&says);
    same(&room.dump(), &before, "forced");
}

/// What others do, what then keeps what the run added, and how it is undone.
type Built = (&'static str, &'static str, &'static str);

const BUILT_ANYWHERE: &[Built] = &[
    (
        "CREATE INDEX \"by level\" ON member (level)",
        "column member.level: can't go before these: index by level",
        "DROP INDEX \"by level\"",
    ),
    (
        "INSERT INTO sync (wa, member) VALUES ('theirs', '3')",
        "table sync: can't go before these: 1 row staying in it, the first theirs",
        "DELETE FROM sync WHERE wa = 'theirs'",
    ),
    (
        "CREATE INDEX sync_note ON sync (note); CREATE VIEW w AS SELECT * FROM sync;
         CREATE TABLE more (wa TEXT REFERENCES sync (wa))",
        "table sync: can't go before these: index sync_note, table more, view w",
        "DROP INDEX sync_note; DROP VIEW w; DROP TABLE more",
    ),
    (
        "ALTER TABLE sync ADD COLUMN theirs TEXT",
        "table sync: can't go before these: its definition was changed since",
        "ALTER TABLE sync DROP COLUMN theirs",
    ),
];

const BUILT: &[Built] = &[
    (
        "CREATE VIEW v AS SELECT m.id, m.\"wa id\" FROM member m; CREATE TRIGGER t AFTER INSERT ON member BEGIN
         UPDATE member SET name = NEW.\"wa id\" WHERE id = NEW.id; END",
        "column member.wa id: can't go before these: view v, trigger t",
        "DROP VIEW v; DROP TRIGGER t",
    ),
    (
        "CREATE VIEW w AS SELECT * FROM main.\"sync\"",
        "table sync: can't go before these: view w",
        "DROP VIEW w",
    ),
];

const BUILT_POSTGRES: &[Built] = &[
    (
        "CREATE VIEW v AS SELECT m.id, m.\"wa id\" FROM member m;
         CREATE TRIGGER t BEFORE UPDATE OF \"wa id\" ON member FOR EACH ROW EXECUTE FUNCTION touch()",
        "column member.wa id: can't go before these: trigger t, view v",
        "DROP VIEW v; DROP TRIGGER t ON member",
    ),
    (
        "ALTER TABLE member ADD CONSTRAINT low CHECK (level < 9);
         ALTER TABLE member ADD twice INTEGER GENERATED ALWAYS AS (level * 2) STORED",
        "column member.level: can't go before these: column twice, constraint low",
        "ALTER TABLE member DROP twice, DROP CONSTRAINT low",
    ),
    (
        "ALTER TABLE member ADD CONSTRAINT one UNIQUE (\"wa id\");
         CREATE SCHEMA theirs; CREATE TABLE theirs.more (wa TEXT REFERENCES member (\"wa id\"))",
        "column member.wa id: can't go before these: constraint one, table theirs.more",
        "DROP SCHEMA theirs CASCADE; ALTER TABLE member DROP CONSTRAINT one",
    ),
    (
        "GRANT SELECT (level) ON member TO PUBLIC; COMMENT ON COLUMN member.level IS 'theirs'",
        "column member.level: can't go before these: a comment on it, privileges on it: {=r/app}",
        "REVOKE SELECT (level) ON member FROM PUBLIC; COMMENT ON COLUMN member.level IS NULL",
    ),
    (
        "CREATE STATISTICS theirs ON name, level FROM member; CREATE PUBLICATION p FOR TABLE member (id, level)",
        "column member.level: can't go before these: publication of table member in publication p, statistics object theirs",
        "DROP STATISTICS theirs; DROP PUBLICATION p",
    ),
    (
        "CREATE TABLE child () INHERITS (sync); CREATE FUNCTION f(sync) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "table sync: can't go before these: function f(sync), table child",
        "DROP TABLE child; DROP FUNCTION f(sync)",
    ),
    (
        "GRANT SELECT ON sync TO PUBLIC",
        "table sync: can't go before these: its definition was changed since",
        "REVOKE SELECT ON sync FROM PUBLIC; UPDATE pg_class SET relacl = NULL WHERE relname = 'sync'",
    ),
    (
        "COMMENT ON TABLE sync IS 'theirs'",
        "table sync: can't go before these: its definition was changed since",
        "COMMENT ON TABLE sync IS NULL",
    ),
    (
        "CREATE POLICY mine ON sync USING (true)",
        "table sync: can't go before these: policy mine on table sync",
        "DROP POLICY mine ON sync",
    ),
];

fn what_others_built_on_it_is_never_dropped(case: Kind) {
    let own = match case {
        Kind::Sqlite => BUILT,
        Kind::Postgres => BUILT_POSTGRES,
    };
    for (sql, says, undo) in BUILT_ANYWHERE.iter().chain(own) {
        let (room, before, run) = applied(case);
        room.sql(sql);
        let at = room.dump();
        let _ = room.on("rollback", &[&run]).code(1).says(&[says]);
        same(&room.dump(), &at, "nothing was written");
        for choice in ["--skip-conflicts", "--force"] {
            let kept = room
                .on("rollback", &[&run, choice])
                .code(0)
                .says(&["is kept"]);
            assert!(!kept.err.contains("NOT what"), "{}", kept.err);
        }
        assert_eq!(
            room.ask("SELECT count(*) FROM switchback_kept"),
            "1",
            "{sql}"
        );
        room.sql(undo);
        let _ = room.on("rollback", &[&run]).code(0);
        same(&room.dump(), &before, sql);
    }
}

fn a_row_that_is_kept_keeps_the_column_that_it_has_a_value_in(case: Kind) {
    let (room, before, run) = applied(case);
    room.sql("UPDATE member SET name = 'edited', updated = 'y+' WHERE id = '2'");
    let kept = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    let _ = kept.says(&[
        "column member.wa id: can't go before these: 1 row kept with values of the run",
        "member 2 (members.csv:3): was changed since",
        "column member.wa id is kept",
        "column member.level is gone",
    ]);
    assert_eq!(
        room.members("id, name, \"wa id\""),
        "1 Ann, 2 edited w2, 3 Cy"
    );
    room.sql("UPDATE member SET name = 'Bob', updated = 'y+' WHERE id = '2'");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "the rest");
}

fn a_row_that_is_kept_without_a_value_in_the_column_is_taken_back_without_it(case: Kind) {
    let (room, before, run) = applied(case);
    // The run wrote no new value into its level; its wa id goes by hand.
    room.sql("UPDATE member SET name = 'edited', \"wa id\" = NULL, updated = 'y+' WHERE id = '2'");
    let _ = room.on("rollback", &[&run, "--skip-conflicts"]).code(0);
    assert_eq!(
        room.ask(case.either(
            "SELECT count(*) FROM pragma_table_info('member')",
            "SELECT count(*) FROM information_schema.columns WHERE table_name = 'member'",
        )),
        "3"
    );
    room.sql("UPDATE member SET name = 'Bob', updated = 'y+' WHERE id = '2'");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "the rest");
    let _ = room.on("verify", &[&run]).code(0);
}

fn a_later_run_that_wrote_to_the_table_goes_first(case: Kind) {
    let (room, before, run) = applied(case);
    room.write("members.csv", "id,name,wa,level\n3,Cyrus,w3,4\n");
    room.bundle("C");
    let later = room.apply("C");
    for choice in [&["--check"][..], &[], &["--force"]] {
        let args = [&[run.as_str()], choice].concat();
        let _ = room.on("rollback", &args).code(1).says(&[&later]);
    }
    let _ = room.on("rollback", &[&later]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "both");
}

fn a_rehearsal_and_expected_decisions_know_what_is_to_be_added(case: Kind) {
    let room = room(case);
    let before = room.dump();
    if case == Kind::Sqlite {
        let done = room.on("apply", &["B", "--rehearse"]).code(0);
        assert!(
            done.out.contains("every table is as it was"),
            "{}",
            done.out
        );
        same(&room.dump(), &before, "a rehearsal");
    }
    let _ = room.on("apply", &["B", "--dry-run", "--save", "D"]).code(0);
    let run = room.on("apply", &["B", "--expect", "D"]).code(0).id();
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "as expected");
}

fn the_inverse_by_hand_and_a_snapshot_know_them_too(case: Kind) {
    let room = room(case);
    let before = room.dump();
    let run = room.on("apply", &["B", "--snapshot"]).code(0).id();
    let export = room.on("rollback", &[&run, "--export"]).code(0);
    let _ = export.says(&[
        case.either(
            "ALTER TABLE \"member\" DROP COLUMN \"wa id\";",
            "ALTER TABLE \"public\".\"member\" DROP COLUMN \"wa id\";",
        ),
        case.either("DROP TABLE \"sync\";", "DROP TABLE \"public\".\"sync\";"),
    ]);
    let folder = room.path(".switchback/snapshots");
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    let file = file.path().display().to_string();
    let back = room.on("rollback", &["--snapshot", &file]);
    if case == Kind::Postgres {
        // Only rows are restored there.
        let _ = back
            .code(4)
            .says(&["column level of public.member was added since"]);
        let _ = room.on("rollback", &[&run]).code(0);
        return same(&room.dump(), &before, "level 1");
    }
    let _ = back.code(0);
    same(&room.dump(), &before, "level 2");
    let _ = room.on("verify", &[&run]).code(0);
}

fn the_row_that_describes_the_run_may_be_in_a_table_of_the_run(case: Kind) {
    let plan = PLAN.replace(
        "\n[[entity]]\nname = \"member\"",
        r#"
[[add.table]]
table = "runs"
columns = { id = { type = "TEXT" }, what = { type = "TEXT" } }
primary_key = ["id"]

[metadata]
table = "runs"
id = { column = "id", from = "uuid" }
on_rollback = "delete"
fields.what = { run = "json" }

[[entity]]
name = "member""#,
    );
    let room = Place::new(case, &plan);
    let before = room.dump();
    let run = room.apply("B");
    assert_eq!(room.ask("SELECT count(*) FROM runs"), "1");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "rolled back");
    room.mend("migration.toml", "\"delete\"", "\"keep\"");
    let parse = room.run("parse", &[]).code(2);
    let _ = parse.says(&["rollback drops this table"]);
}

fn a_column_that_somebody_dropped_meanwhile_is_added_again_by_resume(case: Kind) {
    let room = room(case);
    let before = room.dump();
    room.sql(case.either(
        "CREATE TRIGGER stop BEFORE INSERT ON member BEGIN SELECT RAISE(ABORT, 'no'); END",
        "ALTER TABLE member ADD CONSTRAINT stop CHECK (id <> '9')",
    ));
    let run = room.on("apply", &["B"]).code(3).id();
    room.sql(case.either(
        "DROP TRIGGER stop; ALTER TABLE member DROP COLUMN level",
        "ALTER TABLE member DROP CONSTRAINT stop, DROP COLUMN level",
    ));
    let _ = room.on("apply", &["B", "--resume"]).code(0);
    assert_eq!(room.members("level"), "5, 1, 1, 0");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "rolled back");
}

fn readers_in_the_way_stop_a_run_before_its_first_write(case: Kind) {
    let room = room(case);
    let database = room.db.server();
    let before = room.dump();
    let told = "dry run: nobody else reads member either";
    let _ = room.on("apply", &["B", "--dry-run"]).code(0).says(&[told]);
    let url = format!("{}?lock_timeout=200ms", database.url());
    let reading = |work: &dyn Fn()| {
        std::thread::scope(|scope| {
            scope.spawn(|| database.sql("BEGIN; SELECT FROM member; SELECT pg_sleep(3); ROLLBACK"));
            let held = "SELECT count(*) FROM pg_locks WHERE relation = 'member'::regclass AND mode = 'AccessShareLock'";
            while database.ask(held) == "0" {
                std::thread::sleep(Duration::from_millis(20));
            }
            work();
        });
    };
    reading(&|| {
        for how in [&["B"][..], &["B", "--dry-run"]] {
            let args = [how, &["--to", &url]].concat();
            let _ = room.run("apply", &args).code(5).says(&["lock timeout"]);
        }
    });
    same(&room.dump(), &before, "nothing was written");
    assert!(!room.has_ledger());
    let run = room.apply("B");
    reading(&|| {
        let args = [run.as_str(), "--to", &url];
        let _ = room.run("rollback", &args).code(3).says(&["lock timeout"]);
    });
    let _ = room.on("rollback", &["--resume", &run]).code(0);
    same(&room.dump(), &before, "rolled back");
}

fn a_login_that_does_not_own_the_table_is_told_so(case: Kind) {
    let room = room(case);
    let database = room.db.server();
    let clerk = database.owned_by_a_clerk();
    let before = room.dump();
    let url = database.url().replace("app@", &format!("{clerk}@"));
    let run = room.run("apply", &["B", "--to", &url]).code(0).id();
    let _ = room.run("rollback", &[&run, "--to", &url]).code(0);
    same(&room.dump(), &before, "the owner may");
    room.sql("ALTER TABLE member OWNER TO app; ALTER SCHEMA public OWNER TO app");
    room.sql(&format!(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT ALL ON member TO {clerk}"
    ));
    let before = room.dump();
    let _ = room.run("apply", &["B", "--to", &url]).code(4).says(&[
        "plan.toml:5: must be owner of table member",
        "plan.toml:18: permission denied for schema public",
    ]);
    same(&room.dump(), &before, "nothing was written");
}

fn values_are_of_the_type_that_the_server_makes_of_them(case: Kind) {
    let more = r#"
[[add.column]]
table = "member"
column = "rate"
type = "numeric(6, 2)"
default = 1
initial = 2
[[add.column]]
table = "member"
column = "doc"
type = "json"
default = '{"a": 1}'
[[add.column]]
table = "member"
column = "seen"
type = "timestamptz"
initial = "now"
[[add.column]]
table = "member"
column = "ok"
type = "boolean"
default = true
[[add.table]]
table = "theirs.log"
columns = { id = { type = "bigserial" }, at = { type = "timestamptz", default = "2024-01-01 00:00:00+00" } }
primary_key = ["id"]

[[entity]]
name = "member""#;
    let plan = PLAN.replacen("\n[[entity]]\nname = \"member\"", more, 1);
    let room = Place::new(case, &plan);
    room.sql("CREATE SCHEMA theirs");
    let before = room.dump();
    let run = room.apply("B");
    assert_eq!(
        room.members("id, rate, doc, ok, seen IS NULL"),
        "1 2.00 {\"a\": 1} t f, 2 2.00 {\"a\": 1} t f, 3 2.00 {\"a\": 1} t f, 9 1.00 {\"a\": 1} t t"
    );
    assert_eq!(
        room.ask("SELECT to_regclass('theirs.log') IS NOT NULL"),
        "t"
    );
    let again = room.on("apply", &["B"]).code(0).says(&["6 unchanged"]);
    assert!(!again.err.contains("added"), "{}", again.err);
    room.sql("INSERT INTO member (id, updated) VALUES ('10', 'x')");
    let _ = room.on("rollback", &[&run, "--check"]).code(0);
    room.sql("UPDATE member SET doc = '{}', rate = 3, updated = 'x' WHERE id = '10'");
    let _ = room.on("rollback", &[&run]).code(1).says(&[
        "column member.doc: 1 row with values that the run did not leave there (10: \"{}\")",
        "column member.rate: 1 row with values that the run did not leave there (10: \"3.00\")",
    ]);
    room.sql("DELETE FROM member WHERE id = '10'");
    let _ = room.on("rollback", &[&run]).code(0);
    same(&room.dump(), &before, "rolled back");
}

fn a_type_that_counts_up_or_is_none_is_refused(case: Kind) {
    for (kind, says) in [
        ("SERIAL", "SERIAL counts up"),
        ("SEREAL", "type \"sereal\" does not exist"),
        (
            "DATE",
            "column \"level\" is of type date but default expression is of type integer",
        ),
    ] {
        let plan = PLAN.replacen("type = \"INTEGER\"", &format!("type = \"{kind}\""), 1);
        let plan = match kind {
            "SERIAL" => plan.replacen("default = 0\ninitial = 1\n", "", 1).replacen(
                "not_null = true\n",
                "",
                1,
            ),
            _ => plan,
        };
        let room = Place::new(case, &plan);
        let before = room.dump();
        let _ = room
            .on("apply", &["B"])
            .code(4)
            .says(&["plan.toml:10: ", says]);
        same(&room.dump(), &before, "nothing was written");
        assert!(!room.has_ledger());
    }
}

fn once_pruned_what_the_run_added_stays_and_everything_says_so(case: Kind) {
    let room = room(case);
    let args = ["B", "--now", "2024-06-01T12:00:00Z"];
    let run = room.on("apply", &args).code(0).id();
    let applied = room.dump();
    let _ = room
        .on("rollback", &["prune", "--now", "2024-06-09T12:00:00Z"])
        .code(0)
        .says(&["1 run, 0 snapshots"]);
    same(&room.dump(), &applied, "rows, columns and tables stay");
    let _ = room
        .on("rollback", &[&run, "--outside-window"])
        .code(4)
        .says(&["is pruned"]);
    let check = room.on("rollback", &[&run, "--check", "--outside-window", "--json"]);
    assert_eq!(last(&check.code(1))["canRollback"], false);
    let verified = room.on("verify", &[&run]).code(0);
    assert!(verified.err.contains("is pruned"), "{}", verified.err);
    // What was added belongs to the table now: a later run finds it there, and leaves it.
    room.mend("members.csv", "9,New", "9,Newer");
    room.bundle("C");
    let second = room.apply("C");
    let _ = room.on("rollback", &[&second]).code(0);
    same(&room.dump(), &applied, "the later run alone is taken back");
    let _ = room
        .on("rollback", &[&run, "--export"])
        .code(4)
        .says(&["is pruned"]);
}
