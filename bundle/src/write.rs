//! Writing a bundle: into a temporary folder, which gets its name when all of it is on the disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use contract::bundle::{Bundle, BundleError, FORMAT, Manifest, PlanSum, SumFile, left_out};
use contract::digest::Hasher;
use contract::plan::LoadedPlan;
use contract::{Digest, HashingWriter, Op, Record, RecordWriter, Reject, Seal, SourceSum};
use system::crash_point;
use system::files::{create_private, is_plain_relative};

use crate::folder::{TempFolder, create_private_folder};
use crate::segments::RecordsOut;

/// A bundle while it is written. Dropped before [`BundleWriter::finish`] it leaves nothing.
pub struct BundleWriter<'a> {
    target: PathBuf,
    folder: TempFolder,
    plan: &'a LoadedPlan,
    order: Vec<&'a str>,
    records: BTreeMap<Stand, RecordsOut>,
    written: u64,
    rejects: RecordWriter<HashingWriter<BufWriter<File>>>,
    rejected: u64,
    sources: Vec<SourceSum>,
}

/// Where a records file stands in the manifest: puts by dependency, then deletes in reverse.
type Stand = (bool, usize);

/// What became of a finished bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The bundle ID.
    pub id: Digest,
    /// The same bundle was there already, whole: nothing was written.
    pub was_there: bool,
}

impl<'a> BundleWriter<'a> {
    /// Starts a bundle that shall stand at `target`, a folder whose parent exists.
    ///
    /// # Errors
    ///
    /// The temporary folder beside it can't be made.
    pub fn create(target: &Path, plan: &'a LoadedPlan) -> Result<Self, BundleError> {
        let folder = TempFolder::create(target).map_err(at(target))?;
        let root = folder.path();
        let records = root.join("records");
        create_private_folder(&records).map_err(at(&records))?;
        let rejects = root.join("rejects.ndjson");
        let out = create_private(&rejects).map_err(at(&rejects))?;
        Ok(Self {
            target: target.to_owned(),
            order: plan
                .plan
                .in_dependency_order()
                .iter()
                .map(|entity| entity.name.as_str())
                .collect(),
            plan,
            records: BTreeMap::new(),
            written: 0,
            rejects: RecordWriter::new(HashingWriter::new(BufWriter::new(out))),
            rejected: 0,
            sources: Vec::new(),
            folder,
        })
    }

    /// Adds a record; `line` is its line as it came in, without the line end.
    ///
    /// # Errors
    ///
    /// The plan lacks its entity, or its file can't be written.
    pub fn record(&mut self, record: &Record, line: &[u8]) -> Result<(), BundleError> {
        let entity = record.entity.as_str();
        let Some(place) = self.order.iter().position(|name| *name == entity) else {
            let message = format!("{}: the plan has no entity {entity:?}", record.at);
            return Err(BundleError::Stream { message });
        };
        let delete = record.op == Op::Delete;
        let stand = if delete {
            (true, self.order.len() - place)
        } else {
            (false, place)
        };
        if !self.records.contains_key(&stand) {
            let (kind, op) = if delete {
                (".delete", Op::Delete)
            } else {
                ("", Op::Put)
            };
            let file = format!("records/{:02}-{entity}{kind}.ndjson", place + 1);
            let out = RecordsOut::create(self.folder.path(), file, entity, op);
            self.records.insert(stand, out.map_err(at(&self.target))?);
        }
        if let Some(out) = self.records.get_mut(&stand) {
            out.line(line).map_err(at(&self.target))?;
        }
        self.written += 1;
        Ok(())
    }

    /// Adds a reject of a stage before.
    ///
    /// # Errors
    ///
    /// It can't be written.
    pub fn reject(&mut self, reject: &Reject) -> Result<(), BundleError> {
        self.rejected += 1;
        crash_point!("bundle.reject.write", at(&self.target));
        self.rejects.reject(reject).map_err(at(&self.target))
    }

