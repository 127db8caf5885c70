//! Text that would move the cursor, turn the direction of a line or look like a line of ours: escaped
//! wherever people read it.

use serde_json::Value;
use tests::{Case, Done, Room};

tests::both!(
    what_people_read_of_a_run_holds_no_control_character_and_no_forged_line,
    what_a_target_says_holds_none_either,
);

/// Clears the screen, ends the title, turns the line round, and begins a line that looks like ours.
const EVIL: &str =
    "e\u{1b}[2J\u{9b}31m\u{7}\u{202e}\u{2066}\u{200b}\r\napply: forged\nFORGED\u{2028}\u{85}x";

/// The same as it stands between quotes in TOML and in JSON.
fn quoted() -> String {
    EVIL.chars().fold(String::new(), |text, c| {
        if c.is_ascii_graphic() || c == ' ' {
            text + &c.to_string()
        } else {
            format!("{text}\\u{:04x}", c as u32)
        }
    })
}

fn plan() -> String {
    format!(
        r#"
name = "{evil}"
system = "s{evil}"
[limits]
reject_fail = 100
[[entity]]
name = "item"
table = "t{evil}"
id = {{ column = "id", from = "target" }}
match = ["c{evil}"]
on_match = "update"
source = {{ format = "csv", files = ["*.csv"], key = "key" }}
[entity.fields]
"c{evil}" = {{ from = "name {evil}", max_length = 150 }}
size = {{ from = "size", type = "integer" }}
[[policy]]
entity = "item"
rule = "size < 90"
message = "m{evil}"
[[policy]]
entity = "item"
rule = "size < 80"
message = "w{evil}"
level = "warn"
"#,
        evil = quoted()
    )
}

/// The plan's table; `more` stands in its columns.
fn table(more: &str) -> String {
    format!(
        "CREATE TABLE \"t{EVIL}\" (id INTEGER PRIMARY KEY, \"c{EVIL}\" TEXT, size INTEGER{more})"
    )
}

/// Checks what a program said.
#[track_caller]
fn clean(program: &str, done: &Done) {
    let hidden = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
    };
    let ours = format!("{program}: ");
    for (stream, text) in [("stdout", &done.out), ("stderr", &done.err)] {
        let found = text.chars().find(hidden);
        assert_eq!(found, None, "{program}, {stream}: {text:?}");
        let forged = |line: &&str| {
            let line = line.strip_prefix(&ours).unwrap_or(line).trim_start();
            line.starts_with("FORGED") || line.starts_with("apply: forged")
        };
        let forged = text.lines().find(forged);
        assert_eq!(forged, None, "{program}, {stream}: {text}");
    }
    for line in done.err.lines() {
        let progress = serde_json::from_str::<Value>(line).is_ok();
        assert!(progress || line.starts_with(&ours), "{program}: {line:?}");
    }
}

/// Runs a program on the target, checks what it says, and that it names the hostile text if `told`.
#[track_caller]
fn say(room: &Room, told: bool, code: i32, args: &[&str]) -> Done {
    let done = room.on(args[0], &args[1..]).code(code);
    clean(args[0], &done);
    let named = done.err.contains("[2J") || done.out.contains("[2J");
    let json = args.contains(&"--json");
    assert!(!told || named || json, "{args:?}: {done:?}");
    for line in done.out.lines().filter(|_| json) {
        serde_json::from_str::<Value>(line).unwrap();
    }
    done
}

