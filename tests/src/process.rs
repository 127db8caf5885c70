//! Running the programs.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// No program of a test works as long as this: one that does is in an endless loop.
const DEADLINE: Duration = Duration::from_secs(600);

/// How a program ended, and what it said.
#[derive(Debug, Clone)]
pub struct Done {
    /// The exit code, or 128 + n where signal n ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// Asserts the exit code, showing what was said if it is another.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(
            self.code, expected,
            "exit {} instead of {expected}\nstdout: {}\nstderr: {}",
            self.code, self.out, self.err
        );
        self
    }

    /// Asserts that standard error holds all of these.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.err.contains(part),
                "stderr lacks {part:?}:\n{}",
                self.err
            );
        }
        self
    }

    /// Asserts that standard output holds all of these.
    #[track_caller]
    pub fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.out.contains(part),
                "stdout lacks {part:?}:\n{}\nstderr: {}",
                self.out,
                self.err
            );
        }
        self
    }

    /// Returns standard output without the line feed at its end: a run ID, a bundle ID.
    #[must_use]
    pub fn id(&self) -> String {
        self.out.trim_end().to_owned()
    }
}

/// Returns the path of one of the programs: they lie beside the test program, one folder up.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let folder = me.parent().unwrap();
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap()
    } else {
        folder
    };
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `just test` (cargo build --workspace --bins, then cargo test)",
        path.display()
    );
    path
}

/// Returns a command that runs one of the programs in a folder, deaf to the caller's environment.
#[must_use]
pub fn command<A: AsRef<OsStr>>(
    name: &str,
    folder: &Path,
    args: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(program(name));
    let args: Vec<A> = args.into_iter().collect();
    // Tests of apply write their own record lines and bundle them as they are.
    let unvalidated = |arg: &A| {
        let manifest = std::fs::read_to_string(folder.join(arg.as_ref()).join("manifest.json"));
        let stages = manifest.map(|manifest| manifest.split_whitespace().collect::<String>());
        stages.is_ok_and(|stages| !stages.contains(r#""stage":"validate""#))
    };
    if name.ends_with("apply") && args.iter().any(unvalidated) {
        command.arg("--unvalidated");
    }
    command
        .args(args)
        .current_dir(folder)
        .env_remove("MIGRATION_PLAN")
        .env_remove("DATABASE_URL")
        // Each time, so that a run has the same steps again.
        .env("SWITCHBACK_CHECKPOINT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts a command.
#[must_use]
pub fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap()
}

/// Waits for the end of a child, and kills one that does not end. With `input`, writes it to its standard input first.
#[must_use]
pub fn finish(mut child: Child, input: Option<Vec<u8>>) -> Done {
    let writer = input.map(|bytes| {
        let mut pipe = child.stdin.take().unwrap();
        // A child that ends early closes the pipe: that is its business.
        std::thread::spawn(move || pipe.write_all(&bytes).ok())
    });
    let (ended, end) = mpsc::channel::<()>();
    let pid = child.id().to_string();
    let watch = std::thread::spawn(move || {
        let late = end.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout);
        late && Command::new("kill").args(["-KILL", &pid]).status().is_ok()
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    assert!(
        !watch.join().unwrap(),
        "it did not end within {} s: {}",
        DEADLINE.as_secs(),
        String::from_utf8_lossy(&output.stderr)
    );
    if let Some(writer) = writer {
        writer.join().unwrap();
    }
    output.into()
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let signal = || output.status.signal().map(|n| 128 + n);
        Self {
            code: output.status.code().or_else(signal).unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Describes this process as the one that holds the lock of a target, for a run: it is alive.
#[must_use]
pub fn holder(operator: &str, run: &str) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap().trim().to_owned();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
    let stat = read("/proc/self/stat");
    let started = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19);
    serde_json::json!({
        "host": read("/proc/sys/kernel/hostname"), "boot": read("/proc/sys/kernel/random/boot_id"),
        "pid_ns": namespace, "process": std::process::id(), "started": started,
        "operator": operator, "run": run,
    })
    .to_string()
}
