//! Where a target is: the one place that reads a target's URL.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use contract::plan::Retention;
use system::Signals;

use crate::ledger::Run;
use crate::undo::Undo;
use crate::{
    Fingerprint, Postgres, PostgresUrl, Restore, Restored, Snapshot, Sql, Sqlite, StoreError,
    Target, Writer,
};

/// Where a target is. What it prints never holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetUrl {
    /// `sqlite:PATH`.
    Sqlite(PathBuf),
    /// `postgres://USER@HOST:PORT/DATABASE`.
    Postgres(PostgresUrl),
}

/// A copy of a target. A scratch database goes when this is dropped; a file goes with its folder.
pub struct Copied {
    url: TargetUrl,
    scratch: Option<crate::postgres::Scratch>,
}

impl Copied {
    /// Returns where the copy is.
    #[must_use]
    pub fn url(&self) -> &TargetUrl {
        &self.url
    }

    /// Returns what people should know of the copy.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        self.scratch.as_ref().map_or(&[], |scratch| scratch.notes())
    }

    /// Removes the copy.
    ///
    /// # Errors
    ///
    /// It is still there: how it is removed by hand.
    pub fn remove(self) -> Result<(), StoreError> {
        self.scratch.map_or(Ok(()), |mut scratch| scratch.remove())
    }
}

