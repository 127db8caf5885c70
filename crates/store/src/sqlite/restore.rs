//! Going back to a snapshot: the data is the snapshot's, the history is the present one.
//!
//! All work is done on copies; the target itself changes in one rename. Until then nobody else gets
//! at it: this holds SQLite's own exclusive lock. No other descriptor of the file may be opened here
//! meanwhile, as closing one would give that lock up (SQLite: howtocorrupt.html, section 2.2).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::digest::HashingReader;
use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use system::crash_point;
use system::files::{folder_of, sync_folder};

use super::connect::Sqlite;
use super::snapshot::{real, usual_folder, whole};
use super::trace::traced;
use crate::ledger;
use crate::restore::{Restore, Restored, Then, present, safety_name};
use crate::temporary::{Temporary, beside, failed, make_folder};
use crate::{Cell, Engine as _, Sql as _, StoreError};

/// Puts a snapshot in the place of a database.
pub(crate) fn restore(path: &Path, wish: &Restore<'_>) -> Result<Restored, StoreError> {
    let (path, name) = real(path)?;
    crash_point!("restore.hold", failed(&path));
    let (held, wal) = hold(&path)?;
    let safety = keep(&held, &path, &name, wish.now)?;
    let temporary = Temporary::beside(&path)?;
    copy(wish, &temporary.path)?;
    crash_point!("restore.open", failed(&path));
    let new = Sqlite::open(&temporary.path)?;
    whole(&new)?;
    let contents = new.contents()?;
    let mut restored = history(new, &safety, wish).map_err(of_copy)?;
    let new = Sqlite::open(&temporary.path)?;
    whole(&new)?;
    if new.contents()? != contents {
        let message = "the restored tables are not those of the snapshot; nothing was changed";
        return Err(StoreError::damaged(message));
    }
    restored.rows = (
        contents.values().map(|table| table.rows).sum(),
        contents.len(),
    );
    let mode = if wal { "WAL" } else { "DELETE" };
    crash_point!("restore.mode", failed(&path));
    new.conn
        .pragma_update(None, "journal_mode", mode)
        .map_err(|error| new.error(&error))?;
    drop(new);
    crash_point!("restore.own", failed(&path));
    own(&temporary.path, &path).map_err(failed(&path))?;
    // They are empty: what they held is in the file since it is held.
    for end in ["-wal", "-shm", "-journal"] {
        crash_point!("restore.unlink", failed(&path));
        match fs::remove_file(beside(&path, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&beside(&path, end))(error));
            }
            _ => {}
        }
    }
    temporary.name(&path)?;
    let lasts = || {
        sync_folder(folder_of(&path))?;
        crash_point!("restore.release");
        Ok::<(), io::Error>(())
    };
    lasts().map_err(|error| StoreError::Unknown {
        message: format!(
            "{} is the snapshot, which a power cut may undo ({error}): restore it again",
            path.display()
        ),
    })?;
    drop(held);
    Ok(restored)
}

/// Locks everybody else out, empties the write-ahead log, and tells whether there is one.
fn hold(path: &Path) -> Result<(Connection, bool), StoreError> {
    let failed = |error: rusqlite::Error| {
        let message = format!("{}: {error}", path.display());
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                StoreError::Busy { message }
            }
            _ => StoreError::Unreachable { message },
        }
    };
    let held = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let held = Connection::open_with_flags(path, flags).and_then(traced)?;
        held.busy_timeout(Duration::from_secs(5))?;
        // Closing removes the log by its name, which is somebody else's by then.
        held.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        held.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT; PRAGMA wal_checkpoint(TRUNCATE);",
        )?;
        let mode: String = held.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok((held, mode.eq_ignore_ascii_case("wal")))
    };
    held().map_err(failed)
}

/// Keeps a copy of the target as it is.
fn keep(held: &Connection, path: &Path, name: &str, now: i64) -> Result<PathBuf, StoreError> {
    let folder = make_folder(&usual_folder(path))?;
    let place = folder.join(safety_name(name, now));
    let temporary = Temporary::beside(&place)?;
    crash_point!("restore.keep", failed(&place));
    let copied = || {
        let mut copy = Connection::open(&temporary.path).and_then(traced)?;
        Backup::new(held, &mut copy)?.run_to_completion(10_000, Duration::ZERO, None)?;
        copy.pragma_update(None, "journal_mode", "DELETE")
    };
    copied().map_err(|error| StoreError::Unreachable {
        message: format!("copying to {}: {error}", place.display()),
    })?;
    temporary.commit(&place)?;
    Ok(place)
}

