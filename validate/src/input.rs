//! Where records come from: a stream, or a file of mended rejects.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use contract::plan::LoadedPlan;
use contract::seal::Account;
use contract::stream::{StreamError, belongs};
use contract::{Exit, Failure, Line, Record, RecordReader, Seal};

/// The stage's name.
pub(crate) const STAGE: &str = "validate";

/// What can be validated.
pub(crate) trait Input {
    /// Returns the next record or reject.
    fn next_line(&mut self) -> Result<Option<Line>>;
    /// Starts this stage's seal, once the last line was read.
    fn seal(&self, plan: &LoadedPlan) -> Result<Seal>;
}

/// A stream of a stage before.
pub(crate) struct Stream<R> {
    reader: RecordReader<R>,
    unsealed: bool,
}

impl<R: BufRead> Stream<R> {
    pub(crate) fn new(input: R, unsealed: bool) -> Self {
        Self {
            reader: RecordReader::new(input),
            unsealed,
        }
    }
}

impl<R: BufRead> Input for Stream<R> {
    fn next_line(&mut self) -> Result<Option<Line>> {
        Ok(self.reader.next_line()?)
    }

    fn seal(&self, plan: &LoadedPlan) -> Result<Seal> {
        Ok(self.reader.seal_for(STAGE, plan, self.unsealed)?)
    }
}

/// Rejects of validate or apply whose `record` a person has mended.
pub(crate) struct Mended {
    path: PathBuf,
    reader: RecordReader<BufReader<File>>,
    counts: HashMap<(String, String), u64>,
}

impl Mended {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let reader = RecordReader::new(BufReader::new(file));
        Ok(Self {
            path: path.to_owned(),
            reader,
            counts: HashMap::new(),
        })
    }

    fn refuse(&self, message: &str, hint: &str) -> anyhow::Error {
        let place = format!("{}:{}", self.path.display(), self.reader.line());
        Failure::new(Exit::Refused, format!("{place}: {message}"))
            .hint(hint)
            .into()
    }
}

impl Input for Mended {
    fn next_line(&mut self) -> Result<Option<Line>> {
        let reject = match self
            .reader
            .next_line()
            .with_context(|| self.path.display().to_string())?
        {
            None => return Ok(None),
            Some(Line::Record(..)) => {
                let hint =
                    "correct `record` inside the reject line, and leave the rest of the line";
                return Err(self.refuse("it is a record, not a reject", hint));
            }
            Some(Line::Reject(reject)) => reject,
        };
        if reject.stage == "parse" {
            let key = reject.key.as_deref().unwrap_or("without a key");
            let message = format!(
                "{} {key} of {} was rejected by parse",
                reject.entity, reject.at
            );
            return Err(self.refuse(
                &message,
                "correct the source and parse it again; take this line out",
            ));
        }
        let raw = serde_json::to_vec(&reject.record)?;
        let record: Record = serde_json::from_slice(&raw).map_err(|error| {
            let hint = "it has the form of the record lines that parse writes";
            self.refuse(&format!("`record` is not a record: {error}"), hint)
        })?;
        *self
            .counts
            .entry((record.entity.clone(), record.at.file.clone()))
            .or_default() += 1;
        Ok(Some(Line::Record(Box::new(record), raw)))
    }

    /// Starts from what the stage that wrote the file rejected: so many records came in, and those
    /// that were taken out of the file are filtered.
    fn seal(&self, plan: &LoadedPlan) -> Result<Seal> {
        let place = || self.path.display().to_string();
        let wrong = |message| StreamError::Seal { message };
        let lines = self.reader.line();
        let seal = self
            .reader
            .sealed()
            .ok_or(StreamError::NoSeal { lines })
            .with_context(place)?;
        belongs(seal, plan).with_context(place)?;
        seal.check().map_err(wrong).with_context(place)?;
        let accounts = seal
            .accounts
            .iter()
            .filter(|account| account.refused > 0)
            .map(|account| Account {
                entity: account.entity.clone(),
                file: account.file.clone(),
                items: account.refused,
                used: account.refused,
                records: account.refused,
                ..Account::default()
            });
        let start = Seal {
            stage: "rejects".into(),
            accounts: accounts.collect(),
            records: seal.accounts.iter().map(|account| account.refused).sum(),
            rejected: 0,
            ignored: 0,
            filtered: 0,
            before: Vec::new(),
            follow_up: true,
            ..seal.clone()
        };
        let stranger = self
            .counts
            .keys()
            .find(|(entity, file)| start.account(entity, file).is_none());
        if let Some((entity, file)) = stranger {
            let message = format!("no record of {entity} from {file} was rejected");
            return Err(wrong(message)).with_context(place);
        }
        let came_in = |entity: &str, file: &str| {
            self.counts
                .get(&(entity.to_owned(), file.to_owned()))
                .copied()
                .unwrap_or(0)
        };
        start
            .next(STAGE, came_in)
            .map_err(wrong)
            .with_context(place)
    }
}