impl FromStr for TargetUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", "")) => Err("sqlite: names no file".into()),
            Some(("sqlite", ":memory:")) => {
                Err("a database in memory ends with the program: name a file, sqlite:PATH".into())
            }
            // Others write a login or options there: what may be secret is never repeated.
            Some(("sqlite", path)) if path.starts_with("//") || path.starts_with("file:") => {
                Err("a SQLite target is the path of a file and nothing else: sqlite:PATH".into())
            }
            Some(("sqlite", path)) => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => text.parse().map(Self::Postgres),
            Some(("dir", _)) => Err("a folder is not a target of this version yet".into()),
            _ => Err("a target is written sqlite:PATH or postgres://USER@HOST/DATABASE".into()),
        }
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl TargetUrl {
    /// Returns the URL with all that it holds, a password too: never to be shown, only for the
    /// environment of another program of ours.
    #[must_use]
    pub fn whole(&self) -> String {
        match self {
            Self::Sqlite(_) => self.to_string(),
            Self::Postgres(url) => url.whole(),
        }
    }

    /// Returns the passwords that the URL and the environment hold for it: to be kept from others.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let Self::Postgres(url) = self else {
            return vec![];
        };
        let environment = std::env::var("PGPASSWORD").ok();
        let secrets = url.passwords().map(str::to_owned).chain(environment);
        secrets.filter(|secret| !secret.is_empty()).collect()
    }

    /// Returns what the plan's environments are recognised by: the target with its absolute path,
    /// links resolved, and as it was written. Never a password.
    #[must_use]
    pub fn descriptions(&self) -> Vec<String> {
        match self {
            Self::Sqlite(path) => {
                let real = std::fs::canonicalize(path).ok();
                let written = std::path::absolute(path).ok();
                let mut found: Vec<String> = [real.as_ref(), written.as_ref(), Some(path)]
                    .into_iter()
                    .flatten()
                    .map(|path| format!("sqlite:{}", path.display()))
                    .collect();
                found.dedup();
                found
            }
            Self::Postgres(url) => vec![url.to_string()],
        }
    }

    /// Says what a transaction that stays open keeps from others, after the target's name.
    #[must_use]
    pub fn kept_from_others(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "is locked for writing",
            Self::Postgres(_) => {
                "has the rows that are touched locked for writing, and other runs kept out,"
            }
        }
    }

    /// Copies the target as it stands, reading it alone: to a file in `folder`, or to a scratch database
    /// on the same server whose name goes on with `mark`.
    ///
    /// # Errors
    ///
    /// It can't be read, or is not known before the journal of a crash was put back; there is no room
    /// for the copy, or the login may not make it; a signal came. Nothing is left of the copy.
    pub fn copy(&self, folder: &Path, mark: &str, signals: &Signals) -> Result<Copied, StoreError> {
        match self {
            Self::Sqlite(from) => {
                let path = folder.join("copy.db");
                Sqlite::open_untouched(from)?.copy_to(&path)?;
                Ok(Copied {
                    url: Self::Sqlite(path),
                    scratch: None,
                })
            }
            Self::Postgres(url) => {
                let scratch = crate::postgres::Scratch::fill(url, mark, signals)?;
                Ok(Copied {
                    url: Self::Postgres(scratch.url().clone()),
                    scratch: Some(scratch),
                })
            }
        }
    }

    /// Returns the content of every table but the ledger's. What two databases of one kind hold can be
    /// compared by it.
    ///
    /// # Errors
    ///
    /// It can't be read.
    pub fn contents(&self) -> Result<BTreeMap<String, Fingerprint>, StoreError> {
        match self {
            Self::Sqlite(path) => Sqlite::open_reader(path)?.contents(),
            Self::Postgres(url) => Postgres::open_reader(url)?.contents(),
        }
    }

    /// Takes a snapshot before a run: a copy in `folder` (usually `.switchback/snapshots` beside the
    /// target), read back and durable when this returns. A signal ends the programs that make it.
    ///
    /// # Errors
    ///
    /// The target can't be read or is damaged, there is no room; nothing is left of the copy.
    pub fn snapshot(
        &self,
        folder: Option<&Path>,
        run: &str,
        taken: i64,
        signals: &Signals,
    ) -> Result<Snapshot, StoreError> {
        match self {
            Self::Sqlite(path) => crate::sqlite::take_snapshot(path, folder, run, taken),
            Self::Postgres(url) => crate::postgres::take_snapshot(url, folder, run, taken, signals),
        }
    }

    /// Returns the folders in which work on the target may leave files behind.
    #[must_use]
    pub fn snapshot_folders(&self) -> Vec<PathBuf> {
        match self {
            Self::Sqlite(path) => crate::sqlite::folders(path),
            Self::Postgres(_) => crate::postgres::folders(),
        }
    }

    /// Tells for how many days a file of this name in one of these folders is kept, if it is one that
    /// work on the target left behind.
    #[must_use]
    pub fn leftover(&self, name: &str, keep: Retention) -> Option<u32> {
        match self {
            Self::Sqlite(path) => crate::sqlite::leftover(path, name, keep),
            Self::Postgres(url) => crate::postgres::leftover(url, name, keep),
        }
    }

    /// Returns the ID of the run before which this file was taken, if it is a snapshot of the target.
    #[must_use]
    pub fn run_of(&self, file: &Path) -> Option<String> {
        match self {
            Self::Sqlite(path) => crate::sqlite::run_of(path, file),
            Self::Postgres(url) => crate::postgres::run_of(url, file),
        }
    }

    /// Says why the snapshot of before a run can't be restored as the target is now, if that can be told
    /// beforehand.
    ///
    /// # Errors
    ///
    /// Why; what the target said.
    pub fn check_restore(&self, file: &Path, run: &Run) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(url) => crate::postgres::check_restore(url, file, run.seq),
        }
    }

    /// Puts a snapshot in the place of the target, in one step; the ledger's history stays.
    ///
    /// # Errors
    ///
    /// The snapshot is not what the ledger says, somebody uses the target, there is no room: the
    /// target is then as it was.
    pub fn restore(&self, wish: &Restore<'_>) -> Result<Restored, StoreError> {
        match self {
            Self::Sqlite(path) => crate::sqlite::restore(path, wish),
            Self::Postgres(url) => crate::postgres::restore(url, wish),
        }
    }

    /// Opens the target for writing.
    ///
    /// # Errors
    ///
    /// It can't be reached, or can't be written.
    pub fn open(&self) -> Result<Box<dyn Target>, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Box::new(Writer::new(Sqlite::open(path)?))),
            Self::Postgres(url) => Ok(Box::new(Writer::new(Postgres::open(url)?))),
        }
    }

    /// Opens the target for writing, to take runs back.
    ///
    /// # Errors
    ///
    /// It can't be reached, or can't be written.
    pub fn open_to_undo(&self) -> Result<Box<dyn Undo>, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Box::new(Sqlite::open(path)?)),
            Self::Postgres(url) => Ok(Box::new(Postgres::open(url)?)),
        }
    }

    /// Opens the target for reading alone, in one snapshot.
    ///
    /// # Errors
    ///
    /// It can't be reached.
    pub fn read(&self) -> Result<Box<dyn Sql>, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Box::new(Sqlite::open_reader(path)?)),
            Self::Postgres(url) => Ok(Box::new(Postgres::open_reader(url)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_target_and_errors_never_repeat_it() {
        assert_eq!(
            "sqlite:a/b.db".parse(),
            Ok(TargetUrl::Sqlite("a/b.db".into()))
        );
        for bad in [
            "postgres://u:sec/secret@h/db",
            "mysql://u:secret@h",
            "sqlite://u:secret@h/d.db",
            "sqlite:file:d.db?key=secret",
            "sqlite::memory:",
            "secret",
            "sqlite:",
        ] {
            let error = bad.parse::<TargetUrl>().unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
