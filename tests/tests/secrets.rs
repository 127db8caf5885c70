//! Known secrets in every place that takes one, looked for in all that is said, written, kept or seen
//! by others. What may hold them: the sources, a bundle's records and sources, the columns of the user's own
//! table, and the images of a changed row in the ledger, from which it is put back.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tests::postgres::Database;
use tests::{Case, Db, Done, Room, Seed, Target, finish, spawn};

tests::both!(
    no_secret_is_shown_kept_or_written,
    a_password_is_in_no_message_and_no_list_of_processes,
);

mod on_18 {
    use super::{Case, Database, Db, Room, Target, play};

    #[test]
    fn no_secret_is_shown_kept_or_written() {
        let case = Case::new(Target::Postgres, "secrets");
        play(case, &|| {
            let mut room = Room::new(Target::Postgres);
            room.db = Db::Postgres(Database::with_vectors(""));
            room
        });
    }
}

mod file {
    use super::{Draw, Room, Seed, Target};

    /// Nothing of a row that was taken back lies in a free page.
    #[test]
    fn what_is_deleted_is_overwritten() {
        let mut draw = Draw::new(Seed::fixed(7));
        let room = Room::new(Target::Sqlite);
        room.sql("CREATE TABLE account (id INTEGER PRIMARY KEY, token TEXT)");
        room.write(
            "migration.toml",
            "name = \"n\"\nsystem = \"s\"\n[[entity]]\nname = \"account\"\ntable = \"account\"\n\
             id = { column = \"id\", from = \"key\" }\n\
             source = { format = \"csv\", files = [\"a.csv\"], key = \"id\" }\n\
             fields.token = { from = \"token\", secret = true }\n",
        );
        let rows: Vec<String> = (1..300)
            .map(|row| format!("{row},{}", draw.core()))
            .collect();
        let rows = rows.join("\n");
        room.write("a.csv", format!("id,token\n{rows}"));
        room.bundle("B");
        let run = room.apply("B");
        assert_eq!(draw.found_in(&room.db.everything()).len(), 299);
        let _ = room.on("rollback", &[&run]).code(0);
        assert_eq!(draw.found_in(&room.db.everything()), [""; 0]);
    }
}

/// Draws secrets; each has a core that stands nowhere else.
struct Draw {
    seed: Seed,
    cores: Vec<String>,
}

impl Draw {
    fn new(seed: Seed) -> Self {
        Self {
            seed,
            cores: Vec::new(),
        }
    }

    fn core(&mut self) -> String {
        let letter = |seed: &mut Seed| {
            char::from(b"bcdfghjkmnpqrstvwxz"[usize::try_from(seed.below(19)).unwrap()])
        };
        let core: String = (0..14).map(|_| letter(&mut self.seed)).collect();
        self.cores.push(core.clone());
        core
    }

    /// A text with a core in it, as people and programs make them.
    fn text(&mut self) -> String {
        let core = self.core();
        match self.seed.below(9) {
            0 => core,
            1 => format!("{core} and 'more' \"of\" it"),
            2 => format!("{core}\\{core}"),
            3 => format!("ü{core}\u{202e}ß"),
            4 => format!("({core})=({core}), {{{core}}}"),
            5 => format!("{core}\n{core}\ttab"),
            6 => format!("postgres://u:{core}@h/d"),
            7 => format!("%s ${{{core}}} {{token}} {core}"),
            _ => format!("[\"{core}\"]"),
        }
    }

    fn number(&mut self) -> String {
        let digits: String = (0..14)
            .map(|_| char::from(b'1' + u8::try_from(self.seed.below(9)).unwrap()))
            .collect();
        self.cores.push(digits.clone());
        digits
    }

    /// The cores that stand in a text, as they are or in hex.
    fn found_in(&self, text: &[u8]) -> Vec<&str> {
        let text = String::from_utf8_lossy(text);
        let hex = |core: &str| {
            core.bytes()
                .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
        };
        let there = |core: &&String| text.contains(core.as_str()) || text.contains(&hex(core));
        self.cores
            .iter()
            .filter(there)
            .map(String::as_str)
            .collect()
    }

