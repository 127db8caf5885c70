//! Item by item: record lines, rejects, and the accounting that the seal states.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Write};
use std::path::Path;

use anyhow::Context as _;
use contract::digest::Hasher;
use contract::plan::{Entity, Repeats};
use contract::reject::MASK;
use contract::talk::Progress;
use contract::{
    Account, At, Digest, Exit, Failure, FieldError, HashingReader, RULES, RecordWriter, Reject,
    Seal, SourceSum, Talk,
};
use serde_json::Value;
use system::files::AtomicFile;

use crate::SourceError;
use crate::dropped::Dropped;
use crate::explain::Explained;
use crate::item::{Body, Item, Piece};
use crate::mapping::Outcome;
use crate::prepared::Prepared;
use crate::sources::Files;

/// How many rejects are told on stderr.
const TOLD: u64 = 10;

/// What is known of an entity while its files are read.
struct Work<'a> {
    seen: Seen,
    dropped: Dropped<'a>,
}

/// The stage at work.
pub(crate) struct Stage<W: Write> {
    talk: Talk,
    explain: bool,
    progress: Progress,
    out: RecordWriter<W>,
    rejects: Option<RecordWriter<AtomicFile>>,
    sources: BTreeMap<String, SourceSum>,
    accounts: Vec<Account>,
    /// The files of which some entity drops a column: their text is in no reject.
    hidden: BTreeSet<String>,
    /// Rejects that were told so far.
    told: u64,
    /// Items read so far.
    done: u64,
}

/// Key and content of the records of an entity so far, 16 bytes each; only kept to merge repeats.
type Seen = HashMap<[u8; 16], [u8; 16]>;

impl<W: Write> Stage<W> {
    pub(crate) fn new(
        talk: Talk,
        explain: bool,
        out: W,
        rejects: Option<RecordWriter<AtomicFile>>,
        hidden: BTreeSet<String>,
    ) -> Self {
        Self {
            progress: talk.progress(None),
            talk,
            explain,
            out: RecordWriter::new(out),
            rejects,
            sources: BTreeMap::new(),
            accounts: Vec::new(),
            hidden,
            told: 0,
            done: 0,
        }
    }

    /// Reads all files of an entity.
    ///
    /// # Errors
    ///
    /// The first source that can't be read or used, or an output that can't be written.
    pub(crate) fn entity(&mut self, prepared: &Prepared, files: &Files) -> anyhow::Result<()> {
        let mut work = Work {
            seen: Seen::new(),
            dropped: Dropped::new(&prepared.entity.source.drop),
        };
        let first = self.accounts.len();
        for (name, path) in files {
            self.file(prepared, name, path, &mut work)?;
        }
        let missing = work.dropped.missing();
        if !missing.is_empty()
            && self.accounts[first..]
                .iter()
                .any(|account| account.items > 0)
        {
            let message = format!(
                "no source of `{}` has a column {}, which `drop` names: what should not be carried may be there by another name",
                prepared.entity.name,
                missing.join(", no column ")
            );
            return Err(Failure::new(Exit::Refused, message)
                .hint("correct `drop` in the plan")
                .into());
        }
        let sum =
            |figure: fn(&Account) -> u64| self.accounts[first..].iter().map(figure).sum::<u64>();
        self.talk.say(format!(
            "{}: {} records of {} items in {} {}; {} ignored, {} rejected",
            prepared.entity.name,
            sum(|account| account.records),
            sum(|account| account.items),
            files.len(),
            if files.len() == 1 { "file" } else { "files" },
            sum(|account| account.ignored),
            sum(|account| account.rejected),
        ));
        Ok(())
    }

