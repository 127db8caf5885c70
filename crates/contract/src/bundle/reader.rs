//! Reading a bundle: nothing of it is believed before it was hashed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use system::files::is_plain_relative;

use super::adds_up;
use super::error::BundleError;
use super::manifest::{Manifest, RecordsFile};
use super::skim;
use crate::plan::LoadedPlan;
use crate::{Digest, LINE_LIMIT, Record};

/// The largest manifest that is read, in bytes.
const MANIFEST_LIMIT: u64 = 256 * 1024 * 1024;

/// An open bundle whose manifest, plan, sums and list of files add up.
#[derive(Debug)]
pub struct Bundle {
    folder: PathBuf,
    id: Digest,
    manifest: Manifest,
    plan: LoadedPlan,
}

impl Bundle {
    /// Opens a bundle: reads the manifest, compares `SHA256SUMS` and the list of files with it, and
    /// checks the plan. The content of the other files is checked by [`Bundle::check`] and, piece
    /// by piece, by [`Bundle::segments`].
    ///
    /// # Errors
    ///
    /// Names the file that does not add up.
    pub fn open(folder: &Path) -> Result<Self, BundleError> {
        let bytes = read(folder, "manifest.json", MANIFEST_LIMIT)?;
        let id = Digest::of(&bytes);
        let manifest = Manifest::parse(&bytes)?;
        let files = manifest.files(id);
        if let Some((file, _)) = files.iter().find(|(file, _)| !is_plain_relative(file)) {
            return Err(damaged(
                "manifest.json",
                format!("{file:?} is not a plain relative name"),
            ));
        }
        let sums = read(folder, "SHA256SUMS", MANIFEST_LIMIT)?;
        if sums != manifest.sums(id).as_bytes() {
            let message = "it is not what the manifest implies: it or manifest.json was changed";
            return Err(damaged("SHA256SUMS", message.into()));
        }
        let mut expected: BTreeSet<&str> = files.iter().map(|(file, _)| file.as_str()).collect();
        expected.insert("SHA256SUMS");
        let found = list(folder)?;
        if let Some(extra) = found.iter().find(|file| !expected.contains(file.as_str())) {
            return Err(damaged(extra, "it is not in the manifest".into()));
        }
        if let Some(missing) = expected.iter().find(|file| !found.contains(**file)) {
            return Err(damaged(missing, "it is missing".into()));
        }
        let text = read(folder, "plan.toml", manifest.plan.bytes)?;
        compare("plan.toml", manifest.plan.sha256, Digest::of(&text))?;
        let text =
            String::from_utf8(text).map_err(|_| damaged("plan.toml", "it is not UTF-8".into()))?;
        let plan = LoadedPlan::parse(&folder.join("plan.toml"), text)
            .map_err(|error| damaged("plan.toml", error.to_string()))?;
        adds_up::check(&manifest, &plan.plan)?;
        Ok(Self {
            folder: folder.to_owned(),
            id,
            manifest,
            plan,
        })
    }

    /// Hashes every file, and looks for lines that are no record of their file's entity.
    ///
    /// # Errors
    ///
    /// Names the first file that was changed, or holds such a line.
    pub fn check(&self) -> Result<(), BundleError> {
        for (file, expected) in self.manifest.files(self.id) {
            let path = self.folder.join(&file);
            let records = self.manifest.records.iter().find(|of| of.file == file);
            let found = match records {
                Some(of) => skim::records(&path, &of.entity),
                None => skim::hash(&path).map(|found| (found, None)),
            };
            let (found, wrong) = found.map_err(|source| BundleError::Io { path, source })?;
            compare(&file, expected, found)?;
            if let Some(wrong) = wrong {
                return Err(damaged(&file, wrong));
            }
        }
        Ok(())
    }

    /// Returns the bundle ID: the SHA-256 of `manifest.json`.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.id
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns what the bundle holds.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the plan that the bundle was made by.
    #[must_use]
    pub fn plan(&self) -> &LoadedPlan {
        &self.plan
    }