    #[track_caller]
    fn clean(&self, what: &str, text: &[u8]) {
        let found = self.found_in(text);
        assert!(
            found.is_empty(),
            "{what} shows {found:?}:\n{}",
            String::from_utf8_lossy(text)
        );
    }

    /// Runs a program, and looks at what it says.
    #[track_caller]
    fn say(&self, room: &Room, args: &[&str]) -> Done {
        let done = room.on(args[0], &args[1..]);
        self.clean(&format!("{args:?}, stdout"), done.out.as_bytes());
        self.clean(&format!("{args:?}, stderr"), done.err.as_bytes());
        done
    }

    /// Looks at the files of the room and the rows of the ledger.
    #[track_caller]
    fn look(&self, room: &Room) {
        self.files(&room.path(""));
        if !room.db.has_ledger() {
            return;
        }
        let tables = match &room.db {
            Db::Sqlite(_) => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'switchback_%'"
            }
            Db::Postgres(_) => {
                "SELECT 'switchback.' || tablename FROM pg_tables WHERE schemaname = 'switchback'"
            }
        };
        for table in room.db.rows(tables) {
            let table = &table[0];
            // The images of a row that was updated or deleted, and the row of a change with its hashes.
            let columns = if table.ends_with("changes") {
                "run, seq, target, source, hash"
            } else {
                "*"
            };
            for row in room.db.rows(&format!("SELECT {columns} FROM {table}")) {
                self.clean(table, row.join("|").as_bytes());
            }
        }
    }

    #[track_caller]
    fn files(&self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // Sources, and what a bundle or the database holds of them.
            let holds = ["records", "sources", "snapshots"].contains(&name.as_str())
                || name == "accounts.csv"
                || name.starts_with("t.db");
            if holds {
                continue;
            }
            if path.is_dir() {
                self.files(&path);
            } else {
                self.clean(&name, &fs::read(&path).unwrap());
            }
        }
    }
}

const PLAN: &str = r#"
name = "accounts"
system = "club"
accept_triggers = ["says", "alters"]
accept_no_undo = ["account"]
[limits]
reject_fail = 100
[[entity]]
name = "account"
table = "account"
id = { column = "id", from = "key" }
match = ["email"]
on_match = "update"
source = { format = "csv", files = ["accounts.csv"], key = "id" }
[entity.fields]
email = { from = "email" }
token = { from = "token", secret = true, unique = true, max_length = 200 }
pin = { from = "pin", type = "integer", secret = true }
rank = { from = "rank", secret = true, one_of = ["high", "low"] }
kind = { from = "kind", secret = true, lookup = { table = "kind", by = "code" }, empty = "absent" }
born = { from = "born", secret = true, type = "date", formats = ["%Y-%m-%d"], empty = "null" }
name = { from = "name" }
[[policy]]
entity = "account"
rule = "name != 'odd'"
message = "the token {token} is odd"
"#;

const COLUMNS: &str = "id,email,token,pin,rank,kind,born,name";

fn no_secret_is_shown_kept_or_written(case: Case) {
    play(case, &|| Room::new(case));
}

