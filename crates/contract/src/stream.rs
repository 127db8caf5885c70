//! Streams of lines: one JSON object a line, ended by a seal.

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize};

use crate::plan::LoadedPlan;
use crate::seal::Account;
use crate::{Digest, Edited, Exit, LINE_LIMIT, LineSum, RULES, Record, Reject, Seal};

/// Why a stream was refused. The stage writes no seal of its own after one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// A line longer than the limit.
    #[error("line {line} of the input is longer than {limit} bytes")]
    LineTooLong {
        /// 1-based line of the stream.
        line: u64,
        /// In bytes.
        limit: u64,
    },
    /// A line that is no record, reject or seal.
    #[error("line {line} of the input is not a record line: {message}")]
    Malformed {
        /// 1-based line of the stream.
        line: u64,
        /// What was found.
        message: String,
    },
    /// The input ended without a seal.
    #[error(
        "the input ends after line {lines} without a seal: a stage before this one failed, or its output was cut"
    )]
    NoSeal {
        /// Lines read.
        lines: u64,
    },
    /// The figures of the seal and the lines disagree.
    #[error("the input does not match its seal: {message}")]
    Seal {
        /// What disagrees.
        message: String,
    },
    /// The seal names another plan.
    #[error("the input was made by another plan: its seal names {found}, this plan is {expected}")]
    OtherPlan {
        /// The plan in hand.
        expected: Digest,
        /// The plan of the seal.
        found: Digest,
    },
    /// The seal is of a version of the rules that this build does not know.
    #[error("the input was made by rules {found}, this build makes {expected}: run parse again")]
    OtherRules {
        /// The version of this build.
        expected: u32,
        /// The version of the seal.
        found: u32,
    },
    /// The input could not be read.
    #[error("reading the input")]
    Io(#[source] io::Error),
}

impl StreamError {
    /// The exit code: input that is cut short or damaged is refused (4), unreadable input is 5.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::LineTooLong { .. }
            | Self::Malformed { .. }
            | Self::NoSeal { .. }
            | Self::Seal { .. }
            | Self::OtherPlan { .. }
            | Self::OtherRules { .. } => Exit::Refused,
            Self::Io(_) => Exit::Unreachable,
        }
    }
}

