//! Layer 2: the plain programs under `strace`, killed or given an error at the Nth system call of
//! each kind. (`when=` counts a kind of call by itself: one kind at a time.)

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::lab::{Lab, Place, each, judge_exit, run};
use tests::{Target, db};

/// What a program says to a server, and what it hears.
pub const TALK: &[&str] = &["sendto", "recvfrom"];

/// Makes a command run under strace, which sees only these calls, on these paths alone.
fn traced(command: &Command, paths: &[PathBuf], calls: &[&str], options: &[&str]) -> Command {
    let here = Command::new("strace").arg("-V").output();
    assert!(here.is_ok(), "strace is missing: apt-get install -y strace");
    let mut traced = Command::new("strace");
    traced.args(["-qq", "-e", &format!("trace={}", calls.join(","))]);
    // Those who talk for a program, `pg_dump` and the thread of COMMIT, have words of their own.
    traced.args((!calls.iter().all(|call| TALK.contains(call))).then_some("-f"));
    traced.args(options);
    for path in paths {
        traced.arg("-P").arg(path);
    }
    traced.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced.current_dir(command.get_current_dir().unwrap());
    traced.stdin(std::process::Stdio::piped());
    traced.stdout(std::process::Stdio::piped());
    traced.stderr(std::process::Stdio::piped());
    traced
}

/// Counts the calls of each kind by the thread that makes most of them.
pub fn count(
    command: &Command,
    paths: &[PathBuf],
    calls: &[&str],
    log: &Path,
    input: Option<Vec<u8>>,
) -> BTreeMap<String, u64> {
    let options = ["-o", log.to_str().unwrap()];
    let _ = run(
        &mut traced(command, paths, calls, &options),
        Some(input.unwrap_or_default()),
    )
    .code(0);
    let mut threads: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let text = fs::read_to_string(log).unwrap();
    for line in text.lines() {
        // `1234 fsync(5)`; while there is one thread alone without its number.
        let words: Vec<&str> = line.split('(').next().unwrap().split_whitespace().collect();
        let thread = if words.len() > 1 { words[0] } else { "" };
        *threads.entry((thread, words[words.len() - 1])).or_default() += 1;
    }
    // `when=` counts the calls of each thread by itself.
    let mut counted = BTreeMap::new();
    for ((_, call), count) in threads {
        let most: &mut u64 = counted.entry(call.to_owned()).or_default();
        *most = count.max(*most);
    }
    counted
}

/// Names every point: `KILL:pwrite64:17`, `EIO:fsync:3`.
pub fn points(kinds: &[(&str, &[&str])], counted: &BTreeMap<String, u64>) -> Vec<String> {
    let mut points = Vec::new();
    for (what, calls) in kinds {
        for call in *calls {
            let count = counted.get(*call).copied().unwrap_or(0);
            points.extend((1..=count).map(|n| format!("{what}:{call}:{n}")));
        }
    }
    points
}

/// Makes a command meet its fault at a point.
pub fn inject(command: &Command, paths: &[PathBuf], point: &str) -> Command {
    let mut words = point.split(':');
    let mut word = || words.next().unwrap();
    let (what, call, n) = (word(), word(), word());
    let what = if what == "KILL" {
        "signal=KILL".to_owned()
    } else {
        format!("error={what}")
    };
    let fault = format!("inject={call}:{what}:when={n}");
    let options = ["-o", "/dev/null", "-e", &fault];
    traced(command, paths, &[call], &options)
}

/// The paths of a database, and of what apply keeps beside it.
fn paths(place: &Place) -> Vec<PathBuf> {
    let mut paths = vec![place.folder.clone()];
    for name in [
        "t.db",
        "t.db-journal",
        "t.db-wal",
        "t.db-shm",
        ".migration-checkpoint.json",
    ] {
        paths.push(place.path(name));
    }
    paths
}

const KILL: &[&str] = &[
    "pwrite64",
    "fsync",
    "unlink",
    "openat",
    "ftruncate",
    "rename",
];
const EIO: &[&str] = &[
    "pwrite64",
    "fsync",
    "unlink",
    "openat",
    "ftruncate",
    "pread64",
    "rename",
];
const ENOSPC: &[&str] = &["pwrite64", "openat"];

/// `program` applies at every call of each kind; the database is in this journal mode.
fn apply_at_every_call(test: &str, program: &str, mode: &str, kinds: &[(&str, &[&str])]) {
    let lab = Lab::on(Target::Sqlite);
    db::run(
        &lab.path("before.db"),
        &format!("PRAGMA journal_mode = {mode}"),
    );
    let calls: Vec<&str> = kinds
        .iter()
        .flat_map(|(_, calls)| calls.iter().copied())
        .collect();
    let place = lab.place("count");
    let apply = lab.apply_by(program, &place);
    let counted = count(&apply, &paths(&place), &calls, &lab.path("log"), None);
    each(test, points(kinds, &counted), |point| {
        let place = lab.place(point);
        let apply = lab.apply_by(program, &place);
        let done = run(&mut inject(&apply, &paths(&place), point), None);
        // The copy is judged; the original is left as the fault left it, a hot journal and all, for
        // the program that goes on to be the first to open it.
        let twin = place.copy();
        lab.judge(&twin);
        judge_exit(&done, crate::steps::kills(point), &twin);
        lab.mend_beside(&place, &twin);
        twin.remove();
        place.remove();
    });
}

