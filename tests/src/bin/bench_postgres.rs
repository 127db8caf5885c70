//! What apply, verify and rollback take on PostgreSQL, beside `psql \copy`, pgloader and dlt, on one
//! server in one run: `bench_postgres [ROWS…]`, 100,000 and 1,000,000 rows if none are named.
//!
//! Every load goes into an empty table of its own database. The server is a throwaway one of the
//! tests' own; with `$SWITCHBACK_PG_DURABLE` it syncs its files as any server does. A peer that is
//! missing ends the bench with the command that installs it.
#![allow(
    clippy::unwrap_used,
    reason = "a tool for measuring: it may end with a panic"
)]

use std::io::{self, Write};
use std::process::{Command, Stdio};
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

fn ours(room: &Room, rows: u64, batch: &str, table: &mut Table) {
    let database = Database::with(SCHEMA);
    let to = database.url();
    let args = ["--quiet", "B", "--batch-size", batch, "--to", &to];
    let took = stage(room, "apply", &args, ["", "run"], rows, 0);
    table.add("apply", batch, rows, (took.time, took.peak));
    assert_eq!(
        database.ask("SELECT count(*) FROM member"),
        rows.to_string()
    );
    let run = room.read("run").trim().to_owned();
    let args = ["--quiet", &run, "--to", &to];
    let took = stage(room, "verify", &args, ["", "out"], rows, 0);
    table.add("verify, all records", batch, rows, (took.time, took.peak));
    let args = ["--quiet", &run, "--batch-size", batch, "--to", &to];
    let took = stage(room, "rollback", &args, ["", "out"], rows, 0);
    table.add("rollback", batch, rows, (took.time, took.peak));
    assert_eq!(database.ask("SELECT count(*) FROM member"), "0");
}

fn main() {
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
        for batch in BATCHES {
            ours(&room, rows, batch, &mut table);
        }
    }
}