/// Plays some rounds, each in a room of its own.
fn play(case: Case, room: &dyn Fn() -> Room) {
    let mut seed = Seed::from_env();
    for _ in 0..3 {
        let draw = Draw::new(Seed::fixed(seed.below(u64::MAX)));
        round(case, &room(), draw);
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn row(id: u32, token: &str, pin: &str, name: &str) -> String {
    format!(
        "{id},m{id}@example.org,{},{pin},low,,,{name}\n",
        quoted(token)
    )
}

fn round(case: Case, room: &Room, mut draw: Draw) {
    room.write("migration.toml", PLAN);
    room.sql(
        "CREATE TABLE kind (id INTEGER PRIMARY KEY, code TEXT); \
         CREATE TABLE account (id INTEGER PRIMARY KEY, email TEXT, token TEXT UNIQUE, pin BIGINT, rank TEXT, \
           kind INTEGER, born TEXT, name TEXT); \
         CREATE TABLE other (token TEXT REFERENCES account (token))",
    );
    before_a_target(room, &mut draw);
    let [one, two] = refused(case, room, &mut draw);
    let [first, second] = edited(case, room, &mut draw, &one, &two);
    taken_back(case, room, &mut draw, [&first, &second], &one);
}

/// What parse and validate refuse.
fn before_a_target(room: &Room, draw: &mut Draw) {
    let (a, b, c) = (draw.text(), draw.text(), draw.text());
    let long = draw.text().repeat(30);
    let bad = [
        row(1, &a, &draw.core(), "x"),
        row(2, &b, "2", "x"),
        row(3, &b, "3", "x"),
        row(4, &long, "4", "x"),
        format!("5,e,{},5,{},,,x\n", quoted(&c), draw.core()),
        format!("6,f,t6,6,low,,{},x\n", draw.core()),
        format!("7,{}\n", draw.core()),
        format!("8,h,{},8,low,,,odd\n", draw.core()),
    ];
    room.write("accounts.csv", format!("{COLUMNS}\n{}", bad.concat()));
    let parse = room
        .run("parse", &["--rejects", "parse.ndjson", "--explain"])
        .code(0);
    draw.clean("parse", parse.err.as_bytes());
    let validate = room.feed(
        "validate",
        &["--rejects", "validate.ndjson"],
        parse.out.clone(),
    );
    let validate = validate.code(0);
    draw.clean("validate", validate.err.as_bytes());
    for line in validate
        .out
        .lines()
        .filter(|line| line.starts_with("{\"reject\""))
    {
        draw.clean("a reject line", line.as_bytes());
    }
    assert!(room.read("parse.ndjson").matches("{\"reject\"").count() >= 3);
    assert!(room.read("validate.ndjson").matches("{\"reject\"").count() >= 3);
    let bundle = room
        .feed("bundle", &["-o", "B0", "--allow-empty"], validate.out)
        .code(0);
    draw.clean("bundle", bundle.err.as_bytes());
    draw.look(room);
}

/// What the target refuses. Returns the tokens of two records that it takes.
fn refused(case: Case, room: &Room, draw: &mut Draw) -> [String; 2] {
    // A code that the target does not know.
    let code = draw.core();
    room.write(
        "accounts.csv",
        format!("{COLUMNS}\n1,a,t1,1,low,{code},,x\n"),
    );
    room.bundle("BK");
    let _ = draw.say(room, &["apply", "BK"]).code(4);
    // What the target refuses: a token that is taken, and one that a trigger tells.
    room.sql(case.either(
        "CREATE TRIGGER says BEFORE INSERT ON account WHEN NEW.name = 'told' BEGIN \
           SELECT RAISE(ABORT, 'no ' || NEW.token || ' ' || NEW.pin); END",
        "CREATE FUNCTION says() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF NEW.name = 'told' THEN RAISE EXCEPTION 'no % %', NEW.token, NEW.pin USING DETAIL = NEW.token; END IF; \
           RETURN NEW; END $$; \
         CREATE TRIGGER says BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION says()",
    ));
    let (taken, told) = (draw.text(), draw.text());
    room.sql(&format!(
        "INSERT INTO account (id, email, token, name) VALUES (90, 'taken', '{}', 'there')",
        sql(&taken)
    ));
    let (one, two) = (draw.text(), draw.text());
    let pin = draw.number();
    let rows = [
        row(1, &one, &pin, "one"),
        row(2, &two, "2", "two"),
        row(3, &taken, "3", "x"),
        row(4, &told, &draw.number(), "told"),
    ];
    room.write("accounts.csv", format!("{COLUMNS}\n{}", rows.concat()));
    room.bundle("B1");
    let _ = draw.say(room, &["apply", "B1"]).code(3);
    draw.look(room);
    let aside = [
        "apply",
        "B1",
        "--on-error=record",
        "--max-failed-percent=100",
        "--take-over",
    ];
    let done = draw.say(room, &aside).code(3);
    draw.look(room);
    let failed = done.says(&["no *** ***"]).id();
    assert!(room.read(".migration-failures.json").contains("***"));
    for args in [
        &["verify", &failed, "-v"][..],
        &["verify", "report", &failed, "-v"],
        &["verify", "report", &failed, "--json"],
    ] {
        draw.say(room, args);
    }
    let _ = draw.say(room, &["rollback", &failed]).code(0);
    [one, two]
}

/// A trigger that tells what a row held, and what it gets.
fn tells(case: Case) -> &'static str {
    case.either(
        "CREATE TRIGGER alters BEFORE UPDATE ON account WHEN NEW.name = 'one' BEGIN \
           SELECT RAISE(ABORT, 'from ' || OLD.token || ' to ' || NEW.token || ' ' || NEW.pin); END",
        "CREATE OR REPLACE FUNCTION alters() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF NEW.name = 'one' THEN RAISE EXCEPTION 'from % to % %', OLD.token, NEW.token, NEW.pin; END IF; \
           RETURN NEW; END $$; \
         CREATE TRIGGER alters BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION alters()",
    )
}

fn tells_no_more(case: Case) -> &'static str {
    case.either("DROP TRIGGER alters", "DROP TRIGGER alters ON account")
}

