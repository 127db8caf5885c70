//! An earlier dump that was restored over a run, by the tools that people have: `pg_dump` and `pg_restore --clean`,
//! `.dump` of the `sqlite3` shell.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::db::same;
use tests::{Case, Db, Room};

tests::both!(
    what_an_earlier_dump_brought_back_is_as_before_for_rollback_and_verify,
    what_people_added_after_the_restore_is_theirs_and_stays,
    a_dump_that_holds_an_earlier_ledger_takes_the_history_back_with_the_rows,
);

const PLAN: &str = r#"
name = "club"
system = "old"

[[add.column]]
table = "member"
column = "level"
type = "TEXT"

[[entity]]
name = "member"
table = "member"
id = { column = "id", from = "target" }
match = ["email"]
on_match = "update"
source = { format = "csv", files = ["m.csv"], key = "id" }
fields = { email = { from = "email" }, name = { from = "name" } }
tag = { column = "tags", text = "run:{run}" }

[[entity]]
name = "badge"
table = "badge"
id = { column = "id", from = "key" }
match = ["id"]
on_match = "update"
source = { format = "csv", files = ["b.csv"], key = "id" }
fields = { member = { from = "member", ref = "member" } }

[[entity]]
name = "left"
table = "badge"
id = { column = "id", from = "key" }
op = "delete"
target = "id"
source = { format = "csv", files = ["l.csv"], key = "id" }

[metadata]
table = "imports"
id = { column = "id", from = "uuid" }
on_rollback = "keep"
status = "note"
fields = { note = { run = "json" } }
"#;

