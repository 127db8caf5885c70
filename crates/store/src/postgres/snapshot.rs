//! Making a snapshot of a PostgreSQL database: `pg_dump`'s archive, with what the ledger knows behind it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use contract::plan::Retention;
use system::Signals;
use system::crash_point;

use super::connect::Postgres;
use super::part::Part;
use super::tools::Tools;
use super::url::PostgresUrl;
use crate::restore::kept_for;
use crate::temporary::{Temporary, failed, make_folder};
use crate::{Snapshot, StoreError, digest_of};

/// Returns the folder in which snapshots are kept unless another one is named.
pub(super) fn usual_folder() -> PathBuf {
    Path::new(".switchback").join("snapshots")
}

/// Returns the database's name as a file's name goes on from it.
pub(super) fn file_name(url: &PostgresUrl) -> String {
    let name = url.database().unwrap_or_default();
    name.replace(|c: char| c == '/' || c.is_control(), "_")
}

/// Returns the folders in which half-made archives may be left, and those of before a restore.
pub(crate) fn folders() -> Vec<PathBuf> {
    vec![usual_folder()]
}

/// Tells for how many days a file of such a folder is kept, if it is one of these.
pub(crate) fn leftover(url: &PostgresUrl, name: &str, keep: Retention) -> Option<u32> {
    kept_for(&file_name(url), name, keep)
}

/// Returns the run before which this file was taken, if it is a snapshot of the database: one of the same
/// name on another server says so itself.
pub(crate) fn run_of(url: &PostgresUrl, file: &Path) -> Option<String> {
    let run = crate::restore::run_of(&file_name(url), file.file_name()?.to_str()?)?;
    let (part, _) = Part::open(file).ok()?;
    (part.target == url.to_string()).then_some(run)
}

/// Takes a snapshot of all that the database holds but the ledger.
pub(crate) fn take(
    url: &PostgresUrl,
    folder: Option<&Path>,
    run: &str,
    taken: i64,
    signals: &Signals,
) -> Result<Snapshot, StoreError> {
    let mut reader = Postgres::open_reader(url)?;
    let tools = Tools::find(&reader, url, "a snapshot", signals)?;
    let folder = make_folder(&folder.map_or_else(usual_folder, Path::to_owned))?;
    let place = folder.join(format!("{}.{run}.snapshot", file_name(url)));
    let text = place.to_str().map(str::to_owned);
    let text = text.ok_or_else(|| {
        StoreError::refused(format!("{} is not a path in UTF-8", place.display()))
    })?;
    let temporary = Temporary::beside(&place)?;
    reader.settle_down()?;
    reader.dump(&tools, &temporary.path)?;
    crash_point!("snapshot.digest", failed(&place));
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

impl Postgres {
    /// Has the database dumped to a file as the transaction at hand sees it, adds what the archive
    /// lacks, and reads its list back.
    pub(super) fn dump(&mut self, tools: &Tools, file: &Path) -> Result<(), StoreError> {
        crash_point!("snapshot.dump", failed(file));
        let rows = self.look("SELECT pg_export_snapshot()", &[])?;
        let seen = rows
            .first()
            .and_then(|row| row[0].text())
            .unwrap_or_default();
        let name = file.to_string_lossy();
        let args = [
            "--format=custom",
            &format!("--encoding={}", self.encoding()),
            "--exclude-schema=switchback",
            "--no-password",
            "--lock-wait-timeout=60s",
            &format!("--snapshot={seen}"),
            &format!("--file={name}"),
        ];
        tools.run("pg_dump", &args)?;
        crash_point!("snapshot.part", failed(file));
        let part = self.add_part(file)?;
        crash_point!("snapshot.list", failed(file));
        let listed = listed(&tools.run("pg_restore", &["--list", &name])?);
        for table in part.tables.iter().filter(|table| table.rows_own) {
            if !listed.contains(&table.oid) {
                let message = format!("the archive lacks the rows of {}", table.name);
                return Err(tools.failed("pg_dump", &message));
            }
        }
        Ok(())
    }
}

/// Returns the tables whose rows an archive holds, by number: `3456; 0 16395 TABLE DATA public t u`.
fn listed(list: &str) -> BTreeSet<i64> {
    let number = |line: &str| {
        let (ids, what) = line.split_once(" TABLE DATA ")?;
        let mut ids = ids.split(' ').skip(2);
        (!what.is_empty()).then(|| ids.next()?.parse().ok())?
    };
    list.lines().filter_map(number).collect()
}