/// What people edit after a run that stands. Returns that run and the next.
fn edited(case: Case, room: &Room, draw: &mut Draw, one: &str, two: &str) -> [String; 2] {
    let pin = draw.number();
    let rows = [row(1, one, &pin, "one"), row(2, two, "2", "two")];
    // A run that stands, decided and dry first.
    room.write("accounts.csv", format!("{COLUMNS}\n{}", rows.concat()));
    room.bundle("B2");
    let _ = draw
        .say(
            room,
            &["apply", "B2", "--dry-run", "--save", "d.json", "--json"],
        )
        .code(0);
    let first = draw
        .say(room, &["apply", "B2", "--expect", "d.json"])
        .code(0)
        .id();
    draw.look(room);
    // Somebody edits a secret, and so does the source.
    let (edited, newer) = (draw.text(), draw.text());
    room.sql(&format!(
        "UPDATE account SET token = '{}' WHERE id = 1",
        sql(&edited)
    ));
    for args in [
        &["verify", &first][..],
        &["verify", &first, "--json"],
        &["rollback", &first, "--check"],
        &["rollback", &first, "--json"],
    ] {
        let _ = draw.say(room, args).code(1);
    }
    let changed = [
        row(1, &newer, &draw.number(), "one"),
        row(2, two, &draw.number(), "second"),
    ];
    room.write("accounts.csv", format!("{COLUMNS}\n{}", changed.concat()));
    room.bundle("B3");
    let _ = draw.say(room, &["apply", "B3", "--dry-run"]).code(1);
    let drifted = draw.say(room, &["apply", "B3"]).code(3);
    let _ = drifted.says(&["on_drift"]);
    draw.look(room);
    room.sql(&format!(
        "UPDATE account SET token = '{}' WHERE id = 1",
        sql(one)
    ));
    // A trigger tells what the row held.
    room.sql(tells(case));
    let told = draw.say(room, &["apply", "B3", "--take-over"]).code(3);
    let _ = told.says(&["from *** to *** ***"]);
    draw.look(room);
    room.sql(tells_no_more(case));
    let second = draw.say(room, &["apply", "B3", "--take-over"]).code(0).id();
    draw.look(room);
    for args in [
        &["verify", &second][..],
        &["verify", "audit"],
        &["verify", "runs", "--json"],
    ] {
        draw.say(room, args);
    }
    [first, second]
}

