//! Lines that wait for the end of the input, in a file without a name that no crash can leave.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use contract::{FieldError, Reject};

use crate::identity::Id;

/// A line that waits.
#[derive(Debug, PartialEq)]
pub(crate) enum Waiting {
    /// A record that is good so far.
    Good(Id, Vec<u8>),
    /// A record with what is wrong with it.
    Bad(Vec<u8>, Vec<FieldError>),
    /// A reject of a stage before.
    Reject(Box<Reject>),
}

const GOOD: u8 = 0;
const BAD: u8 = 1;
const REJECT: u8 = 2;

/// Waiting lines, in order.
pub(crate) struct Spool(BufWriter<File>);

impl Spool {
    /// Makes the file, in the system's folder for temporary files.
    pub(crate) fn create() -> io::Result<Self> {
        Ok(Self(BufWriter::with_capacity(
            64 * 1024,
            tempfile::tempfile()?,
        )))
    }

    /// Adds a line.
    pub(crate) fn push(&mut self, line: &Waiting) -> io::Result<()> {
        match line {
            Waiting::Good(id, raw) => {
                self.0.write_all(&[GOOD])?;
                self.0.write_all(&id.to_le_bytes())?;
                self.block(raw)
            }
            Waiting::Bad(raw, errors) => {
                self.0.write_all(&[BAD])?;
                self.block(raw)?;
                self.block(&serde_json::to_vec(errors)?)
            }
            Waiting::Reject(reject) => {
                self.0.write_all(&[REJECT])?;
                self.block(&serde_json::to_vec(reject)?)
            }
        }
    }

    /// Goes back to the first line.
    pub(crate) fn rewind(self) -> io::Result<Lines> {
        let mut file = self
            .0
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Lines(BufReader::with_capacity(64 * 1024, file)))
    }

    fn block(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(&(bytes.len() as u64).to_le_bytes())?;
        self.0.write_all(bytes)
    }
}

/// Reads the waiting lines.
pub(crate) struct Lines(BufReader<File>);

impl Lines {
    fn read(&mut self) -> io::Result<Option<Waiting>> {
        let mut kind = [0];
        if self.0.read(&mut kind)? == 0 {
            return Ok(None);
        }
        Ok(Some(match kind[0] {
            GOOD => {
                let mut id = [0; 4];
                self.0.read_exact(&mut id)?;
                Waiting::Good(Id::from_le_bytes(id), self.block()?)
            }
            BAD => Waiting::Bad(self.block()?, serde_json::from_slice(&self.block()?)?),
            _ => Waiting::Reject(serde_json::from_slice(&self.block()?)?),
        }))
    }

    fn block(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 8];
        self.0.read_exact(&mut length)?;
        let mut bytes = Vec::new();
        let length = u64::from_le_bytes(length);
        (&mut self.0).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

impl Iterator for Lines {
    type Item = io::Result<Waiting>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_went_in() {
        let error = FieldError {
            field: Some("x".into()),
            rule: "type".into(),
            message: "m".into(),
            value: Some(serde_json::from_str("1.50").unwrap()),
            caused_by: None,
        };
        let reject = Reject {
            entity: "e".into(),
            key: None,
            at: contract::At {
                file: "f".into(),
                line: 1,
                item: None,
            },
            stage: "parse".into(),
            errors: vec![error.clone()],
            record: "raw".into(),
        };
        let lines = [
            Waiting::Good(7, b"one".to_vec()),
            Waiting::Bad(Vec::new(), vec![error]),
            Waiting::Reject(Box::new(reject)),
            Waiting::Good(u32::MAX, vec![0; 100_000]),
        ];
        let mut spool = Spool::create().unwrap();
        for line in &lines {
            spool.push(line).unwrap();
        }
        let back: Vec<_> = spool.rewind().unwrap().map(Result::unwrap).collect();
        assert_eq!(back, lines);
    }
}
