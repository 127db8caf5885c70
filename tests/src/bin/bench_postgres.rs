//! What apply, verify and rollback take on PostgreSQL, beside `psql \copy`, pgloader and dlt, on one
//! server in one run: `bench_postgres [ROWS…]`, 100,000 and 1,000,000 rows if none are named.
//!
//! Every load goes into an empty table of its own database. The server is a throwaway one of the
//! tests' own; with `$SWITCHBACK_PG_DURABLE` it syncs its files as any server does. A peer that is
//! missing ends the bench with the command that installs it. It fails where the most rows take longer each,
//! or more memory, than the fewest.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a tool for measuring: it may end with a panic, and its ratios are rounded"
)]

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use tests::measure::{PLAN, members, stage, watch};
use tests::postgres::Database;
use tests::{Room, Target};

const SCHEMA: &str = "CREATE TABLE member (id bigint PRIMARY KEY, first_name text NOT NULL,
  last_name text NOT NULL, email text NOT NULL UNIQUE, phone text, status text NOT NULL,
  level text NOT NULL, joined date NOT NULL, renewal date NOT NULL, balance numeric(10,2) NOT NULL, notes text)";

const BATCHES: [&str; 3] = ["50", "1000", "10000"];

/// The same rows by dlt, as its documentation has it.
const DLT: &str = r#"
import csv, dlt, sys
def rows():
    with open("members.csv", newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)
pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(sys.argv[1]), dataset_name="dlt", pipelines_dir=sys.argv[2])
pipeline.run(rows(), table_name="member", primary_key="User ID", write_disposition="append")
"#;

struct Table {
    out: io::Stdout,
    /// How long `\copy` took for these rows.
    copy: Duration,
    /// What was measured: by what, and in which batches.
    lines: BTreeMap<(String, String), Vec<Line>>,
}

struct Line {
    rows: u64,
    time: Duration,
    /// KiB.
    peak: u64,
}

impl Table {
    fn add(&mut self, what: &str, batch: &str, rows: u64, (time, peak): (Duration, u64)) {
        let millis = u64::try_from(time.as_millis()).unwrap().max(1);
        let copy = u64::try_from(self.copy.as_millis()).unwrap();
        let part = copy * 1000 / millis;
        writeln!(
            self.out,
            "| {what} | {rows} | {batch} | {}.{:02} | {} | {}.{:03} | {} |",
            millis / 1000,
            millis % 1000 / 10,
            rows * 1000 / millis,
            part / 1000,
            part % 1000,
            peak / 1024
        )
        .unwrap();
        let lines = self.lines.entry((what.into(), batch.into()));
        lines.or_default().push(Line { rows, time, peak });
    }

    /// What was promised and is not so, in words.
    fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for ((what, batch), lines) in self
            .lines
            .iter()
            .filter(|((_, batch), _)| !batch.is_empty())
        {
            let (first, last) = (&lines[0], &lines[lines.len() - 1]);
            // A row takes as long in a large table as in a small one, but for deeper indexes.
            let each = |line: &Line| line.time.as_secs_f64() / line.rows as f64;
            if each(last) * 0.7 > each(first) {
                broken.push(format!(
                    "{what} in batches of {batch}: {} rows took {:.2?}, {} took {:.2?}",
                    first.rows, first.time, last.rows, last.time
                ));
            }
            if !what.starts_with("verify") && last.peak * 2 > first.peak * 3 {
                broken.push(format!(
                    "{what} in batches of {batch}: {} KiB for the most rows is over 1.5 times {} KiB for the fewest",
                    last.peak, first.peak
                ));
            }
        }
        broken
    }
}

/// Finds a program, or says how it is installed.
fn needs(program: &str, install: &str) {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status();
    assert!(found.unwrap().success(), "{program} is missing: {install}");
}

