//! Files that survive a crash: written beside their place, synced, renamed, folder synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::crash_point;

/// A file that appears under its name whole or not at all. Dropped without [`AtomicFile::commit`]
/// it leaves nothing.
pub struct AtomicFile {
    path: PathBuf,
    temp: PathBuf,
    out: Option<BufWriter<File>>,
    /// Whether it has its name.
    named: bool,
}

impl AtomicFile {
    /// Opens a temporary file beside `path`, readable by the owner alone.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn create(path: &Path) -> io::Result<Self> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
        let temp = path.with_file_name(format!(
            ".{}.{}.tmp",
            name.to_string_lossy(),
            std::process::id()
        ));
        let out = Some(BufWriter::new(create_private(&temp)?));
        Ok(Self {
            path: path.to_owned(),
            temp,
            out,
            named: false,
        })
    }

    /// Syncs the file, gives it its name and syncs the folder.
    ///
    /// # Errors
    ///
    /// What the system said; the old file, if any, is then still there.
    pub fn commit(mut self) -> io::Result<()> {
        if let Some(out) = self.out.take() {
            crash_point!("file.sync");
            out.into_inner()
                .map_err(io::IntoInnerError::into_error)?
                .sync_all()?;
        }
        crash_point!("file.rename");
        fs::rename(&self.temp, &self.path)?;
        self.named = true;
        sync_folder(folder_of(&self.path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        crash_point!("file.write");
        self.out.as_mut().map_or(Ok(0), |out| out.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.named {
            // Nothing can be done about a failure here, and the name says what the file is.
            fs::remove_file(&self.temp).ok();
        }
    }
}

/// Writes a whole file atomically, readable by the owner alone.
///
/// # Errors
///
/// What the system said.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Returns the folder that holds a path (`.` for a bare name).
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Makes the entries of a folder durable.
///
/// # Errors
///
/// What the system said.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    crash_point!("folder.sync");
    File::open(folder)?.sync_all()
}

/// Creates (or empties) a file that only its owner can read.
///
/// # Errors
///
/// What the system said.
pub fn create_private(path: &Path) -> io::Result<File> {
    crash_point!("file.create");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Tells whether a name is a plain relative path with `/` between names: no `..`, no `.`, nothing
/// absolute, no empty part, no backslash, no control character.
#[must_use]
pub fn is_plain_relative(name: &str) -> bool {
    !name.is_empty()
        && !name.chars().any(|c| c == '\\' || c.is_control())
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_committed_leaves_the_old_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write_atomic(&path, b"old").unwrap();
        AtomicFile::create(&path)
            .unwrap()
            .write_all(b"new")
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_have_its_name_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::create_dir(&path).unwrap();
        write_atomic(&path, b"new").unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_that_leave_the_folder_are_not_plain() {
        for bad in [
            "", "/a", "a//b", "../a", "a/..", "./a", "a\\b", "a\nb", "a/",
        ] {
            assert!(!is_plain_relative(bad), "{bad:?}");
        }
        assert!(is_plain_relative("sources/a b/ü.csv"));
    }
}
