//! The file of a dry run's decisions: written by `--dry-run --save`, held against what is decided
//! later by `--expect`. NDJSON in the order of the run; memory: one batch.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use contract::bundle::Bundle;
use contract::digest::Hasher;
use contract::plan::IdFrom;
use contract::{At, Digest, Exit, Failure, HashingWriter, LINE_LIMIT, Reject};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::ledger::Run;
use store::{Decided, Sql, TargetUrl, catalogue_digest};
use system::files::AtomicFile;

use crate::which::refused;

/// The version of the file.
const FORMAT: u32 = 1;

/// What the decisions hang on: the first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    format: u32,
    bundle: String,
    target: String,
    batch_size: i64,
    catalogue: Digest,
    lookups: Value,
}

impl Head {
    /// Describes a run that has just started, on the connection it runs on.
    pub(crate) fn of(
        bundle: &Bundle,
        to: &TargetUrl,
        sql: &mut dyn Sql,
        run: &Run,
    ) -> Result<Self, Failure> {
        Ok(Self {
            format: FORMAT,
            bundle: bundle.id().to_string(),
            target: to.descriptions().swap_remove(0),
            batch_size: run.batch_size,
            catalogue: catalogue_digest(sql, &bundle.plan().plan).map_err(refused)?,
            lookups: serde_json::from_str(&run.lookups).unwrap_or_default(),
        })
    }

    /// Says what differs, each in a line.
    pub(crate) fn differences(&self, found: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut differ = |what: &str, expected: &dyn ToString, found: &dyn ToString| {
            let (expected, found) = (expected.to_string(), found.to_string());
            if expected != found {
                lines.push(format!("{what}: expected {expected}, found {found}"));
            }
        };
        differ("bundle", &self.bundle, &found.bundle);
        differ("target", &self.target, &found.target);
        differ("batch size", &self.batch_size, &found.batch_size);
        differ("catalogue of the tables", &self.catalogue, &found.catalogue);
        differ("codes looked up", &self.lookups, &found.lookups);
        lines
    }
}

/// A decision about one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    batch: i64,
    entity: String,
    key: String,
    at: At,
    action: String,
    /// None where the target assigns it.
    target: Option<String>,
    columns: Vec<String>,
    /// The hash of the row before the run, in hex.
    before: Option<String>,
}

impl Decision {
    fn name(&self) -> String {
        format!("{}: {} {}", self.at, self.entity, self.key)
    }

    fn words(&self) -> String {
        let mut words = self.action.clone();
        if let Some(target) = &self.target {
            write!(words, " {target}").ok();
        }
        if !self.columns.is_empty() {
            write!(words, " ({})", self.columns.join(", ")).ok();
        }
        words
    }
}

/// Returns the decisions about a batch: what was decided, then who is at fault.
pub(crate) fn decisions(
    bundle: &Bundle,
    (batch, entity): (i64, &str),
    decided: &[Decided],
    rejects: &[Reject],
) -> Vec<Decision> {
    let id = bundle
        .plan()
        .plan
        .entity(entity)
        .and_then(|entity| entity.id.as_ref());
    let derived = id.is_some_and(|id| id.from != IdFrom::Target);
    let hex = |hash: &[u8; 16]| format!("{:032x}", u128::from_be_bytes(*hash));
    let decided = decided.iter().map(|decided| Decision {
        batch,
        entity: entity.to_owned(),
        key: decided.key.clone(),
        at: decided.at.clone(),
        action: decided.action.into(),
        target: decided
            .target
            .as_ref()
            .filter(|_| derived || decided.before.is_some())
            .map(ToString::to_string),
        columns: decided.columns.clone(),
        before: decided.before.as_ref().map(hex),
    });
    let failed = rejects.iter().map(|reject| Decision {
        batch,
        entity: reject.entity.clone(),
        key: reject.key.clone().unwrap_or_default(),
        at: reject.at.clone(),
        action: "failed".into(),
        target: None,
        columns: vec![],
        before: None,
    });
    decided.chain(failed).collect()
}

/// Says where the decisions about a batch differ, a line each.
pub(crate) fn differences(expected: &[Decision], found: &[Decision]) -> Vec<String> {
    let same = |a: &Decision, b: &Decision| a.at == b.at && a.key == b.key;
    let words = |decision: Option<&Decision>| decision.map_or("none".into(), Decision::words);
    // Nearly always at the same place.
    let find = |decision: &Decision, place: usize, others: &[Decision]| {
        let near = others.get(place).filter(|other| same(decision, other));
        near.or_else(|| others.iter().find(|other| same(decision, other)))
            .cloned()
    };
    let mut lines = Vec::new();
    for (place, expected) in expected.iter().enumerate() {
        let now = find(expected, place, found);
        let now = now.as_ref();
        let line = match now {
            Some(now) if now == expected => continue,
            Some(now) if now.words() == expected.words() => {
                format!(
                    "expected {}, found that the row has changed since",
                    now.words()
                )
            }
            now => format!("expected {}, found {}", expected.words(), words(now)),
        };
        lines.push(format!("{}: {line}", expected.name()));
    }
    for (place, found) in found.iter().enumerate() {
        if find(found, place, expected).is_none() {
            lines.push(format!(
                "{}: expected none, found {}",
                found.name(),
                found.words()
            ));
        }
    }
    lines
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    decisions: Head,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    decisions: u64,
    sha256: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    end: End,
}

