//! The first look at a file of a bundle: its hash, and whether its lines are records of its entity.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use crate::columns::{Names, twice};
use crate::digest::Hasher;
use crate::{Digest, LINE_LIMIT};

/// What of a record line is looked at.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    entity: Cow<'a, str>,
    #[serde(borrow, default)]
    fields: Names<'a>,
    #[serde(borrow, default)]
    refs: Names<'a>,
    #[serde(borrow, default)]
    lookups: Names<'a>,
}

/// Returns the digest of a file, read as a stream.
pub(super) fn hash(path: &Path) -> io::Result<Digest> {
    let mut input = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let mut hasher = Hasher::default();
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(hasher.digest());
        }
        hasher.update(buffer);
        let count = buffer.len();
        input.consume(count);
    }
}

/// Returns the digest of a records file, and what is wrong with the first of its lines that is no record of the
/// entity.
pub(super) fn records(path: &Path, entity: &str) -> io::Result<(Digest, Option<String>)> {
    let mut input = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let mut hasher = Hasher::default();
    let (mut line, mut number, mut wrong) = (Vec::new(), 0_u64, None);
    loop {
        line.clear();
        let found = (&mut input)
            .take(LINE_LIMIT + 1)
            .read_until(b'\n', &mut line)?;
        if found == 0 {
            return Ok((hasher.digest(), wrong));
        }
        hasher.update(&line);
        number += 1;
        if wrong.is_none() {
            let why = amiss(&line, entity);
            wrong = why.map(|why| format!("line {number} {why}"));
        }
    }
}

/// Says what is wrong with a line, if anything is.
fn amiss(line: &[u8], entity: &str) -> Option<String> {
    if line.len() as u64 > LINE_LIMIT {
        return Some(format!("is longer than {LINE_LIMIT} bytes"));
    }
    let read: Line<'_> = match serde_json::from_slice(line) {
        Ok(read) => read,
        Err(error) => return Some(format!("is no record: {error}")),
    };
    if read.entity != entity {
        return Some(format!("is no record of {entity}"));
    }
    let Line {
        fields,
        refs,
        lookups,
        ..
    } = &read;
    let names = [fields, refs, lookups]
        .into_iter()
        .flat_map(|names| &names.0);
    let column = twice(names.map(AsRef::as_ref))?;
    Some(format!("has the column `{column}` twice"))
}