    fn file(
        &mut self,
        prepared: &Prepared,
        name: &str,
        path: &Path,
        work: &mut Work<'_>,
    ) -> anyhow::Result<()> {
        let entity = prepared.entity;
        let unreadable = |source| {
            failure(SourceError::Io {
                file: name.to_owned(),
                source,
            })
        };
        let opened = File::open(path).map_err(unreadable)?;
        let found = opened.metadata().map_err(unreadable)?;
        // No further than it is now: it may be growing, even by what this program writes.
        let limit = if found.is_file() {
            found.len()
        } else {
            u64::MAX
        };
        let mut input = HashingReader::new(opened.take(limit));
        let mut account = Account {
            entity: entity.name.clone(),
            file: name.to_owned(),
            ..Account::default()
        };
        let mut explained = Explained::default();
        let mut header_checked = false;
        let mut last_line = 0;
        let buffered = BufReader::with_capacity(256 << 10, &mut input);
        for piece in prepared.pieces(name, buffered).map_err(failure)? {
            match piece.map_err(failure)? {
                Piece::Skipped {
                    line,
                    last_line,
                    bytes,
                    reason,
                } => {
                    explained.skip(reason, (line, last_line), bytes);
                }
                Piece::Bad { line, raw, message } => {
                    account.items += 1;
                    account.rejected += 1;
                    let error = FieldError {
                        field: None,
                        rule: "format".into(),
                        message,
                        value: None,
                        caused_by: None,
                    };
                    let at = place(&account, line, &mut last_line);
                    let raw = if self.hidden.contains(name) {
                        MASK.to_owned()
                    } else {
                        prepared.mapper.masked(&raw)
                    };
                    self.reject(entity, None, at, vec![error], raw)?;
                }
                Piece::Item(mut item) => {
                    work.dropped.take_out(&mut item);
                    if self.hidden.contains(name) {
                        MASK.clone_into(&mut item.raw);
                    }
                    if !header_checked {
                        self.check_header(prepared, name, &item, &mut explained)?;
                        header_checked = true;
                    }
                    account.items += 1;
                    let at = place(&account, item.line, &mut last_line);
                    self.item(
                        prepared,
                        &item,
                        at,
                        &mut account,
                        &mut explained,
                        &mut work.seen,
                    )?;
                }
            }
            self.done += 1;
            if self.done.is_multiple_of(1024) {
                self.progress.at("EXECUTING", self.done, name, &[]);
            }
        }
        io::copy(&mut input, &mut io::sink()).map_err(unreadable)?;
        if account.items == 0 && !entity.source.allow_empty {
            let message = format!("{name} holds no item for `{}`", entity.name);
            return Err(Failure::new(Exit::Refused, message)
                .hint("is it the right file, and all of it? if so, say `allow_empty = true` for its source")
                .into());
        }
        if self.explain {
            explained.say(&account, &self.talk);
        }
        let now = fs::metadata(path).map_err(unreadable)?;
        let grown = now.is_file() && now.len() != input.hasher().bytes();
        self.count(name, input.hasher(), account.items, grown)?;
        self.accounts.push(account);
        Ok(())
    }

    /// Compares the plan with the columns of a table, once per file.
    fn check_header(
        &self,
        prepared: &Prepared,
        name: &str,
        item: &Item,
        explained: &mut Explained,
    ) -> Result<(), Failure> {
        let Body::Row(header, _) = &item.body else {
            return Ok(());
        };
        let untouched = prepared
            .mapper
            .missing(header)
            .map_err(|message| Failure::new(Exit::Refused, format!("{name}: {message}")))?;
        for (lacking, column) in untouched {
            let entity = &prepared.entity.name;
            self.talk.warn(format!(
                "{name} has no column {lacking}: `{column}` of `{entity}` stays untouched"
            ));
        }
        explained.unread(&prepared.mapper.unread(header).unwrap_or_default());
        Ok(())
    }

    fn item(
        &mut self,
        prepared: &Prepared,
        item: &Item,
        at: At,
        account: &mut Account,
        explained: &mut Explained,
        seen: &mut Seen,
    ) -> anyhow::Result<()> {
        let mapped = prepared.mapper.map(&at, item);
        explained.leave_out(mapped.left_out);
        let records = match mapped.outcome {
            Outcome::Records(records) => records,
            Outcome::Ignored => {
                account.ignored += 1;
                return Ok(());
            }
            Outcome::Rejected { key, errors, raw } => {
                account.rejected += 1;
                return self.reject(prepared.entity, key, at, errors, raw);
            }
        };
        account.used += 1;
        account.extra += records.len() as u64 - 1;
        for record in records {
            if prepared.entity.source.repeats == Repeats::Merge {
                let (key, content) = (Digest::of(record.key.as_bytes()).short(), record.digest());
                match seen.entry(key) {
                    Entry::Occupied(earlier) if *earlier.get() == content => {
                        account.merged += 1;
                        continue;
                    }
                    Entry::Occupied(_) => {}
                    Entry::Vacant(place) => drop(place.insert(content)),
                }
            }
            account.records += 1;
            self.out.record(&record)?;
        }
        Ok(())
    }

