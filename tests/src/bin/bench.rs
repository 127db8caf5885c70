//! What each stage takes: `bench [ROWS…]`, 100,000 and 1,000,000 rows if none are named.
//!
//! Makes a CSV of members, runs the programs on it one after the other, each from a file to a file,
//! and prints a table. Peak memory is the kernel's own mark (`VmHWM`), read every 2 ms until the
//! process ends. Then every phone number changes: a run of updates, applied and taken back before the
//! run of inserts is. Fails if a rollback takes longer than the apply of its run, or if parse, bundle or
//! a rollback takes over 1.5 times the memory for the most rows that it takes for the fewest.
#![allow(
    clippy::unwrap_used,
    reason = "a tool for measuring: it may end with a panic"
)]

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use tests::{Room, Seed, command, db};

const PLAN: &str = r#"
name = "bench"
system = "bench"
[[entity]]
name = "member"
source = { format = "csv", files = ["members.csv"], key = "User ID" }
table = "member"
id = { column = "id", from = "key" }
[entity.fields]
first_name = { from = "First name", required = true }
last_name = { from = "Last name", required = true }
email = { from = "Email", apply = ["trim", "lower"], required = true, unique = true, format = "email" }
phone = { from = "Phone" }
status = { from = "Membership status", required = true }
level = { from = "Membership level", map = "level", required = true }
joined = { from = "Member since", type = "date", required = true }
renewal = { from = "Renewal due", type = "date", required = true }
balance = { from = "Balance", type = "decimal", required = true }
notes = { from = "Notes" }
[map.level.values]
"Individual" = "INDIVIDUAL"
"Family" = "FAMILY"
"Student" = "STUDENT"
"Senior" = "SENIOR"
"Corporate" = "CORPORATE"
"Lifetime" = "LIFETIME"
"Board, honorary" = "BOARD"
"#;

const SCHEMA: &str = "CREATE TABLE member (id INTEGER PRIMARY KEY, first_name TEXT NOT NULL,
  last_name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, phone TEXT, status TEXT NOT NULL,
  level TEXT NOT NULL, joined TEXT NOT NULL, renewal TEXT NOT NULL, balance TEXT NOT NULL, notes TEXT)";

const HEADER: &str = "User ID,First name,Last name,Email,Phone,Membership status,Membership level,\
                      Member since,Renewal due,Balance,Notes\r\n";
const FIRST: [&str; 12] = [
    "Anna",
    "Ben",
    "Carla",
    "Inès",
    "Jürgen",
    "María",
    "Søren",
    "Zoë",
    "Łukasz",
    "美咲",
    "Андрей",
    "Ελένη",
];
const LAST: [&str; 10] = [
    "Smith",
    "O'Brien",
    "García",
    "Müller-Lüdenscheidt",
    "Nguyen",
    "Kowalski",
    "Çelik",
    "van\u{a0}Dijk",
    "Yamamoto",
    "Lee",
];
const STATUS: [&str; 5] = ["Active", "Active", "Lapsed", "Pending - New", "Suspended"];
const LEVEL: [&str; 7] = [
    "Individual",
    "Family",
    "Student",
    "Senior",
    "Corporate",
    "Lifetime",
    "\"Board, honorary\"",
];
const NOTE: [&str; 7] = [
    "\"Asked for the \"\"gold\"\" badge, twice\"",
    "\"Line one\nline two, with a comma\nand a third\"",
    "Zahlung per Überweisung – bitte prüfen",
    "\"Spouse: \"\"Pat\"\", shares login; see ticket #4411\"",
    "\"会員証は再発行済み, confirmed by phone\"",
    "tab\there and a trailing space ",
    "\"Volunteer ✓ (kitchen, doors, clean-up)\"",
];

/// Writes the same bytes for the same number of rows, everywhere. A quarter of the rows has notes; the
/// phone numbers begin with `phone`.
fn members(room: &Room, rows: u64, phone: &str) -> io::Result<()> {
    let out = &mut BufWriter::new(File::create(room.path("members.csv"))?);
    let mut seed = Seed::fixed(20_260_101);
    write!(out, "{HEADER}")?;
    for n in 1..=rows {
        let mut pick = |words: &'static [&'static str]| {
            words[usize::try_from(seed.below(words.len() as u64)).unwrap()]
        };
        let (first, last, status, level) = (pick(&FIRST), pick(&LAST), pick(&STATUS), pick(&LEVEL));
        let note = pick(&NOTE);
        let note = if seed.below(4) == 0 { note } else { "" };
        let (year, month, day) = (
            2009 + seed.below(11),
            1 + seed.below(12),
            1 + seed.below(28),
        );
        let cents = if seed.below(3) == 0 {
            seed.below(32_768)
        } else {
            0
        };
        write!(
            out,
            "{n},{first},{last},member{n:07}@example.org,{phone}-555-{:03}-{:04},{status},{level},\
             {year}-{month:02}-{day:02},{}-{month:02}-{day:02},{}.{:02},{note}\r\n",
            seed.below(1000),
            seed.below(10_000),
            year + 1 + seed.below(12),
            cents / 100,
            cents % 100
        )?;
    }
    out.flush()
}

/// What a stage took.
struct Took {
    stage: &'static str,
    rows: u64,
    bytes: u64,
    time: Duration,
    peak: u64,
}

