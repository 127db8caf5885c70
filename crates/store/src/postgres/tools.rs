//! PostgreSQL's own programs for dumps: where they are, and how they reach the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use system::Signals;

use super::connect::Postgres;
use super::url::PostgresUrl;
use crate::StoreError;

/// A folder with `pg_dump` and `pg_restore` that know the server.
pub(super) struct Tools {
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
    pub(super) signals: Signals,
}

impl Tools {
    /// Finds the newest: in `$PG_BIN` alone where that is set, else on the path, where `pg_config`
    /// says, and where Debian has them. `what` they are for goes into a refusal; a signal ends them.
    pub(super) fn find(
        target: &Postgres,
        url: &PostgresUrl,
        what: &str,
        signals: &Signals,
    ) -> Result<Self, StoreError> {
        let asked = "SELECT current_setting('server_version_num')::int8 / 10000";
        let rows = target.look(asked, &[])?;
        let server = rows.first().and_then(|row| row[0].int()).unwrap_or(0);
        let mut best: Option<(i64, PathBuf)> = None;
        for folder in folders() {
            if let Some(version) = version(&folder)
                && best.as_ref().is_none_or(|(other, _)| version > *other)
            {
                best = Some((version, folder));
            }
        }
        let found = match best {
            Some((version, folder)) if version >= server => {
                let environment = url.environment().map_err(StoreError::refused)?;
                return Ok(Self {
                    folder,
                    environment,
                    signals: signals.clone(),
                });
            }
            Some((version, folder)) => format!("{} has those of {version}", folder.display()),
            None => "none are found".into(),
        };
        Err(StoreError::refused(format!(
            "{what} of this server needs pg_dump and pg_restore of PostgreSQL {server} or later, {found}: install \
             them (Debian: apt-get install postgresql-client-{server}), or name their folder in $PG_BIN"
        )))
    }

    /// Makes a command. All that leads to the server stands in its environment, where other users
    /// can't read the password.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command
            .env_remove("DATABASE_URL")
            .env_remove("PGSERVICE")
            .env_remove("PGHOSTADDR")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("PGAPPNAME", "switchback snapshot")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end and returns what it said on stdout.
    pub(super) fn run(&self, program: &str, args: &[&str]) -> Result<String, StoreError> {
        let mut command = self.command(program);
        command.args(args).stdout(Stdio::piped());
        let output = self
            .signals
            .output(command.stderr(Stdio::piped()))
            .map_err(|error| self.failed(program, &error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(self.ended_badly(program, &output))
    }

    /// Says how a program ended that failed, and the last that it said.
    fn ended_badly(&self, program: &str, output: &Output) -> StoreError {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.trim().lines().collect();
        let said = said[said.len().saturating_sub(3)..].join("; ");
        self.failed(program, &format!("{}: {said}", output.status))
    }

    pub(super) fn failed(&self, program: &str, why: &str) -> StoreError {
        StoreError::Unreachable {
            message: format!("{}: {why}", self.folder.join(program).display()),
        }
    }
}

fn folders() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("PG_BIN") {
        return vec![named.into()];
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    found.extend(versions.flatten().map(|entry| entry.path().join("bin")));
    found
}

/// Returns the version of a folder's `pg_dump`: `pg_dump (PostgreSQL) 15.14 (Debian 15.14-0)`.
fn version(folder: &Path) -> Option<i64> {
    if !folder.join("pg_restore").is_file() || !folder.join("pg_dump").is_file() {
        return None;
    }
    let output = Command::new(folder.join("pg_dump"))
        .arg("--version")
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, version) = said.split_once("(PostgreSQL) ")?;
    version
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}
