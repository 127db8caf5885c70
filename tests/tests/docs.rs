//! README, help texts and exit codes say what the programs do.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use contract::Exit;
use tests::{Case, Done, Room, Target, command, finish, program, repository, spawn};

tests::both!(a_full_disk_is_told_by_every_filter);

const PROGRAMS: [&str; 6] = ["parse", "validate", "bundle", "apply", "rollback", "verify"];

fn readme() -> String {
    fs::read_to_string(repository().join("README.md")).unwrap()
}

/// Returns the blocks that open with a fence and these words.
fn blocks(text: &str, words: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block: Option<(bool, String)> = None;
    for line in text.lines() {
        match &mut block {
            None => {
                if let Some(info) = line.strip_prefix("```") {
                    block = Some((info == words, String::new()));
                }
            }
            Some(_) if line == "```" => {
                found.extend(block.take().filter(|block| block.0).map(|block| block.1));
            }
            Some((_, lines)) => {
                lines.push_str(line);
                lines.push('\n');
            }
        }
    }
    found
}

/// Puts a fixed word in place of what differs from run to run: long hex, run IDs, times, folders,
/// who ran it where.
fn masked(text: &str) -> Vec<String> {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let digits = bare.chars().filter(char::is_ascii_digit).count();
        let hex = bare.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let time = bare.ends_with('Z') && bare.contains('T') && digits == 14;
        if (bare.len() >= 16 && hex && digits > 0) || time || word.contains("/tmp") {
            "*".to_owned()
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| {
        let line = line.split(" by ").next().unwrap_or_default();
        line.split_whitespace()
            .map(word)
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines().map(line).collect()
}

/// Every command of the README that is marked `sh test` works, in the order given, and what the
/// README shows of it (`text test`) is what it says.
#[test]
fn the_commands_of_the_readme_work_and_say_what_it_shows() {
    let readme = readme();
    let room = Room::new(Target::Sqlite);
    let script = blocks(&readme, "sh test").concat();
    assert!(script.contains("parse | validate | bundle"), "{script}");
    let folder = program("parse").parent().unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{script}")])
        .current_dir(repository())
        .env("PATH", path)
        .env("TMPDIR", room.path(""))
        .env_remove("MIGRATION_PLAN")
        .env_remove("DATABASE_URL");
    let done = Done::from(shell.output().unwrap());
    assert_eq!(done.code, 0, "{}", done.out);
    let said = masked(&done.out);
    for block in blocks(&readme, "text test") {
        for line in masked(&block).iter().filter(|line| !line.is_empty()) {
            assert!(
                said.contains(line),
                "README shows {line:?}, which nothing said:\n{}",
                done.out
            );
        }
    }
}

#[test]
fn the_exit_codes_of_the_readme_are_those_of_the_programs() {
    let readme = readme();
    let row = |code: Exit| match code {
        Exit::Done => "| 0 |",
        Exit::No => "| 1 |",
        Exit::Usage => "| 2 |",
        Exit::Partial => "| 3 |",
        Exit::Refused => "| 4 |",
        Exit::Unreachable => "| 5 |",
        Exit::Locked => "| 11 |",
        Exit::Bug => "| 101 |",
        Exit::Interrupted => "| 130 |",
        Exit::ReaderLeft => "| 141 |",
        Exit::Terminated => "| 143 |",
    };
    let all = [
        Exit::Done,
        Exit::No,
        Exit::Usage,
        Exit::Partial,
        Exit::Refused,
        Exit::Unreachable,
        Exit::Locked,
        Exit::Bug,
        Exit::Interrupted,
        Exit::ReaderLeft,
        Exit::Terminated,
    ];
    for exit in all {
        assert_eq!(row(exit), format!("| {} |", exit as u8));
        let rows = readme
            .lines()
            .filter(|line| line.starts_with(row(exit)))
            .count();
        assert_eq!(rows, 1, "README's rows for exit {}", exit as u8);
    }
    let rows = readme.lines().filter(|line| {
        let cell = line
            .strip_prefix("| ")
            .and_then(|line| line.split(' ').next());
        cell.is_some_and(|cell| cell.parse::<u8>().is_ok()) && line.matches('|').count() == 3
    });
    assert_eq!(rows.count(), all.len(), "one row a code");
}

#[test]
fn every_dependency_has_its_row_in_the_readme() {
    let readme = readme();
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("[workspace.dependencies]\n").unwrap();
    let names = rest
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = "));
    for (name, _) in names.filter(|(_, value)| !value.contains("path = ")) {
        assert!(
            readme.contains(&format!("| `{name}` |")),
            "README has no row for {name}"
        );
    }
}

#[test]
fn every_recipe_is_in_the_readme() {
    let justfile = fs::read_to_string(repository().join("justfile")).unwrap();
    let readme = readme();
    let mut private = false;
    for line in justfile.lines() {
        let name = line.split([' ', ':']).next().unwrap_or_default();
        let recipe = line.starts_with(|c: char| c.is_ascii_lowercase())
            && line.contains(':')
            && !line.contains(":=");
        if recipe && !private && name != "default" {
            assert!(
                readme.contains(&format!("just {name}")),
                "README does not say what `just {name}` does"
            );
        }
        if recipe || line == "[private]" {
            private = line == "[private]";
        }
    }
}

/// The help texts of all six programs are one file: a change of a flag is seen in review.
#[test]
fn help_is_as_the_snapshot_says() {
    let room = Room::new(Target::Sqlite);
    let mut all = String::new();
    for name in PROGRAMS {
        let mut command = command(name, &room.path(""), ["--help"]);
        let done = finish(spawn(command.env("COLUMNS", "100")), None).code(0);
        writeln!(all, "$ {name} --help\n{}", done.out).unwrap();
    }
    let path = repository().join("tests/snapshots/help.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &all).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    tests::db::same(&all, &known, "help changed: `just accept` if it should");
}

#[test]
fn every_program_knows_its_name_and_version() {
    let room = Room::new(Target::Sqlite);
    for name in PROGRAMS {
        let done = room.run(name, &["--version"]).code(0);
        assert_eq!(done.out, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
    }
}

/// Exit codes and stdout when stdout can't be written: data lost is an error, talk lost is not.
fn a_full_disk_is_told_by_every_filter(case: Case) {
    let room = Room::example(case, "lessons");
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let mut parse = command("parse", &room.path(""), [] as [&str; 0]);
    let done = finish(spawn(parse.stdout(full())), None).code(5);
    assert!(done.err.starts_with("parse: "), "{}", done.err);
    room.bundle("B");
    let url = room.url();
    let mut apply = command("apply", &room.path(""), ["B", "--to", &url]);
    let _ = finish(spawn(apply.stdout(full())), None).code(3);
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "completed");
}
