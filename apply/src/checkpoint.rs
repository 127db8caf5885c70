//! The checkpoint file: a convenience for people and scripts. The ledger alone decides; a missing,
//! foreign or damaged file changes nothing but a message.

use std::fs;
use std::io;
use std::path::Path;

use contract::files::write_atomic;
use serde::{Deserialize, Serialize};

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    /// The run ID.
    pub run: String,
    /// The bundle ID.
    pub bundle: String,
    /// When the run started, RFC 3339.
    pub started: String,
    /// When the last batch was committed, RFC 3339.
    #[serde(rename = "last_checkpoint")]
    pub last: String,
    /// Records files of the bundle that are done.
    pub files_done: Vec<String>,
    /// Records that stand.
    pub entries_imported: u64,
    /// The records file at hand.
    pub current_file: String,
    /// The last batch that stands.
    pub current_batch: i64,
    /// `in-progress` or `failed`: of a run that is completed there is no file.
    pub status: String,
}

impl Checkpoint {
    /// Writes the file, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        write_atomic(path, &bytes)
    }

    /// Removes the file of a run that is completed; that of another run stays.
    pub(crate) fn remove(path: &Path, run: &str) -> io::Result<()> {
        match fs::read(path).map(|bytes| serde_json::from_slice::<Self>(&bytes)) {
            Ok(Ok(found)) if found.run == run => fs::remove_file(path),
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
            Ok(found) if found.run != run => Some(format!(
                "{} is of run {}: the ledger is used",
                path.display(),
                found.run
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
        let checkpoint = Checkpoint {
            run: "r".into(),
            bundle: "b".into(),
            started: "s".into(),
            last: "l".into(),
            files_done: vec!["f".into()],
            entries_imported: 2,
            current_file: "g".into(),
            current_batch: 3,
            status: "in-progress".into(),
        };
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
