//! Making a snapshot of a SQLite file, and reading it back.

use std::path::{Path, PathBuf};

use contract::plan::Retention;
use system::crash_point;
use system::files::folder_of;

use super::connect::Sqlite;
use crate::restore::kept_for;
use crate::snapshot::{Snapshot, digest_of};
use crate::temporary::{Temporary, failed, make_folder};
use crate::{Cell, StoreError};

/// Returns the folder in which snapshots of a database are kept unless another one is named.
pub(super) fn usual_folder(database: &Path) -> PathBuf {
    folder_of(database).join(".switchback").join("snapshots")
}

/// Returns the place of a database, links resolved, and its bare name.
pub(super) fn real(path: &Path) -> Result<(PathBuf, String), StoreError> {
    let real = path.canonicalize().map_err(failed(path))?;
    let name = real.file_name().and_then(|name| name.to_str());
    let name = name
        .ok_or_else(|| StoreError::refused(format!("{} is not a name in UTF-8", real.display())))?;
    Ok((real.clone(), name.to_owned()))
}

/// Returns the folders in which half-made copies may be left, and copies of before a restore.
pub(crate) fn folders(path: &Path) -> Vec<PathBuf> {
    real(path).map_or_else(
        |_| Vec::new(),
        |(path, _)| vec![folder_of(&path).to_owned(), usual_folder(&path)],
    )
}

/// Tells for how many days a file of such a folder is kept, if it is one of these.
pub(crate) fn leftover(path: &Path, name: &str, keep: Retention) -> Option<u32> {
    let (_, database) = real(path).ok()?;
    kept_for(&database, name, keep)
}

/// Returns the run before which this file was taken, if it is a snapshot of the database.
pub(crate) fn run_of(path: &Path, file: &Path) -> Option<String> {
    let (_, database) = real(path).ok()?;
    crate::restore::run_of(&database, file.file_name()?.to_str()?)
}

/// Copies a database as it stands to a new file in `folder`, reads it back and gives it its name.
pub(crate) fn take(
    path: &Path,
    folder: Option<&Path>,
    run: &str,
    taken: i64,
) -> Result<Snapshot, StoreError> {
    let (path, name) = real(path)?;
    let folder = make_folder(&folder.map_or_else(|| usual_folder(&path), Path::to_owned))?;
    let place = folder.join(format!("{name}.{run}.snapshot"));
    let text = place.to_str().map(str::to_owned);
    let text = text.ok_or_else(|| {
        StoreError::refused(format!("{} is not a path in UTF-8", place.display()))
    })?;
    let temporary = Temporary::beside(&place)?;
    // For writing: what a crash left half written is put right first.
    crash_point!("snapshot.open", failed(&path));
    let source = Sqlite::open(&path)?;
    crash_point!("snapshot.copy", failed(&path));
    source.copy_to(&temporary.path)?;
    crash_point!("snapshot.settle", failed(&path));
    settle(&temporary.path)?;
    crash_point!("snapshot.digest", failed(&path));
    let (sha256, bytes) = digest_of(&temporary.path).map_err(failed(&temporary.path))?;
    temporary.commit(&place)?;
    Ok(Snapshot {
        path: text,
        sha256,
        bytes,
        taken,
        pruned: None,
    })
}

/// Makes a copy one file, without a write-ahead log beside it, and checks that it is whole.
pub(super) fn settle(path: &Path) -> Result<(), StoreError> {
    let copy = Sqlite::open(path)?;
    copy.conn
        .pragma_update(None, "journal_mode", "DELETE")
        .map_err(|error| copy.error(&error))?;
    whole(&copy)
}

/// Checks every page and index of a database.
pub(super) fn whole(database: &Sqlite) -> Result<(), StoreError> {
    let rows = database.rows("PRAGMA integrity_check(10)", &[])?;
    let found: Vec<String> = rows
        .iter()
        .filter_map(|row| row.first().and_then(Cell::text).map(str::to_owned))
        .collect();
    if found == ["ok"] {
        return Ok(());
    }
    Err(StoreError::refused(format!(
        "{} is not whole: {}",
        database.path.display(),
        found.join("; ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn database(folder: &Path, sql: &str) -> PathBuf {
        let path = folder.join("club.db");
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    }

    #[test]
    fn a_snapshot_is_one_private_file_with_all_that_was_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(
            folder.path(),
            "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);",
        );
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch("INSERT INTO t VALUES (3); BEGIN; INSERT INTO t VALUES (4)")
            .unwrap();
        let snapshot = take(&path, None, "r", 7).unwrap();
        assert_eq!(snapshot.fault(), None);
        let kept = folder.path().join(".switchback/snapshots");
        let names: Vec<_> = fs::read_dir(&kept)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["club.db.r.snapshot"]);
        let mode = fs::metadata(&snapshot.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let copy = Sqlite::open_reader(Path::new(&snapshot.path)).unwrap();
        let rows = copy.rows("SELECT count(*) FROM t", &[]).unwrap();
        assert_eq!(rows, [vec![Cell::Int(3)]]);
    }

    #[test]
    fn a_snapshot_that_cannot_be_made_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("club.db");
        fs::write(&path, vec![7; 9000]).unwrap();
        let error = take(&path, None, "r", 7).unwrap_err();
        assert!(error.to_string().contains("club.db"), "{error}");
        let kept = folder.path().join(".switchback/snapshots");
        assert_eq!(fs::read_dir(kept).unwrap().count(), 0);
    }

    #[test]
    fn a_byte_that_changed_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), "CREATE TABLE t (a)");
        let snapshot = take(&path, None, "r", 7).unwrap();
        let mut bytes = fs::read(&snapshot.path).unwrap();
        bytes[100] ^= 1;
        fs::write(&snapshot.path, &bytes).unwrap();
        assert!(snapshot.fault().unwrap().contains("sha256"));
        fs::remove_file(&snapshot.path).unwrap();
        assert!(snapshot.fault().unwrap().contains("No such file"));
    }
}
