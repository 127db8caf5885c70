//! Wide values of columns that are only compared: the server sends their digest.

use contract::Digest;

use super::values::Kind;
use crate::Cell;
use crate::cell::{HEAD, WIDE};

/// So many bytes of text, or of bytes, are sent as they are.
const MOST: usize = WIDE - HEAD;

/// How a column is folded: as text, or as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folds {
    Text,
    Bytes,
}

impl Folds {
    /// How columns of a kind are folded, if they are.
    pub fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Bytes => Some(Self::Bytes),
            Kind::Text | Kind::Json | Kind::Other => Some(Self::Text),
            _ => None,
        }
    }

    /// Reads a value, or, in the place of one that is wide, its digest and as many more bytes as tell it from a value
    /// that is not: those are never as long.
    pub fn read(self, value: &str) -> String {
        let more = MOST + 1;
        match self {
            Self::Text => {
                let bytes = format!("pg_catalog.convert_to({value}, 'UTF8')");
                let digest = Self::digest("\\x74", &bytes);
                format!(
                    "CASE WHEN pg_catalog.octet_length({value}) OPERATOR(pg_catalog.>) {MOST} THEN \
                     pg_catalog.rpad(pg_catalog.encode({digest}, 'hex'), {more}, '.') ELSE {value} END"
                )
            }
            Self::Bytes => {
                let digest = Self::digest("\\x62", value);
                format!(
                    "CASE WHEN pg_catalog.octet_length({value}) OPERATOR(pg_catalog.>) {MOST} THEN \
                     {digest} OPERATOR(pg_catalog.||) pg_catalog.decode(pg_catalog.repeat('00', {more}), 'hex') \
                     ELSE {value} END"
                )
            }
        }
    }

    /// The SHA-256 of canonical bytes: the tag, the length, the content.
    fn digest(tag: &str, bytes: &str) -> String {
        format!(
            "pg_catalog.sha256('{tag}'::pg_catalog.bytea OPERATOR(pg_catalog.||) \
             pg_catalog.int8send(pg_catalog.octet_length({bytes})::pg_catalog.int8) OPERATOR(pg_catalog.||) {bytes})"
        )
    }

    /// Makes the cell of what was read.
    pub fn received(self, cell: &mut Cell) {
        let digest = match (self, &*cell) {
            (Self::Text, Cell::Text(text)) if text.len() > MOST => {
                text.get(..64).and_then(Digest::parse)
            }
            (Self::Bytes, Cell::Blob(bytes)) if bytes.len() > MOST => {
                Digest::from_bytes(&bytes[..32])
            }
            _ => None,
        };
        if let Some(digest) = digest {
            *cell = Cell::Folded(digest);
        }
    }
}
