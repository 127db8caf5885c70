//! A records file while it is written: hashed as a whole and in pieces.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use contract::Op;
use contract::bundle::{RecordsFile, Segment};
use contract::digest::Hasher;
use system::crash_point;
use system::files::create_private;

/// A segment ends after so many records …
const SEGMENT_RECORDS: u64 = 1000;
/// … or once it holds so many bytes, whichever comes first.
const SEGMENT_BYTES: u64 = 1024 * 1024;

/// An open records file.
pub(crate) struct RecordsOut {
    out: BufWriter<File>,
    whole: Hasher,
    part: Hasher,
    part_records: u64,
    sums: RecordsFile,
}

impl RecordsOut {
    /// Creates `file` inside `folder`.
    pub(crate) fn create(folder: &Path, file: String, entity: &str, op: Op) -> io::Result<Self> {
        let out = BufWriter::with_capacity(64 * 1024, create_private(&folder.join(&file))?);
        let whole = Hasher::default();
        let sums = RecordsFile {
            file,
            entity: entity.to_owned(),
            op,
            records: 0,
            sha256: whole.digest(),
            bytes: 0,
            segments: Vec::new(),
        };
        Ok(Self {
            out,
            part: Hasher::default(),
            whole,
            part_records: 0,
            sums,
        })
    }

    /// Adds a line, which comes without its line end.
    pub(crate) fn line(&mut self, line: &[u8]) -> io::Result<()> {
        crash_point!("bundle.records.write");
        for bytes in [line, b"\n"] {
            self.out.write_all(bytes)?;
            self.whole.update(bytes);
            self.part.update(bytes);
        }
        self.part_records += 1;
        if self.part_records >= SEGMENT_RECORDS || self.part.bytes() >= SEGMENT_BYTES {
            self.end_segment();
        }
        Ok(())
    }

    /// Syncs the file and returns its sums.
    pub(crate) fn finish(mut self) -> io::Result<RecordsFile> {
        if self.part_records > 0 {
            self.end_segment();
        }
        self.sums.sha256 = self.whole.digest();
        self.sums.bytes = self.whole.bytes();
        self.sums.records = self
            .sums
            .segments
            .iter()
            .map(|segment| segment.records)
            .sum();
        crash_point!("bundle.records.sync");
        self.out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        Ok(self.sums)
    }

    fn end_segment(&mut self) {
        let part = std::mem::take(&mut self.part);
        self.sums.segments.push(Segment {
            records: std::mem::take(&mut self.part_records),
            bytes: part.bytes(),
            sha256: part.digest(),
        });
    }
}
