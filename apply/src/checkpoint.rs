//! The checkpoint file: a convenience for people and scripts. The ledger alone decides; a missing,
//! foreign or damaged file changes nothing but a message.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use contract::Record;
use contract::bundle::Manifest;
use serde::{Deserialize, Serialize};
use system::files::write_atomic;

/// The version of the file.
const FORMAT: u32 = 2;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    /// [`FORMAT`].
    pub format: u32,
    /// The run ID.
    pub run_id: String,
    /// The bundle ID.
    pub bundle: String,
    /// When the run started, RFC 3339.
    pub started_at: String,
    /// When the last batch was committed, RFC 3339.
    pub last_checkpoint_at: String,
    /// Sources all of whose records are committed (late references may still be due), sorted.
    pub files_processed: Vec<String>,
    /// Records that are committed, late references not counted again.
    pub entries_imported: u64,
    /// The source of the last record that was committed.
    pub current_file: String,
    /// The highest batch that is committed.
    pub current_batch: i64,
    /// `in-progress` or `failed`: of a run that is completed there is no file.
    pub status: String,
}

/// How many records of each source are not committed yet.
#[derive(Debug)]
pub(crate) struct Sources(BTreeMap<String, u64>);

impl Sources {
    /// Starts with all records of a bundle.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let mut left = BTreeMap::new();
        for account in manifest
            .accounts
            .iter()
            .filter(|account| account.records > 0)
        {
            *left.entry(account.file.clone()).or_default() += account.records;
        }
        Self(left)
    }
}

impl Checkpoint {
    /// Makes the checkpoint of a run that starts.
    pub(crate) fn new(run: &str, bundle: &str, started: &str, status: &str) -> Self {
        Self {
            format: FORMAT,
            run_id: run.to_owned(),
            bundle: bundle.to_owned(),
            started_at: started.to_owned(),
            last_checkpoint_at: started.to_owned(),
            files_processed: Vec::new(),
            entries_imported: 0,
            current_file: String::new(),
            current_batch: 0,
            status: status.to_owned(),
        }
    }

    /// Notes that records of a source are committed.
    pub(crate) fn committed(&mut self, sources: &mut Sources, file: &str, records: u64) {
        self.entries_imported += records;
        file.clone_into(&mut self.current_file);
        if let Some(left) = sources.0.get_mut(file) {
            *left = left.saturating_sub(records);
            if *left == 0 {
                sources.0.remove(file);
                self.files_processed.push(file.to_owned());
                self.files_processed.sort_unstable();
            }
        }
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        write_atomic(path, &bytes)
    }

    /// Removes the file of a run that is completed; that of another run stays.
    pub(crate) fn remove(path: &Path, run: &str) -> io::Result<()> {
        match fs::read(path).map(|bytes| serde_json::from_slice::<Self>(&bytes)) {
            Ok(Ok(found)) if found.run_id == run => fs::remove_file(path),
            _ => Ok(()),
        }
    }

    /// Says what is odd about the file, seen from the ledger: the run that is resumed and the last
    /// batch that stands.
    pub(crate) fn oddity(path: &Path, run: &str, batches: i64) -> Option<String> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Some(format!(
                    "there is no checkpoint file {}: the ledger is used",
                    path.display()
                ));
            }
            Err(error) => return Some(format!("{}: {error}: the ledger is used", path.display())),
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Err(error) => {
                let offset = offset(&bytes, error.line(), error.column());
                Some(format!(
                    "{} is damaged at byte {offset} ({error}): the ledger is used",
                    path.display()
                ))
            }
            Ok(found) if found.run_id != run => Some(format!(
                "{} is of run {}: the ledger is used",
                path.display(),
                found.run_id
            )),
            Ok(found) if found.current_batch != batches => Some(format!(
                "{} says batch {}, the ledger says {batches}: the ledger is used",
                path.display(),
                found.current_batch
            )),
            Ok(_) => None,
        }
    }
}

/// Counts records by source, in the order in which the sources come up.
pub(crate) fn by_source(records: &[Record]) -> Vec<(String, u64)> {
    let mut counts: Vec<(String, u64)> = Vec::new();
    for record in records {
        match counts.last_mut() {
            Some((file, count)) if *file == record.at.file => *count += 1,
            _ => counts.push((record.at.file.clone(), 1)),
        }
    }
    counts
}

/// The 0-based byte that a parser means by line and column, both 1-based.
fn offset(bytes: &[u8], line: usize, column: usize) -> usize {
    let before: usize = bytes
        .split_inclusive(|&byte| byte == b'\n')
        .take(line.saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    (before + column.saturating_sub(1)).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cut_at_any_byte_is_a_message_with_its_offset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        let mut checkpoint = Checkpoint::new("r", "b", "s", "in-progress");
        let mut sources = Sources([("f".to_owned(), 2), ("g".to_owned(), 2)].into());
        checkpoint.committed(&mut sources, "f", 2);
        checkpoint.committed(&mut sources, "g", 1);
        checkpoint.current_batch = 3;
        assert_eq!(checkpoint.files_processed, ["f"]);
        assert_eq!(
            (
                checkpoint.entries_imported,
                checkpoint.current_file.as_str()
            ),
            (3, "g")
        );
        checkpoint.write(&path).unwrap();
        assert_eq!(Checkpoint::oddity(&path, "r", 3), None);
        assert!(
            Checkpoint::oddity(&path, "other", 3)
                .unwrap()
                .contains("is of run r")
        );
        assert!(
            Checkpoint::oddity(&path, "r", 4)
                .unwrap()
                .contains("the ledger says 4")
        );
        let whole = fs::read(&path).unwrap();
        // The last byte is a line feed, without which it is still whole.
        for cut in 0..whole.len() - 1 {
            fs::write(&path, &whole[..cut]).unwrap();
            let message = Checkpoint::oddity(&path, "r", 3).unwrap();
            assert!(message.contains("is damaged at byte"), "{message}");
        }
    }
}
