//! Files beside their place that go away unless they get their name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use system::crash_point;
use system::files::{create_private, folder_of, sync_folder};

use crate::StoreError;

/// What SQLite may leave beside a file.
pub(crate) const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

/// A file that goes when it is dropped, unless it was given its name.
pub(crate) struct Temporary {
    pub(crate) path: PathBuf,
}

impl Temporary {
    /// Creates a file beside `place`, readable by its owner alone.
    pub(crate) fn beside(place: &Path) -> Result<Self, StoreError> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let path = place.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        create_private(&path).map_err(failed(&path))?;
        let new = Self { path };
        // A journal that a process of this number left would be played back into the new file.
        for end in BESIDE {
            match fs::remove_file(beside(&new.path, end)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&new.path)(error));
                }
                _ => {}
            }
        }
        Ok(new)
    }

    /// Syncs it and gives it its name, which lasts once the folder is synced.
    pub(crate) fn name(self, place: &Path) -> Result<(), StoreError> {
        let named = || {
            crash_point!("snapshot.sync");
            File::open(&self.path)?.sync_all()?;
            crash_point!("snapshot.rename");
            fs::rename(&self.path, place)
        };
        named().map_err(failed(place))
    }

    /// The same, and syncs the folder. What fails leaves nothing of this name.
    pub(crate) fn commit(self, place: &Path) -> Result<(), StoreError> {
        let synced = || sync_folder(folder_of(place)).map_err(failed(place));
        let done = self.name(place).and_then(|()| synced());
        if done.is_err() {
            fs::remove_file(place).ok();
        }
        done
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing of this name any more.
        fs::remove_file(&self.path).ok();
        for end in BESIDE {
            fs::remove_file(beside(&self.path, end)).ok();
        }
    }
}

/// Returns the path whose name goes on like this.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Returns what names the path of an error of the system.
pub(crate) fn failed(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| StoreError::Unreachable {
        message: format!("{}: {error}", path.display()),
    }
}

/// Makes a folder that its owner alone can enter, and returns where it is.
pub(crate) fn make_folder(folder: &Path) -> Result<PathBuf, StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(folder).and_then(|()| folder.canonicalize());
    made.map_err(failed(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_a_process_of_this_number_left_is_not_played_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("club.db");
        fs::write(&path, "a database").unwrap();
        let place = folder.path().join("club.db.r.snapshot");
        let temporary = Temporary::beside(&place).unwrap();
        let left = BESIDE.map(|end| beside(&temporary.path, end));
        for file in &left {
            fs::write(file, "of another file").unwrap();
        }
        std::mem::forget(temporary);
        let temporary = Temporary::beside(&place).unwrap();
        assert!(left.iter().all(|file| !file.exists()));
        fs::copy(&path, &temporary.path).unwrap();
        temporary.commit(&place).unwrap();
        assert_eq!(fs::read(&place).unwrap(), fs::read(&path).unwrap());
    }
}