    fn reject(
        &mut self,
        entity: &Entity,
        key: Option<String>,
        at: At,
        errors: Vec<FieldError>,
        raw: String,
    ) -> anyhow::Result<()> {
        if self.told < TOLD {
            for error in &errors {
                let field = error
                    .field
                    .as_ref()
                    .map_or(String::new(), |field| format!("{field}: "));
                let line = format!("rejected {at} ({}): {field}{}", entity.name, error.message);
                self.talk.say(line);
            }
        }
        self.told += 1;
        let reject = Reject {
            entity: entity.name.clone(),
            key,
            at,
            stage: "parse".into(),
            errors,
            record: Value::String(raw),
        };
        self.out.reject(&reject)?;
        if let Some(rejects) = &mut self.rejects {
            rejects
                .reject(&reject)
                .context("writing the rejects file")?;
        }
        Ok(())
    }

    /// Books the bytes of a file; the same file may feed several entities.
    fn count(
        &mut self,
        name: &str,
        hasher: &Hasher,
        items: u64,
        grown: bool,
    ) -> Result<(), Failure> {
        let (sha256, bytes) = (hasher.digest(), hasher.bytes());
        let sum = self.sources.entry(name.to_owned()).or_insert(SourceSum {
            file: name.to_owned(),
            sha256,
            bytes,
            items: 0,
        });
        sum.items += items;
        if sum.sha256 == sha256 && !grown {
            return Ok(());
        }
        Err(
            Failure::new(Exit::Refused, format!("{name} changed while it was read"))
                .hint("take a copy that nobody writes to, and start again"),
        )
    }

    /// Seals what was written.
    ///
    /// # Errors
    ///
    /// An output that can't be written.
    pub(crate) fn finish(
        mut self,
        plan: Digest,
        rejects_path: Option<&Path>,
    ) -> anyhow::Result<()> {
        let sum = |figure: fn(&Account) -> u64| self.accounts.iter().map(figure).sum::<u64>();
        let seal = Seal {
            stage: "parse".into(),
            rules: RULES,
            plan,
            sources: self.sources.into_values().collect(),
            records: sum(|account| account.records),
            rejected: sum(|account| account.rejected),
            ignored: sum(|account| account.ignored),
            filtered: 0,
            accounts: self.accounts.clone(),
            before: Vec::new(),
            follow_up: false,
            unsealed: false,
            lines: Some(self.out.lines()),
            edited: contract::Edited::No,
            run: None,
        };
        if let Err(message) = seal.check() {
            return Err(Failure::new(Exit::Refused, message).into());
        }
        if let (Some(rejects), Some(path)) = (self.rejects.take(), rejects_path) {
            let file = rejects.seal(&seal).and_then(AtomicFile::commit);
            file.with_context(|| format!("writing {}", path.display()))?;
        }
        self.out.seal(&seal)?;
        self.progress.at("COMPLETED", self.done, "", &[]);
        if self.told > TOLD {
            self.talk.say(format!(
                "… and {} more; `--rejects FILE` keeps them all",
                self.told - TOLD
            ));
        }
        Ok(())
    }
}

/// Says where the item that was counted last starts: its number too, where the line alone does not tell it
/// from the item before it.
fn place(account: &Account, line: u64, last_line: &mut u64) -> At {
    let shared = std::mem::replace(last_line, line) == line;
    At {
        file: account.file.clone(),
        line,
        item: shared.then_some(account.items),
    }
}

fn failure(error: SourceError) -> anyhow::Error {
    let exit = error.exit();
    Failure::new(exit, format!("{:#}", anyhow::Error::new(error))).into()
}
