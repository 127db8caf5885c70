//! The stage: what comes in, is checked, waits if it must, and goes out.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use contract::plan::{LoadedPlan, Outside};
use contract::reject::MASK;
use contract::talk::counted;
use contract::{Edited, Exit, FieldError, Line, Record, RecordWriter, Ref, Reject, Seal, Talk};
use serde_json::Value;
use system::files::AtomicFile;

use crate::check::{Checker, error};
use crate::identity::{Identities, State};
use crate::input::{Input, STAGE};
use crate::limit::Share;
use crate::place::Files;
use crate::spool::{Spool, Waiting};
use crate::summary::Summary;

/// The stage at work.
pub(crate) struct Stage<'a, W: Write> {
    plan: &'a LoadedPlan,
    checker: Checker<'a>,
    files: Files,
    identities: Identities,
    spool: Option<Spool>,
    /// What is missing may be in the target: known when the seal was read.
    follow_up: bool,
    out: RecordWriter<W>,
    rejects: Option<RecordWriter<AtomicFile>>,
    rejects_path: Option<&'a Path>,
    refused: HashMap<(String, String), u64>,
    summary: Summary,
    talk: &'a Talk,
}

impl<'a, W: Write> Stage<'a, W> {
    /// Makes the stage ready; `rejects` is the file that keeps a copy of its rejects.
    pub(crate) fn new(
        plan: &'a LoadedPlan,
        out: W,
        rejects: Option<&'a Path>,
        talk: &'a Talk,
    ) -> Result<Self> {
        let checker = Checker::new(plan)?;
        let wait = checker.rules.have_references();
        let file = rejects.map(|path| {
            AtomicFile::create(path).with_context(|| format!("making {}", path.display()))
        });
        Ok(Self {
            plan,
            checker,
            files: Files::default(),
            identities: Identities::default(),
            spool: if wait {
                Some(Spool::create().with_context(spooling)?)
            } else {
                None
            },
            follow_up: false,
            out: RecordWriter::new(out),
            rejects: file.transpose()?.map(RecordWriter::new),
            rejects_path: rejects,
            refused: HashMap::new(),
            summary: Summary::new(&plan.plan),
            talk,
        })
    }

    /// Checks all that comes in.
    pub(crate) fn run(mut self, mut input: impl Input) -> Result<Exit> {
        let mut progress = self.talk.progress(None);
        let mut done = 0;
        while let Some(line) = input.next_line()? {
            let waiting = match line {
                Line::Record(record, raw) => self.check(&record, raw),
                Line::Reject(reject) => self.hand_on(reject),
            };
            match &mut self.spool {
                Some(spool) => spool.push(&waiting).with_context(spooling)?,
                None => self.let_go(waiting)?,
            }
            done += 1;
            progress.at("EXECUTING", done, "lines checked", &[]);
        }
        let seal = input.seal(self.plan)?;
        self.follow_up = seal.follow_up;
        if let Some(spool) = self.spool.take() {
            self.identities.settle(seal.follow_up);
            for line in spool.rewind().with_context(spooling)? {
                self.let_go(line.with_context(spooling)?)?;
            }
        }
        drop(progress);
        self.finish(seal)
    }

    /// Says all of a record that can be said when it comes by.
    fn check(&mut self, record: &Record, raw: Vec<u8>) -> Waiting {
        let place = self.files.pack(&record.at);
        let mut found = self.checker.check(record, place, &self.files);
        for (text, other) in found.warnings {
            self.summary.warn(&record.entity, text, || match other {
                Some(other) => format!("{} and {}", self.files.show(other), record.at),
                None => record.at.to_string(),
            });
        }
        let id = match self.identities.enter(&record.entity, &record.key, place) {
            Ok(id) => id,
            Err(first) => {
                let message = format!("the record at {} has the same key", self.files.show(first));
                found.errors.push(error(None, "key", message));
                return Waiting::Bad(raw, found.errors);
            }
        };
        if !found.errors.is_empty() {
            self.identities.reject(id);
            return Waiting::Bad(raw, found.errors);
        }
        for (column, to) in &record.refs {
            let must = !self.may_be_outside(&record.entity, column);
            self.identities.refer(id, &to.entity, &to.key, must);
        }
        Waiting::Good(id, raw)
    }

    /// A reject of a stage before goes on, and takes along what refers to it.
    fn hand_on(&mut self, reject: Box<Reject>) -> Waiting {
        if let Some(key) = &reject.key {
            let place = self.files.pack(&reject.at);
            if let Ok(id) = self.identities.enter(&reject.entity, key, place) {
                self.identities.reject(id);
            }
        }
        Waiting::Reject(reject)
    }

