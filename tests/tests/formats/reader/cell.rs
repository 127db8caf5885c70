//! Canonical bytes of cells, rows and images (rules F17, F18 and F20).

use super::sha256;

/// A value as the ledger's canonical bytes know it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    /// Text that is not Unicode, in the encoding of its database.
    Raw(Vec<u8>),
}

impl Cell {
    /// The canonical bytes (rule F17).
    pub fn bytes(&self) -> Vec<u8> {
        let sized = |tag: u8, bytes: &[u8]| {
            let mut out = vec![tag];
            out.extend((bytes.len() as u64).to_be_bytes());
            out.extend(bytes);
            out
        };
        match self {
            Self::Null => vec![b'n'],
            Self::Int(number) => [&[b'i'][..], &number.to_be_bytes()].concat(),
            Self::Real(number) => [&[b'r'][..], &number.to_bits().to_be_bytes()].concat(),
            Self::Text(text) => sized(b't', text),
            Self::Bytes(bytes) => sized(b'b', bytes),
            Self::Raw(bytes) => sized(b'x', bytes),
        }
    }

    /// The checksum: the first 8 bytes of the SHA-256 of the canonical bytes, as a number (rule F20).
    pub fn checksum(&self) -> u64 {
        let mut eight = [0; 8];
        eight.copy_from_slice(&sha256(&self.bytes())[..8]);
        u64::from_be_bytes(eight)
    }

    /// JSON as it is compared: no blanks, members sorted, digits as they are (rule F20).
    pub fn comparable_json(&self) -> Self {
        match self {
            Self::Text(text) => Self::Text(sorted(super::json(text)).to_string().into_bytes()),
            other => other.clone(),
        }
    }

    pub fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            other => panic!("no number: {other:?}"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => std::str::from_utf8(text).expect("UTF-8"),
            other => panic!("no text: {other:?}"),
        }
    }

    pub fn blob(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Null => &[],
            other => panic!("no bytes: {other:?}"),
        }
    }
}

fn sorted(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: std::collections::BTreeMap<String, Value> = members
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            Value::Object(members.into_iter().collect())
        }
        other => other,
    }
}

/// Cells, one behind the other.
pub fn all(cells: &[Cell]) -> Vec<u8> {
    cells.iter().flat_map(Cell::bytes).collect()
}

/// Reads cells, one behind the other.
pub fn decode(mut bytes: &[u8]) -> Vec<Cell> {
    let mut cells = Vec::new();
    while !bytes.is_empty() {
        cells.push(first(&mut bytes));
    }
    cells
}

/// Reads an image: per column its position and its cell (rule F18).
pub fn image(mut bytes: &[u8]) -> Vec<(usize, Cell)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let place = usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
        bytes = &bytes[2..];
        found.push((place, first(&mut bytes)));
    }
    found
}

fn first(bytes: &mut &[u8]) -> Cell {
    let mut take = |count: usize| {
        let (taken, rest) = bytes.split_at(count);
        *bytes = rest;
        taken.to_vec()
    };
    let eight = |bytes: Vec<u8>| <[u8; 8]>::try_from(bytes).expect("8 bytes");
    match take(1)[0] {
        b'n' => Cell::Null,
        b'i' => Cell::Int(i64::from_be_bytes(eight(take(8)))),
        b'r' => Cell::Real(f64::from_bits(u64::from_be_bytes(eight(take(8))))),
        tag @ (b't' | b'b' | b'x') => {
            let length = usize::try_from(u64::from_be_bytes(eight(take(8)))).unwrap();
            let content = take(length);
            match tag {
                b't' => Cell::Text(content),
                b'b' => Cell::Bytes(content),
                _ => Cell::Raw(content),
            }
        }
        tag => panic!("no tag of a cell: {tag}"),
    }
}