    /// Copies a source from `root` byte for byte, hashing it on the way.
    ///
    /// # Errors
    ///
    /// It is not what the seal says, or can't be read or written.
    pub fn source(&mut self, sum: &SourceSum, root: &Path) -> Result<(), BundleError> {
        if !is_plain_relative(&sum.file) {
            let message = format!(
                "the seal names a source {:?}, which is no plain relative name",
                sum.file
            );
            return Err(BundleError::Stream { message });
        }
        let from = root.join(&sum.file);
        let to = self.folder.path().join("sources").join(&sum.file);
        make_folders(self.folder.path(), &to).map_err(at(&self.target))?;
        let mut input = File::open(&from).map_err(at(&from))?;
        let mut out = create_private(&to).map_err(at(&self.target))?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = input.read(&mut buffer).map_err(at(&from))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            crash_point!("bundle.source.write", at(&self.target));
            out.write_all(&buffer[..count]).map_err(at(&self.target))?;
        }
        crash_point!("bundle.source.sync", at(&self.target));
        out.sync_all().map_err(at(&self.target))?;
        if hasher.digest() != sum.sha256 {
            return Err(BundleError::SourceChanged {
                path: from,
                expected: sum.sha256,
                found: hasher.digest(),
            });
        }
        self.sources.push(sum.clone());
        Ok(())
    }

    /// Returns how many rejects were added.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Ends the bundle with the seal of this stage and puts it in its place. Its sources are kept
    /// if all of them were copied. With `replace` another bundle that is there is replaced.
    ///
    /// # Errors
    ///
    /// The figures do not add up, something else is in the place, or the disk does not take it;
    /// what was there before is then still there.
    pub fn finish(mut self, seal: &Seal, replace: bool) -> Result<Placed, BundleError> {
        let target = self.target.clone();
        let manifest = self.manifest(seal)?;
        let bytes = manifest.to_bytes();
        let id = Digest::of(&bytes);
        for (name, content) in [
            ("plan.toml", self.plan.text.as_bytes()),
            ("manifest.json", &bytes),
            ("SHA256SUMS", manifest.sums(id).as_bytes()),
        ] {
            write_synced(&self.folder.path().join(name), content).map_err(at(&target))?;
        }
        let swap = match there(&target, id)? {
            There::Nothing => false,
            There::ThisBundle => {
                return Ok(Placed {
                    id,
                    was_there: true,
                });
            }
            There::Other(message) => {
                if !replace {
                    return Err(BundleError::Exists {
                        path: target,
                        message,
                    });
                }
                true
            }
        };
        self.folder.commit(swap).map_err(at(&target))?;
        Ok(Placed {
            id,
            was_there: false,
        })
    }

    fn manifest(&mut self, seal: &Seal) -> Result<Manifest, BundleError> {
        if seal.records != self.written {
            let message = format!(
                "{} records were written, the seal says {}",
                self.written, seal.records
            );
            return Err(BundleError::Stream { message });
        }
        seal.check()
            .map_err(|message| BundleError::Stream { message })?;
        let records = std::mem::take(&mut self.records)
            .into_values()
            .map(RecordsOut::finish)
            .collect::<io::Result<_>>()
            .map_err(at(&self.target))?;
        let mut sources = seal.sources.clone();
        sources.sort_by(|a, b| a.file.cmp(&b.file));
        let left_out = left_out(&self.plan.plan, &seal.accounts);
        let kept = self.sources.len() + left_out.len();
        let mut stages = seal.before.clone();
        stages.push(seal.sum());
        Ok(Manifest {
            format: FORMAT,
            rules: seal.rules,
            name: self.plan.plan.name.clone(),
            system: self.plan.plan.system.clone(),
            plan: PlanSum {
                sha256: self.plan.digest,
                bytes: self.plan.text.len() as u64,
            },
            follow_up: seal.follow_up,
            unsealed: seal.unsealed,
            edited: seal.edited,
            records,
            rejects: self.end_rejects().map_err(at(&self.target))?,
            sources_kept: !self.sources.is_empty() && kept == sources.len(),
            sources_left_out: left_out.into_iter().collect(),
            sources,
            accounts: seal.accounts.clone(),
            stages,
        })
    }

    fn end_rejects(&mut self) -> io::Result<SumFile> {
        let out = self.rejects.get_mut();
        out.flush()?;
        let sums = SumFile {
            file: "rejects.ndjson".into(),
            lines: self.rejected,
            sha256: out.hasher().digest(),
            bytes: out.hasher().bytes(),
        };
        crash_point!("bundle.rejects.sync");
        File::open(self.folder.path().join(&sums.file))?.sync_all()?;
        Ok(sums)
    }
}

/// What stands where the bundle shall be.
enum There {
    Nothing,
    ThisBundle,
    Other(String),
}