#[test]
fn apply_killed_at_every_system_call() {
    let test = "calls::apply_killed_at_every_system_call";
    apply_at_every_call(test, "apply", "DELETE", &[("KILL", KILL)]);
}

#[test]
fn apply_given_an_error_at_every_system_call() {
    let test = "calls::apply_given_an_error_at_every_system_call";
    apply_at_every_call(test, "apply", "DELETE", &[("EIO", EIO), ("ENOSPC", ENOSPC)]);
}

#[test]
fn apply_to_a_wal_database_killed_or_given_an_error_at_every_system_call() {
    let test = "calls::apply_to_a_wal_database_killed_or_given_an_error_at_every_system_call";
    apply_at_every_call(test, "apply", "WAL", &[("KILL", KILL), ("EIO", EIO)]);
}

/// The long form: locks too, and every batch in a commit of its own.
#[test]
#[ignore = "the long form: just faults"]
fn apply_with_a_commit_a_batch_at_every_system_call() {
    let test = "calls::apply_with_a_commit_a_batch_at_every_system_call";
    let kinds = [
        ("KILL", KILL),
        ("EIO", EIO),
        ("ENOSPC", ENOSPC),
        ("KILL", &["fcntl"]),
        ("EIO", &["fcntl"]),
    ];
    apply_at_every_call(test, "crash/apply", "DELETE", &kinds);
}

#[test]
fn rollback_killed_at_every_system_call() {
    let lab = Lab::on(Target::Sqlite);
    let place = lab.applied("count");
    let rollback = |place: &Place| Lab::rollback_by("rollback", place, tests::lab::RUN);
    let kinds = [("KILL", KILL)];
    let counted = count(
        &rollback(&place),
        &paths(&place),
        KILL,
        &lab.path("log"),
        None,
    );
    each(
        "calls::rollback_killed_at_every_system_call",
        points(&kinds, &counted),
        |point| {
            let place = lab.applied(point);
            let _ = run(&mut inject(&rollback(&place), &paths(&place), point), None);
            lab.judge_undone(&place);
            lab.take_back(&place);
            place.remove();
        },
    );
}

/// A filter that meets an error ends with 5 and without a seal; talk that is lost is no error.
fn filter_at_every_call(
    test: &str,
    program: &str,
    paths: &[PathBuf],
    kinds: &[(&str, &[&str])],
    input: Option<&[u8]>,
) {
    let lab = Lab::on(Target::Sqlite);
    let paths: Vec<PathBuf> = paths.iter().map(|path| lab.root().join(path)).collect();
    let filter = tests::command(program, lab.root(), ["--rejects", "rejects.ndjson"]);
    let whole = run(
        traced(&filter, &[], &["write"], &["-o", "/dev/null"]).stdin(Stdio::piped()),
        input.map(<[u8]>::to_vec),
    )
    .code(0);
    let calls: Vec<&str> = kinds
        .iter()
        .flat_map(|(_, calls)| calls.iter().copied())
        .collect();
    let counted = count(
        &filter,
        &paths,
        &calls,
        &lab.path("log"),
        input.map(<[u8]>::to_vec),
    );
    each(test, points(kinds, &counted), |point| {
        let done = run(
            &mut inject(&filter, &paths, point),
            Some(input.unwrap_or_default().to_vec()),
        );
        match done.code {
            0 => assert_eq!(done.out, whole.out),
            // A seal stands only behind all that it speaks of.
            5 => assert!(
                !done.out.contains("{\"end\"") || done.out == whole.out,
                "{}",
                done.err
            ),
            other => panic!("exit {other}: {}", done.err),
        }
    });
}

#[test]
fn parse_given_an_error_at_every_read() {
    let sources = ["people.csv", "visits.csv", "leavers.csv"].map(PathBuf::from);
    let kinds: [(&str, &[&str]); 1] = [("EIO", &["read", "openat"])];
    filter_at_every_call(
        "calls::parse_given_an_error_at_every_read",
        "parse",
        &sources,
        &kinds,
        None,
    );
}

#[test]
fn validate_given_an_error_at_every_write() {
    let stream = Lab::on(Target::Sqlite).stream();
    let kinds: [(&str, &[&str]); 1] = [("ENOSPC", &["write", "fsync", "rename"])];
    filter_at_every_call(
        "calls::validate_given_an_error_at_every_write",
        "validate",
        &[],
        &kinds,
        Some(&stream),
    );
}