impl Took {
    fn line(&self) -> String {
        let millis = u64::try_from(self.time.as_millis()).unwrap().max(1);
        let tenths = self.bytes * 10 / 1000 / millis;
        format!(
            "| {} | {} | {}.{:02} | {} | {}.{} | {} |",
            self.stage,
            self.rows,
            millis / 1000,
            millis % 1000 / 10,
            self.rows * 1000 / millis,
            tenths / 10,
            tenths % 10,
            self.peak / 1024
        )
    }
}

/// Reads the peak of a process, in KiB; 0 where it has ended.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or(0)
}

/// Runs a stage from a file to a file, and measures it. `bytes` is what it reads.
fn stage(
    room: &Room,
    stage: &'static str,
    args: &[&str],
    files: [&str; 2],
    rows: u64,
    bytes: u64,
) -> Took {
    let input = match files[0] {
        "" => Stdio::null(),
        name => File::open(room.path(name)).unwrap().into(),
    };
    let output = File::create(room.path(files[1])).unwrap();
    let program = stage.split(',').next().unwrap();
    let mut command = command(program, &room.path(""), args);
    command.stdin(input).stdout(output).stderr(Stdio::inherit());
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut most = 0;
    let status = loop {
        most = most.max(peak(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let time = began.elapsed();
    assert!(status.success(), "{stage} ended with {status}");
    Took {
        stage,
        rows,
        bytes,
        time,
        peak: most,
    }
}

fn measure(rows: u64) -> Vec<Took> {
    let room = Room::with(PLAN, &[], SCHEMA);
    let size = |name: &str| fs::metadata(room.path(name)).unwrap().len();
    let to = room.url();
    let mut took = Vec::new();
    let mut runs = Vec::new();
    for (phone, bundle, applies) in [
        ("+1", "inserts", "apply, inserts"),
        ("+44", "updates", "apply, updates"),
    ] {
        members(&room, rows, phone).unwrap();
        let csv = size("members.csv");
        let parse = stage(&room, "parse", &["--quiet"], ["", "records"], rows, csv);
        let records = size("records");
        let measured =
            |name, args: &[&str], files, bytes| stage(&room, name, args, files, rows, bytes);
        let validate = measured("validate", &["--quiet"], ["records", "good"], records);
        let args = ["--quiet", "-o", bundle];
        let bundled = measured("bundle", &args, ["good", "id"], records + csv);
        if runs.is_empty() {
            took.extend([parse, validate, bundled]);
        }
        let args = ["--quiet", bundle, "--to", &to];
        took.push(measured(applies, &args, ["", "run"], records));
        runs.push((room.read("run").trim().to_owned(), records));
        if runs.len() == 1 {
            let args = ["--quiet", &runs[0].0, "--to", &to];
            took.push(measured("verify", &args, ["", "out"], records));
        }
    }
    let changed = "SELECT count(*) FROM member WHERE phone LIKE '+44%'";
    assert_eq!(db::ask(&room.path("t.db"), changed), rows.to_string());
    for (name, left) in [("rollback, updates", rows), ("rollback, inserts", 0)] {
        let (run, records) = runs.pop().unwrap();
        let args = ["--quiet", &run, "--to", &to];
        took.push(stage(&room, name, &args, ["", "out"], rows, records));
        let count = "SELECT count(*), count(*) FILTER (WHERE phone LIKE '+44%') FROM member";
        assert_eq!(db::ask(&room.path("t.db"), count), format!("{left}|0"));
    }
    took
}

/// What was promised and is not so, in words.
fn broken(all: &[Took]) -> Vec<String> {
    let of = |stage: &'static str| all.iter().filter(move |took| took.stage == stage);
    let mut broken = Vec::new();
    for stage in ["parse", "bundle", "rollback, inserts", "rollback, updates"] {
        let (Some(first), Some(last)) = (of(stage).next(), of(stage).next_back()) else {
            continue;
        };
        if last.peak * 2 > first.peak * 3 {
            broken.push(format!(
                "{stage}: {} KiB for the most rows is over 1.5 times {} KiB for the fewest",
                last.peak, first.peak
            ));
        }
    }
    for (back, forth) in [
        ("rollback, inserts", "apply, inserts"),
        ("rollback, updates", "apply, updates"),
    ] {
        for (back, forth) in of(back).zip(of(forth)) {
            if back.time > forth.time {
                broken.push(format!(
                    "{} of {} rows took {:.2?}, longer than the apply of that run, {:.2?}",
                    back.stage, back.rows, back.time, forth.time
                ));
            }
        }
    }
    broken
}

fn main() -> ExitCode {
    let given: Vec<u64> = std::env::args()
        .skip(1)
        .map(|arg| arg.parse().unwrap())
        .collect();
    let sizes = if given.is_empty() {
        vec![100_000, 1_000_000]
    } else {
        given
    };
    let mut out = io::stdout();
    writeln!(out, "| stage | rows | seconds | rows/s | MB/s | peak MiB |").unwrap();
    writeln!(out, "|---|---:|---:|---:|---:|---:|").unwrap();
    let mut all = Vec::new();
    for rows in sizes {
        for took in measure(rows) {
            writeln!(out, "{}", took.line()).unwrap();
            all.push(took);
        }
    }
    let broken = broken(&all);
    for what in &broken {
        eprintln!("bench: {what}");
    }
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
