//! A folder that appears under its name whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use system::crash_point;
use system::files::{folder_of, sync_folder};

/// A temporary folder beside the place that it is meant for. Dropped before it got its name it
/// leaves nothing. It is locked while its process lives, so that what a dead one left is known by
/// its lock being free, and is removed by the next.
pub(crate) struct TempFolder {
    path: PathBuf,
    target: PathBuf,
    _lock: File,
}

impl TempFolder {
    /// Makes `.NAME.PID.tmp` beside `target`, for the owner alone.
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        let name = target
            .file_name()
            .ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?
            .to_string_lossy()
            .into_owned();
        remove_stale(folder_of(target), &format!(".{name}."))?;
        let path = target.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        loop {
            create_private_folder(&path)?;
            // Between the two steps another process may take the folder for a stale one.
            let lock = match File::open(&path) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            lock.lock()?;
            if path.is_dir() {
                return Ok(Self {
                    path,
                    target: target.to_owned(),
                    _lock: lock,
                });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the folder and all below it (files are synced by who wrote them), gives it its name
    /// and syncs the parent. With `swap` the folder that has the name now is removed, after both
    /// changed their names in one step; without it only an empty folder may be there.
    pub(crate) fn commit(self, swap: bool) -> io::Result<()> {
        sync_folders(&self.path)?;
        crash_point!("bundle.rename");
        if swap {
            renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::EXCHANGE).map_err(
                |errno| match errno {
                    Errno::INVAL | Errno::NOSYS => io::Error::other(
                        "this file system can't swap two folders: remove the old one first",
                    ),
                    other => other.into(),
                },
            )?;
        } else {
            fs::rename(&self.path, &self.target)?;
        }
        // After a swap, dropping `self` removes the old folder.
        sync_folder(folder_of(&self.target))
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // Nothing can be done about a failure; the next bundle of this name tries again.
        fs::remove_dir_all(&self.path).ok();
    }
}

/// Removes temporary folders of processes that died.
fn remove_stale(parent: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let ours = name
            .and_then(|name| {
                name.strip_prefix(prefix)?
                    .strip_suffix(".tmp")?
                    .parse::<u32>()
                    .ok()
            })
            .is_some();
        if ours
            && let Ok(folder) = File::open(&path)
            && folder.try_lock().is_ok()
        {
            fs::remove_dir_all(&path).ok();
        }
    }
    Ok(())
}

/// Makes a folder that only its owner can enter; its parent must be there.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    crash_point!("folder.create");
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder)
}