/// What stands in the way of a rollback.
fn taken_back(case: Case, room: &Room, draw: &mut Draw, [first, second]: [&str; 2], one: &str) {
    let exported = draw
        .say(
            room,
            &[
                "rollback",
                second,
                "--export",
                "--save-plan",
                "inverse.toml",
            ],
        )
        .code(0);
    let _ = exported.says(&["secret columns are left out", "account.token"]);
    let args = [
        "rollback",
        second,
        "--export",
        "--with-secrets",
        "--to",
        &room.url(),
    ];
    let whole = room.run(args[0], &args[1..]).code(0);
    assert!(
        !draw.found_in(whole.out.as_bytes()).is_empty(),
        "{}",
        whole.out
    );
    draw.clean(
        "rollback --export --with-secrets, stderr",
        whole.err.as_bytes(),
    );
    // The place of the former token is taken by now; then a trigger tells what it is given.
    room.sql(&format!(
        "INSERT INTO account (id, email, token) VALUES (91, 'now', '{}')",
        sql(one)
    ));
    for args in [
        &["rollback", second, "--check"][..],
        &["rollback", second],
        &["rollback", second, "--check", "--json"],
    ] {
        let _ = draw.say(room, args).code(1);
    }
    room.sql("DELETE FROM account WHERE id = 91");
    room.sql(tells(case));
    for args in [
        &["rollback", second][..],
        &["rollback", second, "--skip-conflicts", "--json"],
    ] {
        draw.say(room, args);
    }
    draw.look(room);
    // A row that others refer to by the secret.
    room.sql(tells_no_more(case));
    let args = ["rollback", second, "--force"];
    draw.say(room, &args);
    room.sql("INSERT INTO other SELECT token FROM account WHERE id = 2");
    draw.say(room, &["rollback", first, "--check"]);
    draw.say(room, &["rollback", first, "--force", "--json"]);
    draw.say(room, &["verify", first, "-v"]);
    draw.look(room);
}

/// A text in an SQL string.
fn sql(text: &str) -> String {
    text.replace('\'', "''")
}

fn a_password_is_in_no_message_and_no_list_of_processes(case: Case) {
    const PASSWORD: &str = "hunter2-pw";
    let clean = |args: &[&str], done: &Done| {
        let said = format!("{}{}", done.out, done.err);
        assert!(!said.contains(PASSWORD), "{args:?}: {said}");
    };
    let room = Room::example(case, "lessons");
    room.bundle("B");
    let with = |scheme: &str| format!("{scheme}://app:{PASSWORD}@h/d");
    for url in [
        with("postgres"),
        with("sqlite"),
        with("mysql"),
        format!("postgres://h/d?password={PASSWORD}&x=1"),
    ] {
        for program in ["parse", "validate", "bundle", "apply", "rollback", "verify"] {
            let of_program: [&[&str]; 6] = [
                &[&url],
                &["x", &url],
                &["x", "y", "z", &url],
                &["--to", &url],
                &["B", "--to", &url, "--no-such-option"],
                &["B", "--plan", &url],
            ];
            for args in of_program {
                clean(args, &room.run(program, args));
            }
            let mut command = room.command(program, &["B", "B", "B"]);
            clean(
                &["DATABASE_URL"],
                &finish(spawn(command.env("DATABASE_URL", &url)), None),
            );
        }
    }
    // A target that is there: seen by others while the program waits.
    let Db::Postgres(database) = &room.db else {
        return;
    };
    let url = database
        .url()
        .replace("://app@", &format!("://app:{PASSWORD}@"));
    room.write("wait", "");
    let wait = room.path("wait");
    let wait = format!("--throttle-file={}", wait.display());
    let child = spawn(&mut room.command("apply", &["B", &wait, "--to", &url]));
    let seen = || fs::read(format!("/proc/{}/cmdline", child.id())).unwrap_or_default();
    let began = Instant::now();
    while !room.db.has_ledger() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let line = String::from_utf8_lossy(&seen()).into_owned();
    assert!(
        line.contains("--throttle-file") && !line.contains(PASSWORD),
        "{line}"
    );
    fs::remove_file(room.path("wait")).unwrap();
    let done = finish(child, None).code(0);
    clean(&["apply"], &done);
    for program in ["verify", "rollback"] {
        let args = [&done.id(), "--to", &url];
        clean(&args, &room.run(program, &args).code(0));
    }
}
