//! Folders for copies of a database: for their owner alone, and gone with the process, or with the next one
//! where it was killed.

use std::fs::{self, File, Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// What such folders are called, followed by a word that is another each time.
const PREFIXES: [&str; 2] = ["rollback-", "rehearsal-"];

/// The file in such a folder that its process holds locked.
const OWNER: &str = "owner";

/// A folder among the temporary files. It goes when this is dropped; what a process that was killed left there
/// goes when the next folder is made.
#[derive(Debug)]
pub struct PrivateFolder {
    folder: tempfile::TempDir,
    /// Locked as long as the process lives, in whatever PID namespace.
    _owner: File,
}

impl PrivateFolder {
    /// Makes a folder for a rollback that is tried.
    ///
    /// # Errors
    ///
    /// The folder for temporary files can't be written.
    pub fn for_rollback() -> io::Result<Self> {
        Self::new(&std::env::temp_dir(), PREFIXES[0])
    }

    /// Makes a folder for a rehearsal.
    ///
    /// # Errors
    ///
    /// The folder for temporary files can't be written.
    pub fn for_rehearsal() -> io::Result<Self> {
        Self::new(&std::env::temp_dir(), PREFIXES[1])
    }

    fn new(place: &Path, prefix: &str) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.tempdir_in(place)?;
        // It gets its name once it is locked: a lock that can be had is that of a process that is gone.
        let owner = folder.path().join("owner.new");
        let locked = File::create_new(&owner)?;
        locked.lock().ok();
        fs::rename(&owner, folder.path().join(OWNER))?;
        let made = fs::symlink_metadata(folder.path())?;
        for left in left_behind(place, &made) {
            fs::remove_dir_all(left).ok();
        }
        Ok(Self {
            folder,
            _owner: locked,
        })
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The folders of processes that are gone and were this user's.
fn left_behind(place: &Path, mine: &Metadata) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let folder = fs::symlink_metadata(entry.path());
        PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            && folder.is_ok_and(|folder| folder.is_dir() && same_user(&folder, mine))
    });
    let gone = ours.filter(|entry| {
        let owner = entry.path().join(OWNER);
        let owner = fs::symlink_metadata(&owner)
            .and_then(|found| found.is_file().then(|| File::open(&owner)).transpose());
        match owner {
            Ok(Some(owner)) => match owner.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
            },
            _ => false,
        }
    });
    gone.map(|entry| entry.path()).collect()
}

#[cfg(unix)]
fn same_user(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    one.uid() == other.uid()
}

#[cfg(not(unix))]
fn same_user(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_left_that_is_gone_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let living = PrivateFolder::new(place.path(), "rollback-").unwrap();
        fs::write(living.path().join("apart.db"), "secret").unwrap();
        let make = |name: &str, file: &str| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(file), "secret").unwrap();
            folder
        };
        let dead = make("rehearsal-x1", OWNER);
        let theirs = [
            make("rollback-notes", "notes.txt"),
            make("other-x1", OWNER),
            make("rollback-y", "owner.new"),
        ];
        let next = PrivateFolder::new(place.path(), "rehearsal-").unwrap();
        assert!(!dead.exists());
        assert!(living.path().join("apart.db").exists());
        assert!(theirs.iter().all(|folder| folder.exists()));
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_look_into_it() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::new(place.path(), "rollback-").unwrap();
        let mode = fs::metadata(folder.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