    /// Reads a records file piece by piece, each hashed before its records are handed on.
    ///
    /// # Errors
    ///
    /// The file can't be opened.
    pub fn segments<'a>(&self, file: &'a RecordsFile) -> Result<SegmentReader<'a>, BundleError> {
        let path = self.folder.join(&file.file);
        match File::open(&path) {
            Ok(input) => Ok(SegmentReader {
                file,
                path,
                input: BufReader::with_capacity(256 * 1024, input),
                next: 0,
            }),
            Err(source) => Err(BundleError::Io { path, source }),
        }
    }
}

/// The pieces of a records file, in order.
#[derive(Debug)]
pub struct SegmentReader<'a> {
    file: &'a RecordsFile,
    path: PathBuf,
    input: BufReader<File>,
    next: usize,
}

impl SegmentReader<'_> {
    fn read(&mut self) -> Result<Option<Vec<Record>>, BundleError> {
        let file = self.file;
        let Some(segment) = file.segments.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        let io_error = |source| BundleError::Io {
            path: self.path.clone(),
            source,
        };
        // What the manifest claims is not believed before it is there.
        let room = usize::try_from(segment.bytes.min(2 * LINE_LIMIT)).unwrap_or_default();
        let mut bytes = Vec::with_capacity(room);
        (&mut self.input)
            .take(segment.bytes)
            .read_to_end(&mut bytes)
            .map_err(io_error)?;
        compare(&file.file, segment.sha256, Digest::of(&bytes))?;
        let mut records = Vec::new();
        for line in bytes
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let record: Record = serde_json::from_slice(line)
                .map_err(|error| damaged(&file.file, error.to_string()))?;
            if let Some(column) = record.twice() {
                let message = format!(
                    "the record of {} has the column `{column}` twice",
                    record.at
                );
                return Err(damaged(&file.file, message));
            }
            if record.entity != file.entity
                || (record.op == crate::Op::Delete) != (file.op == crate::Op::Delete)
            {
                return Err(damaged(
                    &file.file,
                    format!("the record of {} does not belong here", record.at),
                ));
            }
            records.push(record);
        }
        if records.len() as u64 != segment.records {
            let message = format!(
                "a segment holds {} records, the manifest says {}",
                records.len(),
                segment.records
            );
            return Err(damaged(&file.file, message));
        }
        Ok(Some(records))
    }
}

impl Iterator for SegmentReader<'_> {
    type Item = Result<Vec<Record>, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn damaged(file: &str, message: String) -> BundleError {
    BundleError::Damaged {
        file: file.to_owned(),
        message,
    }
}

/// A link leads out of the bundle; a pipe or a device may never end.
fn no_file(name: &str, kind: fs::FileType) -> BundleError {
    let what = if kind.is_symlink() {
        "a link, and "
    } else {
        ""
    };
    damaged(name, format!("it is {what}no ordinary file"))
}

fn compare(file: &str, expected: Digest, found: Digest) -> Result<(), BundleError> {
    if expected == found {
        return Ok(());
    }
    Err(BundleError::Digest {
        file: file.to_owned(),
        expected,
        found,
    })
}

fn read(folder: &Path, name: &str, limit: u64) -> Result<Vec<u8>, BundleError> {
    let path = folder.join(name);
    let mut bytes = Vec::new();
    if let Ok(found) = fs::symlink_metadata(&path)
        && !found.is_file()
    {
        return Err(no_file(name, found.file_type()));
    }
    let result = File::open(&path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    match result {
        Ok(_) if bytes.len() as u64 > limit => {
            Err(damaged(name, format!("it is larger than {limit} bytes")))
        }
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => Err(damaged(
            name,
            "it is missing: this folder is no bundle".into(),
        )),
        Err(source) => Err(BundleError::Io { path, source }),
    }
}

/// Lists all files below a folder as plain relative names.
fn list(folder: &Path) -> Result<BTreeSet<String>, BundleError> {
    let mut names = BTreeSet::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((path, prefix)) = folders.pop() {
        let io_error = |source| BundleError::Io {
            path: path.clone(),
            source,
        };
        for entry in fs::read_dir(&path).map_err(io_error)? {
            let entry = entry.map_err(io_error)?;
            let kind = entry.file_type().map_err(io_error)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if kind.is_dir() {
                folders.push((entry.path(), format!("{name}/")));
            } else if kind.is_file() {
                names.insert(name);
            } else {
                return Err(no_file(&name, kind));
            }
        }
    }
    Ok(names)
}