/// One line of a stream.
#[derive(Debug)]
pub enum Line {
    /// A record, with the bytes of its line (without the line end).
    Record(Box<Record>, Vec<u8>),
    /// A reject of a stage before.
    Reject(Box<Reject>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RejectLine<T> {
    reject: T,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealLine<T> {
    end: T,
}

/// Reads a stream line by line, counts its records, and checks them against the seal at the end.
pub struct RecordReader<R> {
    input: R,
    line: u64,
    counts: HashMap<(String, String), u64>,
    rejected: HashMap<(String, String), [u64; 2]>,
    lines: LineSum,
    seal: Option<Seal>,
}

impl<R: BufRead> RecordReader<R> {
    /// Wraps a reader.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: 0,
            counts: HashMap::new(),
            rejected: HashMap::new(),
            lines: LineSum::default(),
            seal: None,
        }
    }

    /// Returns the next record or reject, or `None` after the last.
    ///
    /// # Errors
    ///
    /// As [`StreamError`] says; a missing seal is found by [`RecordReader::seal`].
    pub fn next_line(&mut self) -> Result<Option<Line>, StreamError> {
        loop {
            let Some(raw) = self.raw_line()? else {
                return Ok(None);
            };
            if self.seal.is_some() {
                return Err(self.malformed("it comes after the seal"));
            }
            match first_key(&raw) {
                Some("end") => {
                    let json = self.parse::<SealLine<serde_json::Value>>(&raw)?.end;
                    let seal = Seal::read(json).map_err(|error| self.malformed(error))?;
                    self.seal = Some(seal);
                }
                Some("reject") => {
                    let reject = self.parse::<RejectLine<Reject>>(&raw)?.reject;
                    let key = (reject.entity.clone(), reject.at.file.clone());
                    let later = usize::from(reject.stage != "parse");
                    self.rejected.entry(key).or_default()[later] += 1;
                    return Ok(Some(Line::Reject(Box::new(reject))));
                }
                _ => {
                    let record: Record = self.parse(&raw)?;
                    if let Some(column) = record.twice() {
                        let message = format!(
                            "the record of {} has the column `{column}` twice",
                            record.at
                        );
                        return Err(self.malformed(message));
                    }
                    self.count(&record);
                    self.lines.add(&raw);
                    return Ok(Some(Line::Record(Box::new(record), raw)));
                }
            }
        }
    }

    /// Returns the 1-based number of the line read last.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Returns the seal that ended the stream, or `None` where there was none.
    pub fn sealed(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// Returns how many records of an entity and source were read.
    pub fn count_of(&self, entity: &str, file: &str) -> u64 {
        self.counts
            .get(&(entity.to_owned(), file.to_owned()))
            .copied()
            .unwrap_or(0)
    }

    /// Returns every entity and source that was read, with its count, in no order.
    pub fn counts(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.counts
            .iter()
            .map(|((entity, file), count)| (entity.as_str(), file.as_str(), *count))
    }

    /// Starts the seal of this stage, after the last line: checks the records read against the
    /// seal of the stage before, books what was taken out between them as filtered, and notes whether
    /// the lines are those that were sealed.
    ///
    /// # Errors
    ///
    /// No seal, or more records than it says.
    pub fn seal(&self, stage: &str) -> Result<Seal, StreamError> {
        let seal = self
            .seal
            .as_ref()
            .ok_or(StreamError::NoSeal { lines: self.line })?;
        if let Some((entity, file)) = self
            .counts
            .keys()
            .find(|(entity, file)| seal.account(entity, file).is_none())
        {
            let message =
                format!("it has records of {entity} from {file}, which the seal does not know");
            return Err(StreamError::Seal { message });
        }
        let next = seal
            .check()
            .and_then(|()| seal.next(stage, |entity, file| self.count_of(entity, file)));
        let mut next = next.map_err(|message| StreamError::Seal { message })?;
        next.edited = next.edited.max(self.edited(seal));
        next.lines = None;
        Ok(next)
    }

    /// Tells whether the record lines read are those that a seal speaks of.
    fn edited(&self, seal: &Seal) -> Edited {
        let count: u64 = self.counts.values().sum();
        match seal.lines {
            Some(sum) if sum == self.lines => Edited::No,
            Some(_) if count == seal.records => Edited::Yes,
            _ => Edited::Unknown,
        }
    }

    /// As [`RecordReader::seal`], for a plan: a seal that names another plan, or rules that this
    /// build does not know, is refused. With `unsealed` a stream without a seal gets one that is
    /// made up from its lines, and says so.
    ///
    /// # Errors
    ///
    /// As said above.
    pub fn seal_for(
        &self,
        stage: &str,
        plan: &LoadedPlan,
        unsealed: bool,
    ) -> Result<Seal, StreamError> {
        if unsealed && self.seal.is_none() {
            return Ok(self.made_up(stage, plan));
        }
        let seal = self.seal(stage)?;
        belongs(&seal, plan)?;
        Ok(seal)
    }

    fn made_up(&self, stage: &str, plan: &LoadedPlan) -> Seal {
        let mut accounts: Vec<_> = self.counts.keys().chain(self.rejected.keys()).collect();
        accounts.sort_by_key(|(entity, file)| {
            let place = plan
                .plan
                .entity
                .iter()
                .position(|known| known.name == *entity);
            (place.unwrap_or(usize::MAX), entity, file)
        });
        accounts.dedup();
        let accounts = accounts.into_iter().map(|key| {
            let records = self.counts.get(key).copied().unwrap_or(0);
            let [rejected, refused] = self.rejected.get(key).copied().unwrap_or_default();
            Account {
                entity: key.0.clone(),
                file: key.1.clone(),
                items: records + rejected + refused,
                used: records + refused,
                rejected,
                refused,
                records,
                ..Account::default()
            }
        });
        Seal {
            stage: stage.to_owned(),
            rules: RULES,
            plan: plan.digest,
            sources: Vec::new(),
            records: self.counts.values().sum(),
            rejected: 0,
            ignored: 0,
            filtered: 0,
            accounts: accounts.collect(),
            before: Vec::new(),
            follow_up: false,
            unsealed: true,
            lines: None,
            edited: Edited::Unknown,
            run: None,
        }
    }

    fn count(&mut self, record: &Record) {
        let key = (record.entity.clone(), record.at.file.clone());
        *self.counts.entry(key).or_default() += 1;
    }

    fn raw_line(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        let mut raw = Vec::with_capacity(512);
        let found = (&mut self.input)
            .take(LINE_LIMIT + 1)
            .read_until(b'\n', &mut raw)
            .map_err(StreamError::Io)?;
        if found == 0 {
            return Ok(None);
        }
        self.line += 1;
        if raw.last() == Some(&b'\n') {
            raw.pop();
        } else if raw.len() as u64 > LINE_LIMIT {
            return Err(StreamError::LineTooLong {
                line: self.line,
                limit: LINE_LIMIT,
            });
        } else {
            return Err(self.malformed("it has no line end: the input was cut"));
        }
        Ok(Some(raw))
    }

    fn parse<'a, T: Deserialize<'a>>(&self, raw: &'a [u8]) -> Result<T, StreamError> {
        serde_json::from_slice(raw).map_err(|error| self.malformed(error.to_string()))
    }

    fn malformed(&self, message: impl Into<String>) -> StreamError {
        StreamError::Malformed {
            line: self.line,
            message: message.into(),
        }
    }
}

/// Checks that a seal is of this plan and of these rules.
///
/// # Errors
///
/// It is not.
pub fn belongs(seal: &Seal, plan: &LoadedPlan) -> Result<(), StreamError> {
    if seal.plan != plan.digest {
        return Err(StreamError::OtherPlan {
            expected: plan.digest,
            found: seal.plan,
        });
    }
    if seal.rules != RULES {
        return Err(StreamError::OtherRules {
            expected: RULES,
            found: seal.rules,
        });
    }
    Ok(())
}

/// Returns the first key of a JSON object that is written in plain letters.
fn first_key(raw: &[u8]) -> Option<&str> {
    let rest = raw
        .trim_ascii_start()
        .strip_prefix(b"{")?
        .trim_ascii_start()
        .strip_prefix(b"\"")?;
    let end = rest.iter().position(|&byte| byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Writes a stream. The seal goes last, after everything before it was flushed.
pub struct RecordWriter<W: Write> {
    out: W,
    lines: LineSum,
    /// The line at hand, kept to be used again.
    line: Vec<u8>,
}

impl<W: Write> RecordWriter<W> {
    /// Wraps a writer, which should be buffered.
    pub fn new(out: W) -> Self {
        Self {
            out,
            lines: LineSum::default(),
            line: Vec::new(),
        }
    }

    /// Returns the sum of the record lines written so far.
    pub fn lines(&self) -> LineSum {
        self.lines
    }

    /// Writes a record.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn record(&mut self, record: &Record) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, record).map_err(io::Error::from)?;
        self.lines.add(&self.line);
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    /// Writes a record line as it came in.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn raw(&mut self, line: &[u8]) -> io::Result<()> {
        self.lines.add(line);
        self.out.write_all(line)?;
        self.out.write_all(b"\n")
    }

    /// Writes a reject.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn reject(&mut self, reject: &Reject) -> io::Result<()> {
        self.json(&RejectLine { reject })
    }

    /// Writes the seal, once all that went before has left this process.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn seal(mut self, seal: &Seal) -> io::Result<W> {
        self.out.flush()?;
        self.json(&SealLine { end: seal })?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Returns the writer, to flush or to ask it.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Gives the writer back without a seal: the stream stays open-ended and the next stage fails.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        self.out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(records: u64) -> Seal {
        let account = Account {
            entity: "a".into(),
            file: "f".into(),
            items: 2,
            used: 2,
            records,
            ..Account::default()
        };
        Seal {
            stage: "parse".into(),
            rules: RULES,
            plan: Digest::of(b""),
            sources: vec![],
            records,
            rejected: 0,
            ignored: 0,
            filtered: 0,
            accounts: vec![account],
            before: vec![],
            follow_up: false,
            unsealed: false,
            lines: None,
            edited: Edited::No,
            run: None,
        }
    }

    fn stream(lines: usize, sealed: Option<u64>) -> Vec<u8> {
        let mut out = Vec::new();
        for n in 0..lines {
            writeln!(out, r#"{{"entity":"a","key":"{n}","at":{{"file":"f","line":{n}}},"fields":{{"x":{n}}}}}"#).unwrap();
        }
        match sealed {
            Some(records) => RecordWriter::new(out).seal(&seal(records)).unwrap(),
            None => out,
        }
    }

    fn drain(bytes: &[u8]) -> Result<Seal, StreamError> {
        let mut reader = RecordReader::new(bytes);
        while reader.next_line()?.is_some() {}
        reader.seal("validate")
    }

    #[test]
    fn what_was_taken_out_between_two_seals_is_filtered() {
        let next = drain(&stream(1, Some(2))).unwrap();
        assert_eq!((next.records, next.filtered, next.before.len()), (1, 1, 1));
        next.check().unwrap();
    }

    #[test]
    fn lines_that_were_added_are_refused() {
        let error = drain(&stream(3, Some(2))).unwrap_err();
        assert!(error.to_string().contains("lines were added"), "{error}");
    }

    #[test]
    fn a_stream_cut_at_any_byte_is_refused() {
        let whole = stream(2, Some(2));
        assert!(drain(&whole).is_ok());
        for cut in 0..whole.len() {
            assert!(drain(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_before_it_is_buffered() {
        let endless = io::repeat(b'x');
        let error = RecordReader::new(io::BufReader::new(endless))
            .next_line()
            .unwrap_err();
        assert!(
            matches!(error, StreamError::LineTooLong { line: 1, .. }),
            "{error}"
        );
    }
}
