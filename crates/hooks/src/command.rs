//! A command: started as it is, without a shell; what it says goes to standard error.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Runs a command to its end, or to that of its time: then it is killed, with all it started. Its environment
/// is what is given, and nothing else.
///
/// # Errors
///
/// In words.
pub(crate) fn run(
    command: &[String],
    environment: &[(String, String)],
    timeout: Duration,
) -> Result<(), String> {
    let Some((program, args)) = command.split_first() else {
        return Err("it names no program".into());
    };
    // Our standard output is data.
    let stderr = io::stderr().as_fd().try_clone_to_owned();
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(stderr.map_or_else(|_| Stdio::null(), Stdio::from))
        .process_group(0)
        .spawn()
        .map_err(|error| format!("{program} could not be started: {error}"))?;
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return ended(status),
            Ok(None) if began.elapsed() < timeout => std::thread::sleep(LOOK),
            Ok(None) => {
                kill(&mut child);
                return Err(format!(
                    "it took longer than {} s and was killed",
                    timeout.as_secs()
                ));
            }
            Err(error) => return Err(format!("its end could not be seen: {error}")),
        }
    }
}

fn kill(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        kill_process_group(group, Signal::KILL).ok();
    }
    child.kill().ok();
    child.wait().ok();
}

fn ended(status: ExitStatus) -> Result<(), String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("it ended with {code}")),
        (None, signal) => Err(format!("signal {} ended it", signal.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, timeout: u64) -> Result<(), String> {
        let command = ["sh", "-c", script].map(String::from);
        run(
            &command,
            &[
                ("SWITCHBACK_RUN".into(), "r1".into()),
                ("PATH".into(), std::env::var("PATH").unwrap()),
            ],
            Duration::from_millis(timeout),
        )
    }

    #[test]
    fn a_command_is_judged_by_its_exit_code_and_knows_the_run() {
        assert_eq!(sh("test \"$SWITCHBACK_RUN\" = r1", 5000), Ok(()));
        assert_eq!(sh("exit 7", 5000), Err("it ended with 7".into()));
        assert_eq!(sh("kill -9 $$", 5000), Err("signal 9 ended it".into()));
        let missing = run(&["/no/such".into()], &[], Duration::from_secs(1)).unwrap_err();
        assert!(missing.contains("could not be started"), "{missing}");
    }

    #[test]
    fn one_that_hangs_is_killed_with_all_it_started() {
        let began = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let late = folder.path().join("late");
        let script = format!("(sleep 1; touch '{}') & sleep 60", late.display());
        assert!(sh(&script, 200).unwrap_err().contains("was killed"));
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!late.exists(), "what it started lives on");
    }
}
