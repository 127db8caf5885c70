//! The program as a user meets it.
#![allow(missing_docs, clippy::unwrap_used, reason = "test helpers")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` reads best as it is")]
#![allow(clippy::too_many_lines, reason = "tables of rules are long")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use contract::{Digest, Line, RecordReader, Reject, Seal};
use serde_json::{Value, json};

/// A folder with a plan, in which the program runs.
struct Room {
    folder: tempfile::TempDir,
    plan: String,
}

impl Room {
    /// Makes a room for entities `member` and `visit` with these columns beside those they have.
    fn new(member: &str, rest: &str) -> Self {
        let plan = format!(
            r#"
name = "club"
system = "export"
[limits]
reject_warn = 100
reject_fail = 100
[[entity]]
name = "member"
source = {{ format = "csv", files = ["m.csv"], key = "k" }}
table = "member"
match = ["n"]
[entity.fields]
n = {{ from = "n" }}
{member}
[[entity]]
name = "visit"
source = {{ format = "csv", files = ["v.csv"], key = "k" }}
table = "visit"
match = ["n"]
[entity.fields]
n = {{ from = "n" }}
{rest}
"#
        );
        let room = Self {
            folder: tempfile::tempdir().unwrap(),
            plan,
        };
        fs::write(room.path("migration.toml"), &room.plan).unwrap();
        room
    }

    /// A room in which visits refer to members.
    fn with_visits() -> Self {
        Self::new(
            "sponsor = { from = \"s\", ref = \"member\" }",
            "who = { from = \"w\", ref = \"member\", required = true }",
        )
    }

    fn limits(mut self, warn: &str, fail: &str) -> Self {
        self.plan = self
            .plan
            .replace("reject_warn = 100", &format!("reject_warn = {warn}"))
            .replace("reject_fail = 100", &format!("reject_fail = {fail}"));
        fs::write(self.path("migration.toml"), &self.plan).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_validate"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("MIGRATION_PLAN");
        command
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        feed(&mut self.command(args), input)
    }

    /// Seals lines as parse would.
    fn sealed(&self, lines: &[Value]) -> String {
        seal(Digest::of(self.plan.as_bytes()), lines)
    }

    /// Runs over lines and returns the errors of each reject by key, as `column rule: message`.
    fn errors(&self, lines: &[Value]) -> BTreeMap<String, Vec<String>> {
        let output = self.run(&[], &self.sealed(lines));
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let said = |reject: Reject| {
            let errors = reject.errors.into_iter();
            let errors = errors
                .map(|e| format!("{} {}: {}", e.field.unwrap_or_default(), e.rule, e.message))
                .collect();
            (reject.key.unwrap(), errors)
        };
        read(&output.stdout).rejects.into_iter().map(said).collect()
    }

    /// Checks one member with these columns; returns its errors.
    fn errors_of(&self, fields: Value) -> Vec<String> {
        self.errors(&[member("1", 2, fields)])
            .remove("1")
            .unwrap_or_default()
    }
}

