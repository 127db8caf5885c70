//! File systems of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::postgres::is_root;

/// A file system that is mounted as long as this lives.
pub struct Mount(pub PathBuf);

impl Mount {
    pub fn new(at: PathBuf, args: &[&str]) -> Self {
        fs::create_dir_all(&at).unwrap();
        let done = as_root("mount").args(args).arg(&at).output();
        let said = match &done {
            Ok(done) => String::from_utf8_lossy(&done.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        assert!(
            done.is_ok_and(|done| done.status.success()),
            "mount {args:?}: {said}\nthis test mounts a small file system: run it as root, or where sudo asks for no \
             password (`sudo -v` first)"
        );
        Self(at)
    }

    /// A small one in memory, that everybody may write to.
    pub fn small(at: PathBuf, megabytes: u32) -> Self {
        let size = format!("size={megabytes}m,mode=777");
        Self::new(at, &["-t", "tmpfs", "-o", &size, "tmpfs"])
    }

    /// How many pages of 4 KiB are free.
    pub fn free(&self) -> u64 {
        let mut df = Command::new("df");
        df.args(["--output=avail", "-B4096"]).arg(&self.0);
        let said = String::from_utf8(df.output().unwrap().stdout).unwrap();
        said.lines().nth(1).unwrap().trim().parse().unwrap()
    }

    /// Fills it but for so many pages, with one file, and returns that.
    pub fn fill(&self, left: u64) -> PathBuf {
        let ballast = self.0.join("ballast");
        // What was just removed may take the system a moment to free.
        for _ in 0..100 {
            let pages = usize::try_from(self.free().saturating_sub(left)).unwrap();
            let filled = fs::write(&ballast, vec![b'x'; pages * 4096]).is_ok();
            if filled && self.free() == left {
                return ballast;
            }
            fs::remove_file(&ballast).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} pages are free, not {left}", self.free());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        as_root("umount").arg(&self.0).status().ok();
    }
}

/// Makes `disk.img`, an empty ext4 file system.
pub fn format(folder: &Path) {
    let made = Command::new("sh")
        .args([
            "-c",
            "truncate -s 24M disk.img && mkfs.ext4 -q -E root_owner=$(id -u):$(id -g) disk.img",
        ])
        .current_dir(folder)
        .status();
    assert!(
        made.unwrap().success(),
        "mkfs.ext4 is missing: apt-get install -y e2fsprogs"
    );
}

/// A command that runs as root: by sudo, without asking, where we are not.
pub fn as_root(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", program]);
    sudo
}