fn peers(room: &Room, rows: u64, table: &mut Table) {
    let database = Database::with(SCHEMA);
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-d", &database.url(), "-c"])
        .arg("\\copy member FROM members.csv WITH (FORMAT csv, HEADER)")
        .current_dir(room.path(""));
    let took = watch(&mut psql);
    assert_eq!(
        database.ask("SELECT count(*) FROM member"),
        rows.to_string()
    );
    table.copy = took.0;
    table.add("psql \\copy", "", rows, took);

    let database = Database::with(SCHEMA);
    let load = format!(
        "LOAD CSV FROM 'members.csv' INTO {} TARGET TABLE public.member WITH skip header = 1, \
         fields terminated by ',', fields optionally enclosed by '\"', fields escaped by double-quote;\n",
        database.url()
    );
    room.write("members.load", load);
    let mut pgloader = Command::new("pgloader");
    pgloader
        .args(["--quiet", "members.load"])
        .current_dir(room.path(""));
    let took = watch(pgloader.stdout(Stdio::null()));
    let loaded = database.ask("SELECT count(*) FROM member");
    assert_eq!(loaded, rows.to_string(), "pgloader");
    table.add("pgloader", "", rows, took);

    let database = Database::with("");
    room.write("load.py", DLT);
    let mut dlt = Command::new("python3");
    // It wants a password, whether the server does or not.
    dlt.args(["load.py", &database.url().replace("app@", "app:any@")])
        .arg(room.path("dlt"))
        .current_dir(room.path(""))
        .env("RUNTIME__DLTHUB_TELEMETRY", "false");
    let took = watch(dlt.stdout(Stdio::null()));
    assert_eq!(
        database.ask("SELECT count(*) FROM dlt.member"),
        rows.to_string()
    );
    table.add("dlt", "", rows, took);
}

fn ours(room: &Room, rows: u64, batch: &str, gathered: bool, table: &mut Table) {
    let database = Database::with(SCHEMA);
    let to = database.url();
    let mut args = vec!["--quiet", "B", "--batch-size", batch, "--to", &to];
    let mut what = "apply";
    if gathered {
        what = "apply --commit-every 200";
        args.extend(["--commit-every", "200"]);
    }
    let took = stage(room, "apply", &args, ["", "run"], rows, 0);
    table.add(what, batch, rows, (took.time, took.peak));
    assert_eq!(
        database.ask("SELECT count(*) FROM member"),
        rows.to_string()
    );
    if gathered {
        return;
    }
    let run = room.read("run").trim().to_owned();
    let args = ["--quiet", &run, "--to", &to];
    let took = stage(room, "verify", &args, ["", "out"], rows, 0);
    table.add("verify, all records", batch, rows, (took.time, took.peak));
    let args = ["--quiet", &run, "--batch-size", batch, "--to", &to];
    let took = stage(room, "rollback", &args, ["", "out"], rows, 0);
    table.add("rollback", batch, rows, (took.time, took.peak));
    assert_eq!(database.ask("SELECT count(*) FROM member"), "0");
}

fn main() -> ExitCode {
    needs("psql", "apt-get install -y postgresql-client");
    needs(
        "pgloader",
        "apt-get install -y --no-install-recommends pgloader",
    );
    let dlt = Command::new("python3").args(["-c", "import dlt"]).status();
    assert!(
        dlt.unwrap().success(),
        "dlt is missing: pip install 'dlt[postgres]'"
    );
    let given: Vec<u64> = std::env::args()
        .skip(1)
        .map(|arg| arg.parse().unwrap())
        .collect();
    let sizes = if given.is_empty() {
        vec![100_000, 1_000_000]
    } else {
        given
    };
    let mut table = Table {
        out: io::stdout(),
        copy: Duration::ZERO,
        lines: BTreeMap::new(),
    };
    writeln!(
        table.out,
        "| what | rows | batch | seconds | rows/s | of \\copy | peak MiB |"
    )
    .unwrap();
    writeln!(table.out, "|---|---:|---:|---:|---:|---:|---:|").unwrap();
    for rows in sizes {
        let room = Room::new(Target::Sqlite);
        room.write("migration.toml", PLAN);
        members(&room, rows, "+1").unwrap();
        let _ = room.bundle("B");
        peers(&room, rows, &mut table);
        ours(&room, rows, BATCHES[0], true, &mut table);
        for batch in BATCHES {
            ours(&room, rows, batch, false, &mut table);
        }
    }
    let broken = table.broken();
    for what in &broken {
        eprintln!("bench: {what}");
    }
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