fn feed(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.as_bytes().to_vec();
    // The program may write before it has read all, and stop before that too.
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn refused(output: &Output, exit: i32, message: &str) {
    assert_eq!(code(output), exit, "{}", stderr(output));
    assert!(stderr(output).contains(message), "{}", stderr(output));
    assert!(!stdout(output).contains(r#"{"end""#), "{}", stdout(output));
}

fn member(key: &str, line: u64, fields: Value) -> Value {
    json!({"entity": "member", "key": key, "at": {"file": "m.csv", "line": line}, "fields": fields})
}

fn sponsored(key: &str, line: u64, by: &str) -> Value {
    let mut record = member(key, line, json!({"n": key}));
    record["refs"] = json!({"sponsor": {"entity": "member", "key": by}});
    record
}

fn visit(key: &str, line: u64, who: &str) -> Value {
    json!({"entity": "visit", "key": key, "at": {"file": "v.csv", "line": line}, "fields": {"n": key},
        "refs": {"who": {"entity": "member", "key": who}}})
}

fn parse_reject(key: &str, line: u64) -> Value {
    json!({"reject": {"entity": "member", "key": key, "at": {"file": "m.csv", "line": line}, "stage": "parse",
        "errors": [{"field": "n", "rule": "map", "message": "it maps to nothing"}], "record": "raw,text"}})
}

fn seal(plan: Digest, lines: &[Value]) -> String {
    let of = |name: &str, rejects: bool| {
        let in_it = |line: &&Value| {
            let inner = line.get("reject").unwrap_or(line);
            inner["entity"] == name && line.get("reject").is_some() == rejects
        };
        lines.iter().filter(in_it).count()
    };
    let account = |(name, file): (&str, &str)| {
        let (records, rejected) = (of(name, false), of(name, true));
        json!({"entity": name, "file": file, "items": records + rejected, "used": records, "ignored": 0, "rejected": rejected,
            "extra": 0, "merged": 0, "refused": 0, "filtered": 0, "records": records})
    };
    let (records, rejected) = (
        of("member", false) + of("visit", false),
        of("member", true) + of("visit", true),
    );
    let end = json!({"end": {
        "stage": "parse", "rules": contract::RULES, "plan": plan,
        "sources": [{"file": "m.csv", "sha256": Digest::of(b"m"), "bytes": 1, "items": 1}],
        "records": records, "rejected": rejected, "ignored": 0, "filtered": 0,
        "accounts": [account(("member", "m.csv")), account(("visit", "v.csv"))],
    }});
    lines
        .iter()
        .chain([&end])
        .fold(String::new(), |all, line| format!("{all}{line}\n"))
}

/// A stream, read to its end.
struct Read {
    keys: Vec<String>,
    rejects: Vec<Reject>,
    seal: Option<Seal>,
}

fn read(bytes: &[u8]) -> Read {
    let mut reader = RecordReader::new(bytes);
    let (mut keys, mut rejects) = (Vec::new(), Vec::new());
    while let Some(line) = reader.next_line().unwrap() {
        match line {
            Line::Record(record, _) => keys.push(record.key),
            Line::Reject(reject) => rejects.push(*reject),
        }
    }
    if let Some(seal) = reader.sealed() {
        seal.check().unwrap();
        // A rejects file holds the seal of the stream that the rejects were taken from.
        assert!(keys.is_empty() || seal.records == keys.len() as u64);
    }
    Read {
        keys,
        rejects,
        seal: reader.sealed().cloned(),
    }
}

fn one(column: &str, fields: Value) -> Vec<String> {
    Room::new(column, "").errors_of(fields)
}

#[test]
fn lines_that_pass_are_the_bytes_that_came_in() {
    for room in [
        Room::new("d = { from = \"d\", type = \"decimal\" }", ""),
        Room::with_visits(),
    ] {
        let lines = r#"{ "entity":"member", "at":{"file":"m.csv","line":2}, "key":"1", "fields":{"n":"\u00fc"} }
{"entity":"member","key":"2","at":{"file":"m.csv","line":3},"fields":{"n":"é\t"}}
"#;
        let input = room.sealed(&[member("1", 2, json!({})), member("2", 3, json!({}))]);
        let end = input.lines().last().unwrap();
        let output = room.run(&[], &format!("{lines}{end}\n"));
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert!(stdout(&output).starts_with(lines), "{}", stdout(&output));
        let seal = read(&output.stdout).seal.unwrap();
        assert_eq!(
            (
                seal.stage.as_str(),
                seal.records,
                seal.rejected,
                seal.before.len()
            ),
            ("validate", 2, 0, 1)
        );
    }
}

#[test]
fn every_rule_of_a_column_has_its_message() {
    let table = [
        (
            r#"x = { from = "x", required = true }"#,
            json!({}),
            "x required: it is required, and missing",
        ),
        (
            r#"x = { from = "x", required = true }"#,
            json!({"x": null}),
            "x required: it is required, and null",
        ),
        (
            r#"x = { from = "x", type = "integer" }"#,
            json!({"x": "1"}),
            "x type: it is text, a whole number was expected",
        ),
        (
            r#"x = { from = "x", type = "integer" }"#,
            json!({"x": 1.5}),
            "x type: it is not a whole number written in digits",
        ),
        (
            r#"x = { from = "x", type = "date" }"#,
            json!({"x": "2023-02-29"}),
            "x type: it is not a date that exists, written YYYY-MM-DD",
        ),
        (
            r#"x = { from = "x", type = "timestamp" }"#,
            json!({"x": "2024-01-01T00:00:00+01:00"}),
            "x type: it is not an instant that exists, written YYYY-MM-DDThh:mm:ssZ",
        ),
        (
            r#"x = { from = "x", type = "list" }"#,
            json!({"x": ["a", 1]}),
            "x type: element 2 is a number, text was expected",
        ),
        (
            r#"x = { from = "x", type = "vector", dimensions = 3 }"#,
            json!({"x": [1, 2]}),
            "x type: it holds 2 numbers, 3 were expected",
        ),
        (
            r#"x = { from = "x", type = "uuid" }"#,
            json!({"x": "abc"}),
            "x type: it is not a UUID in lower case with hyphens",
        ),
        (
            r#"x = { from = "x", format = "email" }"#,
            json!({"x": "a@b"}),
            "x format: it is not an e-mail address",
        ),
        (
            r#"x = { from = "x", format = "url" }"#,
            json!({"x": "ftp://b"}),
            "x format: it is not an http or https URL",
        ),
        (
            r#"x = { from = "x", one_of = ["a", "b"] }"#,
            json!({"x": "c"}),
            r#"x one_of: it is none of "a", "b""#,
        ),
        (
            r#"x = { from = "x", type = "list", one_of = ["a"] }"#,
            json!({"x": ["a", "b"]}),
            r#"x one_of: it is none of "a""#,
        ),
        (
            r#"x = { from = "x", pattern = "a+|b" }"#,
            json!({"x": "aab"}),
            "x pattern: it does not match a+|b",
        ),
        (
            r#"x = { from = "x", type = "integer", min = 9007199254740993 }"#,
            json!({"x": 9_007_199_254_740_992_i64}),
            "x min: it is below 9007199254740993",
        ),
        (
            r#"x = { from = "x", type = "decimal", max = "0.3" }"#,
            serde_json::from_str(r#"{"x": 0.30000000000000000001}"#).unwrap(),
            r#"x max: it is above "0.3""#,
        ),
        (
            r#"x = { from = "x", type = "date", max = 2024-01-31 }"#,
            json!({"x": "2024-02-01"}),
            "x max: it is above 2024-01-31",
        ),
        (
            r#"x = { from = "x", min_length = 3 }"#,
            json!({"x": "äö"}),
            "x min_length: it has 2 characters, the least is 3",
        ),
        (
            r#"x = { from = "x", max_length = 2 }"#,
            json!({"x": "äöü"}),
            "x max_length: it has 3 characters, the most is 2",
        ),
        (
            r#"x = { from = "x", type = "list", max_length = 1 }"#,
            json!({"x": ["a", "b"]}),
            "x max_length: it has 2 elements, the most is 1",
        ),
        (
            r#"x = { from = "x", type = "list", store = { separated = ";" } }"#,
            json!({"x": ["a;b"]}),
            r#"x separator: an element holds ";", which separates them in the target"#,
        ),
        (
            r#"x = { from = "x" }"#,
            json!({"y": 1}),
            r#"y column: the plan has no column "y" of member"#,
        ),
        (
            r#"x = { run = "id" }"#,
            json!({"x": "1"}),
            "x column: only apply fills it in",
        ),
        (
            r#"x = { from = "x", ref = "member" }"#,
            json!({"x": "7"}),
            "x type: a reference to member was expected",
        ),
        (
            r#"x = { from = "x", lookup = { table = "t", by = "c" } }"#,
            json!({"x": "7"}),
            "x type: a code to look up was expected",
        ),
    ];
    for (column, fields, expected) in table {
        assert_eq!(one(column, fields), [expected], "{column}");
    }
}

#[test]
fn values_at_the_edge_of_a_rule_pass() {
    let table = [
        (
            r#"x = { from = "x", type = "integer", min = 9007199254740993 }"#,
            json!({"x": 9_007_199_254_740_993_i64}),
        ),
        (
            r#"x = { from = "x", type = "decimal", min = 0.1, max = 0.3 }"#,
            serde_json::from_str(r#"{"x": 0.300}"#).unwrap(),
        ),
        (
            r#"x = { from = "x", min_length = 3, max_length = 3 }"#,
            json!({"x": "äöü"}),
        ),
        (
            r#"x = { from = "x", pattern = "a+|b" }"#,
            json!({"x": "aa"}),
        ),
        (
            r#"x = { from = "x", type = "integer", one_of = [1, 2] }"#,
            json!({"x": 2}),
        ),
        (
            r#"x = { from = "x", format = "email", min_length = 9 }"#,
            json!({"x": null}),
        ),
        (r#"x = { from = "x", ref = "member" }"#, json!({"x": null})),
        (r#"x = { run = "id", required = true }"#, json!({})),
        ("x = { value = true }", json!({"x": true})),
        ("x = { value = 7, one_of = [7, 8] }", json!({"x": 7})),
        (
            "x = { from = \"x\", map = \"m\" }\n[map.m]\nvalues = { a = 1, b = \"two\" }\n",
            json!({"x": 1}),
        ),
    ];
    for (column, fields) in table {
        assert_eq!(one(column, fields), [""; 0], "{column}");
    }
}

#[test]
fn all_errors_of_a_record_are_named_at_once_in_plan_order() {
    let room = Room::new(
        "a = { from = \"a\", required = true }\nb = { from = \"b\", format = \"email\", max_length = 2 }\ns = { from = \"s\", ref = \"member\" }",
        "[[policy]]\nentity = \"member\"\nrule = \"n != 'x'\"\nmessage = \"it is x\"",
    );
    let mut record = member("1", 2, json!({"n": "x", "b": "c d"}));
    record["refs"] = json!({"s": {"entity": "member", "key": "9"}});
    assert_eq!(
        room.errors(&[record])["1"],
        [
            "a required: it is required, and missing",
            "b format: it is not an e-mail address",
            "b max_length: it has 3 characters, the most is 2",
            "s reference: member 9 is not in the input",
            " policy: it is x",
        ]
    );
}

#[test]
fn unknown_entities_and_wrong_shapes_are_named() {
    let room = Room::with_visits();
    let mut stranger = member("1", 2, json!({}));
    stranger["entity"] = json!("person");
    refused(
        &room.run(&[], &room.sealed(&[stranger.clone()])),
        4,
        "records of person from m.csv, which the seal does not know",
    );
    let output = room.run(&["--unsealed"], &format!("{stranger}\n"));
    assert_eq!(
        read(&output.stdout).rejects[0].errors[0].message,
        r#"the plan has no entity "person""#
    );

    let mut wrong = visit("v", 2, "1");
    wrong["refs"]["who"]["entity"] = json!("visit");
    let mut remap = member("r", 3, json!({}));
    remap["op"] = json!("remap");
    let errors = room.errors(&[member("", 4, json!({"n": "a"})), remap, wrong]);
    assert_eq!(
        errors["v"],
        [
            r#"who type: it refers to "visit", a reference to member was expected"#,
            "who reference: visit 1 is not in the input"
        ]
    );
    assert_eq!(errors["r"], [" key: a remap needs `to`"]);
    assert_eq!(errors[""], [" key: the key is empty"]);
}

#[test]
fn a_delete_needs_no_columns() {
    let room = Room::new(r#"x = { from = "x", required = true }"#, "");
    let mut delete = member("1", 2, json!({}));
    delete["op"] = json!("delete");
    assert!(room.errors(&[delete]).is_empty());
}

#[test]
fn two_records_with_one_key_or_one_unique_value_are_named_with_both_places() {
    let room = Room::new(
        "mail = { from = \"e\", unique = \"fold\" }\ncode = { from = \"c\", unique = true }",
        "",
    );
    let errors = room.errors(&[
        member("1", 2, json!({"mail": "ÄNN@example.org", "code": "a"})),
        member("2", 3, json!({"mail": "änn@example.org", "code": "A"})),
        member("1", 4, json!({"mail": null, "code": "b"})),
        member("3", 5, json!({"mail": null, "code": "b"})),
    ]);
    assert_eq!(
        errors["2"],
        ["mail unique: the record at m.csv:2 has the same value"]
    );
    assert_eq!(
        errors["1"],
        [" key: the record at m.csv:2 has the same key"]
    );
    assert_eq!(
        errors["3"],
        ["code unique: the record at m.csv:4 has the same value"]
    );
    assert_eq!(errors.len(), 3);
}

#[test]
fn references_lead_forwards_backwards_and_in_circles() {
    let room = Room::with_visits();
    let lines = [
        sponsored("a", 2, "b"),
        sponsored("b", 3, "a"),
        sponsored("c", 4, "c"),
        sponsored("d", 5, "e"),
        visit("v", 2, "e"),
        member("e", 6, json!({"n": "e"})),
    ];
    let output = room.run(&[], &room.sealed(&lines));
    assert_eq!(
        read(&output.stdout).keys,
        ["a", "b", "c", "d", "v", "e"],
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_rejected_record_takes_along_all_that_refer_to_it() {
    let room = Room::with_visits();
    let lines = [
        visit("v1", 2, "c"),
        sponsored("c", 2, "b"),
        sponsored("b", 3, "a"),
        member("a", 4, json!({"n": 1})),
        sponsored("d", 5, "p"),
        parse_reject("p", 6),
        visit("v2", 3, "nobody"),
        visit("v3", 4, "ok"),
        member("ok", 7, json!({"n": "ok"})),
    ];
    let output = room.run(&["--rejects", "r"], &room.sealed(&lines));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let out = read(&output.stdout);
    assert_eq!(out.keys, ["v3", "ok"]);
    let said: Vec<_> = out
        .rejects
        .iter()
        .map(|r| {
            (
                r.key.as_deref().unwrap(),
                r.errors[0].message.as_str(),
                r.errors[0].caused_by.as_ref().map(|to| to.key.as_str()),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("v1", "member c at m.csv:2 is rejected", Some("c")),
            ("c", "member b at m.csv:3 is rejected", Some("b")),
            ("b", "member a at m.csv:4 is rejected", Some("a")),
            ("a", "it is a number, text was expected", None),
            ("d", "member p at m.csv:6 is rejected", Some("p")),
            ("p", "it maps to nothing", None),
            ("v2", "member nobody is not in the input", None),
        ]
    );
    let seal = out.seal.unwrap();
    assert_eq!((seal.records, seal.rejected), (2, 6));
    let accounts: Vec<_> = seal
        .accounts
        .iter()
        .map(|a| (a.items, a.rejected, a.refused, a.records))
        .collect();
    assert_eq!(accounts, [(6, 1, 4, 1), (3, 0, 2, 1)]);
    // The file holds what this stage rejected; the rejects of parse have a file of their own.
    let file = read(&fs::read(room.path("r")).unwrap());
    assert_eq!(file.rejects.len(), 6);
    assert!(file.rejects.iter().all(|reject| reject.stage == "validate"));
    assert_eq!(
        fs::metadata(room.path("r")).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_record_that_may_be_in_the_target_only_is_not_missed_but_falls_with_a_rejected_one() {
    let room = Room::new(
        "",
        "who = { from = \"w\", ref = \"member\", outside = \"target\" }",
    );
    let errors = room.errors(&[
        visit("v1", 2, "elsewhere"),
        visit("v2", 3, "bad"),
        member("bad", 2, json!({"n": 1})),
    ]);
    assert_eq!(
        errors["v2"],
        ["who reference: member bad at m.csv:2 is rejected"]
    );
    assert_eq!(errors.len(), 2);
}

#[test]
fn policies_reject_or_warn_and_see_typed_columns() {
    let policies = r#"
[[policy]]
entity = "member"
rule = "!has(until) || until >= since"
message = "it ends before it starts"
[[policy]]
entity = "member"
rule = "has(note)"
message = "nobody wrote a note"
level = "warn"
"#;
    let room = Room::new(
        "since = { from = \"s\", type = \"timestamp\" }\nuntil = { from = \"u\", type = \"timestamp\" }\nnote = { from = \"o\" }",
        policies,
    );
    let lines = [
        member(
            "1",
            2,
            json!({"since": "2024-01-01T00:00:00Z", "until": "2024-01-01T00:00:00.5Z", "note": "x"}),
        ),
        member(
            "2",
            3,
            json!({"since": "2024-01-01T00:00:00.5Z", "until": "2024-01-01T00:00:00Z", "note": "x"}),
        ),
        member("3", 4, json!({"since": "2024-01-01T00:00:00Z"})),
        member(
            "4",
            5,
            json!({"since": "nonsense", "until": "2024-01-01T00:00:00Z", "note": "x"}),
        ),
    ];
    let errors = room.errors(&lines);
    assert_eq!(errors["2"], [" policy: it ends before it starts"]);
    assert_eq!(
        errors["4"].len(),
        1,
        "a rule about a wrong column is not asked: {errors:?}"
    );
    assert_eq!(errors.len(), 2);
    let said = stderr(&room.run(&[], &room.sealed(&lines)));
    assert!(
        said.contains("warning: member: nobody wrote a note: 1, the first at m.csv:4"),
        "{said}"
    );
}

#[test]
fn the_same_content_under_two_keys_is_counted() {
    let room = Room::new("", "");
    let lines = [
        member("1", 2, json!({"n": "x"})),
        member("2", 3, json!({"n": "x"})),
        member("3", 4, json!({"n": "x"})),
    ];
    let output = room.run(&["--quiet"], &room.sealed(&lines));
    assert_eq!(read(&output.stdout).keys.len(), 3);
    assert_eq!(
        stderr(&output),
        "validate: warning: member: it says the same as a record under another key: 2, the first at m.csv:2 and m.csv:3\n"
    );
}

#[test]
fn secrets_are_never_shown() {
    let room = Room::new(
        "pin = { from = \"p\", secret = true, min_length = 9, unique = true }\nnote = { from = \"o\", max_length = 5 }",
        "",
    );
    let lines = [
        member(
            "1",
            2,
            json!({"pin": "tr0ub4dor", "note": "Password: hunter2"}),
        ),
        member("2", 3, json!({"pin": "tr0ub4dor"})),
        member("3", 4, json!({"pin": "tr0ub4"})),
    ];
    let output = room.run(&["-v", "--rejects", "r"], &room.sealed(&lines));
    let rejects = read(&output.stdout).rejects;
    assert_eq!(rejects.len(), 3);
    for place in [
        stdout(&output),
        stderr(&output),
        fs::read_to_string(room.path("r")).unwrap(),
    ] {
        assert!(!place.contains("tr0ub4"), "{place}");
    }
    assert_eq!(rejects[2].errors[0].value, Some(json!("***")));
    assert_eq!(rejects[2].record["fields"]["pin"], json!("***"));
    let said = stderr(&output);
    assert!(
        said.contains("note holds what looks like a password") && !said.contains("hunter2"),
        "{said}"
    );
}

#[test]
fn the_summary_counts_by_entity_and_rule_and_names_the_first_rejects() {
    let room = Room::with_visits();
    let mut lines: Vec<_> = (0..12)
        .map(|n| member(&n.to_string(), n + 2, json!({"n": n})))
        .collect();
    lines.push(visit("v", 2, "0"));
    let output = room.run(&[], &room.sealed(&lines));
    let said = stderr(&output);
    for text in [
        "validate: m.csv:2: member 0: n: it is a number, text was expected (0)\n",
        "validate: … and 3 more rejects; -v names all\n",
        "validate: member: n type 12\n",
        "validate: visit: who reference 1\n",
        "validate: 13 records came in, 0 passed, 13 rejected\n",
    ] {
        assert!(said.contains(text), "{text} is not in\n{said}");
    }
    assert!(!said.contains("m.csv:13:"), "{said}");
    assert!(stderr(&room.run(&["-v"], &room.sealed(&lines))).contains("m.csv:13:"));
}

#[test]
fn each_limit_holds_at_its_edge() {
    // Of 100 that were judged `bad` are rejected, by parse or here.
    let run = |room: &Room, by_parse: u64, bad: u64| {
        let mut lines: Vec<_> = (0..100 - by_parse)
            .map(|n| {
                member(
                    &n.to_string(),
                    n + 2,
                    if n < bad - by_parse {
                        json!({"n": n})
                    } else {
                        json!({"n": n.to_string()})
                    },
                )
            })
            .collect();
        lines.extend((0..by_parse).map(|n| parse_reject(&format!("p{n}"), 200 + n)));
        room.run(&["--quiet", "--rejects", "r"], &room.sealed(&lines))
    };
    for room in [
        Room::new("", "").limits("5", "10"),
        Room::with_visits().limits("5.0", "10.0"),
    ] {
        for by_parse in [0, 4] {
            let output = run(&room, by_parse, 5);
            assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
            let output = run(&room, by_parse, 6);
            assert_eq!(
                (code(&output), stderr(&output).as_str()),
                (
                    0,
                    "validate: warning: 6 of 100 (6.0 %) rejected, more than 5 %\n"
                )
            );
            let output = run(&room, by_parse, 10);
            assert_eq!(code(&output), 0);
            assert!(stderr(&output).contains("10 of 100 (10.0 %) rejected, more than 5 %"));
            assert!(read(&fs::read(room.path("r")).unwrap()).seal.is_some());
            let output = run(&room, by_parse, 11);
            refused(
                &output,
                1,
                "11 of 100 (11.0 %) rejected, more than the limit of 10 %: no seal was written",
            );
            let file = read(&fs::read(room.path("r")).unwrap());
            assert_eq!(
                (file.rejects.len() as u64, file.seal.is_none()),
                (11 - by_parse, true)
            );
        }
    }
}

#[test]
fn mended_rejects_come_back_as_a_follow_up() {
    let room = Room::with_visits();
    let lines = [
        member("a", 2, json!({"n": 1})),
        member("b", 3, json!({"n": 2})),
        member("c", 4, json!({"n": 3})),
        member("ok", 5, json!({"n": "ok"})),
        visit("v", 2, "a"),
    ];
    let first = room.run(&["--rejects", "r"], &room.sealed(&lines));
    assert_eq!(
        (code(&first), read(&first.stdout).keys),
        (0, vec!["ok".to_owned()])
    );
    // `a` is mended and gets a sponsor who passed before, `b` is not, `c` is taken out.
    let mut kept: Vec<String> = fs::read_to_string(room.path("r"))
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    kept.remove(2);
    kept[0] = kept[0].replace(
        r#""fields":{"n":1}"#,
        r#""fields":{"n":"Ann"},"refs":{"sponsor":{"entity":"member","key":"ok"}}"#,
    );
    fs::write(room.path("mended"), kept.join("\n") + "\n").unwrap();
    let second = room.run(&["--from-rejects", "mended", "--rejects", "r2"], "");
    assert_eq!(code(&second), 0, "{}", stderr(&second));
    assert!(
        stderr(&second).contains("1 record taken out"),
        "{}",
        stderr(&second)
    );
    let out = read(&second.stdout);
    assert_eq!(out.keys, ["a", "v"]);
    let seal = out.seal.unwrap();
    assert!(seal.follow_up);
    assert_eq!((seal.records, seal.rejected, seal.filtered), (2, 1, 1));
    assert_eq!(seal.sources.len(), 1);
    assert_eq!(seal.before[0].stage, "rejects");
    // What is rejected again comes back the same way.
    let text = fs::read_to_string(room.path("r2"))
        .unwrap()
        .replace(r#""n":2"#, r#""n":"Bo""#);
    fs::write(room.path("r2"), text).unwrap();
    let third = room.run(&["--from-rejects", "r2"], "");
    assert_eq!(
        (code(&third), read(&third.stdout).keys),
        (0, vec!["b".to_owned()]),
        "{}",
        stderr(&third)
    );
}

#[test]
fn what_is_no_file_of_mended_rejects_is_refused_by_line() {
    let room = Room::with_visits();
    let from = |text: &str| {
        fs::write(room.path("r"), text).unwrap();
        room.run(&["--from-rejects", "r"], "")
    };
    let whole = room.sealed(&[parse_reject("p", 6)]);
    refused(
        &from(&whole),
        4,
        "r:1: member p of m.csv:6 was rejected by parse",
    );
    refused(
        &from(&room.sealed(&[member("a", 2, json!({}))])),
        4,
        "r:1: it is a record, not a reject",
    );
    room.run(
        &["--rejects", "good"],
        &room.sealed(&[member("a", 2, json!({"n": 1}))]),
    );
    let good = fs::read_to_string(room.path("good")).unwrap();
    let (reject, end) = good.split_once('\n').unwrap();
    refused(&from(&format!("{reject}\n")), 4, "without a seal");
    refused(
        &from(&format!("{reject}\n{reject}\n{end}")),
        4,
        "lines were added",
    );
    refused(
        &from(&format!(
            "{}\n{end}",
            reject.replace(
                r#""record":{"entity":"member""#,
                r#""record":{"entity":"visit""#
            )
        )),
        4,
        "no record of visit from m.csv was rejected",
    );
    refused(
        &from(&format!(
            "{}\n{end}",
            reject.replace(r#""key":"a","at""#, r#""at""#)
        )),
        4,
        "r:1: `record` is not a record",
    );
    refused(
        &from(&good.replace(r#""plan":""#, r#""plan":"0"#)),
        4,
        "64 lower-case hex digits",
    );
    let other = good.replace(
        &Digest::of(room.plan.as_bytes()).to_string(),
        &Digest::of(b"").to_string(),
    );
    refused(&from(&other), 4, "made by another plan");
    refused(
        &room.run(&["--from-rejects", "nowhere"], ""),
        5,
        "opening nowhere",
    );
}

#[test]
fn a_masked_secret_must_be_put_back() {
    let room = Room::new("pin = { from = \"p\", secret = true }", "");
    room.run(
        &["--rejects", "r"],
        &room.sealed(&[member("a", 2, json!({"n": 1, "pin": "1234"}))]),
    );
    let mended = fs::read_to_string(room.path("r"))
        .unwrap()
        .replace(r#""n":1"#, r#""n":"Ann""#);
    fs::write(room.path("r"), mended).unwrap();
    let output = room.run(&["--from-rejects", "r"], "");
    assert!(
        stderr(&output).contains("pin: its value was masked in the reject: put it back"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_stream_cut_at_any_byte_gets_no_seal() {
    for room in [Room::new("", ""), Room::with_visits()] {
        let whole = room.sealed(&[
            member("a", 2, json!({"n": "x"})),
            member("b", 3, json!({"n": 1})),
        ]);
        assert_eq!(code(&room.run(&[], &whole)), 0);
        for cut in (0..whole.len()).step_by(3).chain([whole.len() - 1]) {
            let output = room.run(&["--rejects", "r"], &whole[..cut]);
            assert_eq!(code(&output), 4, "cut at {cut}: {}", stderr(&output));
            assert!(!stdout(&output).contains(r#"{"end""#), "cut at {cut}");
        }
        assert_eq!(room.names(), ["migration.toml"]);
    }
}

#[test]
fn an_unsealed_stream_is_taken_when_asked_for_and_marked() {
    let room = Room::with_visits();
    let lines = format!(
        "{}\n{}\n{}\n",
        member("a", 2, json!({"n": "x"})),
        parse_reject("p", 3),
        visit("v", 2, "a")
    );
    refused(
        &room.run(&[], &lines),
        4,
        "ends after line 3 without a seal",
    );
    let output = room.run(&["--unsealed"], &lines);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("nothing vouches"));
    let seal = read(&output.stdout).seal.unwrap();
    assert!(seal.unsealed);
    let accounts: Vec<_> = seal
        .accounts
        .iter()
        .map(|a| (a.entity.as_str(), a.items, a.rejected, a.records))
        .collect();
    assert_eq!(accounts, [("member", 2, 1, 1), ("visit", 1, 0, 1)]);
    assert_eq!(
        code(&room.run(&["--unsealed"], &lines[..lines.len() - 1])),
        4
    );
}

#[test]
fn what_does_not_match_the_seal_is_refused() {
    let room = Room::with_visits();
    let lines = [member("a", 2, json!({"n": "x"}))];
    refused(
        &room.run(&[], &seal(Digest::of(b""), &lines)),
        4,
        "made by another plan",
    );
    let whole = room.sealed(&lines);
    refused(
        &room.run(&[], &format!("{}\n{whole}", member("b", 3, json!({})))),
        4,
        "lines were added",
    );
    refused(
        &room.run(&[], &format!("{whole}{whole}")),
        4,
        "line 3 of the input is not a record line: it comes after the seal",
    );
    refused(
        &room.run(&[], "{}\n"),
        4,
        "line 1 of the input is not a record line",
    );
    let filtered = room.run(&[], whole.split_once('\n').unwrap().1);
    assert!(
        stderr(&filtered).contains("warning: 1 record taken out before this stage"),
        "{}",
        stderr(&filtered)
    );
    assert_eq!(read(&filtered.stdout).seal.unwrap().filtered, 1);
}

#[test]
fn validating_twice_changes_nothing() {
    let room = Room::with_visits();
    let once = room.run(
        &[],
        &room.sealed(&[
            member("a", 2, json!({"n": 1})),
            member("b", 3, json!({"n": "b"})),
            visit("v", 2, "a"),
        ]),
    );
    let twice = room.run(&[], &stdout(&once));
    assert_eq!(code(&twice), 0, "{}", stderr(&twice));
    let without_seal = |output: &Output| {
        stdout(output)
            .lines()
            .filter(|line| !line.starts_with(r#"{"end""#))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(without_seal(&once), without_seal(&twice));
    assert_eq!(
        read(&twice.stdout).seal.unwrap().accounts,
        read(&once.stdout).seal.unwrap().accounts
    );
}

#[test]
fn the_output_depends_on_neither_zone_nor_locale() {
    let room = Room::with_visits();
    let input = room.sealed(&[
        sponsored("a", 2, "b"),
        member("b", 3, json!({"n": 1})),
        visit("v", 2, "a"),
    ]);
    let here = room.run(&[], &input);
    let there = feed(
        room.command(&[])
            .env("TZ", "Pacific/Auckland")
            .env("LC_ALL", "tr_TR.UTF-8"),
        &input,
    );
    assert_eq!(
        (stdout(&here), stderr(&here)),
        (stdout(&there), stderr(&there))
    );
}

#[test]
fn wrong_usage_and_wrong_plans_are_2() {
    let room = Room::new(
        "x = { from = \"x\", type = \"integer\", min = \"low\" }",
        "",
    );
    refused(
        &room.run(&[], ""),
        2,
        "`min` of x of member is \"low\", which is no value of its type",
    );
    refused(
        &room.run(&["--from-rejects", "r", "--unsealed"], ""),
        2,
        "cannot be used with",
    );
    refused(
        &room.run(&["--plan", "nowhere"], ""),
        2,
        "reading the plan nowhere",
    );
}

#[test]
fn an_output_that_cannot_be_written_is_5_and_leaves_nothing() {
    let room = Room::with_visits();
    let input = room.sealed(&[member("a", 2, json!({"n": "x"}))]);
    let run = |script: &str| {
        let script = script.replace("validate", env!("CARGO_BIN_EXE_validate"));
        feed(
            Command::new("bash")
                .args(["-c", &script])
                .current_dir(room.folder.path()),
            &input,
        )
    };
    refused(
        &run("validate > /dev/full"),
        5,
        "writing the output: No space left on device",
    );
    refused(
        &room.run(&["--rejects", "nowhere/r"], &input),
        5,
        "making nowhere/r",
    );
    refused(
        &run("TMPDIR=/nowhere validate"),
        5,
        "keeping lines in a temporary file in /nowhere",
    );
    let many: Vec<_> = (0..2000)
        .map(|n| member(&n.to_string(), n, json!({"n": "a line that is kept"})))
        .collect();
    let full = "trap '' XFSZ; ulimit -f 8; exec validate --rejects r"
        .replace("validate", env!("CARGO_BIN_EXE_validate"));
    let output = feed(
        Command::new("bash")
            .args(["-c", &full])
            .current_dir(room.folder.path()),
        &room.sealed(&many),
    );
    refused(&output, 5, "keeping lines in a temporary file");
    assert_eq!(room.names(), ["migration.toml"]);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let room = Room::new("", "");
    let many: Vec<_> = (0..5000)
        .map(|n| member(&n.to_string(), n, json!({"n": n.to_string()})))
        .collect();
    let script = format!(
        "{} | head -n 1; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_validate")
    );
    let output = feed(
        Command::new("bash")
            .args(["-c", &script])
            .current_dir(room.folder.path()),
        &room.sealed(&many),
    );
    assert_eq!((code(&output), stderr(&output).as_str()), (141, ""));
}

#[test]
fn help_names_every_exit_code() {
    let help = stdout(&Room::new("", "").run(&["--help"], ""));
    for word in [
        "Examples:",
        "Exit codes:",
        "  0 ",
        "  1 ",
        "  2 ",
        "  4 ",
        "  5 ",
        "  141 ",
        "--from-rejects",
        "--rejects",
    ] {
        assert!(help.contains(word), "{word:?} is not in:\n{help}");
    }
}