/// Members with a counter, a check and an index; badges that belong to them; a row for each import.
fn schema(case: Case) -> String {
    let (list, tags) = case.either(("TEXT", r#"["a"]"#), ("TEXT[]", "{a}"));
    format!(
        "CREATE TABLE member (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT CHECK (name <> ''), tags {list});
         CREATE INDEX by_name ON member (name);
         CREATE TABLE badge (id TEXT PRIMARY KEY, member BIGINT REFERENCES member (id));
         CREATE TABLE imports (id TEXT PRIMARY KEY, note TEXT);
         INSERT INTO member (email, name, tags) VALUES ('ann@x.org', 'Ann', '{tags}'), ('bob@x.org', 'Bob', NULL);
         INSERT INTO badge VALUES ('b1', 1), ('b2', 2);"
    )
}

fn club(case: Case) -> Room {
    let sources = [
        ("m.csv", "id,email,name\n7,ann@x.org,Anna\n8,cy@x.org,Cy\n"),
        ("b.csv", "id,member\nb1,8\nb3,7\n"),
        ("l.csv", "id\nb2\n"),
    ];
    let room = Room::with(case, PLAN, &sources, &schema(case));
    room.bundle("B");
    room
}

/// An earlier state of a database, as the tools of the target keep it.
struct Dump<'a> {
    room: &'a Room,
    file: std::path::PathBuf,
}

impl<'a> Dump<'a> {
    fn of(room: &'a Room) -> Self {
        let file = room.path("earlier.dump");
        match &room.db {
            Db::Sqlite(path) => {
                let text = shell(path, ".dump", None);
                room.write("earlier.dump", text);
            }
            Db::Postgres(database) => {
                let out = file.to_str().unwrap();
                tool(database, "pg_dump", &["-Fc", "-f", out]);
            }
        }
        Self { room, file }
    }

    /// Puts it back over what is there: a server's by `--clean`; of a file its tables are dropped first.
    fn restore(&self) {
        match &self.room.db {
            Db::Sqlite(path) => {
                let text = self.room.read("earlier.dump");
                let made = text.lines().filter_map(|line| {
                    let name = line.strip_prefix("CREATE TABLE ")?;
                    let name = name.strip_prefix("IF NOT EXISTS ").unwrap_or(name);
                    name.split([' ', '(']).next()
                });
                let drop = |all: String, name| all + "DROP TABLE IF EXISTS " + name + ";\n";
                let drops = made.fold(String::new(), drop);
                shell(path, &format!("{drops}{text}"), Some(()));
            }
            Db::Postgres(database) => tool(
                database,
                "pg_restore",
                &["--clean", "--if-exists", self.file.to_str().unwrap()],
            ),
        }
    }
}

/// Runs `pg_dump` or `pg_restore`.
#[track_caller]
fn tool(database: &tests::postgres::Database, program: &str, args: &[&str]) {
    let output = database.client(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// Runs commands in the `sqlite3` shell: one argument, or its standard input.
#[track_caller]
fn shell(path: &Path, commands: &str, input: Option<()>) -> String {
    let mut shell = Command::new("sqlite3");
    shell.arg("-bail").arg(path);
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = if input.is_some() {
        shell.stdin(Stdio::piped()).spawn().unwrap()
    } else {
        shell.arg(commands).spawn().unwrap()
    };
    let done = tests::finish(child, input.map(|()| commands.into()));
    done.code(0).out
}

fn last(out: &str) -> Value {
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

fn what_an_earlier_dump_brought_back_is_as_before_for_rollback_and_verify(case: Case) {
    let club = club(case);
    let before = club.dump();
    let dump = Dump::of(&club);
    let run = club.apply("B");
    dump.restore();
    same(&club.dump(), &before, "the dump is back");
    let check = club.on("rollback", &[&run, "--check", "--json"]).code(0);
    let said = last(&check.out);
    assert_eq!(
        (&said["conflicts"], &said["as_before"]),
        (&0.into(), &3.into()),
        "{said}"
    );
    check.says(&["3 as before the run"]);
    let done = club
        .on("rollback", &[&run, "--json"])
        .code(0)
        .says(&["as before"]);
    let said = last(&done.out);
    assert_eq!(
        (&said["proved"], &said["status"]),
        (&true.into(), &"rolled-back".into()),
        "{said}"
    );
    same(&club.dump(), &before, "rollback had nothing to do");
    let verified = club.on("verify", &[&run, "--json"]).code(0);
    let report: Value = serde_json::from_str(&verified.out).unwrap();
    for check in report["checks"].as_array().unwrap() {
        assert_eq!(
            (&check["errors"], &check["warnings"]),
            (&0.into(), &0.into()),
            "{check}"
        );
    }
    // The id map was set back too: all of it is new again, and can be taken back again.
    let run = club.apply("B");
    club.on("verify", &[&run]).code(0);
    club.on("rollback", &[&run]).code(0);
    assert_eq!(club.ask("SELECT count(*) FROM member"), "2");
}

fn what_people_added_after_the_restore_is_theirs_and_stays(case: Case) {
    let club = club(case);
    let dump = Dump::of(&club);
    let run = club.apply("B");
    dump.restore();
    club.sql("UPDATE member SET name = 'Annie' WHERE id = 1");
    club.sql("INSERT INTO member (id, email, name) VALUES (3, 'dan@x.org', 'Dan')");
    let now = club.dump();
    // The key that the run's new member had is another person's row now.
    let said = club.on("rollback", &[&run, "--check", "--json"]).code(1);
    assert_eq!(last(&said.out)["conflicts"], 2);
    club.on("rollback", &[&run])
        .code(1)
        .says(&["nothing was written"]);
    same(&club.dump(), &now, "nothing was written");
    let done = club.on("rollback", &[&run, "--skip-conflicts", "--json"]);
    assert_eq!(last(&done.code(0).out)["proved"], true);
    same(&club.dump(), &now, "what is theirs stays");
    club.on("verify", &[&run]).code(0);
}

fn a_dump_that_holds_an_earlier_ledger_takes_the_history_back_with_the_rows(case: Case) {
    let club = club(case);
    let before = club.dump();
    let first = club.apply("B");
    let between = club.dump();
    let dump = Dump::of(&club);
    club.write(
        "m.csv",
        "id,email,name\n7,ann@x.org,Annie\n8,cy@x.org,Cy\n9,eve@x.org,Eve\n",
    );
    club.bundle("B2");
    let second = club.apply("B2");
    dump.restore();
    same(&club.dump(), &between, "the dump is back");
    for program in ["rollback", "verify"] {
        let _ = club.on(program, &[&second]).code(4).says(&["not found"]);
    }
    club.on("verify", &[&first]).code(0);
    club.on("rollback", &[&first]).code(0);
    club.sql("DELETE FROM imports");
    same(&club.dump(), &before, "all is what it was");
    club.on("verify", &[&first]).code(0);
    // The same of a run that was taken back already: the column that it added is in the ledger alone.
    let dump = Dump::of(&club);
    dump.restore();
    club.on("verify", &[&first]).code(0);
    let third = club.apply("B");
    club.on("rollback", &[&third]).code(0);
}
