//! Snapshots: whole copies of a target, made before a run, that rollback can go back to.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use contract::Digest;
use contract::digest::Hasher;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::ledger::Run;

/// What the ledger keeps of a snapshot, as JSON in its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Where it is: an absolute path.
    pub path: String,
    /// Of its bytes.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
    /// When it was taken, in milliseconds since 1970 (UTC).
    pub taken: i64,
    /// When it was removed because it had been kept long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<i64>,
}

impl Snapshot {
    /// Returns the snapshot that was taken before a run.
    ///
    /// # Errors
    ///
    /// What the ledger says of it does not read.
    pub fn of(run: &Run) -> Result<Option<Self>, StoreError> {
        let read = |json: &String| serde_json::from_str(json);
        run.snapshot
            .as_ref()
            .map(read)
            .transpose()
            .map_err(|error| {
                StoreError::damaged(format!("the snapshot of run {}: {error}", run.id))
            })
    }

    /// Returns the whole snapshots that the ledger knows, newest first, with the IDs of their runs.
    ///
    /// # Errors
    ///
    /// What the ledger says of one does not read.
    pub fn usable(runs: &[Run]) -> Result<Vec<(String, Self)>, StoreError> {
        let mut found = Vec::new();
        for run in runs {
            if let Some(snapshot) = Self::of(run)?
                && snapshot.fault().is_none()
            {
                found.push((run.id.clone(), snapshot));
            }
        }
        Ok(found)
    }

    /// Returns the JSON that the ledger keeps.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the file and returns why it can't be used, or `None` where its bytes are what they were.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.pruned.is_some() {
            return Some("pruned".into());
        }
        self.differs()
    }

    /// Says why the file of this path is not the snapshot that was taken before a run: its name, or its
    /// bytes. One that is gone is no other's.
    #[must_use]
    pub fn foreign(&self, run: &str) -> Option<String> {
        let path = Path::new(&self.path);
        let name = path.file_name().and_then(|name| name.to_str());
        let end = format!(".{run}.snapshot");
        if !name.is_some_and(|name| name.ends_with(&end)) {
            return Some(format!("its name does not end in {end}"));
        }
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Ok(about) if !about.is_file() => Some("it is no plain file".into()),
            _ => self.differs(),
        }
    }

    fn differs(&self) -> Option<String> {
        match digest_of(Path::new(&self.path)) {
            Err(error) => Some(error.to_string()),
            Ok((sha256, bytes)) if bytes == self.bytes && sha256 == self.sha256 => None,
            Ok((sha256, bytes)) => Some(format!(
                "its {bytes} bytes have sha256 {sha256}; {} bytes with {} were written",
                self.bytes, self.sha256
            )),
        }
    }
}

/// Returns the SHA-256 of a file, and its size.
///
/// # Errors
///
/// What the system said.
pub fn digest_of(path: &Path) -> std::io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hasher.digest(), hasher.bytes())),
            count => hasher.update(&buffer[..count]),
        }
    }
}