fn what_people_read_of_a_run_holds_no_control_character_and_no_forged_line(case: Case) {
    let rows = format!(
        "key,\"name {EVIL}\",size\n\"1{EVIL}\",\"a{EVIL}\",1\n\"2{EVIL}\",\"b{EVIL}\",2\n3,\"c{EVIL}\",85\n\
         \"4{EVIL}\",d,95\n\"5{EVIL}\",e,\"{EVIL}\"\n\"1{EVIL}\",f,6\n\"7{EVIL}\",\"{}\",7\n",
        EVIL.repeat(9)
    );
    let room = Room::with(case, &plan(), &[("s\u{202e}.csv", &rows)], &table(""));
    let parse = room.run("parse", &["--explain"]);
    clean(
        "parse",
        &Done {
            out: String::new(),
            ..parse.clone()
        },
    );
    assert!(parse.err.contains("[2J"), "{}", parse.err);
    for (done, program) in room
        .pipeline("B")
        .iter()
        .zip(["parse", "validate", "bundle"])
    {
        let talk = Done {
            out: String::new(),
            ..done.clone()
        };
        clean(program, &talk);
    }
    for what in ["show", "check"] {
        clean("bundle", &room.run("bundle", &[what, "B"]).code(0));
    }
    let evil = ["--operator", EVIL];
    say(
        &room,
        false,
        0,
        &[&["apply", "B", "--dry-run", "-v"][..], &evil].concat(),
    );
    say(&room, false, 0, &["apply", "B", "--dry-run", "--json"]);
    let live = ["apply", "B", "--progress=json"];
    let done = say(&room, false, 0, &[&live[..], &evil].concat());
    assert!(done.err.contains("\"currentStep\""), "{}", done.err);
    let run = done.id();
    say(&room, false, 0, &["verify", &run]);
    room.sql(&format!(
        "UPDATE \"t{EVIL}\" SET \"c{EVIL}\" = 'x{EVIL}' WHERE size = 1"
    ));
    let mended = rows.replace(&format!("\"a{EVIL}\",1"), "aa,1");
    room.write("s\u{202e}.csv", mended);
    room.bundle("C");
    say(&room, true, 3, &["apply", "C"]);
    for json in [&["--json"][..], &[]] {
        let ask = |code, args: &[&str]| say(&room, true, code, &[args, json].concat());
        ask(1, &["verify", &run, "-v"]);
        ask(0, &["verify", "runs"]);
        ask(0, &["verify", "report", &run, "-v"]);
        ask(0, &["verify", "audit"]);
        ask(0, &["verify", "audit", "--by-operator"]);
        ask(1, &["rollback", &run, "--check"]);
        ask(1, &["rollback", &run, "--dry-run"]);
        ask(1, &["rollback", &run]);
    }
    say(&room, true, 2, &["rollback"]);
    say(
        &room,
        true,
        0,
        &["rollback", &run, "--force", "--reason", EVIL],
    );
    say(&room, true, 0, &["verify", "report", &run]);
    say(&room, true, 0, &["verify", &run]);
}

fn what_a_target_says_holds_none_either(case: Case) {
    let refuse = case.either(
        format!("CREATE TRIGGER \"g{EVIL}\" BEFORE INSERT ON \"t{EVIL}\" BEGIN SELECT RAISE(ABORT, 'no {EVIL}'); END"),
        format!("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
          RAISE EXCEPTION 'no {EVIL}' USING DETAIL = 'd{EVIL}'; END $$; \
          CREATE TRIGGER \"g{EVIL}\" BEFORE INSERT ON \"t{EVIL}\" FOR EACH ROW EXECUTE FUNCTION no()"),
    );
    let rows = format!("key,\"name {EVIL}\",size\n\"1{EVIL}\",a,1\n");
    let room = Room::with(case, &plan(), &[("s.csv", &rows)], "");
    room.bundle("B");
    // No table, a table without a column, one with a column that needs a value.
    say(&room, true, 4, &["apply", "B"]);
    room.sql(&format!(
        "CREATE TABLE \"t{EVIL}\" (id INTEGER PRIMARY KEY)"
    ));
    say(&room, true, 4, &["apply", "B"]);
    room.sql(&format!("DROP TABLE \"t{EVIL}\""));
    room.sql(&table(&format!(", \"n{EVIL}\" TEXT NOT NULL")));
    say(&room, true, 4, &["apply", "B"]);
    room.sql(&format!("DROP TABLE \"t{EVIL}\""));
    room.sql(&table(""));
    room.sql(&refuse);
    say(&room, true, 3, &["apply", "B"]);
    let runs = say(&room, true, 0, &["verify", "runs"]).out;
    let run = runs.split_whitespace().next().unwrap();
    say(&room, true, 0, &["verify", "report", run]);
    let resolve = format!("n{EVIL}");
    say(
        &room,
        true,
        0,
        &[
            "apply",
            "--resolve",
            &resolve,
            &format!("--resume={run}"),
            "B",
        ],
    );
    // What the command line itself repeats, and a plan that is wrong.
    let option = format!("--x{EVIL}");
    for program in ["parse", "validate", "bundle", "apply", "rollback", "verify"] {
        let done = room.run(program, &[&option]).code(2);
        let help = Done {
            err: String::new(),
            out: done.err,
            code: 2,
        };
        clean(program, &help);
        assert!(help.out.contains("[2J"), "{program}: {}", help.out);
    }
    say(&room, true, 5, &["apply", &format!("no{EVIL}")]);
    say(&room, true, 4, &["verify", &format!("no{EVIL}")]);
    room.write("migration.toml", format!("\"k{}\" = 1\n", quoted()));
    let done = room.run("parse", &[]).code(2);
    clean("parse", &done);
    assert!(done.err.contains("[2J"), "{}", done.err);
}