    /// Writes a line, now that it is known what becomes of it.
    fn let_go(&mut self, line: Waiting) -> Result<()> {
        match line {
            Waiting::Good(id, raw) if self.identities.state(id) == State::Good => {
                self.out.raw(&raw).context(WRITING)
            }
            Waiting::Good(_, raw) => self.reject(&raw, Vec::new()),
            Waiting::Bad(raw, errors) => self.reject(&raw, errors),
            Waiting::Reject(reject) => self.out.reject(&reject).context(WRITING),
        }
    }

    /// Rejects a record for `errors` and for what is wrong with its references.
    fn reject(&mut self, raw: &[u8], mut errors: Vec<FieldError>) -> Result<()> {
        let record: Record = serde_json::from_slice(raw)?;
        for (column, to) in &record.refs {
            errors.extend(self.check_reference(&record, column, to));
        }
        let fields = self
            .checker
            .rules
            .entity(&record.entity)
            .map(|rules| &rules.fields);
        errors.sort_by_key(|error| {
            let column = error.field.as_deref();
            column
                .and_then(|column| fields?.get_index_of(column))
                .unwrap_or(usize::MAX)
        });
        let mut content: Value = serde_json::from_slice(raw)?;
        let secret = fields
            .into_iter()
            .flatten()
            .filter(|(_, field)| field.field.secret);
        for (column, _) in secret {
            for part in ["fields", "lookups"] {
                if let Some(value) = content
                    .get_mut(part)
                    .and_then(|part| part.get_mut(*column))
                    .filter(|value| !value.is_null())
                {
                    *value = MASK.into();
                }
            }
        }
        let reject = Reject {
            entity: record.entity,
            key: Some(record.key),
            at: record.at,
            stage: STAGE.into(),
            errors,
            record: content,
        };
        self.out.reject(&reject).context(WRITING)?;
        if let Some(file) = &mut self.rejects {
            file.reject(&reject).context("writing the rejects file")?;
        }
        self.summary.reject(&reject, self.talk);
        *self
            .refused
            .entry((reject.entity, reject.at.file))
            .or_default() += 1;
        Ok(())
    }

    fn check_reference(&self, record: &Record, column: &str, to: &Ref) -> Option<FieldError> {
        if to.entity == record.entity && to.key == record.key {
            return None;
        }
        let (state, place) = self.identities.find(&to.entity, &to.key);
        let name = format!("{} {}", to.entity, to.key);
        match state {
            State::Good => None,
            State::Missing if self.follow_up || self.may_be_outside(&record.entity, column) => None,
            State::Missing => Some(error(
                Some(column),
                "reference",
                format!("{name} is not in the input"),
            )),
            State::Bad => {
                let place = place.map_or(String::new(), |place| {
                    format!(" at {}", self.files.show(place))
                });
                let message = format!("{name}{place} is rejected");
                Some(FieldError {
                    caused_by: Some(to.clone()),
                    ..error(Some(column), "reference", message)
                })
            }
        }
    }

    fn may_be_outside(&self, entity: &str, column: &str) -> bool {
        let rules = self.checker.rules.entity(entity);
        rules
            .and_then(|rules| rules.fields.get(column))
            .is_some_and(|field| field.field.outside == Some(Outside::Target))
    }

    /// Books what was rejected, judges how much it is, and seals.
    fn finish(mut self, mut seal: Seal) -> Result<Exit> {
        for ((entity, file), count) in &self.refused {
            (0..*count).for_each(|_| seal.refuse(entity, file));
        }
        self.summary.say(&seal, self.rejects_path, self.talk);
        if seal.unsealed {
            self.talk
                .warn("no seal ended the input: nothing vouches that it is whole");
        }
        if seal.filtered > 0 {
            self.talk.warn(format!(
                "{} taken out before this stage",
                counted(seal.filtered, "record")
            ));
        }
        if seal.edited == Edited::Yes {
            self.talk
                .warn("record lines were changed between the stages: the seal says so");
        }
        seal.lines = Some(self.out.lines());
        let share = Share::of(&seal);
        let limits = &self.plan.plan.limits;
        let fails = share.is_above(limits.reject_fail);
        if let Some(file) = self.rejects.take() {
            let done = if fails {
                Ok(file.into_inner())
            } else {
                file.seal(&seal)
            };
            done.and_then(AtomicFile::commit)
                .context("writing the rejects file")?;
        }
        if fails {
            self.out.into_inner().flush().context(WRITING)?;
            self.talk.warn(format!(
                "{share} rejected, more than the limit of {} %: no seal was written, and nothing can be made of the output",
                limits.reject_fail
            ));
            return Ok(Exit::No);
        }
        if share.is_above(limits.reject_warn) {
            self.talk.warn(format!(
                "{share} rejected, more than {} %",
                limits.reject_warn
            ));
        }
        self.out.seal(&seal).context(WRITING)?;
        Ok(Exit::Done)
    }
}

const WRITING: &str = "writing the output";

fn spooling() -> String {
    format!(
        "keeping lines in a temporary file in {}",
        std::env::temp_dir().display()
    )
}
