//! Measuring the programs: members to migrate, and what a stage takes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Room, Seed, command};

/// The plan of the members.
pub const PLAN: &str = r#"
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
///
/// # Errors
///
/// The file can't be written.
pub fn members(room: &Room, rows: u64, phone: &str) -> io::Result<()> {
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
#[derive(Debug)]
pub struct Took {
    /// The program, and what it did.
    pub stage: &'static str,
    /// How many rows.
    pub rows: u64,
    /// How many bytes it read.
    pub bytes: u64,
    /// From start to end.
    pub time: Duration,
    /// The most memory, in KiB.
    pub peak: u64,
}

impl Took {
    /// A line of the table.
    pub fn line(&self) -> String {
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

/// Reads the most memory that a process has had, in KiB; 0 where it has ended.
#[must_use]
pub fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or(0)
}

/// Runs a stage from a file to a file, and measures it. `bytes` is what it reads.
pub fn stage(
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
    let (time, peak) = watch(&mut command);
    Took {
        stage,
        rows,
        bytes,
        time,
        peak,
    }
}

/// Runs a command, which must succeed, and returns how long it took, and the most memory that the
/// process had, in KiB.
pub fn watch(command: &mut Command) -> (Duration, u64) {
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
    assert!(status.success(), "{command:?} ended with {status}");
    (time, most)
}