/// Copies the snapshot, making sure that it is the one that the ledger knows.
fn copy(wish: &Restore<'_>, to: &Path) -> Result<(), StoreError> {
    let copied = || {
        crash_point!("restore.copy");
        let mut from = HashingReader::new(File::open(wish.file)?);
        io::copy(&mut from, &mut File::options().write(true).open(to)?)?;
        crash_point!("restore.copied");
        Ok(from.hasher().digest())
    };
    let found = copied().map_err(failed(wish.file))?;
    if found == wish.snapshot.sha256 {
        return Ok(());
    }
    Err(StoreError::refused(format!(
        "{}: sha256 is {found}, the ledger says {}",
        wish.file.display(),
        wish.snapshot.sha256
    )))
}

/// Gives the file the mode and owner of another one.
fn own(file: &Path, like: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let (now, like) = (fs::metadata(file)?, fs::metadata(like)?);
    if (now.uid(), now.gid()) != (like.uid(), like.gid()) {
        std::os::unix::fs::chown(file, Some(like.uid()), Some(like.gid()))?;
    }
    fs::set_permissions(file, like.permissions())
}

/// An error of the copy: whatever became of it, the target is as it was.
fn of_copy(error: StoreError) -> StoreError {
    match error {
        StoreError::Unknown { message } => StoreError::Unreachable { message },
        other => other,
    }
}

/// Puts the present history in the place of the snapshot's; the id map stays the snapshot's.
fn history(mut new: Sqlite, safety: &Path, wish: &Restore<'_>) -> Result<Restored, StoreError> {
    let path = safety.to_string_lossy().into_owned();
    new.run("ATTACH ?1 AS present", &[path.into()])?;
    // Not at once for writing, as that would be for the safety copy too.
    new.try_batch("BEGIN").map_err(|error| new.error(&error))?;
    let had = new.has_ledger()?;
    let mut then = Then::new();
    if had {
        for row in new.rows(
            "SELECT seq, status, last_seq FROM main.switchback_runs",
            &[],
        )? {
            if let [Cell::Int(seq), Cell::Text(status), Cell::Int(last)] = &row[..] {
                then.insert(*seq, (status.clone(), *last));
            }
        }
        let kept = "CREATE TEMP TABLE then_kept AS SELECT * FROM main.switchback_kept";
        new.run(kept, &[])?;
    }
    tables(&new, had)?;
    new.forget_ledger();
    ledger::upgrade(&mut new, wish.by)?;
    // The id map may be of before the ledger had its version.
    let columns = "SELECT 1 FROM pragma_table_info('switchback_ids') WHERE name = 'long'";
    if new.rows(columns, &[])?.is_empty() {
        for statement in ledger::upgrades_of_ids(&new.dialect()) {
            new.execute_made(&statement, &[])?;
        }
    }
    let restored = present(&mut new, &then, safety, wish)?;
    new.commit()?;
    Ok(restored)
}

/// Makes the ledger's tables as they are at present, but for the id map.
fn tables(new: &Sqlite, had: bool) -> Result<(), StoreError> {
    let mine = |schema: &str| {
        let sql = format!(
            "SELECT type, name, tbl_name, sql FROM {schema}.sqlite_master \
             WHERE tbl_name LIKE 'switchback\\_%' ESCAPE '\\' AND sql IS NOT NULL ORDER BY type DESC"
        );
        let rows = new.rows(&sql, &[])?;
        let text = |cell: &Cell| cell.text().unwrap_or_default().to_owned();
        Ok::<Vec<[String; 4]>, StoreError>(
            rows.iter()
                .map(|row| [text(&row[0]), text(&row[1]), text(&row[2]), text(&row[3])])
                .collect(),
        )
    };
    let ids = "switchback_ids";
    let now = mine("present")?;
    let made: BTreeSet<String> = now.iter().map(|[_, _, table, _]| table.clone()).collect();
    if !made.contains("switchback_runs") {
        return Err(StoreError::damaged("the target has none"));
    }
    for [kind, name, ..] in mine("main")? {
        if kind == "table" && name != ids {
            new.run(&format!("DROP TABLE main.{name}"), &[])?;
        }
    }
    for [kind, name, table, sql] in now {
        if had && table == ids {
            continue;
        }
        new.run(&sql, &[])?;
        if kind == "table" && name != ids {
            let copy = format!("INSERT INTO main.{name} SELECT * FROM present.{name}");
            new.run(&copy, &[])?;
        }
    }
    Ok(())
}
