//! How records files are cut into batches. The bundle and the size alone decide it, so that `apply --resume` and `verify`
//! find the same batches again.

use super::RecordsFile;

/// A batch ends with the segment with which the batch's segments have this many bytes. Measured on PostgreSQL: apply needs
/// up to 15 times the bytes of a record of 16 MiB.
const BYTES: u64 = 8 * 1024 * 1024;

/// How large the batches of a run may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSize {
    records: u64,
    bytes: u64,
}

impl BatchSize {
    /// At most this many records, and about 8 MiB of record lines.
    #[must_use]
    pub fn new(records: i64) -> Self {
        Self {
            records: u64::try_from(records).unwrap_or(1).max(1),
            bytes: BYTES,
        }
    }

    /// This many records, however wide they are. Runs of format 1 were cut like this.
    #[must_use]
    pub fn by_records(records: i64) -> Self {
        Self {
            bytes: u64::MAX,
            ..Self::new(records)
        }
    }

    /// Returns how many records each batch of a file holds, in order.
    pub fn batches(self, file: &RecordsFile) -> impl Iterator<Item = u64> {
        let mut segments = file.segments.iter();
        // What is left of the segment at hand, and its bytes.
        let (mut left, mut wide) = (0, 0_u64);
        std::iter::from_fn(move || {
            let (mut length, mut bytes) = (0, if left > 0 { wide } else { 0 });
            loop {
                if left == 0 {
                    let Some(segment) = segments.next() else {
                        return (length > 0).then_some(length);
                    };
                    (left, wide) = (segment.records, segment.bytes);
                    bytes = bytes.saturating_add(wide);
                }
                let taken = left.min(self.records - length);
                (length, left) = (length + taken, left - taken);
                let is_full = left == 0 && length > 0 && bytes >= self.bytes;
                if is_full || length == self.records {
                    return Some(length);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Segment;
    use super::*;
    use crate::{Digest, Op};

    fn lengths(records: u64, bytes: u64, segments: &[(u64, u64)]) -> Vec<u64> {
        let sha256 = Digest::of(b"");
        let segment = |&(records, bytes): &(u64, u64)| Segment {
            records,
            bytes,
            sha256,
        };
        let file = RecordsFile {
            file: "records/00-a.ndjson".into(),
            entity: "a".into(),
            op: Op::Put,
            records: segments.iter().map(|(records, _)| records).sum(),
            sha256,
            bytes: segments.iter().map(|(_, bytes)| bytes).sum(),
            segments: segments.iter().map(segment).collect(),
        };
        BatchSize { records, bytes }.batches(&file).collect()
    }

    #[test]
    fn batches_end_by_records_and_the_last_holds_what_is_left() {
        assert_eq!(lengths(3, 100, &[(7, 10), (1, 2)]), [3, 3, 2]);
        assert_eq!(lengths(4, 100, &[(4, 10)]), [4]);
        assert!(lengths(3, 100, &[]).is_empty());
    }

    #[test]
    fn batches_end_with_the_segment_that_makes_them_wide() {
        // The second segment takes the batch to 100; the third is wide by itself.
        assert_eq!(
            lengths(50, 100, &[(2, 60), (1, 40), (3, 300), (5, 9)]),
            [3, 3, 5]
        );
        // A batch that begins within a segment counts the whole of it.
        assert_eq!(lengths(2, 100, &[(3, 60), (1, 50), (1, 50)]), [2, 2, 1]);
        assert_eq!(lengths(3, 100, &[(4, 99), (1, 1), (1, 1)]), [3, 2, 1]);
    }
}