fn there(target: &Path, id: Digest) -> Result<There, BundleError> {
    let mut entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
        Err(error) => return Err(at(target)(error)),
    };
    if entries.next().is_none() {
        return Ok(There::Nothing);
    }
    let manifest = fs::read(target.join("manifest.json")).unwrap_or_default();
    if Manifest::parse(&manifest).is_err() {
        // Never replaced, whatever was asked: it may be anything.
        let message = "it is a folder, but no bundle".into();
        return Err(BundleError::Exists {
            path: target.to_owned(),
            message,
        });
    }
    let found = Digest::of(&manifest);
    if found != id {
        return Ok(There::Other(format!("it is another bundle, {found}")));
    }
    match Bundle::open(target).and_then(|bundle| bundle.check()) {
        Ok(()) => Ok(There::ThisBundle),
        Err(error) => Ok(There::Other(format!(
            "it is this bundle, but damaged: {error}"
        ))),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> BundleError {
    move |source| BundleError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Makes the folders between `root` and the file `path`, which lies below it.
fn make_folders(root: &Path, path: &Path) -> io::Result<()> {
    let mut missing: Vec<&Path> = path
        .ancestors()
        .skip(1)
        .take_while(|folder| *folder != root && !folder.is_dir())
        .collect();
    missing.reverse();
    missing.into_iter().try_for_each(create_private_folder)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_private(path)?;
    crash_point!("bundle.file.write");
    file.write_all(bytes)?;
    crash_point!("bundle.file.sync");
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::Account;

    const PLAN: &str = r#"
name = "t"
system = "s"
[[entity]]
name = "b"
source = { format = "csv", files = ["f.csv"], key = "k" }
table = "b"
match = ["x"]
fields.x = { from = "x" }
fields.a = { from = "a", ref = "a" }
[[entity]]
name = "a"
source = { format = "csv", files = ["f.csv"], key = "k" }
table = "a"
match = ["x"]
fields.x = { from = "x" }
"#;

    fn plan() -> LoadedPlan {
        LoadedPlan::parse(Path::new("p.toml"), PLAN.into()).unwrap()
    }

    fn account(entity: &str, records: u64) -> Account {
        let (entity, file) = (entity.into(), "f.csv".into());
        Account {
            entity,
            file,
            items: records,
            used: records,
            records,
            ..Account::default()
        }
    }

    fn seal(plan: &LoadedPlan, b: u64, a: u64) -> Seal {
        Seal {
            stage: "bundle".into(),
            rules: contract::RULES,
            plan: plan.digest,
            sources: vec![],
            records: a + b,
            rejected: 0,
            ignored: 0,
            filtered: 0,
            accounts: vec![account("b", b), account("a", a)],
            before: vec![],
            follow_up: false,
            unsealed: false,
            lines: None,
            edited: contract::Edited::No,
            run: None,
        }
    }

    fn write(target: &Path, count: u64, replace: bool) -> Result<Placed, BundleError> {
        let plan = plan();
        let mut writer = BundleWriter::create(target, &plan)?;
        for entity in ["b", "a"] {
            for key in 0..count {
                let op = if entity == "a" && key == 0 {
                    r#""op":"delete","#
                } else {
                    ""
                };
                let line = format!(
                    r#"{{"entity":"{entity}","key":"{key}",{op}"at":{{"file":"f.csv","line":{key}}}}}"#
                );
                writer.record(&serde_json::from_str(&line).unwrap(), line.as_bytes())?;
            }
        }
        writer.finish(&seal(&plan, count, count), replace)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_written_reads_back_in_the_order_of_application() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("B");
        let placed = write(&target, 2500, false).unwrap();
        let bundle = Bundle::open(&target).unwrap();
        bundle.check().unwrap();
        assert_eq!(bundle.id(), placed.id);
        let files = &bundle.manifest().records;
        let order: Vec<_> = files
            .iter()
            .map(|file| (file.file.as_str(), file.records))
            .collect();
        assert_eq!(
            order,
            [
                ("records/01-a.ndjson", 2499),
                ("records/02-b.ndjson", 2500),
                ("records/01-a.delete.ndjson", 1)
            ]
        );
        let sizes: Vec<_> = bundle
            .segments(&files[1])
            .unwrap()
            .map(|part| part.unwrap().len())
            .collect();
        assert_eq!(sizes, [1000, 1000, 500]);
        assert_eq!(names(folder.path()), ["B"]);
    }

    #[test]
    fn the_same_again_is_no_work_and_another_one_is_refused_unless_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("B");
        let first = write(&target, 1, false).unwrap();
        assert_eq!(
            write(&target, 1, false).unwrap(),
            Placed {
                was_there: true,
                ..first
            }
        );
        let error = write(&target, 2, false).unwrap_err();
        assert!(error.to_string().contains("another bundle"), "{error}");
        assert_eq!(Bundle::open(&target).unwrap().id(), first.id);
        let second = write(&target, 2, true).unwrap();
        assert_eq!(Bundle::open(&target).unwrap().id(), second.id);
        assert_eq!(names(folder.path()), ["B"]);
    }

    #[test]
    fn a_folder_that_is_no_bundle_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("B");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("x"), "mine").unwrap();
        let error = write(&target, 1, true).unwrap_err();
        assert!(error.to_string().contains("no bundle"), "{error}");
        assert_eq!(names(&target), ["x"]);
        fs::remove_file(target.join("x")).unwrap();
        write(&target, 1, false).unwrap();
    }

    #[test]
    fn what_a_dead_process_left_is_removed_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("B");
        fs::create_dir(folder.path().join(".B.99999999.tmp")).unwrap();
        let live = folder.path().join(".B.99999998.tmp");
        fs::create_dir(&live).unwrap();
        let lock = File::open(&live).unwrap();
        lock.lock().unwrap();
        write(&target, 1, false).unwrap();
        assert_eq!(names(folder.path()), [".B.99999998.tmp", "B"]);
    }

    #[test]
    fn a_writer_that_is_dropped_leaves_nothing() {
        let (folder, plan) = (tempfile::tempdir().unwrap(), plan());
        drop(BundleWriter::create(&folder.path().join("B"), &plan).unwrap());
        assert!(names(folder.path()).is_empty());
    }
}
