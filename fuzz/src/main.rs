//! Plays every target for some time: `fuzz SECONDS [TARGET [SEED]]`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use fuzz::{TARGETS, Target, drive, target, watch};
use rustix::process::{Resource, Rlimit, setrlimit};

/// What a target may take of memory, in bytes.
const MEMORY: u64 = 2 << 30;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seconds = args.first().and_then(|text| text.parse().ok());
    let Some(seconds) = seconds else {
        writeln!(io::stderr(), "fuzz SECONDS [TARGET [SEED]]").ok();
        return ExitCode::from(2);
    };
    match args.get(1).map(|name| target(name)) {
        Some(Some(one)) => {
            let seed = args.get(2).and_then(|text| text.parse().ok()).unwrap_or(1);
            play(one, Duration::from_secs(seconds), seed)
        }
        Some(None) => {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            writeln!(io::stderr(), "the targets are {}", names.join(", ")).ok();
            ExitCode::from(2)
        }
        None => all(&args[0]),
    }
}

/// Plays all, each in a process of its own: one that dies of an input leaves the others.
fn all(seconds: &str) -> ExitCode {
    let mut failed = false;
    for target in &TARGETS {
        let played = std::env::current_exe()
            .and_then(|program| Command::new(program).args([seconds, target.name]).status());
        match played {
            Ok(status) if status.success() => {}
            Ok(status) => {
                failed = true;
                writeln!(io::stderr(), "{}: {status}", target.name).ok();
            }
            Err(error) => {
                failed = true;
                writeln!(io::stderr(), "{}: {error}", target.name).ok();
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

fn play(target: &Target, time: Duration, seed: u64) -> ExitCode {
    let memory = Rlimit {
        current: Some(MEMORY),
        maximum: Some(MEMORY),
    };
    if let Err(error) = setrlimit(Resource::As, memory) {
        writeln!(
            io::stderr(),
            "{}: the memory can't be limited: {error}",
            target.name
        )
        .ok();
    }
    // Files of each input go to memory, where the system has such a place.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let folder = match folder {
        Ok(folder) => folder.keep(),
        Err(error) => {
            writeln!(io::stderr(), "no folder to work in: {error}").ok();
            return ExitCode::from(5);
        }
    };
    watch(&folder);
    match drive(target, &folder, time, seed) {
        Ok(played) => {
            writeln!(io::stderr(), "{}: {played} inputs", target.name).ok();
            fs::remove_dir_all(&folder).ok();
            ExitCode::SUCCESS
        }
        Err(found) => {
            let place = folder.join("current");
            writeln!(
                io::stderr(),
                "{}: {}\nthe input is {}",
                target.name,
                found.message,
                place.display()
            )
            .ok();
            ExitCode::FAILURE
        }
    }
}