/// Writes the file: it appears whole or not at all.
pub(crate) struct Save {
    out: HashingWriter<AtomicFile>,
    decisions: u64,
}

impl Save {
    pub(crate) fn create(path: &Path, head: Head) -> io::Result<Self> {
        let mut save = Self {
            out: HashingWriter::new(AtomicFile::create(path)?),
            decisions: 0,
        };
        save.line(&HeadLine { decisions: head })?;
        Ok(save)
    }

    pub(crate) fn add(&mut self, decisions: &[Decision]) -> io::Result<()> {
        self.decisions += decisions.len() as u64;
        decisions
            .iter()
            .try_for_each(|decision| self.line(decision))
    }

    pub(crate) fn commit(mut self) -> io::Result<u64> {
        let end = End {
            decisions: self.decisions,
            sha256: self.out.hasher().digest(),
        };
        self.line(&EndLine { end })?;
        self.out.into_inner().commit()?;
        Ok(self.decisions)
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}

/// Reads the file, batch by batch.
pub(crate) struct Expected {
    path: PathBuf,
    input: BufReader<File>,
    pub(crate) head: Head,
    next: Option<Decision>,
}

impl Expected {
    /// Opens a file and checks that it is whole.
    ///
    /// # Errors
    ///
    /// It can't be read (5), or does not add up (4).
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let open = || {
            File::open(path).map_err(|error| {
                Failure::new(Exit::Unreachable, format!("{}: {error}", path.display()))
            })
        };
        check(path, BufReader::new(open()?))?;
        let mut input = BufReader::new(open()?);
        let head = read_line(&mut input)?
            .and_then(|line| serde_json::from_slice::<HeadLine>(&line).ok())
            .ok_or_else(|| damaged(path, "its first line is none of this version"))?
            .decisions;
        if head.format != FORMAT {
            let message = format!("its format is {}, this build reads {FORMAT}", head.format);
            return Err(damaged(path, &message).into());
        }
        let mut expected = Self {
            path: path.to_owned(),
            input,
            head,
            next: None,
        };
        expected.next = expected.read()?;
        Ok(expected)
    }

    /// Returns the decisions about a batch; those of batches before it are passed over.
    pub(crate) fn batch(&mut self, no: i64) -> anyhow::Result<Vec<Decision>> {
        let mut found = Vec::new();
        while let Some(decision) = self.next.take_if(|next| next.batch <= no) {
            if decision.batch == no {
                found.push(decision);
            }
            self.next = self.read()?;
        }
        Ok(found)
    }

    fn read(&mut self) -> anyhow::Result<Option<Decision>> {
        let Some(line) = read_line(&mut self.input)? else {
            return Ok(None);
        };
        if serde_json::from_slice::<EndLine>(&line).is_ok() {
            return Ok(None);
        }
        let decision = serde_json::from_slice(&line);
        Ok(Some(decision.map_err(|error| {
            damaged(&self.path, &error.to_string())
        })?))
    }
}

/// Checks that the last line counts and hashes all before it.
fn check(path: &Path, mut input: BufReader<File>) -> anyhow::Result<()> {
    let mut hasher = Hasher::default();
    let (mut last, mut lines) = (Vec::new(), 0_u64);
    while let Some(line) = read_line(&mut input)? {
        hasher.update(&last);
        (last, lines) = (line, lines + 1);
    }
    let end = serde_json::from_slice::<EndLine>(&last)
        .map_err(|_| damaged(path, "its last line is missing: it was cut short"))?
        .end;
    if end.sha256 != hasher.digest() || Some(end.decisions) != lines.checked_sub(2) {
        return Err(damaged(path, "it is not what its last line says: it was changed").into());
    }
    Ok(())
}

/// Reads a line with its line feed, at most [`LINE_LIMIT`] bytes.
fn read_line(input: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.take(LINE_LIMIT).read_until(b'\n', &mut line)?;
    Ok((!line.is_empty()).then_some(line))
}

fn damaged(path: &Path, what: &str) -> Failure {
    Failure::new(Exit::Refused, format!("{}: {what}", path.display()))
        .hint("nothing was written; make it again: apply --dry-run --save FILE")
}
